//! Reading views: time ranges, pruning, limits, dictionaries, merged views.

use std::fs;
use std::time::Duration;

use arrow::array::Array;
use arrow::datatypes::DataType;
use chrono::TimeDelta;
use futures::TryStreamExt;
use lakepilot_query::{Dictionaries, Query, QueryService};
use proptest::prelude::*;

use super::fixture::{ENTRIES_AN_HOUR, Fixture, HOURS, PROCESSES, THREADS, at, hour, range, rows_of, whole};

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_read_without_and_with_a_time_range() {
    let fixture = Fixture::new();
    let all = HOURS * ENTRIES_AN_HOUR as i64;
    assert_eq!(fixture.count("SELECT count(*) FROM log_entries", None).await, all);
    assert_eq!(fixture.count("SELECT count(*) FROM log_entries", whole()).await, all);
    let entries = fixture
        .rows(
            "SELECT level, msg FROM log_entries WHERE level < 2 ORDER BY time",
            range(at(3600), at(10_799)),
        )
        .await;
    assert_eq!(
        entries,
        [
            "0|hour 1 entry 0",
            "1|hour 1 entry 1",
            "0|hour 2 entry 0",
            "1|hour 2 entry 1"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_of_a_range_are_included_to_the_nanosecond() {
    let fixture = Fixture::new();
    let (first, last) = (at(600), at(1200));
    let nanosecond = TimeDelta::nanoseconds(1);
    let sql = "SELECT level FROM log_entries ORDER BY time";
    for (begin, end, levels) in [
        (first, last, vec!["1", "2"]),
        (first + nanosecond, last, vec!["2"]),
        (first, last - nanosecond, vec!["1"]),
        (first + nanosecond, last - nanosecond, vec![]),
        (first, first, vec!["1"]),
        (first - nanosecond, last + nanosecond, vec!["1", "2"]),
    ] {
        assert_eq!(fixture.rows(sql, range(begin, end)).await, levels, "{begin} {end}");
    }
    // The edge of two partitions, and an instant on it.
    assert_eq!(fixture.rows(sql, range(at(3600), at(3600))).await, ["0"]);
    assert_eq!(
        fixture
            .rows(sql, range(at(3600) - nanosecond, at(3600) - nanosecond))
            .await,
        [""; 0]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_touch_the_range_are_kept() {
    let fixture = Fixture::new();
    let sql = format!("SELECT id FROM view_instance('thread_spans', '{}')", THREADS[0]);
    let nanosecond = TimeDelta::nanoseconds(1);
    // Spans begin every 600 s and last for 900 s: at 1500 s one ends, at 1800 s one begins.
    for (begin, end, ids) in [
        (at(1500), at(1800), vec!["1", "2", "3"]),
        (at(1500) + nanosecond, at(1800), vec!["2", "3"]),
        (at(1500) + nanosecond, at(1800) - nanosecond, vec!["2"]),
        (at(3700), at(3700), vec!["5", "6"]),
    ] {
        assert_eq!(fixture.rows(&sql, range(begin, end)).await, ids, "{begin} {end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_come_in_order_and_the_plan_knows_it() {
    let fixture = Fixture::new();
    for thread in THREADS {
        let view = format!("view_instance('thread_spans', '{thread}')");
        let ids: Vec<String> = (0..18).map(|id| id.to_string()).collect();
        assert_eq!(fixture.rows(&format!("SELECT id FROM {view}"), whole()).await, ids);
        let explained = fixture
            .rows(&format!("EXPLAIN SELECT id FROM {view} ORDER BY begin"), whole())
            .await
            .join("\n");
        assert!(!explained.contains("SortExec"), "{explained}");
        // The spans of the first thread reach into the next file, never into the one after it.
        let groups = if thread == THREADS[0] { "2 groups" } else { "1 group" };
        assert!(explained.contains(groups), "{explained}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_outside_the_range_are_not_opened() {
    let fixture = Fixture::new();
    let outside = &fixture.partitions("log_entries", "global")[0];
    fs::remove_file(fixture.lake().partition_path(outside).unwrap()).unwrap();
    let (begin, end) = (hour(1).0, hour(2).1);
    assert_eq!(
        fixture
            .count("SELECT count(msg) FROM log_entries", range(begin, end))
            .await,
        12
    );
    let error = fixture
        .failure(
            "SELECT count(msg) FROM log_entries",
            range(begin - TimeDelta::hours(1), end),
        )
        .await;
    assert!(error.message().starts_with("error building data stream: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_beside_the_query_is_on_top_of_the_plan() {
    let fixture = Fixture::new();
    for (sql, limit, rows) in [
        ("SELECT msg FROM log_entries", 5, 5),
        ("SELECT msg FROM log_entries LIMIT 3", 5, 3),
        ("SELECT msg FROM log_entries", 0, 0),
        ("SELECT msg FROM log_entries WHERE level = 4", u64::MAX, 3),
        ("SELECT count(*) FROM log_entries", 5, 1),
    ] {
        for range in [None, Some(whole()), Some(range(at(0), at(10_000)))] {
            let query = Query::new(sql).unwrap().with_limit(limit).with_time_range(range);
            let found = fixture.collect(query).await.unwrap().num_rows();
            let expected = if sql.contains("level = 4") && range.is_some_and(|range| range.end() == at(10_000)) {
                3
            } else {
                rows
            };
            assert_eq!(found, expected, "{sql} {limit} {range:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dictionaries_are_flattened_or_preserved() {
    let fixture = Fixture::new();
    let query = Query::new("SELECT target, properties, msg FROM log_entries ORDER BY time").unwrap();
    let flat = fixture.collect(query.clone()).await.unwrap();
    let types: Vec<&DataType> = flat.schema.fields().iter().map(|field| field.data_type()).collect();
    assert_eq!(types, [&DataType::Utf8, &DataType::Binary, &DataType::Utf8]);
    let preserved = fixture
        .collect(query.clone().with_dictionaries(Dictionaries::Preserved))
        .await
        .unwrap();
    assert!(matches!(
        preserved.schema.field(0).data_type(),
        DataType::Dictionary(..)
    ));
    assert!(matches!(
        preserved.schema.field(1).data_type(),
        DataType::Dictionary(..)
    ));
    assert_eq!(rows_of(&flat).len(), 18);
    let prepared = fixture.service.prepare(&query).await.unwrap();
    assert_eq!(prepared.schema(), preserved.schema);
    for result in [&flat, &preserved] {
        for batch in &result.batches {
            assert_eq!(batch.schema(), result.schema);
            assert_eq!(batch.column(2).null_count(), 0);
        }
    }
    assert_eq!(
        rows_of(
            &fixture
                .collect(Query::new("SELECT target FROM log_entries ORDER BY time LIMIT 2").unwrap())
                .await
                .unwrap()
        ),
        ["target0", "target1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_has_the_schema_that_was_prepared() {
    let fixture = Fixture::new();
    for sql in [
        "SELECT 1 AS one, 'a' AS text, now() AS now",
        "SELECT * FROM log_entries",
        "SELECT * FROM log_stats",
        "SELECT * FROM processes",
        "SELECT * FROM streams",
        "SELECT * FROM blocks",
        "SELECT * FROM measures",
        "SELECT * FROM list_partitions()",
        "SELECT * FROM list_view_sets()",
        "SELECT target, count(*) AS entries FROM log_entries GROUP BY target ORDER BY target",
        "SELECT a.process_id, b.process_id FROM log_entries a JOIN processes b ON a.process_id = b.process_id",
        "EXPLAIN SELECT 1",
    ] {
        let query = Query::new(sql).unwrap().with_dictionaries(Dictionaries::Preserved);
        let prepared = fixture.service.prepare(&query).await.unwrap().schema();
        let run = fixture.service.run(&query).await.unwrap().schema();
        let shape = |schema: &arrow::datatypes::Schema| -> Vec<(String, DataType)> {
            schema
                .fields()
                .iter()
                .map(|field| (field.name().clone(), field.data_type().clone()))
                .collect()
        };
        assert_eq!(shape(&run), shape(&prepared), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_have_the_schema_of_their_view_set() {
    let fixture = Fixture::new();
    for view_set in lakepilot_local_lake::view_sets() {
        if view_set.instances().has_global() {
            let query = Query::new(format!("SELECT * FROM {}", view_set.name())).unwrap();
            let prepared = fixture.service.prepare(&query).await.unwrap().schema();
            assert_eq!(prepared, view_set.schema(), "{}", view_set.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_one_row_however_many_partitions_know_it() {
    let fixture = Fixture::new();
    let sql = "SELECT process_id, exe, last_update_time FROM processes ORDER BY exe";
    let before = fixture.rows(sql, None).await;
    let rows = super::fixture::source_rows(
        "processes",
        &[
            ("process_id", super::fixture::texts([PROCESSES[0]])),
            ("exe", super::fixture::texts(["server"])),
            ("insert_time", super::fixture::times([super::fixture::nanos(at(0))])),
            (
                "last_update_time",
                super::fixture::times([super::fixture::nanos(at(172_800))]),
            ),
        ],
    );
    let processes = lakepilot_local_lake::view_set("processes").unwrap();
    fixture
        .lake()
        .write_partition(processes, "global", (at(86_400), at(172_800)), &[rows])
        .unwrap();
    let after = fixture.rows(sql, None).await;
    assert_eq!(before.len(), 2);
    assert_eq!(after[0], before[0]);
    assert_eq!(after[1], format!("{}|server|2026-01-03T00:00:00Z", PROCESSES[0]));
    // The range touches the interval from the first to the last update.
    assert_eq!(
        fixture
            .count("SELECT count(*) FROM processes", range(at(100_000), at(100_001)))
            .await,
        1
    );
    assert_eq!(
        fixture
            .count("SELECT count(*) FROM processes", range(at(-2), at(-1)))
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_materialised_on_first_use() {
    let fixture = Fixture::new();
    assert!(fixture.partitions("log_entries", PROCESSES[1]).is_empty());
    let sql = format!("SELECT count(*) FROM view_instance('log_entries', '{}')", PROCESSES[1]);
    fixture.service.prepare(&Query::new(&sql).unwrap()).await.unwrap();
    assert!(
        fixture.partitions("log_entries", PROCESSES[1]).is_empty(),
        "preparing materialises nothing"
    );
    assert_eq!(fixture.count(&sql, range(at(0), at(3599))).await, 3);
    assert_eq!(fixture.partitions("log_entries", PROCESSES[1]).len(), 1);
    assert_eq!(fixture.count(&sql, None).await, 9);
    assert_eq!(fixture.partitions("log_entries", PROCESSES[1]).len(), 3);
    assert_eq!(
        fixture
            .count("SELECT count(*) FROM view_instance('log_entries', 'global')", None)
            .await,
        18
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_another_schema_are_ignored() {
    let fixture = Fixture::new();
    let connection = rusqlite::Connection::open(fixture.lake().root().join("catalogue.sqlite")).unwrap();
    let first = &fixture.partitions("log_entries", "global")[0];
    connection
        .execute(
            "UPDATE partitions SET schema_hash = x'00' WHERE file_path = ?",
            [first.file_path.as_ref().unwrap()],
        )
        .unwrap();
    assert_eq!(fixture.count("SELECT count(*) FROM log_entries", None).await, 12);
    assert_eq!(
        fixture
            .count(
                "SELECT count(*) FROM list_partitions() WHERE file_schema_hash = x'00'",
                None
            )
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_keeps_what_is_retired_while_it_runs() {
    let fixture = Fixture::new();
    let mut stream = fixture
        .service
        .run(&Query::new("SELECT msg FROM log_entries").unwrap())
        .await
        .unwrap();
    let retired = fixture
        .rows("SELECT msg FROM retire_partitions('log_entries', 'global', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z')", None)
        .await;
    assert_eq!(retired.len(), 4);
    let mut rows = 0;
    while let Some(batch) = stream.try_next().await.unwrap() {
        rows += batch.num_rows();
    }
    assert_eq!(rows, 18);
    assert_eq!(fixture.count("SELECT count(*) FROM log_entries", None).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn first_uses_at_the_same_time_materialise_once() {
    let fixture = Fixture::new();
    let sql = format!("SELECT count(*) FROM view_instance('log_entries', '{}')", PROCESSES[0]);
    let counts = futures::future::join_all((0..8).map(|_| fixture.count(&sql, None))).await;
    assert_eq!(counts, [9; 8]);
    assert_eq!(fixture.partitions("log_entries", PROCESSES[0]).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_stream_ends_the_query() {
    let fixture = Fixture::new();
    let tasks = tokio::runtime::Handle::current().metrics();
    let idle = tasks.num_alive_tasks();
    let sql =
        "SELECT a.msg, s.value FROM log_entries a CROSS JOIN generate_series(1, 1000000000) s WHERE s.value % 7 = 3";
    let mut stream = fixture.service.run(&Query::new(sql).unwrap()).await.unwrap();
    assert!(stream.try_next().await.unwrap().unwrap().num_rows() > 0);
    assert!(tasks.num_alive_tasks() > idle, "the query has tasks of its own");
    drop(stream);
    let ended = async {
        while tasks.num_alive_tasks() > idle {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended)
        .await
        .expect("the tasks of the query end");
}

/// Whatever the range, the rows are those that a look at each of them finds: partitions that lie in it, that its ends cut,
/// and that touch it.
#[test]
fn any_range_keeps_the_rows_that_lie_in_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let fixture = Fixture::new();
    let entries: Vec<i64> = (0..HOURS * 3600).step_by(600).collect();
    let spans = format!("SELECT count(*) FROM view_instance('thread_spans', '{}')", THREADS[0]);
    let edge = || {
        (-1i64..=20)
            .prop_flat_map(|step| (-1i64..=1).prop_map(move |nanos| at(step * 600) + TimeDelta::nanoseconds(nanos)))
    };
    proptest!(ProptestConfig::with_cases(48), |(one in edge(), other in edge())| {
        let (begin, end) = (one.min(other), one.max(other));
        let inside = entries.iter().filter(|&&entry| at(entry) >= begin && at(entry) <= end).count() as i64;
        let touching = entries.iter().filter(|&&entry| at(entry) <= end && at(entry + 900) >= begin).count() as i64;
        let counts = runtime.block_on(async {
            let asked = range(begin, end);
            let entries = "SELECT count(*) FROM log_entries";
            let messages = "SELECT count(*) FROM (SELECT msg FROM log_entries WHERE level >= 0)";
            (fixture.count(entries, asked).await, fixture.count(messages, asked).await, fixture.count(&spans, asked).await)
        });
        prop_assert_eq!(counts, (inside, inside, touching), "{} {}", begin, end);
    });
}
