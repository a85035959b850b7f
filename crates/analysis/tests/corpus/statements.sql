-- name: empty
-- finds: syntax-error
-- nothing here

-- name: half a condition
-- finds: syntax-error
SELECT msg FROM log_entries WHERE level <

-- name: misspelt keyword
-- finds: syntax-error
SELCT 1

-- name: comma too many
-- finds: syntax-error
SELECT , time FROM log_entries

-- name: open string
-- finds: syntax-error
SELECT 'abc FROM log_entries

-- name: open bracket
-- finds: syntax-error
SELECT count(* FROM log_entries

-- name: something after the end
-- finds: syntax-error
SELECT 1 FROM processes p q r

-- name: two
-- finds: multiple-statements
SELECT count(*) FROM processes;
SELECT count(*) FROM streams;

-- name: three, the second broken
-- finds: multiple-statements, syntax-error
SELECT 1;
SELECT (1;
SELECT 3

-- name: create
-- finds: not-a-query
CREATE TABLE t AS SELECT msg FROM log_entries

-- name: insert
-- finds: not-a-query
INSERT INTO log_entries VALUES (1)

-- name: delete
-- finds: not-a-query
DELETE FROM log_entries WHERE level = 6

-- name: set
-- finds: not-a-query
SET x = 1

-- name: retire
-- finds: admin-function
SELECT time, msg FROM retire_partitions('log_entries', 'global', '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z')

-- name: retire by file
-- finds: admin-function
SELECT retire_partition_by_file(file_path) FROM list_partitions()

-- name: materialise
-- finds: admin-function
SELECT msg FROM materialize_partitions('blocks', '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z', 3600)

-- name: ignores nothing
-- finds: unused-ignore
SELECT count(*) FROM processes -- lakepilot: ignore wide-row

-- name: ignores one of two
-- range: 1d to now
-- finds: unused-ignore
SELECT time, msg FROM log_entries ORDER BY time -- lakepilot: ignore order-by-without-limit, cross-join

-- name: ignores what does not exist
-- finds: unused-ignore
SELECT 1 -- lakepilot: ignore no-such-rule

-- name: ignores in another statement
-- range: 1d to now
-- finds: unused-ignore, multiple-statements, select-star
SELECT 1; -- lakepilot: ignore select-star
SELECT * FROM log_entries
