//! Answers as record batches.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Field, Schema};
use chrono::{DateTime, Utc};
use lakepilot_catalog::Partition;
use lakepilot_query::{RecordBatchStream, Result};

pub(super) fn answer(batch: RecordBatch) -> RecordBatchStream {
    RecordBatchStream::from_batches(batch.schema(), vec![batch])
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

pub(super) fn messages(rows: &[String]) -> Result<RecordBatch> {
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1; rows.len()]).with_timezone("UTC"));
    let texts = texts(rows.iter().map(|row| Some(row.as_str())));
    Ok(RecordBatch::try_from_iter([("time", times), ("msg", texts)])?)
}

pub(super) fn processes(ids: &[String]) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([(
        "process_id",
        texts(ids.iter().map(|id| Some(id.as_str()))),
    )])?)
}

/// All streams, or those of a process that the conditions name.
pub(super) fn streams(of: &[(String, String)], literals: &[String]) -> Result<RecordBatch> {
    let chosen = || {
        of.iter()
            .filter(|(_, process)| literals.is_empty() || literals.contains(process))
    };
    let ids = texts(chosen().map(|(stream, _)| Some(stream.as_str())));
    let processes = texts(chosen().map(|(_, process)| Some(process.as_str())));
    Ok(RecordBatch::try_from_iter([
        ("stream_id", ids),
        ("process_id", processes),
    ])?)
}

pub(super) fn view_sets(view_sets: &[(String, Vec<u8>)]) -> Result<RecordBatch> {
    let names = texts(view_sets.iter().map(|(name, _)| Some(name.as_str())));
    let hashes: ArrayRef = Arc::new(BinaryArray::from_iter_values(view_sets.iter().map(|(_, hash)| hash)));
    let schemas = texts(view_sets.iter().map(|_| Some("")));
    let yes = || -> ArrayRef { Arc::new(BooleanArray::from(vec![true; view_sets.len()])) };
    Ok(RecordBatch::try_from_iter([
        ("view_set_name", names),
        ("current_schema_hash", hashes),
        ("schema", schemas),
        ("has_view_maker", yes()),
        ("global_instance_available", yes()),
    ])?)
}

pub(super) fn listed(partitions: &[Partition]) -> Result<RecordBatch> {
    let texts = |value: fn(&Partition) -> Option<&str>| texts(partitions.iter().map(value));
    let times = |value: fn(&Partition) -> Option<DateTime<Utc>>| -> ArrayRef {
        let nanos = partitions
            .iter()
            .map(|p| value(p).and_then(|time| time.timestamp_nanos_opt()));
        Arc::new(nanos.collect::<TimestampNanosecondArray>().with_timezone("+00:00"))
    };
    let numbers = |value: fn(&Partition) -> u64| -> ArrayRef {
        Arc::new(
            partitions
                .iter()
                .map(|p| i64::try_from(value(p)).ok())
                .collect::<Int64Array>(),
        )
    };
    let bytes = |value: fn(&Partition) -> &[u8]| -> ArrayRef {
        Arc::new(BinaryArray::from(partitions.iter().map(value).collect::<Vec<_>>()))
    };
    let versions: ArrayRef = Arc::new(Int32Array::from(vec![2; partitions.len()]));
    let columns = [
        ("view_set_name", texts(|p| Some(&p.view_set_name))),
        ("view_instance_id", texts(|p| Some(&p.view_instance_id))),
        ("begin_insert_time", times(|p| Some(p.begin_insert_time))),
        ("end_insert_time", times(|p| Some(p.end_insert_time))),
        ("min_event_time", times(|p| p.min_event_time)),
        ("max_event_time", times(|p| p.max_event_time)),
        ("updated", times(|p| Some(p.updated))),
        ("file_path", texts(|p| p.file_path.as_deref())),
        ("file_size", numbers(|p| p.file_size_bytes)),
        ("file_schema_hash", bytes(|p| &p.file_schema_hash)),
        ("source_data_hash", bytes(|p| &p.source_data_hash)),
        ("num_rows", numbers(|p| p.num_rows)),
        ("partition_format_version", versions),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}
