//! A query service that does what a script says, and remembers what was done to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, SchemaRef};
use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use lakepilot_query::{Error, ErrorKind, PreparedQuery, Query, QueryService, RecordBatchStream, Result};

/// How the stream of a scripted service ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Well,
    WithError,
    /// It never does: the server hangs.
    Never,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How many batches were taken from the stream.
    pub(crate) taken: AtomicU64,
    /// Whether the stream was dropped.
    pub(crate) dropped: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Scripted {
    batches: Vec<RecordBatch>,
    end: End,
    pub(crate) seen: Arc<Seen>,
}

impl Scripted {
    pub(crate) fn new(batches: Vec<RecordBatch>, end: End) -> Arc<Self> {
        Arc::new(Self {
            batches,
            end,
            seen: Arc::default(),
        })
    }
}

struct DropFlag(Arc<Seen>);

impl Drop for DropFlag {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl QueryService for Scripted {
    async fn run(&self, _query: &Query) -> Result<RecordBatchStream> {
        let flag = DropFlag(Arc::clone(&self.seen));
        let batches = stream::iter(self.batches.clone()).map(move |batch| {
            flag.0.taken.fetch_add(1, Ordering::SeqCst);
            Ok(batch)
        });
        let end = match self.end {
            End::Well => stream::empty().boxed(),
            End::WithError => stream::iter([Err(Error::new(ErrorKind::Internal, "divide by zero"))]).boxed(),
            End::Never => stream::pending().boxed(),
        };
        let schema = self.batches.first().map_or_else(schema, RecordBatch::schema);
        Ok(RecordBatchStream::new(schema, batches.chain(end)))
    }

    async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
        Ok(PreparedQuery::new(schema()))
    }
}

pub(crate) fn schema() -> SchemaRef {
    batch(0, 0).schema()
}

/// Rows `from..from + rows`, with a number, a text and a dictionary column.
pub(crate) fn batch(from: i64, rows: i64) -> RecordBatch {
    let numbers = Int64Array::from_iter_values(from..from + rows);
    let texts =
        StringArray::from_iter_values((from..from + rows).map(|n| format!("message {n}, \"quoted\"\nand broken")));
    let targets: DictionaryArray<Int32Type> = (from..from + rows)
        .map(|n| if n % 2 == 0 { "even" } else { "odd" })
        .collect();
    RecordBatch::try_from_iter([
        ("n", Arc::new(numbers) as ArrayRef),
        ("msg", Arc::new(texts)),
        ("target", Arc::new(targets)),
    ])
    .unwrap()
}

pub(crate) fn query() -> Query {
    Query::new("SELECT n, msg, target FROM log_entries").unwrap()
}
