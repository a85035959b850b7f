//! Limits of time and retries, as the executor applies them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use lakepilot_execution::{
    AsyncCallbackSink, BatchSize, BatchedExecutor, CallbackSink, DiscardSink, ExecutionOptions, NoProgress,
    ProgressEvent, ProgressObserver, RetryPolicy, Timeouts,
};
use lakepilot_query::{Error, ErrorKind, MockQueryService, RecordBatchStream};
use tokio_util::sync::CancellationToken;

use crate::service::{End, Scripted, batch, query, schema};

const SOON: Duration = Duration::from_millis(20);
/// Long enough for a slow machine, and no test takes it when it passes.
const BOUND: Duration = Duration::from_secs(30);

fn options(timeouts: Timeouts) -> ExecutionOptions {
    ExecutionOptions::new()
        .with_batch_size(BatchSize::AsReceived)
        .with_timeouts(timeouts)
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_called_off() {
    for (batches, timeouts) in [
        (vec![], Timeouts::none().with_first_batch(SOON)),
        (vec![batch(0, 3)], Timeouts::none().with_idle(SOON)),
        (vec![batch(0, 3)], Timeouts::none().with_total(SOON)),
    ] {
        let service = Scripted::new(batches, End::Never);
        let seen = Arc::clone(&service.seen);
        let executor = BatchedExecutor::new(service, options(timeouts));
        let query = query();
        let mut sink = DiscardSink;
        let run = executor.execute(&query, &mut sink, &NoProgress);
        let error = tokio::time::timeout(BOUND, run)
            .await
            .expect("the run hangs")
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{timeouts:?}");
        assert!(seen.dropped.load(Ordering::SeqCst), "{timeouts:?}");
    }
}

#[tokio::test]
async fn a_slow_consumer_does_not_run_out_the_limits_of_the_server() {
    let service = Scripted::new((0..4).map(|n| batch(n, 1)).collect(), End::Well);
    let timeouts = Timeouts::none().with_first_batch(SOON).with_idle(SOON);
    let mut sink = AsyncCallbackSink::new(|_, _: RecordBatch| async {
        let done = Instant::now() + 3 * SOON;
        while Instant::now() < done {
            tokio::task::yield_now().await;
        }
        Ok(())
    });
    let executor = BatchedExecutor::new(service, options(timeouts));
    let statistics = executor.execute(&query(), &mut sink, &NoProgress).await.unwrap();
    assert_eq!(statistics.rows_processed, 4);
}

#[tokio::test]
async fn a_retry_is_told_and_counted() {
    #[derive(Default)]
    struct Retried(Mutex<Vec<(u32, String)>>);
    impl ProgressObserver for Retried {
        fn on_event(&self, event: &ProgressEvent) {
            if let ProgressEvent::Retried { number, reason, .. } = event {
                self.0.lock().unwrap().push((*number, reason.clone()));
            }
        }
    }
    let mut service = MockQueryService::new();
    service
        .expect_run()
        .once()
        .return_once(|_| Err(Error::new(ErrorKind::Unavailable, "the server restarts")));
    service
        .expect_run()
        .once()
        .return_once(|_| Ok(RecordBatchStream::from_batches(schema(), vec![batch(0, 3)])));
    let delay = Duration::from_micros(10);
    let options = ExecutionOptions::new().with_retry(RetryPolicy::default().with_delays(delay, delay));
    let observer = Retried::default();
    let statistics = BatchedExecutor::new(Arc::new(service), options)
        .execute(&query(), &mut DiscardSink, &observer)
        .await
        .unwrap();
    assert_eq!(
        (statistics.rows_processed, statistics.retries, statistics.slices),
        (3, 1, 1)
    );
    assert_eq!(
        observer.0.into_inner().unwrap(),
        [(1, "the server restarts".to_owned())]
    );
}

#[tokio::test]
async fn a_failure_after_rows_tells_how_many_were_delivered() {
    let service = Scripted::new(vec![batch(0, 3), batch(3, 2)], End::WithError);
    let error = BatchedExecutor::new(service, options(Timeouts::none()))
        .execute(&query(), &mut DiscardSink, &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(
        error.message(),
        "after 5 rows in 2 batches were delivered: divide by zero"
    );
}

#[tokio::test]
async fn a_limit_on_the_whole_and_a_cancellation_tell_what_was_delivered_too() {
    let expected = "after 5 rows in 2 batches were delivered: ";
    let service = || Scripted::new(vec![batch(0, 3), batch(3, 2)], End::Never);
    let limited = options(Timeouts::none().with_total(SOON));
    let error = BatchedExecutor::new(service(), limited)
        .execute(&query(), &mut DiscardSink, &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.message().starts_with(expected), "{error}");

    let token = CancellationToken::new();
    let cancelling = options(Timeouts::none()).with_cancellation(token.clone());
    let mut sink = CallbackSink::new(|index, _| {
        if index == 1 {
            token.cancel();
        }
        Ok(())
    });
    let error = BatchedExecutor::new(service(), cancelling)
        .execute(&query(), &mut sink, &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(error.message().starts_with(expected), "{error}");
}
