-- name: view misspelt
-- range: 1d to now
-- finds: unknown-view
SELECT msg FROM log_entry

-- name: view misspelt in a call
-- range: 1d to now
-- finds: unknown-view
SELECT msg FROM view_instance('log_entires', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11')

-- name: view in the singular
-- finds: unknown-view
SELECT exe FROM process

-- name: column misspelt
-- range: 1d to now
-- finds: unknown-column
SELECT time, mgs FROM log_entries

-- name: column of another view
-- range: 1d to now
-- finds: unknown-column
SELECT l.value FROM log_entries l

-- name: column that nothing has
-- range: 1d to now
-- finds: unknown-column
SELECT severity FROM log_entries

-- name: text in double quotes
-- range: 1d to now
-- finds: unknown-column
SELECT count(*) FROM log_entries WHERE target = "http"

-- name: column in capitals and quotes
-- range: 1d to now
-- finds: unknown-column
SELECT "MSG" FROM log_entries

-- name: alias in where
-- range: 1d to now
-- finds: unknown-column
SELECT level * 2 AS twice FROM log_entries WHERE twice > 4

-- name: column of a subquery that it has not
-- range: 1d to now
-- finds: unknown-column
SELECT l.level FROM (SELECT time, msg FROM log_entries) AS l

-- name: column of a cte that it has not
-- range: 1d to now
-- finds: unknown-column
WITH l AS (SELECT time, msg FROM log_entries) SELECT level FROM l

-- name: order by a column that is not there
-- range: 1d to now
-- finds: unknown-column
SELECT msg FROM log_entries ORDER BY tme LIMIT 5

-- name: column without from
-- finds: unknown-column
SELECT exe

-- name: column of the listing
-- finds: unknown-column
SELECT view_set FROM list_partitions()

-- name: function of another database
-- range: 1d to now
-- finds: unknown-function
SELECT strftime(time, '%H') FROM log_entries

-- name: function misspelt
-- range: 1d to now
-- finds: unknown-function
SELECT cout(*) FROM log_entries

-- name: table function misspelt
-- finds: unknown-function
SELECT view_set_name FROM list_partition()

-- name: spans as a table
-- range: 1d to now
-- finds: span-view-without-instance
SELECT name FROM thread_spans

-- name: async events as a table
-- range: 1d to now
-- finds: span-view-without-instance
SELECT name FROM async_events

-- name: spans of global
-- range: 1d to now
-- finds: span-view-without-instance
SELECT name FROM view_instance('thread_spans', 'global')

-- name: spans of a process
-- range: 1d to now
-- finds: span-view-without-instance
SELECT s.name FROM view_instance('thread_spans', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11') s JOIN processes p ON s.id = p.start_ticks WHERE p.process_id = '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11'

-- name: spans of the process of the log
-- range: 1d to now
-- finds: span-view-without-instance
SELECT msg FROM view_instance('log_entries', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11') UNION ALL SELECT name FROM view_instance('thread_spans', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11')

-- name: level as text
-- range: 1d to now
-- finds: level-compared-with-text
SELECT count(*) FROM log_entries WHERE level = 'ERROR'

-- name: levels as text
-- range: 1d to now
-- finds: level-compared-with-text, level-compared-with-text
SELECT count(*) FROM log_stats WHERE level IN ('error', 'warn')

-- name: level as a number in quotes
-- range: 1d to now
-- finds: level-compared-with-text
SELECT count(*) FROM log_entries WHERE '2' = level

-- name: level like
-- range: 1d to now
-- finds: level-compared-with-text
SELECT count(*) FROM log_entries WHERE level LIKE 'E%'

-- name: two columns of a name
-- range: 1d to now
-- finds: duplicate-column-name
SELECT l.process_id, p.process_id FROM log_entries l JOIN processes p ON l.process_id = p.process_id ORDER BY l.time LIMIT 5

-- name: a column and its cast
-- range: 1d to now
-- finds: duplicate-column-name
SELECT level, level::bigint FROM log_entries

-- name: an alias twice
-- range: 1d to now
-- finds: duplicate-column-name
SELECT min(level) AS a, max(level) AS a FROM log_entries

-- name: columns of two stars
-- finds: duplicate-column-name
SELECT s.*, p.insert_time FROM streams s JOIN processes p ON s.process_id = p.process_id
