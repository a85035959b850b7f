//! What the catalogue asks, and what it makes of the answers.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BooleanArray, Int32Array, Int64Array};
use futures::stream;
use lakepilot_catalog::{Catalog, Partition, PartitionFilter, StreamFilter};
use lakepilot_query::{Error, ErrorKind, MockQueryService, RecordBatchStream, TimeRange};

use crate::lake::{batch, catalog_answering, listing, partition, texts, time, times};

const ALL_PARTITIONS: &str = "SELECT * FROM list_partitions()";

#[tokio::test]
async fn partitions_arrive_as_they_are_and_in_order() {
    let mut empty = partition("b", "p1", 3, 3);
    empty.file_path = None;
    empty.min_event_time = None;
    empty.file_size_bytes = 0;
    empty.num_rows = 0;
    let expected = [partition("a", "p2", 1, 2), partition("a", "p2", 2, 3), empty];
    let batches = vec![
        batch(listing(&[expected[2].clone(), expected[1].clone()])),
        batch(listing(&[])),
        batch(listing(&expected[..1])),
    ];
    let catalog = catalog_answering(&[ALL_PARTITIONS], batches);
    assert_eq!(catalog.partitions(&PartitionFilter::all()).await.unwrap(), expected);
}

#[tokio::test]
async fn older_servers_send_fewer_columns_and_newer_ones_more() {
    let mut expected = partition("a", "p", 1, 2);
    let mut columns = listing(std::slice::from_ref(&expected));
    columns.retain(|(name, _)| !["sort_order", "max_sort_key_time"].contains(name));
    columns.insert(0, ("from_the_future", texts([Some("x")])));
    expected.sort_order = None;
    expected.max_sort_key_time = None;
    let catalog = catalog_answering(&[ALL_PARTITIONS], vec![batch(columns)]);
    assert_eq!(catalog.partitions(&PartitionFilter::all()).await.unwrap(), [expected]);
}

#[tokio::test]
async fn a_missing_column_is_named_even_when_there_are_no_rows() {
    for rows in [vec![], vec![partition("a", "p", 1, 2)]] {
        let mut columns = listing(&rows);
        columns.retain(|(name, _)| *name != "end_insert_time");
        let catalog = catalog_answering(&[ALL_PARTITIONS], vec![batch(columns)]);
        let error = catalog.partitions(&PartitionFilter::all()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(
            error
                .message()
                .starts_with("list_partitions() has no column 'end_insert_time'; the server sent view_set_name, "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_server_that_ignores_the_condition_is_not_believed() {
    let rows = [partition("a", "p", 1, 2), partition("a", "global", 1, 2)];
    let catalog = catalog_answering(
        &["SELECT * FROM list_partitions() WHERE view_instance_id <> 'global'"],
        vec![batch(listing(&rows))],
    );
    let partitions = catalog.partitions(&PartitionFilter::all().non_global()).await.unwrap();
    assert_eq!(partitions, rows[..1]);
}

#[tokio::test]
async fn no_names_are_no_partitions_and_no_question() {
    let catalog = catalog_answering(&[], vec![]);
    let none = PartitionFilter::all().with_instances(Vec::<String>::new());
    assert_eq!(catalog.partitions(&none).await.unwrap(), []);
    assert!(none.to_sql().ends_with("WHERE false"));
}

#[tokio::test]
async fn view_sets() {
    let flags = |flags: [bool; 2]| -> ArrayRef { Arc::new(BooleanArray::from(flags.to_vec())) };
    let hashes: ArrayRef = Arc::new(BinaryArray::from(vec![[2].as_slice(), [7].as_slice()]));
    let answer = batch(vec![
        ("view_set_name", texts([Some("thread_spans"), Some("log_entries")])),
        ("current_schema_hash", hashes),
        ("schema", texts([Some("a"), Some("b")])),
        ("has_view_maker", flags([true, true])),
        ("global_instance_available", flags([false, true])),
    ]);
    let catalog = catalog_answering(&["SELECT * FROM list_view_sets()"], vec![answer]);
    let view_sets = catalog.view_sets().await.unwrap();
    assert_eq!(view_sets[0].name, "log_entries");
    assert_eq!(view_sets[0].current_schema_hash, [7]);
    assert!(!view_sets[1].global_instance_available);
}

#[tokio::test]
async fn a_process_is_found_by_any_id() {
    let sql = "SELECT * FROM processes WHERE process_id = 'it''s' ORDER BY start_time DESC, process_id LIMIT 1";
    let answer = batch(vec![
        ("process_id", texts([Some("it's")])),
        ("exe", texts([None])),
        ("tsc_frequency", Arc::new(Int64Array::from(vec![3_000_000_000]))),
        ("start_time", times([Some(time(5))])),
        ("properties", texts([Some("not JSONB")])),
    ]);
    let none = answer.slice(0, 0);
    let process = catalog_answering(&[sql], vec![answer])
        .find_process("it's")
        .await
        .unwrap();
    let process = process.unwrap();
    assert_eq!(process.process_id, "it's");
    assert_eq!((process.exe, process.username, process.properties), (None, None, None));
    assert_eq!(process.tsc_frequency, Some(3_000_000_000));
    assert_eq!(process.start_time, Some(time(5)));
    let missing = catalog_answering(&[sql], vec![none])
        .find_process("it's")
        .await
        .unwrap();
    assert_eq!(missing, None);
}

#[tokio::test]
async fn streams_of_a_process() {
    let sql = "SELECT * FROM streams WHERE process_id = 'p' ORDER BY insert_time DESC, stream_id";
    let answer = batch(vec![
        ("stream_id", texts([Some("s1"), Some("s2"), Some("s3"), Some("s4")])),
        ("process_id", texts([Some("p"), Some("p"), Some("another"), None])),
        ("insert_time", times([Some(time(5)), None, None, None])),
    ]);
    let catalog = catalog_answering(
        &[
            sql,
            "SELECT * FROM streams ORDER BY insert_time DESC, stream_id LIMIT 2",
        ],
        vec![answer],
    );
    let streams = catalog.streams_of_process("p").await.unwrap();
    assert_eq!(streams.len(), 2, "those of other processes are not believed");
    assert_eq!(streams[0].stream_id, "s1");
    assert_eq!(streams[1].tags, Vec::<String>::new());
    let listed = catalog.streams(&StreamFilter::all().with_limit(2)).await.unwrap();
    assert_eq!(listed[..2], streams);
}

#[tokio::test]
async fn blocks_are_asked_for_without_what_repeats() {
    let numbers = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
    let answer = batch(vec![
        ("block_id", texts([Some("b")])),
        ("stream_id", texts([Some("s")])),
        ("process_id", texts([Some("p")])),
        ("begin_time", times([Some(time(1))])),
        ("begin_ticks", numbers(10)),
        ("end_time", times([Some(time(2))])),
        ("end_ticks", numbers(20)),
        ("nb_objects", Arc::new(Int32Array::from(vec![3]))),
        ("object_offset", numbers(4)),
        ("payload_size", numbers(5)),
        ("insert_time", times([Some(time(6))])),
    ]);
    let mut service = MockQueryService::new();
    let range = TimeRange::new(time(0), time(9)).unwrap();
    service.expect_run().times(2).returning(move |query| {
        assert!(
            query.sql().starts_with("SELECT block_id, stream_id, "),
            "{}",
            query.sql()
        );
        assert!(!query.sql().contains('*'), "{}", query.sql());
        assert_eq!(
            query.time_range(),
            query.sql().contains("process_id = 'p'").then_some(range)
        );
        Ok(RecordBatchStream::from_batches(answer.schema(), vec![answer.clone()]))
    });
    let catalog = Catalog::new(Arc::new(service));
    let blocks = catalog.blocks_of_process("p", Some(range)).await.unwrap();
    assert_eq!(
        (
            blocks[0].nb_objects,
            blocks[0].object_offset,
            blocks[0].payload_size_bytes
        ),
        (3, 4, 5)
    );
    assert_eq!(catalog.blocks_of_stream("s", None).await.unwrap(), blocks);
}

#[tokio::test]
async fn a_failure_in_the_stream_is_the_result() {
    let mut service = MockQueryService::new();
    service.expect_run().returning(|_| {
        let first = batch(listing(&[partition("a", "p", 1, 2)]));
        let schema = first.schema();
        let items = vec![Ok(first), Err(Error::new(ErrorKind::Unavailable, "connection lost"))];
        Ok(RecordBatchStream::new(schema, stream::iter(items)))
    });
    let error = Catalog::new(Arc::new(service))
        .partitions(&PartitionFilter::all())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.message(), "read list_partitions(): connection lost");
}

#[test]
fn a_partition_survives_json() {
    let partition = partition("it's", "漢", 1_700_000_000_000_001, 1_700_000_000_000_002);
    let json = serde_json::to_string(&partition).unwrap();
    assert!(json.contains(r#""source_data_hash":"ff0001""#), "{json}");
    assert!(json.contains("2023-11-14T22:13:20.000001Z"), "{json}");
    assert_eq!(serde_json::from_str::<Partition>(&json).unwrap(), partition);
    for bad in ["f", "fg", "+1", "é"] {
        assert!(
            serde_json::from_str::<Partition>(&json.replace("ff0001", bad)).is_err(),
            "{bad}"
        );
    }
}
