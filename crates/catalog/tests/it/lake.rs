//! Answers of a lake, column by column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampNanosecondArray,
};
use chrono::{DateTime, Utc};
use lakepilot_catalog::{Catalog, Partition};
use lakepilot_query::{MockQueryService, RecordBatchStream};

pub(crate) fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap()
}

pub(crate) fn partition(view_set: &str, instance: &str, begin: i64, end: i64) -> Partition {
    Partition {
        view_set_name: view_set.to_owned(),
        view_instance_id: instance.to_owned(),
        begin_insert_time: time(begin),
        end_insert_time: time(end),
        min_event_time: Some(time(begin - 5)),
        max_event_time: None,
        updated: time(end + 7),
        file_path: Some(format!("views/{view_set}/{begin}.parquet")),
        file_size_bytes: 1_000,
        file_schema_hash: vec![4],
        source_data_hash: vec![0xff, 0, 1],
        num_rows: 42,
        partition_format_version: 2,
        sort_order: Some(vec!["time".to_owned(), "level".to_owned()]),
        max_sort_key_time: Some(time(end - 1)),
    }
}

pub(crate) fn texts<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

pub(crate) fn times(values: impl IntoIterator<Item = Option<DateTime<Utc>>>) -> ArrayRef {
    let nanos = values
        .into_iter()
        .map(|time| time.and_then(|time| time.timestamp_nanos_opt()));
    Arc::new(nanos.collect::<TimestampNanosecondArray>().with_timezone("+00:00"))
}

fn lists(values: impl Iterator<Item = Option<Vec<String>>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for value in values {
        builder.append_option(value.map(|items| items.into_iter().map(Some).collect::<Vec<_>>()));
    }
    Arc::new(builder.finish())
}

/// What `list_partitions()` of the newest service answers.
pub(crate) fn listing(partitions: &[Partition]) -> Vec<(&'static str, ArrayRef)> {
    let all = || partitions.iter();
    let bytes = |values: Vec<&[u8]>| -> ArrayRef { Arc::new(BinaryArray::from(values)) };
    let numbers = |value: fn(&Partition) -> u64| -> ArrayRef {
        Arc::new(all().map(|partition| value(partition) as i64).collect::<Int64Array>())
    };
    vec![
        ("view_set_name", texts(all().map(|p| Some(p.view_set_name.as_str())))),
        (
            "view_instance_id",
            texts(all().map(|p| Some(p.view_instance_id.as_str()))),
        ),
        ("begin_insert_time", times(all().map(|p| Some(p.begin_insert_time)))),
        ("end_insert_time", times(all().map(|p| Some(p.end_insert_time)))),
        ("min_event_time", times(all().map(|p| p.min_event_time))),
        ("max_event_time", times(all().map(|p| p.max_event_time))),
        ("updated", times(all().map(|p| Some(p.updated)))),
        ("file_path", texts(all().map(|p| p.file_path.as_deref()))),
        ("file_size", numbers(|p| p.file_size_bytes)),
        (
            "file_schema_hash",
            bytes(all().map(|p| p.file_schema_hash.as_slice()).collect()),
        ),
        (
            "source_data_hash",
            bytes(all().map(|p| p.source_data_hash.as_slice()).collect()),
        ),
        ("num_rows", numbers(|p| p.num_rows)),
        (
            "partition_format_version",
            Arc::new(all().map(|p| p.partition_format_version as i32).collect::<Int32Array>()),
        ),
        ("sort_order", lists(all().map(|p| p.sort_order.clone()))),
        ("max_sort_key_time", times(all().map(|p| p.max_sort_key_time))),
    ]
}

pub(crate) fn batch(columns: Vec<(&'static str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// A catalogue whose service answers everything with the batches, and must be asked exactly these statements.
pub(crate) fn catalog_answering(statements: &[&str], batches: Vec<RecordBatch>) -> Catalog {
    let mut service = MockQueryService::new();
    let mut expected = statements
        .iter()
        .map(|sql| (*sql).to_owned())
        .collect::<Vec<_>>()
        .into_iter();
    service.expect_run().times(statements.len()).returning(move |query| {
        assert_eq!(Some(query.sql()), expected.next().as_deref());
        Ok(RecordBatchStream::from_batches(batches[0].schema(), batches.clone()))
    });
    Catalog::new(Arc::new(service))
}
