//! Asking again, as long as nothing was delivered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use lakepilot_query::{Error, ErrorKind, PreparedQuery, Query, QueryService, RecordBatchStream, Result};
use rand::Rng;

/// When and how often a query is asked again: only for errors that say so ([`Error::is_retryable`]).
///
/// A server that says how long it wants not to be asked again is waited for that long besides.
///
/// The time before a retry doubles with each, up to the longest; between half of it and all of it, at random, so that many
/// clients of a server that comes back do not come back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    retries: u32,
    budget: u32,
    first_delay: Duration,
    longest_delay: Duration,
    longest_asked_delay: Duration,
}

impl Default for RetryPolicy {
    /// Three retries of a query, ten in all, after 200 ms, 400 ms, ... and at most 10 s, or a minute where the server asks
    /// for it.
    fn default() -> Self {
        Self {
            retries: 3,
            budget: 10,
            first_delay: Duration::from_millis(200),
            longest_delay: Duration::from_secs(10),
            longest_asked_delay: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// The first error is final.
    pub fn none() -> Self {
        Self::default().with_retries(0)
    }

    /// With so many retries of one query, or of one slice of it.
    #[must_use]
    pub fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// With so many retries for all slices of a run together.
    #[must_use]
    pub fn with_budget(mut self, retries: u32) -> Self {
        self.budget = retries;
        self
    }

    /// With these delays before the first retry and before any.
    #[must_use]
    pub fn with_delays(mut self, first: Duration, longest: Duration) -> Self {
        self.first_delay = first;
        self.longest_delay = longest;
        self
    }

    /// With this as the longest delay that a server may ask for ([`Error::retry_after`]). One that asks for more is not asked
    /// again: its error is the result.
    #[must_use]
    pub fn with_longest_asked_delay(mut self, delay: Duration) -> Self {
        self.longest_asked_delay = delay;
        self
    }

    /// The delay before a retry, of which the first is 1; `jitter` from 0 to 1.
    fn delay(&self, retry: u32, jitter: f64) -> Duration {
        let doubled = 2u32.checked_pow(retry.saturating_sub(1)).unwrap_or(u32::MAX);
        let full = self.first_delay.saturating_mul(doubled).min(self.longest_delay);
        full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
    }
}

/// A retry that is about to be made.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    /// Which retry of this query it is, from 1.
    pub(crate) number: u32,
    pub(crate) delay: Duration,
    /// The message of the error that made it necessary.
    pub(crate) reason: String,
}

/// The retries of one run: the policy and what is left of its budget, shared by all slices.
#[derive(Clone, Debug)]
pub(crate) struct Retries {
    policy: RetryPolicy,
    spent: Arc<AtomicU32>,
}

impl Retries {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self {
            policy,
            spent: Arc::default(),
        }
    }

    /// How many retries were made.
    pub(crate) fn count(&self) -> u32 {
        self.spent.load(Ordering::Relaxed)
    }

    /// The retry to make after `made` ones, or the error when it is final.
    pub(crate) fn after(&self, made: u32, error: Error) -> Result<Retry> {
        let asked = error.retry_after().unwrap_or_default();
        let too_long = asked > self.policy.longest_asked_delay;
        if !error.is_retryable() || too_long || made >= self.policy.retries || !self.take() {
            return Err(if made > 0 {
                error.context(format!("after {made} retries"))
            } else {
                error
            });
        }
        Ok(Retry {
            number: made + 1,
            // What the server asks for is the least; the rest is added, so that not all who were told the same come at once.
            delay: asked + self.policy.delay(made + 1, rand::rng().random()),
            reason: error.to_string(),
        })
    }

    fn take(&self) -> bool {
        let one_more = |spent: u32| (spent < self.policy.budget).then_some(spent + 1);
        self.spent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_ok()
    }
}

type OnRetry = Arc<dyn Fn(&Retry) + Send + Sync>;

/// A service whose queries are asked again as long as no row has arrived.
///
/// After the first row an error is final: the server has no result to come back to, and asked again it need not send the
/// same rows in the same order.
#[derive(Clone)]
pub struct RetryingService<S> {
    inner: S,
    retries: Retries,
    on_retry: OnRetry,
}

impl<S: QueryService + Clone + 'static> RetryingService<S> {
    /// A service with retries; their budget is for all queries of this value and its clones.
    pub fn new(inner: S, policy: RetryPolicy) -> Self {
        Self::observed(inner, Retries::new(policy), Arc::new(|_| ()))
    }

    pub(crate) fn observed(inner: S, retries: Retries, on_retry: OnRetry) -> Self {
        Self {
            inner,
            retries,
            on_retry,
        }
    }

    /// Runs the query until the service accepts it; tells how many retries there have been.
    async fn accepted(&self, query: &Query, mut made: u32) -> Result<(RecordBatchStream, u32)> {
        loop {
            match self.inner.run(query).await {
                Ok(stream) => return Ok((stream, made)),
                Err(error) => made = self.wait(made, error).await?,
            }
        }
    }

    async fn wait(&self, made: u32, error: Error) -> Result<u32> {
        let retry = self.retries.after(made, error)?;
        tracing::info!(retry = retry.number, reason = %retry.reason, delay = ?retry.delay, "asking again");
        (self.on_retry)(&retry);
        tokio::time::sleep(retry.delay).await;
        Ok(retry.number)
    }
}

/// A query that may still be asked again, or whose rows are arriving.
struct Attempt<S> {
    service: RetryingService<S>,
    query: Query,
    stream: RecordBatchStream,
    made: u32,
    begun: bool,
}

impl<S: QueryService + Clone + 'static> Attempt<S> {
    async fn next(&mut self) -> Result<Option<arrow::record_batch::RecordBatch>> {
        loop {
            match self.stream.next().await {
                None => return Ok(None),
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) => {
                    self.begun = true;
                    return Ok(Some(batch));
                }
                Some(Err(error)) if self.begun => return Err(error),
                Some(Err(error)) => {
                    let made = self.service.wait(self.made, error).await?;
                    let (stream, made) = self.service.accepted(&self.query, made).await?;
                    if stream.schema() != self.stream.schema() {
                        return Err(Error::new(
                            ErrorKind::Protocol,
                            "the server answered the same query with another schema when it was asked again",
                        ));
                    }
                    (self.stream, self.made) = (stream, made);
                }
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: QueryService + Clone + 'static> QueryService for RetryingService<S> {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let (stream, made) = self.accepted(query, 0).await?;
        let schema = stream.schema();
        let attempt = Attempt {
            service: self.clone(),
            query: query.clone(),
            stream,
            made,
            begun: false,
        };
        let batches = stream::try_unfold(attempt, |mut attempt| async move {
            Ok(attempt.next().await?.map(|batch| (batch, attempt)))
        });
        Ok(RecordBatchStream::new(schema, batches))
    }

    async fn prepare(&self, query: &Query) -> Result<PreparedQuery> {
        let mut made = 0;
        loop {
            match self.inner.prepare(query).await {
                Ok(prepared) => return Ok(prepared),
                Err(error) => made = self.wait(made, error).await?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use futures::TryStreamExt;
    use lakepilot_query::MockQueryService;

    fn batch(values: &[i64]) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    fn unavailable() -> Error {
        Error::new(ErrorKind::Unavailable, "the server restarts")
    }

    fn quick() -> RetryPolicy {
        RetryPolicy::default().with_delays(Duration::from_micros(10), Duration::from_micros(20))
    }

    type Script = Result<Vec<Result<RecordBatch>>>;

    /// A service that answers by a script, each line once, and is then asked no more.
    fn scripted(script: Vec<Script>) -> Arc<MockQueryService> {
        let mut service = MockQueryService::new();
        let mut sequence = mockall::Sequence::new();
        for answer in script {
            service
                .expect_run()
                .once()
                .in_sequence(&mut sequence)
                .return_once(move |_| Ok(RecordBatchStream::new(batch(&[]).schema(), stream::iter(answer?))));
        }
        Arc::new(service)
    }

    async fn rows(script: Vec<Script>, policy: RetryPolicy) -> Result<Vec<RecordBatch>> {
        let service = RetryingService::new(scripted(script), policy);
        service.run(&Query::new("SELECT n")?).await?.try_collect().await
    }

    #[tokio::test]
    async fn before_the_first_row_it_is_asked_again() {
        let script = vec![
            Err(unavailable()),
            Ok(vec![Ok(batch(&[])), Err(unavailable())]),
            Err(unavailable()),
            Ok(vec![Ok(batch(&[1])), Ok(batch(&[2]))]),
        ];
        assert_eq!(rows(script, quick()).await.unwrap(), [batch(&[1]), batch(&[2])]);
    }

    #[tokio::test]
    async fn after_the_first_row_an_error_is_final() {
        let script = vec![Ok(vec![Ok(batch(&[1])), Err(unavailable())])];
        assert_eq!(rows(script, quick()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn what_does_not_get_better_is_not_asked_again() {
        for kind in [
            ErrorKind::InvalidQuery,
            ErrorKind::TimedOut,
            ErrorKind::PermissionDenied,
        ] {
            let error = rows(vec![Err(Error::new(kind, "no"))], quick()).await.unwrap_err();
            assert_eq!((error.kind(), error.message()), (kind, "no"));
        }
    }

    #[tokio::test]
    async fn retries_end() {
        let script = (0..3).map(|_| Err(unavailable())).collect();
        let error = rows(script, quick().with_retries(2)).await.unwrap_err();
        assert_eq!(error.message(), "after 2 retries: the server restarts");
        let script = (0..2).map(|_| Err(unavailable())).collect();
        let error = rows(script, quick().with_budget(1)).await.unwrap_err();
        assert_eq!(error.message(), "after 1 retries: the server restarts");
    }

    #[tokio::test]
    async fn another_schema_is_not_taken_for_the_same_result() {
        let mut service = MockQueryService::new();
        let mut sequence = mockall::Sequence::new();
        let failing = |_: &Query| {
            Ok(RecordBatchStream::new(
                batch(&[]).schema(),
                stream::iter([Err(unavailable())]),
            ))
        };
        service
            .expect_run()
            .once()
            .in_sequence(&mut sequence)
            .return_once(failing);
        let other = RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
        service
            .expect_run()
            .once()
            .in_sequence(&mut sequence)
            .return_once(move |_| Ok(RecordBatchStream::from_batches(other.schema(), vec![other])));
        let service = RetryingService::new(Arc::new(service), quick());
        let stream = service.run(&Query::new("SELECT n").unwrap()).await.unwrap();
        assert_eq!(
            stream.try_collect::<Vec<_>>().await.unwrap_err().kind(),
            ErrorKind::Protocol
        );
    }

    #[test]
    fn what_a_server_asks_for_is_waited_for_unless_it_is_too_long() {
        let busy = |seconds| {
            Error::new(ErrorKind::ResourceExhausted, "too many queries").with_retry_after(Duration::from_secs(seconds))
        };
        let retries = Retries::new(quick());
        let retry = retries.after(0, busy(7)).unwrap();
        assert!(
            retry.delay >= Duration::from_secs(7) && retry.delay < Duration::from_secs(8),
            "{retry:?}"
        );
        assert_eq!(
            retries.after(1, busy(61)).unwrap_err().kind(),
            ErrorKind::ResourceExhausted
        );
        assert_eq!(retries.count(), 1);
        let patient = Retries::new(quick().with_longest_asked_delay(Duration::from_secs(100)));
        assert!(patient.after(0, busy(61)).is_ok());
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let policy = RetryPolicy::default().with_delays(Duration::from_secs(1), Duration::from_secs(5));
        let full: Vec<_> = (1..=4).map(|retry| policy.delay(retry, 1.0).as_secs()).collect();
        assert_eq!(full, [1, 2, 4, 5]);
        assert_eq!(policy.delay(2, 0.0), Duration::from_secs(1));
        assert_eq!(policy.delay(u32::MAX, 1.0), Duration::from_secs(5));
    }
}
