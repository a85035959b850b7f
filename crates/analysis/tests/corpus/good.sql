-- name: errors of the last day
-- range: 1d to now
SELECT time, target, msg
FROM log_entries
WHERE level <= 2
ORDER BY time DESC
LIMIT 100

-- name: errors by target
-- range: 1d to now
SELECT target, count(*) AS errors
FROM log_entries
WHERE level <= 2
GROUP BY target
ORDER BY errors DESC

-- name: errors by minute
-- range: 1d to now
SELECT date_bin(INTERVAL '1 minute', time) AS minute, count(*) AS errors
FROM log_entries
WHERE level <= 2
GROUP BY minute
ORDER BY minute

-- name: levels of a process
-- range: 1d to now
SELECT level, count(*)
FROM view_instance('log_entries', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11')
GROUP BY level

-- name: log of a process
-- range: 1d to now
SELECT time, level, msg
FROM view_instance('log_entries', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11')
ORDER BY time
LIMIT 1000

-- name: fatal errors with their process
-- range: 1d to now
SELECT l.time, l.msg, p.exe, p.computer
FROM log_entries l
JOIN processes p ON l.process_id = p.process_id
WHERE l.level = 1
ORDER BY l.time
LIMIT 50

-- name: join with USING
-- range: 1d to now
SELECT l.time, p.exe FROM log_entries l JOIN processes p USING (process_id) ORDER BY time LIMIT 5

-- name: share of errors
-- range: 1d to now
SELECT count(*) FILTER (WHERE level <= 2) * 100.0 / count(*) AS share FROM log_entries

-- name: share of each target of all
-- range: 1d to now
SELECT t.target, t.rows * 100.0 / a.rows AS share
FROM (SELECT target, count(*) AS rows FROM log_entries GROUP BY target) t
CROSS JOIN (SELECT count(*) AS rows FROM log_entries) a
ORDER BY share DESC

-- name: minutes with many errors
-- range: 1d to now
WITH minutes AS (
  SELECT date_trunc('minute', time) AS minute, count(*) AS errors
  FROM log_entries
  WHERE level <= 2
  GROUP BY 1
)
SELECT minute, errors FROM minutes WHERE errors > 100 ORDER BY minute

-- name: stats by hour
-- range: 1d to now
SELECT date_trunc('hour', time_bin) AS hour, level, sum(count) AS rows
FROM log_stats
GROUP BY hour, level
ORDER BY hour, level

-- name: noisiest targets
-- range: 1d to now
SELECT target, sum(count) AS rows FROM log_stats GROUP BY target HAVING sum(count) > 1000 ORDER BY rows DESC LIMIT 20

-- name: mean of a measure
-- range: 1d to now
SELECT date_bin(INTERVAL '5 minutes', time) AS bin, avg(value) AS mean, max(value) AS most
FROM measures
WHERE name = 'frame_time'
GROUP BY bin
ORDER BY bin

-- name: percentiles of a measure
-- range: 1d to now
SELECT name, unit, approx_percentile_cont(value, 0.5) AS p50, approx_percentile_cont(value, 0.99) AS p99
FROM measures
GROUP BY name, unit

-- name: memory of one process
-- range: 1d to now
SELECT time, value
FROM view_instance('measures', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11')
WHERE name = 'resident_memory'
ORDER BY time
LIMIT 10000

-- name: histogram
-- range: 1d to now
SELECT make_histogram(0.0, 100.0, 50, value) AS h FROM measures WHERE name = 'frame_time'

-- name: median from a histogram
-- range: 1d to now
SELECT quantile_from_histogram(h, 0.5) FROM (SELECT make_histogram(0.0, 100.0, 50, value) AS h FROM measures) t

-- name: names of measures
-- range: 1d to now
SELECT DISTINCT name, unit FROM measures ORDER BY name

-- name: slowest spans
-- range: 1d to now
SELECT name, begin, duration / 1000000.0 AS ms
FROM view_instance('thread_spans', '4f0c7f3a-1c0e-4b59-8f4e-0d4c1a8a9f10')
WHERE duration > 10000000
ORDER BY duration DESC
LIMIT 20

-- name: spans in order
-- range: 1d to now
SELECT begin, "end", name, depth
FROM view_instance('thread_spans', '4f0c7f3a-1c0e-4b59-8f4e-0d4c1a8a9f10')
ORDER BY begin

-- name: total time by span
-- range: 1d to now
SELECT name, count(*) AS calls, sum(duration) AS total
FROM view_instance('thread_spans', '4f0c7f3a-1c0e-4b59-8f4e-0d4c1a8a9f10')
GROUP BY name
ORDER BY total DESC

-- name: children of a span
-- range: 1d to now
SELECT c.name, c.duration
FROM view_instance('thread_spans', '4f0c7f3a-1c0e-4b59-8f4e-0d4c1a8a9f10') p
JOIN view_instance('thread_spans', '4f0c7f3a-1c0e-4b59-8f4e-0d4c1a8a9f10') c ON c.parent = p.id
WHERE p.name = 'frame'
ORDER BY c.duration DESC
LIMIT 10

-- name: spans that overlap an instant
-- range: 1d to now
SELECT name FROM view_instance('thread_spans', '4f0c7f3a-1c0e-4b59-8f4e-0d4c1a8a9f10') WHERE begin <= '2026-02-28T12:00:01Z' AND "end" >= '2026-02-28T12:00:02Z'

-- name: async spans
-- range: 1d to now
SELECT b.name, e.time - b.time AS took
FROM view_instance('async_events', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11') b
JOIN view_instance('async_events', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11') e ON b.span_id = e.span_id
WHERE b.event_type = 'begin' AND e.event_type = 'end'
ORDER BY took DESC
LIMIT 100

-- name: processes of a computer
SELECT process_id, exe, start_time FROM processes WHERE computer = 'build-7' ORDER BY start_time DESC

-- name: newest processes
SELECT process_id, exe, start_time FROM processes ORDER BY start_time DESC LIMIT 10

-- name: streams of a process
SELECT stream_id, tags FROM streams WHERE process_id = '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11' AND array_has(tags, 'cpu')

-- name: processes with their streams
SELECT p.exe, count(*) AS streams FROM processes p LEFT JOIN streams s ON s.process_id = p.process_id GROUP BY p.exe

-- name: children of a process
WITH RECURSIVE tree AS (
  SELECT process_id, exe FROM processes WHERE process_id = '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11'
  UNION ALL
  SELECT p.process_id, p.exe FROM processes p JOIN tree t ON p.parent_process_id = t.process_id
)
SELECT process_id, exe FROM tree

-- name: blocks of a process
SELECT block_id, begin_time, end_time, nb_objects, "streams.tags"
FROM blocks
WHERE process_id = '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11' AND array_has("streams.tags", 'log')

-- name: size of the lake
SELECT view_set_name, count(*) AS partitions, sum(num_rows) AS rows, sum(file_size) / 1048576.0 AS mib
FROM list_partitions()
GROUP BY view_set_name
ORDER BY mib DESC

-- name: partitions of an old schema
SELECT p.view_set_name, count(*)
FROM list_partitions() p
JOIN list_view_sets() v ON p.view_set_name = v.view_set_name
WHERE p.file_schema_hash <> v.current_schema_hash
GROUP BY p.view_set_name

-- name: all of the listing
SELECT * FROM list_partitions() WHERE view_instance_id <> 'global'

-- name: a constant
SELECT 1

-- name: the clock
SELECT now(), current_date, version()

-- name: values
SELECT a, b FROM (VALUES (1, 'x'), (2, 'y')) AS t(a, b)

-- name: a series
SELECT value FROM generate_series(1, 10)

-- name: a cast
-- range: 1d to now
SELECT arrow_cast(level, 'Int64'), level::bigint AS wide, CAST(level AS VARCHAR) AS text, TRY_CAST(msg AS INT) FROM log_entries

-- name: case
-- range: 1d to now
SELECT CASE level WHEN 1 THEN 'fatal' WHEN 2 THEN 'error' ELSE 'other' END AS kind, count(*) FROM log_entries GROUP BY kind

-- name: first and last of a process
-- range: 1d to now
SELECT process_id, min(time) AS first, max(time) AS last, max(time) - min(time) AS lasted FROM log_entries GROUP BY process_id

-- name: latest of each
-- range: 1d to now
SELECT process_id, time, msg FROM (
  SELECT process_id, time, msg, row_number() OVER (PARTITION BY process_id ORDER BY time DESC) AS n
  FROM log_entries
) AS numbered
WHERE n = 1

-- name: time between errors
-- range: 1d to now
SELECT time, time - lag(time) OVER (ORDER BY time) AS gap FROM log_entries WHERE level <= 2 ORDER BY time DESC LIMIT 100

-- name: named window
-- range: 1d to now
SELECT time, sum(value) OVER w AS running FROM measures WHERE name = 'x' WINDOW w AS (PARTITION BY process_id ORDER BY time) ORDER BY time LIMIT 10

-- name: qualify
-- range: 1d to now
SELECT process_id, time, msg FROM log_entries QUALIFY row_number() OVER (PARTITION BY process_id ORDER BY time DESC) = 1

-- name: union all
-- range: 1d to now
SELECT time, msg AS what FROM log_entries WHERE level <= 2
UNION ALL
SELECT time, name AS what FROM measures WHERE value > 100
ORDER BY time
LIMIT 100

-- name: in a subquery
-- range: 1d to now
SELECT count(*) FROM log_entries WHERE process_id IN (SELECT process_id FROM processes WHERE exe = 'server')

-- name: exists
-- range: 1d to now
SELECT p.exe FROM processes p WHERE EXISTS (SELECT 1 FROM log_entries l WHERE l.process_id = p.process_id AND l.level = 1)

-- name: lateral
-- range: 1d to now
SELECT p.exe, l.errors FROM processes p, LATERAL (SELECT count(*) AS errors FROM log_entries e WHERE e.process_id = p.process_id AND e.level <= 2) AS l

-- name: scalar subquery
-- range: 1d to now
SELECT msg FROM log_entries WHERE time = (SELECT max(time) FROM log_entries WHERE level = 1)

-- name: properties
-- range: 1d to now
SELECT jsonb_as_string(jsonb_get(properties, 'user')) AS who, count(*) FROM log_entries GROUP BY who

-- name: property by name
-- range: 1d to now
SELECT property_get(process_properties, 'version') AS version, count(*) FROM log_entries GROUP BY 1 ORDER BY 2 DESC

-- name: path with a filter
-- range: 1d to now
SELECT jsonb_path_query_first(properties, '$.items[*] ? (@.size > 10)') FROM log_entries ORDER BY time LIMIT 10

-- name: distinct users
-- range: 1d to now
SELECT count(DISTINCT username) FROM log_entries

-- name: approximate distinct messages
-- range: 1d to now
SELECT approx_distinct(msg) FROM log_entries

-- name: first words of messages
-- range: 1d to now
SELECT split_part(msg, ' ', 1) AS word, count(*) FROM log_entries GROUP BY word ORDER BY 2 DESC LIMIT 50

-- name: pattern with a beginning
-- range: 1d to now
SELECT time, msg FROM log_entries WHERE target LIKE 'http%' AND msg NOT LIKE 'GET %' ORDER BY time LIMIT 10

-- name: regular expression
-- range: 1d to now
SELECT time, msg FROM log_entries WHERE msg ~ 'took [0-9]+ ms' ORDER BY time LIMIT 10

-- name: contains
-- range: 1d to now
SELECT time, msg FROM log_entries WHERE contains(msg, 'timeout') ORDER BY time LIMIT 10

-- name: like a property
-- range: 1d to now
SELECT count(*) FROM log_entries WHERE msg LIKE '%'

-- name: words in comments and strings
-- range: 1d to now
-- LIMIT 5 and ORDER BY, all BEGIN and END
SELECT 'END LIMIT ORDER BY' AS words, count(*) FROM log_entries /* OFFSET 10 */

-- name: column named like a keyword
-- range: 1d to now
SELECT count(*) FROM view_instance('thread_spans', '4f0c7f3a-1c0e-4b59-8f4e-0d4c1a8a9f10') WHERE "end" > begin

-- name: names in capitals
-- range: 1d to now
SELECT TIME, MSG FROM LOG_ENTRIES WHERE LEVEL <= 2 ORDER BY TIME LIMIT 10

-- name: qualified by schema
-- range: 1d to now
SELECT level, count(*) FROM public.log_entries GROUP BY level

-- name: of another schema
SELECT table_name FROM information_schema.tables

-- name: explain
EXPLAIN SELECT msg FROM log_entries

-- name: show tables
SHOW TABLES

-- name: semicolon at the end
SELECT count(*) FROM processes;

-- name: grouping sets
-- range: 1d to now
SELECT target, level, count(*) FROM log_entries GROUP BY GROUPING SETS ((target), (level), ())

-- name: rollup
-- range: 1d to now
SELECT target, level, count(*), grouping(target) FROM log_entries GROUP BY ROLLUP (target, level)

-- name: array and struct
-- range: 1d to now
SELECT make_array(1, 2)[1], named_struct('a', level)['a'], struct(level) FROM log_entries ORDER BY time LIMIT 1

-- name: unnest
SELECT stream_id, unnest(tags) AS tag FROM streams

-- name: unnest in from
SELECT t.n FROM UNNEST([1, 2, 3]) AS t(n)

-- name: substring and the like
-- range: 1d to now
SELECT substring(msg FROM 1 FOR 20), position('x' IN msg), trim(msg), overlay(msg PLACING 'y' FROM 1 FOR 1), extract(hour FROM time), left(msg, 5) FROM log_entries ORDER BY time LIMIT 10

-- name: time zone
-- range: 1d to now
SELECT time AT TIME ZONE 'Europe/Paris' AS local, msg FROM log_entries ORDER BY time LIMIT 10

-- name: filter by time with a range
-- range: 1d to now
SELECT count(*) FROM log_entries WHERE time >= now() - INTERVAL '1 hour'

-- name: hours of the day with a range
-- range: 1d to now
SELECT count(*) FROM log_entries WHERE extract(hour FROM time) BETWEEN 9 AND 17

-- name: a parameter
-- range: 1d to now
SELECT count(*) FROM log_entries WHERE process_id = $1

-- name: intervals
-- range: 1d to now
SELECT count(*) FROM log_entries WHERE time BETWEEN TIMESTAMP '2026-02-28T12:00:00Z' AND TIMESTAMP '2026-02-28T12:00:00Z' + INTERVAL '30 minutes'

-- name: view of the operator
SELECT day, errors FROM daily_error_counts

-- name: join of two on a time
-- range: 1d to now
SELECT m.time, m.value, l.msg FROM measures m JOIN log_entries l ON m.process_id = l.process_id AND m.time = l.time ORDER BY m.time LIMIT 10

-- name: old style join
-- range: 1d to now
SELECT l.msg, p.exe FROM log_entries l, processes p WHERE l.process_id = p.process_id ORDER BY l.time LIMIT 10

-- name: join by an expression
-- range: 1d to now
SELECT l.msg, p.exe FROM log_entries l, processes p WHERE lower(l.exe) = lower(p.exe) ORDER BY l.time LIMIT 10

-- name: sample of a join
SELECT s.stream_id, p.exe FROM streams s INNER JOIN processes p ON s.process_id = p.process_id LIMIT 10

-- name: any and all
SELECT count(*) FROM streams WHERE 'log' = ANY(tags)

-- name: except
SELECT process_id FROM processes EXCEPT SELECT process_id FROM streams

-- name: ignored on purpose
-- range: 1d to now
-- lakepilot: ignore select-star, order-by-without-limit
SELECT * FROM log_entries ORDER BY time

-- name: ignored in place
-- range: 1d to now
SELECT time, msg
FROM log_entries
ORDER BY time /* lakepilot: ignore order-by-without-limit */

-- name: ignored at the end
-- range: 1d to now
SELECT time, msg FROM log_entries ORDER BY time; -- lakepilot: ignore order-by-without-limit

-- name: string aggregate in order
-- range: 1d to now
SELECT process_id, string_agg(target, ',' ORDER BY time) FROM log_entries GROUP BY process_id

-- name: order by a number
-- range: 1d to now
SELECT target, count(*) FROM log_entries GROUP BY 1 ORDER BY 2 DESC

-- name: limit of a single row
-- range: 1d to now
SELECT max(time) FROM log_entries LIMIT 1

-- name: cte that filters by time
-- range: 1d to now
WITH recent AS (SELECT time, level FROM log_entries WHERE time > '2026-02-28T13:00:00Z') SELECT level, count(*) FROM recent GROUP BY level

-- name: select star of a query
-- range: 1d to now
SELECT * FROM (SELECT time, msg FROM log_entries) AS l ORDER BY time LIMIT 5

-- name: star in count
-- range: 1d to now
SELECT count(*) FROM log_entries

-- name: json text
SELECT jsonb_format_json(properties) FROM processes

-- name: dollar quotes
SELECT 'it''s', E'a\nb' FROM processes

-- name: nested brackets
-- range: 1d to now
SELECT ((((level)))) FROM log_entries WHERE (((level) = (2))) ORDER BY ((time)) LIMIT 3

-- name: boolean tests
-- range: 1d to now
SELECT count(*) FROM log_entries WHERE (level < 3) IS TRUE AND NOT (msg IS NULL) AND level IS DISTINCT FROM 4

-- name: net spans of a process
-- range: 1d to now
SELECT name, bit_size FROM view_instance('net_spans', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11') ORDER BY bit_size DESC LIMIT 10

-- name: since the beginning of the hour
-- range: 1d to now
SELECT l.time, l.msg FROM log_entries l WHERE l.time >= date_bin(INTERVAL '1 hour', now()) ORDER BY l.time LIMIT 100

-- name: begin and end as names
SELECT begin_time AS "begin", end_time AS "end" FROM blocks WHERE nb_objects > 0 ORDER BY begin_time LIMIT 10

-- name: recursive
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT n FROM t

-- name: counts of a part
-- range: 1d to now
SELECT count(*) FILTER (WHERE level <= 2) AS errors, count(*) AS n FROM log_entries

-- name: moving average
-- range: 1h to now
SELECT time, avg(value) OVER (ORDER BY time ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS smooth
FROM measures WHERE name = 'cpu_usage' ORDER BY time LIMIT 1000

-- name: streams of threads
SELECT s.stream_id FROM streams s WHERE array_has(s.tags, 'cpu') AND s.process_id = '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11'

-- name: messages that begin so
-- range: 1d to now
SELECT time, msg FROM log_entries WHERE level = 2 AND msg LIKE 'Failed to %' ORDER BY time DESC LIMIT 20

-- name: hours of the day
-- range: 1d to now
SELECT extract(hour FROM time) AS hour, count(*) AS n FROM log_entries GROUP BY hour ORDER BY hour

-- name: end in a case in a case
-- range: 1d to now
SELECT CASE WHEN level < 3 THEN CASE WHEN level = 1 THEN 'END' ELSE 'begin' END ELSE 'where time' END AS kind, count(*) AS n
FROM log_entries GROUP BY kind

-- name: length of spans by hand
-- range: 1h to now
SELECT name, max("end" - begin) AS longest
FROM view_instance('thread_spans', '4f0c7f3a-1c0e-4b59-8f4e-0d4c1a8a9f10') GROUP BY name

-- name: measures beside logs by minute
-- range: 1h to now
WITH l AS (SELECT date_bin(INTERVAL '1 minute', time) AS minute, count(*) AS n FROM log_entries GROUP BY minute),
     m AS (SELECT date_bin(INTERVAL '1 minute', time) AS minute, avg(value) AS load FROM measures WHERE name = 'cpu' GROUP BY minute)
SELECT l.minute, l.n, m.load FROM l LEFT JOIN m ON l.minute = m.minute ORDER BY l.minute

-- name: one process with all that it has
-- range: 1h to now
SELECT time, msg AS what FROM view_instance('log_entries', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11')
UNION ALL
SELECT time, name FROM view_instance('measures', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11')

-- name: processes that have no streams
SELECT p.process_id FROM processes p WHERE NOT EXISTS (SELECT 1 FROM streams s WHERE s.process_id = p.process_id)

-- name: partitions and their view sets
SELECT p.view_set_name, count(*) AS n, sum(p.file_size) AS bytes
FROM list_partitions() p JOIN list_view_sets() v ON p.view_set_name = v.view_set_name
WHERE p.file_schema_hash = v.current_schema_hash GROUP BY p.view_set_name ORDER BY bytes DESC

-- name: clauses in another order of lines, with comments between
-- range: 1d to now
SELECT -- FROM nowhere
  time, /* WHERE level = 'x' */ msg
FROM
  log_entries -- AS of yesterday
WHERE
  level <= 3 AND /* OR */ target = 'auth'
ORDER BY time
LIMIT 50

-- name: an operator's column of the same name as a view
-- range: 1d to now
SELECT processes, count(*) AS n FROM (SELECT process_id AS processes FROM log_entries) AS l GROUP BY processes
