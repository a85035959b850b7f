//! A lake of rows in time, which filters them as the service does and fails when it is told to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::DateTime;
use futures::stream::{self, StreamExt};
use lakepilot_query::{Error, ErrorKind, PreparedQuery, Query, QueryService, RecordBatchStream, Result, TimeRange};

/// A row that lasts from its beginning to its end, in nanoseconds; an event has both the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) id: i64,
}

/// How many streams there are, and were at most.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) active: AtomicUsize,
    pub(crate) most: AtomicUsize,
    pub(crate) taken: AtomicUsize,
}

struct Counted(Arc<Load>);

impl Counted {
    fn new(load: &Arc<Load>) -> Self {
        let active = load.active.fetch_add(1, Ordering::SeqCst) + 1;
        load.most.fetch_max(active, Ordering::SeqCst);
        Self(Arc::clone(load))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) struct TimedLake {
    rows: Vec<Row>,
    batch_rows: usize,
    /// For each run that is to fail, in their order: before which batch it does.
    failures: Mutex<Vec<Option<usize>>>,
    pub(crate) load: Arc<Load>,
}

impl TimedLake {
    pub(crate) fn new(rows: Vec<Row>, batch_rows: usize) -> Self {
        Self {
            rows,
            batch_rows,
            failures: Mutex::default(),
            load: Arc::default(),
        }
    }

    pub(crate) fn failing(self, failures: Vec<Option<usize>>) -> Self {
        *self.failures.lock().unwrap() = failures;
        self
    }

    /// The rows of a query: those that overlap its range, and begin no earlier than its condition says, if it has one.
    fn answer(&self, query: &Query) -> Vec<Row> {
        let range = query.time_range().expect("the lake is asked with a range");
        let least = query.sql().split_once("\"begin\" >= '").map(|(_, rest)| {
            let text = rest.split('\'').next().unwrap();
            let time = DateTime::parse_from_rfc3339(text).unwrap();
            time.timestamp_nanos_opt().unwrap()
        });
        let mut rows: Vec<Row> = self.rows.clone();
        rows.retain(|row| row.begin <= range.end_nanos() && row.end >= range.begin_nanos());
        rows.retain(|row| least.is_none_or(|least| row.begin >= least));
        rows.sort();
        if query.sql().contains("DESC") {
            rows.reverse();
        }
        rows
    }
}

#[async_trait]
impl QueryService for TimedLake {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let mut batches: Vec<Result<RecordBatch>> = self
            .answer(query)
            .chunks(self.batch_rows)
            .map(|rows| Ok(batch(rows)))
            .collect();
        if let Some(before) = self.failures.lock().unwrap().pop().flatten() {
            batches.truncate(before);
            batches.push(Err(Error::new(ErrorKind::Unavailable, "the server restarts")));
        }
        let counted = Counted::new(&self.load);
        let batches = stream::iter(batches).then(move |batch| {
            counted.0.taken.fetch_add(1, Ordering::SeqCst);
            async move {
                // Others get their turn, as they do on a network.
                tokio::task::yield_now().await;
                batch
            }
        });
        Ok(RecordBatchStream::new(batch(&[]).schema(), batches))
    }

    async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
        let schema: SchemaRef = batch(&[]).schema();
        Ok(PreparedQuery::new(schema))
    }
}

fn batch(rows: &[Row]) -> RecordBatch {
    let column = |of: fn(&Row) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) };
    RecordBatch::try_from_iter([
        ("begin", column(|row| row.begin)),
        ("end", column(|row| row.end)),
        ("id", column(|row| row.id)),
    ])
    .unwrap()
}

/// The rows of a batch that the lake has sent.
pub(crate) fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let column = |index: usize| batch.column(index).as_any().downcast_ref::<Int64Array>().unwrap();
    (0..batch.num_rows())
        .map(|row| Row {
            begin: column(0).value(row),
            end: column(1).value(row),
            id: column(2).value(row),
        })
        .collect()
}

pub(crate) fn range(begin: i64, end: i64) -> TimeRange {
    TimeRange::new(
        DateTime::from_timestamp_nanos(begin),
        DateTime::from_timestamp_nanos(end),
    )
    .unwrap()
}
