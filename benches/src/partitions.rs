//! Rows of the shape of the service's `list_partitions()`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use lakepilot_query::Result;

use crate::BEGIN;

const HOUR: i64 = 3_600_000_000_000;

/// Rows of a batch, as a server that lists partitions would send them.
const BATCH_ROWS: usize = 8_192;

/// So many partitions of an hour each, a third of them global, the rest of instances of 50 processes.
///
/// # Errors
/// `Internal` when Arrow does not take the columns, which would be a bug in here.
pub fn partition_rows(partitions: usize) -> Result<Vec<RecordBatch>> {
    (0..partitions.max(1))
        .step_by(BATCH_ROWS)
        .map(|start| batch(start, BATCH_ROWS.min(partitions.max(1) - start)))
        .collect()
}

fn batch(start: usize, rows: usize) -> Result<RecordBatch> {
    let numbers = || start..start + rows;
    let text = |of: fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(numbers().map(of))) };
    let time = |shift: i64| -> ArrayRef {
        let times = numbers().map(|number| BEGIN + (number / 3) as i64 * HOUR + shift);
        Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC"))
    };
    let numbered = |of: fn(usize) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(numbers().map(of))) };
    let bytes = |of: fn(usize) -> [u8; 8]| -> ArrayRef { Arc::new(BinaryArray::from_iter_values(numbers().map(of))) };
    let versions: ArrayRef = Arc::new(Int32Array::from(vec![2; rows]));
    Ok(RecordBatch::try_from_iter([
        (
            "view_set_name",
            text(|number| ["log_entries", "measures", "log_entries"][number % 3].to_owned()),
        ),
        (
            "view_instance_id",
            text(|number| match number % 3 {
                0 => "global".to_owned(),
                _ => format!("8d1f0000-0000-4000-8000-{:012}", number % 50),
            }),
        ),
        ("begin_insert_time", time(0)),
        ("end_insert_time", time(HOUR)),
        ("min_event_time", time(1)),
        ("max_event_time", time(HOUR - 1)),
        ("updated", time(2 * HOUR)),
        (
            "file_path",
            text(|number| format!("views/log_entries/{number:08}.parquet")),
        ),
        ("file_size", numbered(|number| 1_000_000 + number as i64)),
        ("file_schema_hash", bytes(|_| 4_u64.to_le_bytes())),
        ("source_data_hash", bytes(|number| (number as u64).to_le_bytes())),
        ("num_rows", numbered(|number| 10_000 + number as i64)),
        ("partition_format_version", versions),
    ])?)
}
