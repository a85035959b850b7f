//! A lake of one table of numbered rows, behind the embedded lake's server: quick enough for hundreds of runs.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use chrono::DateTime;
use lakepilot_local_lake::{ServedLake, ServedTable};
use lakepilot_query::{Error, ErrorKind, PreparedQuery, Query, QueryService, RecordBatchStream, Result, TimeRange};

/// How many rows there are, one a second.
pub(crate) const ROWS: i64 = 2_400;

const BEGIN_NANOS: i64 = 1_768_003_200_000_000_000;
const SECOND_NANOS: i64 = 1_000_000_000;
const ROWS_IN_A_BATCH: usize = 60;

/// The range of all rows.
pub(crate) fn range() -> TimeRange {
    let end = BEGIN_NANOS + (ROWS - 1) * SECOND_NANOS;
    TimeRange::new(
        DateTime::from_timestamp_nanos(BEGIN_NANOS),
        DateTime::from_timestamp_nanos(end),
    )
    .unwrap()
}

pub(crate) fn query() -> Query {
    Query::new("SELECT n, time, msg FROM numbers ORDER BY time")
        .unwrap()
        .with_time_range(range())
}

/// The numbers of the rows of a batch.
pub(crate) fn numbers(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

/// A row as it is in the lake, for comparison.
pub(crate) fn is_as_in_the_lake(batch: &RecordBatch) -> bool {
    *batch == rows(&numbers(batch))
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new(
            "time",
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            false,
        ),
        Field::new("msg", DataType::Utf8, false),
    ]))
}

fn rows(numbers: &[i64]) -> RecordBatch {
    // A number that was corrupted is any number.
    let times = numbers
        .iter()
        .map(|n| n.wrapping_mul(SECOND_NANOS).wrapping_add(BEGIN_NANOS));
    let texts = numbers
        .iter()
        .map(|n| format!("message {n} of a process that says {}", "so ".repeat(20)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(numbers.to_vec())),
        Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC")),
        Arc::new(StringArray::from_iter_values(texts)),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub(crate) struct NumberedLake;

#[async_trait]
impl QueryService for NumberedLake {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let asked = query
            .time_range()
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the range was lost on the way"))?;
        let within: Vec<i64> = (0..ROWS)
            .filter(|n| asked.contains(DateTime::from_timestamp_nanos(BEGIN_NANOS + n * SECOND_NANOS)))
            .collect();
        let batches = within.chunks(ROWS_IN_A_BATCH).map(rows).collect();
        Ok(RecordBatchStream::from_batches(schema(), batches))
    }

    async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
        Ok(PreparedQuery::new(schema()))
    }
}

#[async_trait]
impl ServedLake for NumberedLake {
    async fn result_schema(&self, _query: &Query) -> Result<SchemaRef> {
        Ok(schema())
    }

    fn tables(&self) -> Result<Vec<ServedTable>> {
        Ok(Vec::new())
    }

    async fn ingest(&self, _table: &str, _rows: RecordBatchStream) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, "numbers are all there"))
    }
}
