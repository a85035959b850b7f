//! What the benchmarks share: rows of the shape of the service's `log_entries`, and a service that has them in memory.
//!
//! The rows are the same in every run: what varies is worked out from the number of the row.

pub mod blast;
mod partitions;
mod scale;

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Int32Type, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use async_trait::async_trait;
use lakepilot_query::{PreparedQuery, Query, QueryService, RecordBatchStream, Result};

pub use partitions::partition_rows;
pub use scale::scaled;

/// 2026-01-01T00:00:00Z, in nanoseconds.
pub(crate) const BEGIN: i64 = 1_767_225_600_000_000_000;
const NANOS_BETWEEN_ROWS: i64 = 1_000_000;
const TARGETS: [&str; 6] = ["http", "auth", "storage", "scheduler", "render::frame", "net"];

/// Log entries in batches of so many rows, dictionary columns as dictionaries, about 180 bytes a row.
///
/// # Errors
/// `Internal` when Arrow does not take the columns, which would be a bug in here.
pub fn log_entries(rows: usize, batch_rows: usize) -> Result<Vec<RecordBatch>> {
    let starts = (0..rows).step_by(batch_rows.max(1));
    starts
        .map(|start| batch(start, batch_rows.max(1).min(rows - start)))
        .collect()
}

fn batch(start: usize, rows: usize) -> Result<RecordBatch> {
    let numbers = || start..start + rows;
    let text = |of: fn(usize) -> String| -> ArrayRef {
        let values: Vec<String> = numbers().map(of).collect();
        let column: DictionaryArray<Int32Type> = values.iter().map(String::as_str).collect();
        Arc::new(column)
    };
    let properties = |value: &'static [u8]| -> Result<ArrayRef> {
        let values: ArrayRef = Arc::new(BinaryArray::from_iter_values([value]));
        let keys = Int32Array::from(vec![0; rows]);
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, values)?))
    };
    let time = |shift: i64| -> ArrayRef {
        let times = numbers().map(|n| BEGIN + n as i64 * NANOS_BETWEEN_ROWS + shift);
        Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC"))
    };
    let level: ArrayRef = Arc::new(Int32Array::from_iter_values(
        numbers().map(|n| (mixed(n) % 6) as i32 + 1),
    ));
    let message: ArrayRef = Arc::new(StringArray::from_iter_values(numbers().map(message)));
    Ok(RecordBatch::try_from_iter([
        ("process_id", text(|n| format!("8d1f0000-0000-4000-8000-{:012}", n % 4))),
        ("stream_id", text(|n| format!("5a1f0000-0000-4000-8000-{:012}", n % 16))),
        (
            "block_id",
            text(|n| format!("b10c0000-0000-4000-8000-{:012}", n / 2_000)),
        ),
        ("insert_time", time(5_000_000_000)),
        ("exe", text(|n| format!("service-{}", n % 4))),
        ("username", text(|_| "telemetry".to_owned())),
        ("computer", text(|n| format!("host-{}", n % 4))),
        ("time", time(0)),
        ("target", text(|n| TARGETS[mixed(n) % TARGETS.len()].to_owned())),
        ("level", level),
        ("msg", message),
        ("properties", properties(b"{}")?),
        ("process_properties", properties(b"{\"version\":\"1.2.3\"}")?),
        ("audience", text(|_| "internal".to_owned())),
    ])?)
}

/// Messages of 20 to 150 characters.
fn message(number: usize) -> String {
    let mixed = mixed(number);
    format!(
        "request {mixed:016x} took {} ms{}",
        mixed % 10_000,
        ".".repeat(mixed % 120)
    )
}

/// A number that looks like chance (the finaliser of SplitMix64).
fn mixed(number: usize) -> usize {
    let mut mixed = (number as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as usize
}

/// Answers every query with the same batches.
#[derive(Clone, Debug)]
pub struct MemoryService {
    batches: Vec<RecordBatch>,
}

impl MemoryService {
    /// A service that has at least one batch.
    pub fn new(batches: Vec<RecordBatch>) -> Self {
        Self { batches }
    }
}

#[async_trait]
impl QueryService for MemoryService {
    async fn run(&self, _query: &Query) -> Result<RecordBatchStream> {
        let schema = self.batches[0].schema();
        Ok(RecordBatchStream::from_batches(schema, self.batches.clone()))
    }

    async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
        Ok(PreparedQuery::new(self.batches[0].schema()))
    }
}

/// Answers every query with the same batches, which it has as bytes and decodes as they are asked for: what a transport
/// does at the least.
#[derive(Clone, Debug)]
pub struct EncodedService {
    schema: SchemaRef,
    bytes: Arc<[u8]>,
}

impl EncodedService {
    /// A service that has these batches; there has to be one.
    ///
    /// # Errors
    /// `Internal` when they have several schemas.
    pub fn new(batches: &[RecordBatch]) -> Result<Self> {
        let schema = batches[0].schema();
        let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
        for batch in batches {
            writer.write(batch)?;
        }
        Ok(Self {
            schema,
            bytes: writer.into_inner()?.into(),
        })
    }
}

#[async_trait]
impl QueryService for EncodedService {
    async fn run(&self, _query: &Query) -> Result<RecordBatchStream> {
        let batches = StreamReader::try_new(Cursor::new(Arc::clone(&self.bytes)), None)?;
        let batches = batches.map(|batch| batch.map_err(lakepilot_query::Error::from));
        Ok(RecordBatchStream::new(
            Arc::clone(&self.schema),
            futures::stream::iter(batches),
        ))
    }

    async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
        Ok(PreparedQuery::new(Arc::clone(&self.schema)))
    }
}
