//! What a run takes of its service, over all queries that it makes of it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::{Stream, StreamExt};
use lakepilot_query::{PreparedQuery, Query, QueryService, RecordBatchStream, Result, Transfer};

/// The counts of one run. Several queries that run at the same time add to them, so times may be longer than the run.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    planning_nanos: AtomicU64,
    waiting_nanos: AtomicU64,
    decode_nanos: AtomicU64,
    wire_bytes: AtomicU64,
    /// Whether any stream has told of its transport.
    is_transported: AtomicBool,
    query_ids: Mutex<Vec<String>>,
}

/// The counts at the end of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    /// From asking to the schema.
    pub(crate) planning: Duration,
    /// Waiting for batches, decoding left out.
    pub(crate) waiting: Duration,
    pub(crate) decoding: Duration,
    /// `None` when the service has no transport, or does not tell of it.
    pub(crate) wire_bytes: Option<u64>,
    pub(crate) query_ids: Vec<String>,
}

impl Usage {
    pub(crate) fn used(&self) -> Used {
        let time = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        Used {
            planning: time(&self.planning_nanos),
            waiting: time(&self.waiting_nanos),
            decoding: time(&self.decode_nanos),
            wire_bytes: self
                .is_transported
                .load(Ordering::Relaxed)
                .then(|| self.wire_bytes.load(Ordering::Relaxed)),
            query_ids: self.query_ids.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn name(&self, query_id: &str) {
        let mut known = self.query_ids.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|id| id == query_id) {
            known.push(query_id.to_owned());
        }
    }

    fn add(counter: &AtomicU64, time: Duration) {
        counter.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A service whose use is counted: the innermost wrapper, so that what others do again is counted again.
#[derive(Clone)]
pub(crate) struct MeteredService {
    inner: Arc<dyn QueryService>,
    usage: Arc<Usage>,
}

impl MeteredService {
    pub(crate) fn new(inner: Arc<dyn QueryService>, usage: Arc<Usage>) -> Self {
        Self { inner, usage }
    }

    fn named<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.inspect_err(|error| {
            if let Some(query_id) = error.query_id() {
                self.usage.name(query_id);
            }
        })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl QueryService for MeteredService {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let begun = Instant::now();
        let outcome = self.inner.run(query).await;
        Usage::add(&self.usage.planning_nanos, begun.elapsed());
        let inner = self.named(outcome)?;
        let schema = inner.schema();
        let transfer = inner.transfer().cloned();
        let metered = MeteredStream {
            known: transfer.as_ref().map(|meter| meter.so_far()).unwrap_or_default(),
            inner,
            service: self.clone(),
            waiting_since: None,
        };
        metered.count_schema(transfer.is_some());
        Ok(RecordBatchStream::new(schema, metered).with_transfer(transfer))
    }

    async fn prepare(&self, query: &Query) -> Result<PreparedQuery> {
        let outcome = self.inner.prepare(query).await;
        self.named(outcome)
    }
}

struct MeteredStream {
    inner: RecordBatchStream,
    service: MeteredService,
    /// What was counted of the transport so far.
    known: Transfer,
    /// When the batch was first asked for that has not arrived yet.
    waiting_since: Option<Instant>,
}

impl MeteredStream {
    /// Counts what came with the schema.
    fn count_schema(&self, is_transported: bool) {
        let usage = &self.service.usage;
        usage.is_transported.fetch_or(is_transported, Ordering::Relaxed);
        usage.wire_bytes.fetch_add(self.known.wire_bytes, Ordering::Relaxed);
        Usage::add(&usage.decode_nanos, self.known.decode_time);
        if let Some(query_id) = &self.known.query_id {
            usage.name(query_id);
        }
    }

    fn count_batch(&mut self, waited: Duration) {
        let usage = &self.service.usage;
        let mut decoded = Duration::ZERO;
        if let Some(meter) = self.inner.transfer() {
            let now = meter.so_far();
            decoded = now.decode_time.saturating_sub(self.known.decode_time);
            let bytes = now.wire_bytes.saturating_sub(self.known.wire_bytes);
            usage.wire_bytes.fetch_add(bytes, Ordering::Relaxed);
            Usage::add(&usage.decode_nanos, decoded);
            if let (None, Some(query_id)) = (&self.known.query_id, &now.query_id) {
                usage.name(query_id);
            }
            self.known = now;
        }
        Usage::add(&usage.waiting_nanos, waited.saturating_sub(decoded));
    }
}

impl Stream for MeteredStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let next = std::task::ready!(self.inner.poll_next_unpin(cx));
        self.waiting_since = None;
        self.count_batch(since.elapsed());
        Poll::Ready(next.map(|item| self.service.named(item)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Schema;
    use futures::{TryStreamExt, stream};
    use lakepilot_query::{Error, ErrorKind, MockQueryService, TransferMeter};

    fn metered(answer: impl Fn() -> Result<RecordBatchStream> + Send + 'static) -> (MeteredService, Arc<Usage>) {
        let mut service = MockQueryService::new();
        service.expect_run().returning(move |_| answer());
        let usage = Arc::new(Usage::default());
        (MeteredService::new(Arc::new(service), Arc::clone(&usage)), usage)
    }

    fn empty() -> RecordBatch {
        RecordBatch::new_empty(Arc::new(Schema::empty()))
    }

    async fn drain(service: &MeteredService) -> Result<Vec<RecordBatch>> {
        service.run(&Query::new("SELECT 1")?).await?.try_collect().await
    }

    #[tokio::test]
    async fn the_transport_of_every_query_is_added_up() {
        let (service, usage) = metered(|| {
            let meter = TransferMeter::new();
            meter.set_query_id("7f");
            meter.received(10, Duration::from_secs(1));
            let arriving = meter.clone();
            let batches = stream::iter(0..3).map(move |_| {
                arriving.received(100, Duration::from_secs(2));
                Ok(empty())
            });
            Ok(RecordBatchStream::new(empty().schema(), batches).with_transfer(meter))
        });
        drain(&service).await.unwrap();
        drain(&service).await.unwrap();
        let used = usage.used();
        assert_eq!(used.wire_bytes, Some(620));
        assert_eq!(used.decoding, Duration::from_secs(14));
        assert_eq!(used.query_ids, ["7f"]);
        assert!(
            used.waiting < Duration::from_secs(1),
            "decoding is not waiting: {used:?}"
        );
    }

    #[tokio::test]
    async fn of_a_service_without_a_transport_no_bytes_are_told() {
        let (service, usage) = metered(|| Ok(RecordBatchStream::from_batches(empty().schema(), vec![empty()])));
        drain(&service).await.unwrap();
        assert_eq!(usage.used().wire_bytes, None);
    }

    #[tokio::test]
    async fn errors_name_their_queries_before_and_after_the_schema() {
        let failure = |id: &str| Error::new(ErrorKind::Unavailable, "the server restarts").with_query_id(id);
        let (early, usage_of_early) = metered(move || Err(failure("a1")));
        drain(&early).await.unwrap_err();
        let (late, usage_of_late) = metered(move || {
            Ok(RecordBatchStream::new(
                empty().schema(),
                stream::iter([Err(failure("b2"))]),
            ))
        });
        drain(&late).await.unwrap_err();
        assert_eq!(usage_of_early.used().query_ids, ["a1"]);
        assert_eq!(usage_of_late.used().query_ids, ["b2"]);
    }
}
