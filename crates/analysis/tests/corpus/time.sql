-- name: no range
-- finds: missing-time-range
SELECT time, msg FROM log_entries WHERE level <= 2

-- name: no range, two views
-- finds: missing-time-range, missing-time-range
SELECT l.msg, m.value FROM log_entries l JOIN measures m ON l.process_id = m.process_id

-- name: no range, spans
-- finds: missing-time-range
SELECT name FROM view_instance('thread_spans', '4f0c7f3a-1c0e-4b59-8f4e-0d4c1a8a9f10')

-- name: no range in a cte
-- finds: missing-time-range
WITH l AS (SELECT msg FROM log_entries) SELECT msg FROM l

-- name: no range in a subquery
-- finds: missing-time-range
SELECT exe FROM processes WHERE process_id IN (SELECT process_id FROM log_entries)

-- name: words that look like a filter
-- finds: missing-time-range
SELECT msg AS begin_time, 'END' FROM log_entries -- WHERE time

-- name: insert time is not event time
-- finds: missing-time-range
SELECT msg FROM log_entries WHERE insert_time > now() - INTERVAL '1 hour'

-- name: alias called time
-- finds: missing-time-range
SELECT level AS time FROM log_entries WHERE level > 1

-- name: filter in the SQL
-- finds: unpruned-time-filter
SELECT msg FROM log_entries WHERE time >= now() - INTERVAL '1 hour'

-- name: filter behind another condition
-- finds: unpruned-time-filter
SELECT msg FROM log_entries WHERE level < 3 AND time > '2026-02-28T00:00:00Z'

-- name: filter between
-- finds: unpruned-time-filter
SELECT msg FROM log_entries WHERE time BETWEEN '2026-02-28T00:00:00Z' AND '2026-02-28T01:00:00Z'

-- name: filter the other way round
-- finds: unpruned-time-filter
SELECT msg FROM log_entries WHERE '2026-02-28T00:00:00Z' <= time

-- name: filter in both sides of or
-- finds: unpruned-time-filter
SELECT msg FROM log_entries WHERE (time > '2026-02-28T00:00:00Z' AND level = 1) OR (time > '2026-02-28T12:00:00Z' AND level = 2)

-- name: filter around a query
-- finds: unpruned-time-filter
SELECT msg FROM (SELECT time AS t, msg FROM log_entries) AS l WHERE t > '2026-02-28T00:00:00Z'

-- name: filter around a cte
-- finds: unpruned-time-filter
WITH l AS (SELECT time, msg FROM log_entries) SELECT msg FROM l WHERE l.time > now() - INTERVAL '1 day'

-- name: filter around a union
-- finds: unpruned-time-filter, unpruned-time-filter
SELECT what FROM (SELECT time, msg AS what FROM log_entries UNION ALL SELECT time, name FROM measures) AS u WHERE time > '2026-02-28T00:00:00Z'

-- name: filter in a join
-- finds: unpruned-time-filter
SELECT p.exe FROM processes p LEFT JOIN log_entries l ON l.process_id = p.process_id AND l.time > '2026-02-28T00:00:00Z'

-- name: filter by a subquery
-- finds: unpruned-time-filter
SELECT msg FROM log_entries WHERE time > (SELECT max(start_time) FROM processes)

-- name: filter by a parameter
-- finds: unpruned-time-filter
SELECT msg FROM log_entries WHERE time > $1

-- name: filter of spans
-- finds: unpruned-time-filter
SELECT name FROM view_instance('thread_spans', '4f0c7f3a-1c0e-4b59-8f4e-0d4c1a8a9f10') WHERE begin >= '2026-02-28T00:00:00Z' AND begin < '2026-02-28T01:00:00Z'

-- name: filter of a statistic
-- finds: unpruned-time-filter
SELECT sum(count) FROM log_stats WHERE time_bin >= date_trunc('day', now())

-- name: cte read twice, filtered once
-- finds: unpruned-time-filter
WITH l AS (SELECT time, msg FROM log_entries) SELECT a.msg FROM l a JOIN l b ON a.time = b.time WHERE a.time > '2026-02-28T00:00:00Z'

-- name: one side of or
-- finds: ineffective-time-filter
SELECT msg FROM log_entries WHERE time > '2026-02-28T00:00:00Z' OR level = 1

-- name: inside a function
-- finds: ineffective-time-filter
SELECT msg FROM log_entries WHERE date_trunc('day', time) = '2026-02-28T00:00:00Z'

-- name: extract
-- finds: ineffective-time-filter
SELECT msg FROM log_entries WHERE extract(hour FROM time) = 3 AND level = 1

-- name: negated
-- finds: ineffective-time-filter
SELECT msg FROM log_entries WHERE NOT (time < '2026-02-28T00:00:00Z')

-- name: not equal
-- finds: ineffective-time-filter
SELECT msg FROM log_entries WHERE time <> '2026-02-28T00:00:00Z'

-- name: compared with another column
-- finds: ineffective-time-filter
SELECT l.msg FROM log_entries l JOIN processes p ON l.process_id = p.process_id WHERE l.time > p.start_time

-- name: cast to a date
-- finds: ineffective-time-filter
SELECT msg FROM log_entries WHERE CAST(time AS DATE) = '2026-02-28'

-- name: reversed range
-- range: now to 1d
-- finds: invalid-time-range
SELECT count(*) FROM log_entries

-- name: half a range
-- range: 1d to none
-- finds: invalid-time-range, missing-time-range
SELECT count(*) FROM log_entries

-- name: contradiction
-- range: 1d to now
-- finds: invalid-time-range
SELECT count(*) FROM log_entries WHERE time > '2026-03-01T00:00:00Z' AND time < '2026-02-28T00:00:00Z'

-- name: between the wrong way round
-- range: 1d to now
-- finds: invalid-time-range
SELECT count(*) FROM log_entries WHERE time BETWEEN '2026-02-28T18:00:00Z' AND '2026-02-28T14:00:00Z'

-- name: outside of the range
-- range: 1d to now
-- finds: invalid-time-range
SELECT count(*) FROM log_entries WHERE time < '2020-01-01T00:00:00Z'

-- name: long range
-- range: 90d to now
-- finds: long-time-range
SELECT count(*) FROM log_entries

-- name: long range, short filter
-- range: 90d to now
SELECT count(*) FROM log_entries WHERE time > '2026-02-28T00:00:00Z'

-- name: long filter
-- finds: unpruned-time-filter, long-time-range
SELECT count(*) FROM log_entries WHERE time >= '2020-01-01T00:00:00Z' AND time < '2026-01-01T00:00:00Z'

-- name: no zone
-- range: 1d to now
-- finds: naive-timestamp
SELECT count(*) FROM log_entries WHERE time > '2026-02-28 13:00:00'

-- name: dates
-- range: 1d to now
-- finds: naive-timestamp, naive-timestamp
SELECT count(*) FROM log_entries WHERE time BETWEEN '2026-02-28' AND '2026-03-02'

-- name: typed without a zone
-- range: 1d to now
-- finds: naive-timestamp
SELECT count(*) FROM log_entries WHERE time >= TIMESTAMP '2026-02-28 13:00:00'

-- name: start of a process without a zone
-- finds: naive-timestamp
SELECT exe FROM processes WHERE start_time > '2026-02-28T13:00:00'

-- name: a text column that looks like a time
-- range: 1d to now
SELECT count(*) FROM log_entries WHERE msg = '2026-02-28 13:00:00'

-- name: arithmetic on the time
-- finds: ineffective-time-filter
SELECT count(*) FROM log_entries WHERE time + INTERVAL '1 hour' > now()

-- name: date of the time
-- finds: ineffective-time-filter
SELECT count(*) FROM log_entries WHERE time::date = DATE '2026-02-28'

-- name: not before
-- finds: ineffective-time-filter
SELECT count(*) FROM log_entries WHERE NOT (time < '2026-02-28T00:00:00Z')

-- name: not at
-- finds: ineffective-time-filter
SELECT count(*) FROM log_entries WHERE time <> '2026-02-28T00:00:00Z'

-- name: of another view
-- finds: missing-time-range, missing-time-range
SELECT count(*) FROM log_entries l JOIN measures m ON l.process_id = m.process_id JOIN processes p ON p.process_id = l.process_id WHERE p.start_time > '2026-02-28T00:00:00Z'

-- name: insert time is not the time
-- finds: missing-time-range
SELECT count(*) FROM log_entries WHERE insert_time > '2026-02-28T00:00:00Z'

-- name: one of two views is bounded
-- finds: unpruned-time-filter, missing-time-range
SELECT count(*) FROM log_entries l JOIN measures m ON l.process_id = m.process_id WHERE l.time > '2026-02-28T00:00:00Z'
