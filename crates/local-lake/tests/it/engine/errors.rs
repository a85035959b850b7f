//! What is refused, and what is accepted and answers nothing.

use lakepilot_local_lake::ServiceOptions;
use lakepilot_query::ErrorKind::{self, Internal, InvalidQuery, Unsupported};
use lakepilot_query::{Position, Query, QueryService};

use super::fixture::{Fixture, PROCESSES, THREADS, at, range, whole};

const PLANNING: &str = "error building dataframe: ";
const PHYSICAL: &str = "error creating physical plan: ";
const STREAMING: &str = "error building data stream: ";

/// The kinds and the texts of failing statements.
async fn check(cases: &[(&str, ErrorKind, &[&str])]) {
    let fixture = Fixture::new();
    for (sql, kind, texts) in cases {
        let error = fixture.failure(sql, None).await;
        assert_eq!(error.kind(), *kind, "{sql}: {error}");
        for text in *texts {
            assert!(error.message().contains(text), "{sql} should tell {text:?}: {error}");
        }
        assert!(error.query_id().is_some(), "{sql}");
        assert!(error.to_string().contains("(query_id="), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_has_its_kind_and_its_text() {
    let absent = "table 'datafusion.public.nope' not found";
    check(&[
        (
            "SELECT * FROM nope",
            InvalidQuery,
            &[PLANNING, absent, "(at line 1, column 15)"],
        ),
        (
            "SELECT nope FROM log_entries",
            InvalidQuery,
            &[PLANNING, "No field named nope", "(at line 1, column 8)"],
        ),
        (
            "SELECT foo(1)",
            InvalidQuery,
            &[PLANNING, "Invalid function 'foo'", "Did you mean"],
        ),
        (
            "SELEC 1",
            InvalidQuery,
            &[PLANNING, "ParserError(", "Line: 1, Column: 1"],
        ),
        ("SELECT 1; SELECT 2", Unsupported, &[PLANNING, "single SQL statement"]),
        ("SELECT 1/0", Internal, &["ivide by zero"]),
        (
            "SELECT level / (level - level) FROM log_entries",
            Internal,
            &[STREAMING, "ivide by zero"],
        ),
        (
            "SELECT CAST(msg AS INT) FROM log_entries",
            Internal,
            &[STREAMING, "Cannot cast string"],
        ),
        ("SELECT * FROM '/etc/passwd'", InvalidQuery, &["not found"]),
        ("SET datafusion.nope = 1", InvalidQuery, &[PLANNING]),
        ("CREATE TABLE log_entries (x INT)", InvalidQuery, &["already exists"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_there_is_not_is_refused() {
    let unknown = "99999999-0000-4000-8000-000000000009";
    let entries = format!("SELECT * FROM view_instance('log_entries', '{unknown}')");
    let events = format!("SELECT * FROM view_instance('async_events', '{unknown}')");
    let spans = format!("SELECT * FROM view_instance('thread_spans', '{}')", THREADS[0]);
    check(&[
        (
            "SELECT * FROM view_instance('log_entries')",
            InvalidQuery,
            &[PLANNING, "misses an argument"],
        ),
        (
            "SELECT * FROM view_instance('log_entries', 'x')",
            InvalidQuery,
            &[PLANNING, "not a UUID"],
        ),
        (
            "SELECT * FROM view_instance('nope', 'global')",
            InvalidQuery,
            &[PLANNING, "view set nope not found"],
        ),
        (
            "SELECT * FROM view_instance('blocks', 'global')",
            InvalidQuery,
            &["view set blocks not found"],
        ),
        (
            "SELECT * FROM view_instance('thread_spans', 'global')",
            InvalidQuery,
            &["no global instance"],
        ),
        (&entries, Internal, &[PHYSICAL, "no process", unknown]),
        (&events, Internal, &["no process"]),
        (&spans, Internal, &["query range mandatory for thread spans view"]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retirement_has_to_be_asked_for_exactly() {
    let retire = |columns: &str, begin: &str| {
        format!("SELECT {columns} FROM retire_partitions('log_entries', 'global', {begin}, '2026-01-02T00:00:00Z')")
    };
    check(&[
        (
            &retire("msg", "'2026-01-01T00:00:00'"),
            Internal,
            &[PLANNING, "with a zone"],
        ),
        (
            &retire("msg", "5"),
            InvalidQuery,
            &[PLANNING, "argument 3 of retire_partitions"],
        ),
        (&retire("count(*)", "'2026-01-01T00:00:00Z'"), InvalidQuery, &[PHYSICAL]),
        (
            &retire("msg", "'2026-01-01T00:00:00Z'").replace("msg FROM", "* FROM log_entries JOIN"),
            InvalidQuery,
            &[],
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_touch_files_or_the_process_is_refused() {
    check(&[
        (
            "COPY (SELECT 1) TO '/tmp/out.parquet'",
            Unsupported,
            &["COPY is not offered"],
        ),
        (
            "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/out.parquet'",
            Unsupported,
            &["COPY is not offered"],
        ),
        (
            "INSERT INTO processes (process_id) VALUES ('x')",
            Unsupported,
            &["not offered"],
        ),
        ("DELETE FROM log_entries", Unsupported, &["not offered"]),
        ("UPDATE log_entries SET level = 1", Unsupported, &["not offered"]),
        (
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            Unsupported,
            &["not offered"],
        ),
        ("CREATE SCHEMA s", Unsupported, &["not offered"]),
        (
            "SET datafusion.runtime.temp_directory = '/tmp'",
            InvalidQuery,
            &["belongs to the service"],
        ),
        (
            "RESET datafusion.runtime.memory_limit",
            InvalidQuery,
            &["belongs to the service"],
        ),
    ])
    .await;
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
