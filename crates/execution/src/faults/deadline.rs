//! Limits of time around a service.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use lakepilot_query::{Error, ErrorKind, PreparedQuery, Query, QueryService, RecordBatchStream, Result};
use tokio::time::{Instant, timeout_at};

/// How long a query may take, in three ways that do not stand in for each other. None is set by default.
///
/// ```
/// use std::time::Duration;
/// use lakepilot_execution::Timeouts;
///
/// let timeouts = Timeouts::none()
///     .with_first_batch(Duration::from_secs(60))
///     .with_idle(Duration::from_secs(30))
///     .with_total(Duration::from_secs(3_600));
/// assert_ne!(timeouts, Timeouts::none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    first_batch: Option<Duration>,
    idle: Option<Duration>,
    total: Option<Duration>,
}

impl Timeouts {
    /// No limits.
    pub fn none() -> Self {
        Self::default()
    }

    /// With a limit from asking to the first batch: for planning and for a service that hangs before it answers.
    #[must_use]
    pub fn with_first_batch(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.first_batch = limit.into();
        self
    }

    /// With a limit between two batches, and from the last to the end. Only time spent waiting for the service counts: a
    /// consumer that takes its time does not run it out.
    #[must_use]
    pub fn with_idle(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.idle = limit.into();
        self
    }

    /// With a limit for the whole of it, the time of the consumer included.
    #[must_use]
    pub fn with_total(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.total = limit.into();
        self
    }

    /// Only the limits on one attempt, without the one on the whole.
    pub(crate) fn of_an_attempt(self) -> Self {
        self.with_total(None)
    }

    /// The outcome of the work, within the limit on the whole.
    pub(crate) async fn limit_whole<T>(self, work: impl Future<Output = Result<T>>) -> Result<T> {
        Clock::start(self).limited(None, work).await
    }
}

/// A service whose queries end with `TimedOut` when a limit runs out; the query on the server is then called off.
#[derive(Clone, Debug)]
pub struct DeadlineService<S> {
    inner: S,
    timeouts: Timeouts,
}

impl<S> DeadlineService<S> {
    /// A service within limits.
    pub fn new(inner: S, timeouts: Timeouts) -> Self {
        Self { inner, timeouts }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: QueryService> QueryService for DeadlineService<S> {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let clock = Clock::start(self.timeouts);
        let stream = clock.limited(clock.first_batch(), self.inner.run(query)).await?;
        let (schema, transfer) = (stream.schema(), stream.transfer().cloned());
        // A stream that is given up is dropped at once, which calls the query off.
        let batches = stream::try_unfold((Some(stream), true), move |(stream, first)| async move {
            let Some(mut stream) = stream else { return Ok(None) };
            let limit = if first { clock.first_batch() } else { clock.idle() };
            let next = clock.limited(limit, async { stream.next().await.transpose() }).await?;
            Ok(next.map(|batch| (batch, (Some(stream), false))))
        });
        Ok(RecordBatchStream::new(schema, batches).with_transfer(transfer))
    }

    async fn prepare(&self, query: &Query) -> Result<PreparedQuery> {
        let clock = Clock::start(self.timeouts);
        clock.limited(clock.first_batch(), self.inner.prepare(query)).await
    }
}

/// The limits of one query since it was asked.
#[derive(Clone, Copy)]
struct Clock {
    timeouts: Timeouts,
    start: Instant,
}

/// A moment, and what to say when it has come.
type Limit = Option<(Instant, Duration, &'static str)>;

impl Clock {
    fn start(timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            start: Instant::now(),
        }
    }

    fn first_batch(&self) -> Limit {
        at(
            self.start,
            self.timeouts.first_batch,
            "the first batch did not arrive within",
        )
    }

    fn idle(&self) -> Limit {
        at(
            Instant::now(),
            self.timeouts.idle,
            "nothing arrived from the server for",
        )
    }

    async fn limited<T>(&self, limit: Limit, work: impl Future<Output = Result<T>>) -> Result<T> {
        let total = at(self.start, self.timeouts.total, "the query did not end within");
        let earliest = limit.into_iter().chain(total).min_by_key(|(moment, ..)| *moment);
        let Some((moment, length, what)) = earliest else {
            return work.await;
        };
        timeout_at(moment, work).await.unwrap_or_else(|_| {
            let message = format!("{what} {length:?}; ask for less, or allow more time");
            Err(Error::new(ErrorKind::TimedOut, message))
        })
    }
}

/// A moment too far to be told is no limit.
fn at(start: Instant, length: Option<Duration>, what: &'static str) -> Limit {
    length.and_then(|length| Some((start.checked_add(length)?, length, what)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::datatypes::Schema;
    use arrow::record_batch::RecordBatch;
    use futures::TryStreamExt;
    use lakepilot_query::MockQueryService;

    const SOON: Duration = Duration::from_millis(20);
    const NEVER: Duration = Duration::from_secs(3_600);

    fn empty_batch() -> RecordBatch {
        RecordBatch::new_empty(Arc::new(Schema::empty()))
    }

    /// A service that answers with so many batches and then with nothing.
    fn stalling_after(batches: usize) -> MockQueryService {
        let mut service = MockQueryService::new();
        service.expect_run().returning(move |_| {
            let batches = stream::iter((0..batches).map(|_| Ok(empty_batch()))).chain(stream::pending());
            Ok(RecordBatchStream::new(Arc::new(Schema::empty()), batches))
        });
        service
    }

    async fn message_of(service: MockQueryService, timeouts: Timeouts) -> String {
        let query = Query::new("SELECT 1").unwrap();
        let stream = DeadlineService::new(service, timeouts).run(&query).await.unwrap();
        let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        error.to_string()
    }

    #[tokio::test]
    async fn each_limit_is_told_apart() {
        let generous = Timeouts::none()
            .with_first_batch(NEVER)
            .with_idle(NEVER)
            .with_total(NEVER);
        let first = message_of(stalling_after(0), generous.with_first_batch(SOON)).await;
        assert!(
            first.starts_with("the first batch did not arrive within 20ms"),
            "{first}"
        );
        let idle = message_of(stalling_after(2), generous.with_idle(SOON)).await;
        assert!(idle.starts_with("nothing arrived from the server for 20ms"), "{idle}");
        for batches in [0, 2] {
            let total = message_of(stalling_after(batches), generous.with_total(SOON)).await;
            assert!(total.starts_with("the query did not end within 20ms"), "{total}");
        }
    }

    #[tokio::test]
    async fn a_service_that_hangs_before_the_schema_is_given_up() {
        struct Hanging;
        #[async_trait]
        impl QueryService for Hanging {
            async fn run(&self, _query: &Query) -> Result<RecordBatchStream> {
                futures::future::pending().await
            }
            async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
                futures::future::pending().await
            }
        }
        let service = DeadlineService::new(Hanging, Timeouts::none().with_first_batch(SOON));
        let query = Query::new("SELECT 1").unwrap();
        assert_eq!(service.run(&query).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(service.prepare(&query).await.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn without_limits_nothing_changes() {
        let mut service = MockQueryService::new();
        service.expect_run().returning(|_| {
            let batches = vec![empty_batch(), empty_batch()];
            Ok(RecordBatchStream::from_batches(Arc::new(Schema::empty()), batches))
        });
        let service = DeadlineService::new(service, Timeouts::none().with_total(Duration::MAX));
        let stream = service.run(&Query::new("SELECT 1").unwrap()).await.unwrap();
        assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap().len(), 2);
    }
}
