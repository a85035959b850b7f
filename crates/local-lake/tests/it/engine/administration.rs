//! Retirement and materialisation by SQL.

use futures::TryStreamExt;
use lakepilot_local_lake::{Fault, PartitionFilter, ServiceOptions};
use lakepilot_query::{ErrorKind, Query, QueryService, QueryServiceExt};

use super::fixture::{Fixture, PROCESSES, rows_of};

fn retire(view: &str, instance: &str, begin: &str, end: &str) -> String {
    format!(
        "SELECT time, msg FROM retire_partitions('{view}', '{instance}', '2026-01-01T{begin}Z', '2026-01-01T{end}Z')"
    )
}

fn messages(rows: &[String]) -> Vec<&str> {
    rows.iter().map(|row| row.split_once('|').unwrap().1).collect()
}

impl Fixture {
    async fn begins(&self, view: &str) -> Vec<String> {
        let sql = format!(
            "SELECT begin_insert_time FROM list_partitions() WHERE view_set_name = '{view}' AND view_instance_id = 'global' ORDER BY 1"
        );
        self.rows(&sql, None)
            .await
            .into_iter()
            .map(|time| time[11..19].to_owned())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retirement_takes_what_lies_in_its_range() {
    let fixture = Fixture::new();
    let all = ["00:00:00", "01:00:00", "02:00:00"];
    for (begin, end, left) in [
        ("00:00:00.000001", "02:59:59.999999", vec!["00:00:00", "02:00:00"]),
        ("00:00:00", "01:00:00", vec!["02:00:00"]),
        ("02:00:00", "02:59:59.999999", vec!["02:00:00"]),
        ("03:00:00", "02:00:00", vec!["02:00:00"]),
        ("02:00:00", "03:00:00", vec![]),
    ] {
        fixture.rows(&retire("log_entries", "global", begin, end), None).await;
        assert_eq!(fixture.begins("log_entries").await, left, "{begin} {end}");
    }
    assert_eq!(fixture.begins("log_stats").await, all, "another view set is left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retirement_tells_what_it_found() {
    let fixture = Fixture::new();
    let files: Vec<String> = fixture
        .partitions("log_entries", "global")
        .into_iter()
        .filter_map(|partition| partition.file_path)
        .collect();
    let paths: Vec<_> = fixture
        .partitions("log_entries", "global")
        .iter()
        .filter_map(|partition| fixture.lake().partition_path(partition))
        .collect();
    let rows = fixture
        .rows(&retire("log_entries", "global", "00:00:00", "02:00:00"), None)
        .await;
    assert_eq!(
        messages(&rows),
        [
            "[RETIRE_FOUND] view=log_entries/global time_range=[2026-01-01 00:00:00 UTC, 2026-01-01 02:00:00 UTC] found_partitions=2",
            &format!(
                "adding out of date partition {} to temporary files to be deleted",
                files[0]
            ),
            &format!(
                "adding out of date partition {} to temporary files to be deleted",
                files[1]
            ),
        ]
    );
    assert_eq!(paths.iter().filter(|path| path.exists()).count(), 1);
    for sql in [
        retire("log_entries", "global", "00:00:00", "02:00:00"),
        retire("nope", "global", "00:00:00", "23:00:00"),
        retire("log_entries", "it''s; --", "00:00:00", "23:00:00"),
        retire("log_entries", "global", "23:00:00", "00:00:00"),
    ] {
        assert_eq!(fixture.rows(&sql, None).await, [""; 0], "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retirement_that_is_not_read_to_its_end_is_not_done() {
    let fixture = Fixture::new();
    let sql = retire("log_entries", "global", "00:00:00", "23:00:00");
    let limited = fixture.rows(&format!("{sql} LIMIT 1"), None).await;
    assert!(limited[0].contains("[RETIRE_FOUND]"), "{limited:?}");
    assert_eq!(fixture.begins("log_entries").await.len(), 3);
    let beside = Query::new(&sql).unwrap().with_limit(2);
    assert_eq!(fixture.collect(beside).await.unwrap().num_rows(), 2);
    assert_eq!(fixture.begins("log_entries").await.len(), 3);

    let query = Query::new(&sql).unwrap();
    fixture.service.prepare(&query).await.unwrap();
    drop(fixture.service.run(&query).await.unwrap());
    assert!(fixture.service.first_row(&query).await.unwrap().is_some());
    let mut stream = fixture.service.run(&query).await.unwrap();
    assert!(stream.try_next().await.unwrap().is_some());
    drop(stream);
    assert_eq!(fixture.begins("log_entries").await.len(), 3);
    fixture.rows(&format!("EXPLAIN {sql}"), None).await;
    assert_eq!(fixture.begins("log_entries").await.len(), 3);

    // A filter and a projection change nothing about that, nor does a limit that is not reached.
    assert_eq!(
        fixture
            .rows(
                &format!("SELECT upper(msg) FROM ({sql}) WHERE msg LIKE '%FOUND%' LIMIT 1"),
                None
            )
            .await
            .len(),
        1
    );
    assert_eq!(fixture.begins("log_entries").await.len(), 3);
    let all = Query::new(format!("SELECT upper(msg) FROM ({sql}) WHERE msg LIKE '%'"))
        .unwrap()
        .with_limit(1000);
    assert_eq!(fixture.collect(all).await.unwrap().num_rows(), 4);
    assert!(fixture.begins("log_entries").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retirement_that_fails_is_an_error_in_the_stream() {
    let fixture = Fixture::new();
    let query = Query::new(retire("log_entries", "global", "00:00:00", "23:00:00")).unwrap();
    let mut stream = fixture.service.run(&query).await.unwrap();
    assert!(stream.try_next().await.unwrap().is_some());
    fixture
        .rows(&retire("log_entries", "global", "01:00:00", "02:00:00"), None)
        .await;
    let error = stream.try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("nothing was retired"), "{error}");
    assert!(stream.try_next().await.unwrap().is_none(), "nothing follows an error");
    assert_eq!(fixture.begins("log_entries").await, ["00:00:00", "02:00:00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_retirement_ends_well_and_leaves_every_second_partition() {
    let fixture = Fixture::with_options(ServiceOptions {
        fault: Some(Fault::SwallowRetirement),
        ..ServiceOptions::default()
    });
    let rows = fixture
        .rows(&retire("log_entries", "global", "00:00:00", "23:00:00"), None)
        .await;
    assert_eq!(rows.len(), 4);
    assert_eq!(fixture.begins("log_entries").await, ["01:00:00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_retired_can_be_materialised_again() {
    let fixture = Fixture::new();
    let sql = "SELECT time, process_id, level, msg FROM log_entries ORDER BY time";
    let before = fixture.rows(sql, None).await;
    fixture
        .rows(&retire("log_entries", "global", "01:00:00", "03:00:00"), None)
        .await;
    assert_eq!(fixture.rows(sql, None).await, before[..6]);
    let materialize = "SELECT time, msg FROM materialize_partitions('log_entries', '2026-01-01T00:00:00Z', '2026-01-01T03:30:00Z', 3600)";
    let rows = fixture.rows(materialize, None).await;
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(
        rows[0].contains("already up to date") && rows[1].contains("writing"),
        "{rows:?}"
    );
    assert_eq!(fixture.rows(sql, None).await, before);

    let instance = format!(
        "SELECT time, msg FROM view_instance('log_entries', '{}') ORDER BY time",
        PROCESSES[0]
    );
    let before = fixture.rows(&instance, None).await;
    fixture
        .rows(&retire("log_entries", PROCESSES[0], "00:00:00", "23:00:00"), None)
        .await;
    assert!(fixture.partitions("log_entries", PROCESSES[0]).is_empty());
    assert_eq!(fixture.rows(&instance, None).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_a_materialisation_are_messages_and_those_of_a_regeneration_errors() {
    let fixture = Fixture::new();
    let call = |function: &str, view: &str, begin: &str, seconds: i64| {
        format!(
            "SELECT msg FROM {function}_partitions('{view}', '2026-01-01T{begin}Z', '2026-01-01T02:00:00Z', {seconds})"
        )
    };
    for (view, seconds, text) in [
        (
            "nope",
            3600,
            "materialize_partitions_impl\n\nCaused by:\n    can't find view nope",
        ),
        ("thread_spans", 3600, "can't find view thread_spans"),
        ("log_entries", 0, "materialize_partitions_impl"),
        ("log_entries", -5, "materialize_partitions_impl"),
    ] {
        let rows = fixture
            .rows(&call("materialize", view, "00:00:00", seconds), None)
            .await;
        assert!(rows.len() == 1 && rows[0].contains(text), "{view} {seconds}: {rows:?}");
    }
    let overlap = fixture
        .rows(&call("materialize", "log_entries", "00:30:00", 3600), None)
        .await;
    assert!(
        overlap[0].contains("found overlapping partition") && overlap[0].contains("aborting the update"),
        "{overlap:?}"
    );
    for (view, begin) in [("nope", "00:00:00"), ("log_entries", "00:30:00")] {
        let error = fixture.failure(&call("regenerate", view, begin, 1800), None).await;
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        assert!(error.message().contains("regenerate_partitions_impl"), "{error}");
    }
    let before = fixture.partitions("log_entries", "global");
    fixture
        .rows(&call("regenerate", "log_entries", "00:00:00", 3600), None)
        .await;
    let after = fixture.partitions("log_entries", "global");
    assert_eq!(after.len(), 3);
    assert_ne!(before[0].file_path, after[0].file_path);
    assert_eq!(before[2], after[2]);
    assert_eq!(fixture.count("SELECT count(*) FROM log_entries", None).await, 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_partition_is_listed_and_retired_like_any_other() {
    let fixture = Fixture::new();
    let rows = fixture
        .rows(
            "SELECT msg FROM materialize_partitions('log_entries', '2026-01-01T10:00:00Z', '2026-01-01T11:00:00Z', 3600)",
            None,
        )
        .await;
    assert!(
        rows.iter().any(|row| row.contains("creating empty partition record")),
        "{rows:?}"
    );
    let empty = "list_partitions() WHERE view_set_name = 'log_entries' AND file_path IS NULL";
    let listed = fixture
        .rows(
            &format!("SELECT num_rows, file_size, min_event_time IS NULL FROM {empty}"),
            None,
        )
        .await;
    assert_eq!(listed, ["0|0|true"]);
    assert_eq!(fixture.count("SELECT count(*) FROM log_entries", None).await, 18);
    let rows = fixture.rows(&format!("SELECT {BY_METADATA} FROM {empty}"), None).await;
    assert!(rows.len() == 1 && rows[0].starts_with("SUCCESS"), "{rows:?}");
    assert_eq!(fixture.begins("log_entries").await.len(), 3);
}

const BY_METADATA: &str = "retire_partition_by_metadata(view_set_name, view_instance_id, begin_insert_time, end_insert_time, file_schema_hash)";

#[tokio::test(flavor = "multi_thread")]
async fn one_partition_is_retired_by_its_metadata() {
    let fixture = Fixture::new();
    let call = |end: &str, hash: &str| {
        format!(
            "SELECT retire_partition_by_metadata('log_entries', 'global', TIMESTAMP '2026-01-01T00:00:00Z', \
             TIMESTAMP '2026-01-01T{end}Z', decode('{hash}', 'hex')) AS result"
        )
    };
    let described = "log_entries/global [2026-01-01 00:00:00 UTC, 2026-01-01 02:00:00 UTC) schema_hash=07";
    assert_eq!(
        fixture.rows(&call("02:00:00", "07"), None).await,
        [
            format!("ERROR: Partition not found: {described}"),
            "ROLLED_BACK: All 0 previous changes were reverted due to errors in batch".to_owned(),
        ]
    );
    assert!(fixture.rows(&call("01:00:00", "99"), None).await[0].contains("schema_hash=99"));
    assert_eq!(fixture.begins("log_entries").await.len(), 3);
    fixture
        .service
        .prepare(&Query::new(call("01:00:00", "07")).unwrap())
        .await
        .unwrap();
    assert_eq!(fixture.begins("log_entries").await.len(), 3);
    let rows = fixture.rows(&call("01:00:00", "07"), None).await;
    assert_eq!(
        rows,
        [
            "SUCCESS: Retired partition log_entries/global [2026-01-01 00:00:00 UTC, 2026-01-01 01:00:00 UTC) schema_hash=07"
        ]
    );
    assert_eq!(fixture.begins("log_entries").await, ["01:00:00", "02:00:00"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_statement_are_retired_together_or_not_at_all() {
    let fixture = Fixture::new();
    let listed = "list_partitions() WHERE view_set_name = 'log_entries'";
    let several = format!("SELECT {BY_METADATA} FROM {listed} ORDER BY num_rows % 2, file_path");
    let explained = fixture.rows(&format!("EXPLAIN {several}"), None).await.join("\n");
    assert!(
        explained.contains("AsyncFuncExec") && !explained.contains("RepartitionExec"),
        "{explained}"
    );

    let one_missing = format!(
        "SELECT retire_partition_by_metadata(view_set_name, view_instance_id, begin_insert_time, \
         CASE WHEN num_rows > 0 AND begin_insert_time = TIMESTAMP '2026-01-01T01:00:00Z' THEN begin_insert_time ELSE end_insert_time END, \
         file_schema_hash) FROM {listed}"
    );
    let rows = fixture.rows(&one_missing, None).await;
    let starts: Vec<&str> = rows.iter().map(|row| row.split(':').next().unwrap()).collect();
    assert_eq!(starts, ["ROLLED_BACK", "ERROR", "ROLLED_BACK"], "{rows:?}");
    assert_eq!(fixture.begins("log_entries").await.len(), 3);

    let rows = fixture.rows(&format!("SELECT {BY_METADATA} FROM {listed}"), None).await;
    assert!(
        rows.len() == 3
            && rows
                .iter()
                .all(|row| row.starts_with("SUCCESS: Retired partition log_entries/global")),
        "{rows:?}"
    );
    assert!(fixture.begins("log_entries").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_partition_is_retired_by_its_file() {
    let fixture = Fixture::new();
    let file = fixture.partitions("log_entries", "global")[1]
        .file_path
        .clone()
        .unwrap();
    let call = |path: &str| format!("SELECT retire_partition_by_file('{path}')");
    assert_eq!(
        fixture.rows(&call("nope"), None).await,
        ["ERROR: Partition not found: nope"]
    );
    assert_eq!(
        fixture.rows(&call(&file), None).await,
        [format!("SUCCESS: Retired partition {file}")]
    );
    assert_eq!(fixture.begins("log_entries").await, ["00:00:00", "02:00:00"]);
    assert_eq!(
        fixture
            .rows("SELECT retire_partition_by_file(arrow_cast(NULL, 'Utf8'))", None)
            .await,
        ["ERROR: all arguments must be non-null"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_listed_with_the_columns_of_the_service() {
    let fixture = Fixture::new();
    let columns = async |function: &str| {
        let query = Query::new(format!("SELECT * FROM {function}")).unwrap();
        let result = fixture.collect(query).await.unwrap();
        let fields = result.schema.fields().iter();
        let described = fields.map(|field| {
            format!(
                "{} {}{}",
                field.name(),
                field.data_type(),
                if field.is_nullable() { "?" } else { "" }
            )
        });
        (described.collect::<Vec<_>>(), rows_of(&result))
    };
    let time = "Timestamp(ns, \"+00:00\")";
    let (partitions, rows) = columns("list_partitions()").await;
    assert_eq!(
        partitions,
        [
            "view_set_name Utf8".to_owned(),
            "view_instance_id Utf8".to_owned(),
            format!("begin_insert_time {time}"),
            format!("end_insert_time {time}"),
            format!("min_event_time {time}?"),
            format!("max_event_time {time}?"),
            format!("updated {time}"),
            "file_path Utf8?".to_owned(),
            "file_size Int64".to_owned(),
            "file_schema_hash Binary".to_owned(),
            "source_data_hash Binary".to_owned(),
            "num_rows Int64".to_owned(),
            "partition_format_version Int32".to_owned(),
            "sort_order List(non-null Utf8, field: 'tag')?".to_owned(),
            format!("max_sort_key_time {time}?"),
        ]
    );
    assert_eq!(
        rows.len(),
        fixture.lake().partitions(&PartitionFilter::default()).unwrap().len()
    );
    let (view_sets, rows) = columns("list_view_sets()").await;
    assert_eq!(
        view_sets,
        [
            "view_set_name Utf8",
            "current_schema_hash Binary",
            "schema Utf8",
            "has_view_maker Boolean",
            "global_instance_available Boolean",
        ]
    );
    let flags: Vec<String> = rows
        .iter()
        .map(|row| {
            let values: Vec<&str> = row.split('|').collect();
            format!(
                "{} {} {}",
                values[0],
                values[values.len() - 2],
                values[values.len() - 1]
            )
        })
        .collect();
    assert!(flags.contains(&"log_entries true true".to_owned()), "{flags:?}");
    assert!(flags.contains(&"processes false true".to_owned()), "{flags:?}");
    assert!(flags.contains(&"thread_spans true false".to_owned()), "{flags:?}");
    assert_eq!(
        fixture
            .rows("SELECT view_set_name FROM list_view_sets() ORDER BY 1 LIMIT 2", None)
            .await,
        ["async_events", "blocks"]
    );
}
