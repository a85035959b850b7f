//! A service that learns from what it passes on.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::{Stream, StreamExt};
use lakepilot_query::{PreparedQuery, Query, QueryService, RecordBatchStream, Result};

use super::{LearntLengths, LengthObserver, LengthStore};

/// Passes queries on to another service and learns the lengths of text from every batch that comes back.
///
/// What was learnt stays in memory until [`LearningService::save`] records it, so that a program that runs a thousand
/// queries writes once.
///
/// ```
/// use std::sync::Arc;
///
/// use arrow::array::{ArrayRef, RecordBatch, StringArray};
/// use futures::TryStreamExt;
/// use lakepilot_analysis::{FileLengthStore, LearningService, LengthStore};
/// use lakepilot_query::{MockQueryService, Query, QueryService, RecordBatchStream};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
/// # let mut remote = MockQueryService::new();
/// # remote.expect_run().returning(|_| {
/// #     let messages: ArrayRef = Arc::new(StringArray::from(vec!["ready", "steady", "go"]));
/// #     let batch = RecordBatch::try_from_iter([("msg", messages)])?;
/// #     Ok(RecordBatchStream::from_batches(batch.schema(), vec![batch]))
/// # });
/// let store = Arc::new(FileLengthStore::new(directory, "grpc://telemetry:50051"));
/// let service = LearningService::new(Arc::new(remote), store.clone());
/// let query = Query::new("SELECT msg FROM log_entries")?;
/// # futures::executor::block_on(async {
/// let rows: Vec<RecordBatch> = service.run(&query).await?.try_collect().await?;
/// # Ok::<(), lakepilot_query::Error>(()) })?;
/// service.save()?;
/// let known = store.load().lengths;
/// assert_eq!(known.average_bytes(Some("log_entries"), "msg"), Some(13.0 / 3.0));
/// # Ok(())
/// # }
/// ```
pub struct LearningService {
    service: Arc<dyn QueryService>,
    store: Arc<dyn LengthStore>,
    learnt: Shared,
}

type Shared = Arc<Mutex<LearntLengths>>;

impl LearningService {
    /// A service that learns from another.
    pub fn new(service: Arc<dyn QueryService>, store: Arc<dyn LengthStore>) -> Self {
        Self {
            service,
            store,
            learnt: Shared::default(),
        }
    }

    /// Records what was learnt since the last time, of streams that have ended or were dropped.
    ///
    /// # Errors
    /// As [`LengthStore::record`]; what was learnt is forgotten then.
    pub fn save(&self) -> Result<()> {
        let learnt = std::mem::take(&mut *self.learnt.lock().unwrap_or_else(PoisonError::into_inner));
        self.store.record(&learnt)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl QueryService for LearningService {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let stream = self.service.run(query).await?;
        let transfer = stream.transfer().cloned();
        let observed = RecordBatchStream::new(
            stream.schema(),
            Observed {
                stream,
                observer: Some(LengthObserver::new(query)),
                learnt: Arc::clone(&self.learnt),
            },
        );
        Ok(match transfer {
            Some(meter) => observed.with_transfer(meter),
            None => observed,
        })
    }

    async fn prepare(&self, query: &Query) -> Result<PreparedQuery> {
        self.service.prepare(query).await
    }
}

/// A stream that is learnt from. What was seen counts, however it ends.
struct Observed {
    stream: RecordBatchStream,
    observer: Option<LengthObserver>,
    learnt: Shared,
}

impl Stream for Observed {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.stream.poll_next_unpin(cx);
        match (&next, &mut self.observer) {
            (Poll::Ready(Some(Ok(batch))), Some(observer)) => observer.observe(batch),
            (Poll::Ready(None), _) => self.hand_over(),
            _ => {}
        }
        next
    }
}

impl Observed {
    fn hand_over(&mut self) {
        if let Some(observer) = self.observer.take() {
            let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
            learnt.merge(&observer.into_lengths(), 0);
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.hand_over();
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray};
    use futures::TryStreamExt;
    use lakepilot_query::{Error, ErrorKind, MockQueryService};

    use super::super::MockLengthStore;
    use super::*;

    fn batch(text: &str) -> RecordBatch {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![text; 10]));
        RecordBatch::try_from_iter([("msg", texts)]).unwrap()
    }

    fn service() -> MockQueryService {
        let mut service = MockQueryService::new();
        service.expect_run().returning(|_| {
            let first = batch("four");
            let batches = vec![
                Ok(first.clone()),
                Ok(batch("eight by")),
                Err(Error::new(ErrorKind::Unavailable, "it broke")),
            ];
            Ok(RecordBatchStream::new(first.schema(), futures::stream::iter(batches)))
        });
        service
    }

    #[tokio::test]
    async fn what_was_seen_counts_however_the_stream_ends() {
        let mut store = MockLengthStore::new();
        let mut expected = mockall::Sequence::new();
        for average in [Some(6.0), Some(4.0), None] {
            store
                .expect_record()
                .times(1)
                .in_sequence(&mut expected)
                .withf(move |learnt| learnt.average_bytes(Some("log_entries"), "msg") == average)
                .returning(|_| Ok(()));
        }
        let learning = LearningService::new(Arc::new(service()), Arc::new(store));
        let query = Query::new("SELECT msg FROM log_entries").unwrap();
        let failed: Result<Vec<RecordBatch>> = learning.run(&query).await.unwrap().try_collect().await;
        assert!(failed.is_err());
        learning.save().unwrap();
        let mut dropped = learning.run(&query).await.unwrap();
        assert_eq!(dropped.try_next().await.unwrap().unwrap().num_rows(), 10);
        drop(dropped);
        learning.save().unwrap();
        learning.save().unwrap();
    }
}
