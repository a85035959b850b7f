//! The one trait that answers queries, and what it answers with.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt, stream};

use crate::{Query, Result, TransferMeter};

/// Record batches on their way, and the schema that all of them have.
///
/// The stream ends after its last batch, or with its first error: nothing follows an error. Dropping it calls the query
/// off, on a remote server too. An empty result is a stream of no batches; a batch may have no rows.
pub struct RecordBatchStream {
    schema: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch>>,
    transfer: Option<TransferMeter>,
}

impl RecordBatchStream {
    /// A stream over batches that all have the schema.
    pub fn new(schema: SchemaRef, batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static) -> Self {
        Self {
            schema,
            batches: batches.boxed(),
            transfer: None,
        }
    }

    /// The same stream with the counts of the transport that it comes over. A wrapper passes on those of the stream within.
    #[must_use]
    pub fn with_transfer(mut self, meter: impl Into<Option<TransferMeter>>) -> Self {
        self.transfer = meter.into();
        self
    }

    /// What the transport counts; `None` for a stream that comes over none, as from an embedded lake, or from a wrapper
    /// that does not pass it on.
    pub fn transfer(&self) -> Option<&TransferMeter> {
        self.transfer.as_ref()
    }

    /// A stream of batches that are already there.
    pub fn from_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self::new(schema, stream::iter(batches.into_iter().map(Ok)))
    }

    /// The schema of every batch, known before the first arrives.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl Stream for RecordBatchStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_next_unpin(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.batches.size_hint()
    }
}

impl fmt::Debug for RecordBatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBatchStream")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// What a service knows of a query that it has planned and not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedQuery {
    schema: SchemaRef,
}

impl PreparedQuery {
    /// A prepared query whose result has the schema.
    pub fn new(schema: SchemaRef) -> Self {
        Self { schema }
    }

    /// The schema of the result. A service may report dictionary columns here and deliver plain ones.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Answers queries: a remote lake, an embedded one, a mock, or a wrapper around another.
///
/// An implementation is shared between tasks (`Arc<dyn QueryService>`); calls do not wait for each other.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait QueryService: Send + Sync {
    /// Runs a query.
    ///
    /// Returns when the schema is known, which may be before the first row is. Batches come in the order in which the
    /// service produces them, which is the query's `ORDER BY` if it has one. Dropping the stream ends the query.
    ///
    /// # Errors
    /// `InvalidQuery` when the SQL is not accepted; the kinds of the transport otherwise. An error may also arrive in
    /// the stream, after batches.
    async fn run(&self, query: &Query) -> Result<RecordBatchStream>;

    /// Plans a query and tells its schema, without running it.
    ///
    /// # Errors
    /// As [`run`](Self::run); `Unsupported` when the service cannot plan without running.
    async fn prepare(&self, query: &Query) -> Result<PreparedQuery>;
}

#[async_trait]
impl<S: QueryService + ?Sized> QueryService for Arc<S> {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        (**self).run(query).await
    }

    async fn prepare(&self, query: &Query) -> Result<PreparedQuery> {
        (**self).prepare(query).await
    }
}

/// A whole result in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResult {
    /// The schema of every batch.
    pub schema: SchemaRef,
    /// The batches, in the order in which they arrived.
    pub batches: Vec<RecordBatch>,
}

impl QueryResult {
    /// How many rows there are in all batches.
    pub fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// All rows as one batch.
    ///
    /// # Errors
    /// `Internal` when the batches do not fit together.
    pub fn to_batch(&self) -> Result<RecordBatch> {
        Ok(arrow::compute::concat_batches(&self.schema, &self.batches)?)
    }
}

/// Conveniences that every [`QueryService`] has.
pub trait QueryServiceExt: QueryService {
    /// Runs a query and keeps all of its result in memory.
    ///
    /// # Errors
    /// As [`QueryService::run`], and whatever arrives in the stream.
    fn collect(&self, query: &Query) -> impl Future<Output = Result<QueryResult>> + Send {
        async move {
            let stream = self.run(query).await?;
            let schema = stream.schema();
            let batches = stream.try_collect().await?;
            Ok(QueryResult { schema, batches })
        }
    }

    /// Runs a query and returns its first row as a batch of one row, or `None` when there is none. The rest of the
    /// query is called off.
    ///
    /// Not for statements that act, such as a retirement: the service rolls back what is not read to its end.
    ///
    /// # Errors
    /// As [`QueryService::run`], and an error that arrives before the first row.
    fn first_row(&self, query: &Query) -> impl Future<Output = Result<Option<RecordBatch>>> + Send {
        async move {
            let mut stream = self.run(query).await?;
            while let Some(batch) = stream.try_next().await? {
                if batch.num_rows() > 0 {
                    return Ok(Some(batch.slice(0, 1)));
                }
            }
            Ok(None)
        }
    }
}

impl<S: QueryService + ?Sized> QueryServiceExt for S {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind, MockQueryService};
    use arrow::array::{ArrayRef, Int64Array};

    fn batch(values: &[i64]) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    fn service(batches: Vec<RecordBatch>) -> MockQueryService {
        let mut service = MockQueryService::new();
        service
            .expect_run()
            .returning(move |_| Ok(RecordBatchStream::from_batches(batch(&[]).schema(), batches.clone())));
        service
    }

    #[tokio::test]
    async fn collect_keeps_every_batch_in_order() {
        let query = Query::new("SELECT n").unwrap();
        let result = service(vec![batch(&[1, 2]), batch(&[]), batch(&[3])])
            .collect(&query)
            .await
            .unwrap();
        assert_eq!(result.num_rows(), 3);
        assert_eq!(result.to_batch().unwrap(), batch(&[1, 2, 3]));
    }

    #[tokio::test]
    async fn the_first_row_is_one_row_and_skips_empty_batches() {
        let query = Query::new("SELECT n").unwrap();
        let some = service(vec![batch(&[]), batch(&[7, 8])])
            .first_row(&query)
            .await
            .unwrap();
        assert_eq!(some, Some(batch(&[7])));
        assert_eq!(service(vec![batch(&[])]).first_row(&query).await.unwrap(), None);
    }

    #[tokio::test]
    async fn an_error_in_the_stream_is_the_result_of_collect() {
        let mut service = MockQueryService::new();
        service.expect_run().returning(|_| {
            let items = vec![Ok(batch(&[1])), Err(Error::new(ErrorKind::Internal, "divide by zero"))];
            Ok(RecordBatchStream::new(batch(&[]).schema(), stream::iter(items)))
        });
        let shared: Arc<dyn QueryService> = Arc::new(service);
        let error = shared.collect(&Query::new("SELECT n").unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
}
