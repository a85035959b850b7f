//! What is refused, and what is accepted and answers nothing.

use lakepilot_local_lake::ServiceOptions;
use lakepilot_query::{ErrorKind, Position, Query, QueryService};

use super::fixture::{Fixture, PROCESSES, THREADS, at, range, whole};

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_has_its_kind_and_its_text() {
    use ErrorKind::{Internal, InvalidQuery, Unsupported};
    let fixture = Fixture::new();
    let unknown = "99999999-0000-4000-8000-000000000009";
    let planning = "error building dataframe: ";
    for (sql, kind, texts) in [
        (
            "SELECT * FROM nope",
            InvalidQuery,
            vec![
                planning,
                "table 'datafusion.public.nope' not found",
                "(at line 1, column 15)",
            ],
        ),
        (
            "SELECT nope FROM log_entries",
            InvalidQuery,
            vec![planning, "No field named nope", "(at line 1, column 8)"],
        ),
        (
            "SELECT foo(1)",
            InvalidQuery,
            vec![planning, "Invalid function 'foo'", "Did you mean"],
        ),
        (
            "SELEC 1",
            InvalidQuery,
            vec![planning, "ParserError(", "Line: 1, Column: 1"],
        ),
        (
            "SELECT 1; SELECT 2",
            Unsupported,
            vec![planning, "single SQL statement"],
        ),
        ("SELECT 1/0", Internal, vec!["ivide by zero"]),
        (
            "SELECT level / (level - level) FROM log_entries",
            Internal,
            vec!["error building data stream: ", "ivide by zero"],
        ),
        (
            "SELECT CAST(msg AS INT) FROM log_entries",
            Internal,
            vec!["error building data stream: ", "Cannot cast string"],
        ),
        (
            "SELECT * FROM view_instance('log_entries')",
            InvalidQuery,
            vec![planning, "misses an argument"],
        ),
        (
            "SELECT * FROM view_instance('log_entries', 'x')",
            InvalidQuery,
            vec![planning, "not a UUID"],
        ),
        (
            "SELECT * FROM view_instance('nope', 'global')",
            InvalidQuery,
            vec![planning, "view set nope not found"],
        ),
        (
            "SELECT * FROM view_instance('processes', 'global')",
            InvalidQuery,
            vec![planning, "view set processes not found"],
        ),
        (
            "SELECT * FROM view_instance('thread_spans', 'global')",
            InvalidQuery,
            vec![planning, "no global instance"],
        ),
        (
            &format!("SELECT * FROM view_instance('log_entries', '{unknown}')"),
            Internal,
            vec!["error creating physical plan: ", "no process", unknown],
        ),
        (
            &format!("SELECT * FROM view_instance('async_events', '{unknown}')"),
            Internal,
            vec!["no process"],
        ),
        (
            &format!("SELECT * FROM view_instance('thread_spans', '{}')", THREADS[0]),
            Internal,
            vec!["query range mandatory for thread spans view"],
        ),
        (
            "SELECT * FROM retire_partitions('log_entries', 'global', '2026-01-01T00:00:00', '2026-01-02T00:00:00Z')",
            Internal,
            vec![planning, "with a zone"],
        ),
        (
            "SELECT count(*) FROM retire_partitions('log_entries', 'global', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z')",
            InvalidQuery,
            vec!["error creating physical plan: "],
        ),
        (
            "COPY (SELECT 1) TO '/tmp/out.parquet'",
            Unsupported,
            vec!["COPY is not offered"],
        ),
        (
            "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/out.parquet'",
            Unsupported,
            vec!["COPY is not offered"],
        ),
        (
            "INSERT INTO processes (process_id) VALUES ('x')",
            Unsupported,
            vec!["not offered"],
        ),
        ("DELETE FROM log_entries", Unsupported, vec!["not offered"]),
        ("UPDATE log_entries SET level = 1", Unsupported, vec!["not offered"]),
        (
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            Unsupported,
            vec!["not offered"],
        ),
        ("CREATE SCHEMA s", Unsupported, vec!["not offered"]),
        ("SELECT * FROM '/etc/passwd'", InvalidQuery, vec!["not found"]),
        (
            "SET datafusion.runtime.temp_directory = '/tmp'",
            InvalidQuery,
            vec!["belongs to the service"],
        ),
        ("SET datafusion.nope = 1", InvalidQuery, vec![planning]),
        ("CREATE TABLE log_entries (x INT)", InvalidQuery, vec!["already exists"]),
    ] {
        let error = fixture.failure(sql, None).await;
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        for text in texts {
            assert!(error.message().contains(text), "{sql} should tell {text:?}: {error}");
        }
        assert!(error.query_id().is_some(), "{sql}");
        assert!(error.to_string().contains("(query_id="), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_a_mistake_is_told() {
    let fixture = Fixture::new();
    let error = fixture.failure("SELECT msg,\n  nope\nFROM log_entries", None).await;
    assert_eq!(error.position(), Some(Position { line: 2, column: 3 }));
    let query = Query::new("SELECT msg,\n  nope\nFROM log_entries").unwrap();
    let prepared = fixture.service.prepare(&query).await.unwrap_err();
    assert_eq!((prepared.kind(), prepared.position()), (error.kind(), error.position()));
}

#[tokio::test(flavor = "multi_thread")]
async fn some_statements_answer_nothing() {
    let fixture = Fixture::new();
    for sql in [
        "CREATE TABLE t (x INT)",
        "CREATE TABLE t AS SELECT msg FROM log_entries",
        "CREATE VIEW v AS SELECT msg FROM log_entries",
        "SET datafusion.execution.batch_size = 100",
        "DROP TABLE log_entries",
        "PREPARE p AS SELECT 1",
    ] {
        let result = fixture
            .collect(Query::new(sql).unwrap().with_time_range(whole()).with_limit(5))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!((result.num_rows(), result.schema.fields().len()), (0, 0), "{sql}");
        fixture.service.prepare(&Query::new(sql).unwrap()).await.unwrap();
    }
    // What a statement does to its session ends with it.
    assert_eq!(fixture.count("SELECT count(*) FROM log_entries", None).await, 18);
    assert!(
        fixture
            .failure("SELECT * FROM t", None)
            .await
            .message()
            .contains("not found")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_table_is_created_from_is_run() {
    let fixture = Fixture::new();
    let error = fixture
        .failure(
            "CREATE TABLE t AS SELECT level / (level - level) AS x FROM log_entries",
            None,
        )
        .await;
    assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_information_schema_and_explain_answer() {
    let fixture = Fixture::new();
    let tables = fixture
        .rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
            None,
        )
        .await;
    assert_eq!(
        tables,
        ["blocks", "log_entries", "log_stats", "measures", "processes", "streams"]
    );
    assert!(
        fixture
            .rows("SHOW TABLES", None)
            .await
            .iter()
            .any(|row| row.contains("log_entries"))
    );
    let plan = fixture
        .rows(
            "EXPLAIN SELECT msg FROM log_entries WHERE level = 2",
            range(at(0), at(10)),
        )
        .await
        .join("\n");
    assert!(
        plan.contains("DataSourceExec") && plan.contains("pruning_predicate"),
        "{plan}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_administration_there_are_no_administrative_functions() {
    let fixture = Fixture::with_options(ServiceOptions {
        administration: false,
        ..ServiceOptions::default()
    });
    let range = "'2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'";
    for (sql, text) in [
        (
            format!("SELECT * FROM retire_partitions('log_entries', 'global', {range})"),
            "not found",
        ),
        (
            format!("SELECT * FROM materialize_partitions('log_entries', {range}, 3600)"),
            "not found",
        ),
        (
            format!("SELECT * FROM regenerate_partitions('log_entries', {range}, 3600)"),
            "not found",
        ),
        (
            "SELECT retire_partition_by_file('x')".to_owned(),
            "Invalid function 'retire_partition_by_file'",
        ),
        (
            "SELECT retire_partition_by_metadata('a', 'b', now(), now(), x'00')".to_owned(),
            "Invalid function 'retire_partition_by_metadata'",
        ),
    ] {
        let error = fixture.failure(&sql, None).await;
        assert_eq!(error.kind(), ErrorKind::InvalidQuery, "{sql}: {error}");
        assert!(error.message().contains(text), "{sql}: {error}");
        assert!(!error.message().to_lowercase().contains("permission"), "{error}");
    }
    assert_eq!(
        fixture
            .count(
                &format!("SELECT count(*) FROM view_instance('log_entries', '{}')", PROCESSES[0]),
                None
            )
            .await,
        9
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_limit_is_told_as_what_it_is() {
    let fixture = Fixture::with_options(ServiceOptions {
        memory_limit_bytes: 10_000,
        ..ServiceOptions::default()
    });
    let error = fixture
        .failure("SELECT a.msg, count(*) FROM log_entries a CROSS JOIN generate_series(1, 2000) s GROUP BY a.msg, s.value ORDER BY 1", None)
        .await;
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
}
