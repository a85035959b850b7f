//! Bulk ingestion.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::stream;
use lakepilot_local_lake::ServedLake;
use lakepilot_query::{Error, ErrorKind, Query, QueryService, RecordBatchStream};

use super::fixture::{Fixture, PROCESSES, THREADS, at, log_rows, nanos, range, texts, times};

fn rows(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn stream_of(batches: Vec<RecordBatch>) -> RecordBatchStream {
    RecordBatchStream::from_batches(batches[0].schema(), batches)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listed_table_can_be_read() {
    let fixture = Fixture::new();
    let tables = fixture.service.tables().unwrap();
    for table in &tables {
        let query = Query::new(format!(
            "SELECT * FROM {}.{}.{}",
            table.catalog, table.schema, table.name
        ))
        .unwrap();
        let prepared = fixture.service.prepare(&query).await.unwrap();
        assert_eq!(prepared.schema(), table.columns, "{}", table.name);
    }
    let names = |schema: &str| tables.iter().filter(|table| table.schema == schema).count();
    assert_eq!(names("public"), 6);
    assert!(names("information_schema") > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn ingested_processes_are_there_and_have_instances() {
    let fixture = Fixture::new();
    let process = "33333333-0000-4000-8000-000000000003";
    let batch = rows(vec![
        ("exe", texts(["new"])),
        ("process_id", texts([process])),
        ("tsc_frequency", Arc::new(Int64Array::from(vec![1_000]))),
        ("something_else", texts(["x"])),
    ]);
    assert_eq!(
        fixture
            .service
            .ingest("processes", stream_of(vec![batch]))
            .await
            .unwrap(),
        1
    );
    let found = fixture
        .rows(
            &format!("SELECT exe, tsc_frequency, insert_time IS NULL FROM processes WHERE process_id = '{process}'"),
            None,
        )
        .await;
    assert_eq!(found, ["new|1000|false"]);
    assert_eq!(fixture.count("SELECT count(*) FROM processes", None).await, 3);
    assert_eq!(
        fixture
            .count(
                &format!("SELECT count(*) FROM view_instance('log_entries', '{process}')"),
                None
            )
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ingested_rows_are_sorted_and_survive_a_retirement() {
    let fixture = Fixture::new();
    let later = log_rows(50);
    let backwards =
        arrow::compute::take_record_batch(&later, &arrow::array::UInt32Array::from(vec![5, 3, 1, 4, 2, 0])).unwrap();
    let two = vec![backwards.slice(0, 2), backwards.slice(2, 4)];
    assert_eq!(fixture.service.ingest("log_entries", stream_of(two)).await.unwrap(), 6);
    let sql = "SELECT level FROM log_entries ORDER BY time";
    let day = range(at(50 * 3600), at(51 * 3600));
    assert_eq!(fixture.rows(sql, day).await, ["0", "1", "2", "3", "4", "5"]);
    let partition = fixture.partitions("log_entries", "global").pop().unwrap();
    assert_eq!(
        (partition.begin_insert_time, partition.num_rows),
        (at(50 * 3600 + 1), 6)
    );
    assert_eq!(
        fixture
            .count(
                &format!("SELECT count(*) FROM view_instance('log_entries', '{}')", PROCESSES[0]),
                day
            )
            .await,
        3
    );
    fixture
        .rows("SELECT msg FROM retire_partitions('log_entries', 'global', '2026-01-03T00:00:00Z', '2026-01-04T00:00:00Z')", None)
        .await;
    assert!(fixture.rows(sql, day).await.is_empty());
    fixture
        .rows("SELECT msg FROM materialize_partitions('log_entries', '2026-01-03T02:00:00Z', '2026-01-03T03:00:00Z', 3600)", None)
        .await;
    assert_eq!(fixture.rows(sql, day).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_learn_of_their_stream_and_process() {
    let fixture = Fixture::new();
    let block = |stream: &str| {
        let number = |value| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
        let time = || times([nanos(at(60))]);
        rows(vec![
            ("block_id", texts(["44444444-0000-4000-8000-000000000001"])),
            ("stream_id", texts([stream])),
            ("process_id", texts([PROCESSES[0]])),
            ("begin_time", time()),
            ("end_time", time()),
            ("insert_time", time()),
            ("begin_ticks", number(1)),
            ("end_ticks", number(2)),
            ("nb_objects", number(3)),
            ("object_offset", number(0)),
            ("payload_size", number(100)),
            ("audience", texts(["all"])),
        ])
    };
    let unknown = fixture
        .service
        .ingest("blocks", stream_of(vec![block("55555555-0000-4000-8000-000000000001")]))
        .await
        .unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::InvalidInput, "{unknown}");
    assert_eq!(
        fixture
            .service
            .ingest("blocks", stream_of(vec![block(THREADS[0])]))
            .await
            .unwrap(),
        1
    );
    let sql = r#"SELECT "processes.exe", "streams.format", nb_objects FROM blocks"#;
    assert_eq!(fixture.rows(sql, range(at(60), at(60))).await, ["server|transit|3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_may_come_as_a_list_of_pairs() {
    use arrow::array::{ListBuilder, StringBuilder, StructBuilder};
    use arrow::datatypes::{DataType, Field};
    let fixture = Fixture::new();
    let fields = vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, false),
    ];
    let pair = StructBuilder::new(
        fields,
        vec![Box::new(StringBuilder::new()), Box::new(StringBuilder::new())],
    );
    let mut lists = ListBuilder::new(pair);
    for (key, value) in [("a", "1"), ("b", "it's")] {
        lists
            .values()
            .field_builder::<StringBuilder>(0)
            .unwrap()
            .append_value(key);
        lists
            .values()
            .field_builder::<StringBuilder>(1)
            .unwrap()
            .append_value(value);
        lists.values().append(true);
    }
    lists.append(true);
    let batch = rows(vec![
        ("process_id", texts(["p"])),
        ("properties", Arc::new(lists.finish())),
    ]);
    fixture
        .service
        .ingest("processes", stream_of(vec![batch]))
        .await
        .unwrap();
    let found = fixture
        .rows(
            "SELECT jsonb_format_json(properties) FROM processes WHERE process_id = 'p'",
            None,
        )
        .await;
    assert_eq!(found, [r#"{"a":"1","b":"it's"}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_and_adds_nothing() {
    let fixture = Fixture::new();
    let partitions = || fixture.lake().partitions(&Default::default()).unwrap().len();
    let before = partitions();
    let process = rows(vec![("process_id", texts(["p"]))]);
    let nulls: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    let words = rows(vec![("process_id", texts(["p"])), ("start_ticks", texts(["many"]))]);
    for (table, batch, kind, text) in [
        (
            "payloads",
            process.clone(),
            ErrorKind::Unsupported,
            "payloads cannot be ingested",
        ),
        (
            "log_stats",
            process.clone(),
            ErrorKind::Unsupported,
            "counted from log_entries",
        ),
        ("nope", process.clone(), ErrorKind::Unsupported, "no such view set"),
        ("log_entries", process.clone(), ErrorKind::InvalidInput, "is missing"),
        (
            "processes",
            rows(vec![("exe", texts(["x"]))]),
            ErrorKind::InvalidInput,
            "the column process_id is missing",
        ),
        (
            "processes",
            RecordBatch::try_from_iter_with_nullable([("process_id", nulls, true)]).unwrap(),
            ErrorKind::InvalidInput,
            "has NULL",
        ),
        (
            "processes",
            words,
            ErrorKind::InvalidInput,
            "start_ticks cannot become Int64",
        ),
    ] {
        let error = fixture.service.ingest(table, stream_of(vec![batch])).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{table}: {error}");
        assert!(error.message().contains(text), "{table}: {error}");
    }
    let broken = vec![
        Ok(process.clone()),
        Err(Error::new(ErrorKind::Unavailable, "the client is gone")),
    ];
    let broken = RecordBatchStream::new(process.schema(), stream::iter(broken));
    let error = fixture.service.ingest("processes", broken).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        fixture
            .service
            .ingest("processes", stream_of(vec![process.slice(0, 0)]))
            .await
            .unwrap(),
        0
    );
    assert_eq!(partitions(), before);
}
