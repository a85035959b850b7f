-- name: schema of a query
-- finds: missing-time-range
SELECT time, process_id, level, msg FROM log_entries

-- name: validated query
-- finds: missing-time-range, order-by-without-limit
SELECT time, process_id, level, target, msg, properties 
FROM log_entries 
ORDER BY time DESC

-- name: bulk query
-- range: 7d to now
SELECT time, level, target, msg FROM log_entries WHERE level <= 3

-- name: bulk count
-- range: 7d to now
SELECT COUNT(*) as row_count FROM (SELECT time, level, target, msg FROM log_entries WHERE level <= 3) as subquery

-- name: instances to retire
SELECT view_set_name, view_instance_id, 
       min(begin_insert_time) as begin, 
       max(end_insert_time) as end
FROM list_partitions()
WHERE view_instance_id != 'global'
GROUP BY view_set_name, view_instance_id
