//! The executor: what the consumer gets, when it is told, and how it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::compute::concat_batches;
use async_trait::async_trait;
use futures::{StreamExt, stream};
use lakepilot_execution::{
    AsyncCallbackSink, BatchSize, BatchedExecutor, CallbackSink, CountEstimator, DiscardSink, Estimate, EstimateBasis,
    ExecutionOptions, NoProgress, PartitionEstimator, ProgressEvent, ProgressObserver, RetryPolicy, RowEstimator,
    batch_bytes,
};
use lakepilot_query::{
    Error, ErrorKind, MockQueryService, PreparedQuery, Query, QueryService, RecordBatchStream, Result, TransferMeter,
};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::service::{End, Scripted, batch, query, schema};
use crate::timed_lake::range;

/// Long enough for a slow machine, and no test takes it when it passes.
const BOUND: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Events(Mutex<Vec<String>>);

impl ProgressObserver for Events {
    fn on_event(&self, event: &ProgressEvent) {
        let told = match event {
            ProgressEvent::Started { .. } => "started".to_owned(),
            ProgressEvent::EstimateArrived(estimate) => format!("estimate {}", estimate.rows),
            ProgressEvent::Received { rows, .. } => format!("received {rows}"),
            ProgressEvent::Batch {
                index,
                rows,
                total_rows,
                ..
            } => format!("batch {index}: {rows} of {total_rows}"),
            ProgressEvent::Finished(statistics) => format!("finished {}", statistics.rows_processed),
            ProgressEvent::Failed { message } => format!("failed: {message}"),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push(told);
    }
}

fn executor(service: Arc<Scripted>, batch_size: BatchSize) -> BatchedExecutor {
    BatchedExecutor::new(service, ExecutionOptions::new().with_batch_size(batch_size))
}

#[tokio::test]
async fn events_come_in_order_and_end_with_the_totals() {
    let service = Scripted::new(vec![batch(0, 3), batch(3, 0), batch(3, 2)], End::Well);
    let events = Events::default();
    let statistics = executor(service, BatchSize::AsReceived)
        .execute(&query(), &mut DiscardSink, &events)
        .await
        .unwrap();
    let events = events.0.into_inner().unwrap();
    assert_eq!(
        events,
        [
            "started",
            "received 3",
            "received 5",
            "batch 0: 3 of 3",
            "batch 1: 2 of 5",
            "finished 5"
        ]
    );
    assert_eq!((statistics.batches_processed, statistics.rows_processed), (2, 5));
    assert_eq!(
        statistics.decoded_bytes,
        (batch_bytes(&batch(0, 3)) + batch_bytes(&batch(3, 2))) as u64
    );
    assert!(statistics.time_to_first_batch.unwrap() <= statistics.total_time);
}

#[tokio::test]
async fn an_empty_result_is_a_run_of_no_batches() {
    let statistics = executor(Scripted::new(vec![], End::Well), BatchSize::default())
        .execute(&query(), &mut DiscardSink, &NoProgress)
        .await
        .unwrap();
    assert_eq!((statistics.batches_processed, statistics.rows_processed), (0, 0));
    assert_eq!(statistics.time_to_first_batch, None);
}

/// Takes its time to plan, to send each batch and to decode it, and fails once before it answers.
struct Timed {
    failed: AtomicBool,
}

const PLANNING: Duration = Duration::from_millis(30);
const SENDING: Duration = Duration::from_millis(20);
/// Only told, so that it can be told apart.
const DECODING: Duration = Duration::from_millis(5);

/// Work that takes this long.
async fn takes(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl QueryService for Timed {
    async fn run(&self, _query: &Query) -> Result<RecordBatchStream> {
        takes(PLANNING).await;
        if !self.failed.swap(true, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the server restarts").with_query_id("first"));
        }
        let meter = TransferMeter::new();
        let arriving = meter.clone();
        let batches = stream::iter(0..3).then(move |n| {
            let meter = arriving.clone();
            async move {
                takes(SENDING).await;
                meter.received(1_000, DECODING);
                Ok(batch(n * 10, 10))
            }
        });
        Ok(RecordBatchStream::new(schema(), batches).with_transfer(meter))
    }

    async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
        Ok(PreparedQuery::new(schema()))
    }
}

#[tokio::test]
async fn statistics_tell_where_the_time_went() {
    let retry = RetryPolicy::default().with_delays(Duration::from_micros(10), Duration::from_micros(10));
    let options = ExecutionOptions::new()
        .with_batch_size(BatchSize::AsReceived)
        .with_retry(retry);
    let service = Timed {
        failed: AtomicBool::new(false),
    };
    let statistics = BatchedExecutor::new(Arc::new(service), options)
        .execute(&query(), &mut DiscardSink, &NoProgress)
        .await
        .unwrap();
    assert_eq!(statistics.wire_bytes, Some(3_000));
    assert_eq!(statistics.retries, 1);
    assert_eq!(statistics.query_ids, ["first"]);
    assert!((statistics.decode_time - 3.0 * DECODING.as_secs_f64()).abs() < 1e-9);
    // Lower bounds only: a machine may be slow. What is planned twice counts twice, and decoding is not waiting.
    assert!(statistics.planning_time >= 2.0 * PLANNING.as_secs_f64());
    let least_wait = 3.0 * (SENDING - DECODING).as_secs_f64();
    assert!(statistics.waiting_time >= least_wait, "{}", statistics.waiting_time);
    assert!(statistics.starved_time >= 3.0 * SENDING.as_secs_f64());
    assert!(statistics.total_time >= 2.0 * PLANNING.as_secs_f64() + 3.0 * SENDING.as_secs_f64());
}

/// Text of about 100 kB a batch, as wide in each row.
fn wide_batches(count: i64) -> Vec<RecordBatch> {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..100).map(|n| format!("{n:01000}"))));
    let batch = RecordBatch::try_from_iter([("msg", texts)]).unwrap();
    (0..count).map(|_| batch.clone()).collect()
}

#[derive(Default)]
struct Lowered(Mutex<Vec<(usize, usize)>>);

impl ProgressObserver for Lowered {
    fn on_event(&self, event: &ProgressEvent) {
        if let ProgressEvent::BatchSizeLowered { asked_bytes, bytes } = event {
            self.0.lock().unwrap().push((*asked_bytes, *bytes));
        }
    }
}

#[tokio::test]
async fn two_batches_are_held_and_not_three() {
    const TARGET: usize = 1_000_000;
    let received = batch_bytes(&wide_batches(1)[0]);
    let observer = Lowered::default();
    let statistics = executor(Scripted::new(wide_batches(100), End::Well), BatchSize::Bytes(TARGET))
        .execute(&query(), &mut DiscardSink, &observer)
        .await
        .unwrap();
    let peak = statistics.peak_in_flight_bytes as usize;
    assert!(statistics.batches_processed > 5);
    assert!(peak > TARGET && peak <= 2 * TARGET + received, "{peak}");
    assert!(observer.0.into_inner().unwrap().is_empty(), "nothing was lowered");
}

#[tokio::test]
async fn a_budget_makes_batches_smaller_and_tells_so() {
    const BUDGET: usize = 2_000_000;
    let options = ExecutionOptions::new().with_memory_budget(BUDGET);
    let observer = Lowered::default();
    let mut largest = 0;
    let mut sink = CallbackSink::new(|_, batch| {
        largest = largest.max(batch_bytes(&batch));
        Ok(())
    });
    let service = Scripted::new(wide_batches(100), End::Well);
    let statistics = BatchedExecutor::new(service, options)
        .execute(&query(), &mut sink, &observer)
        .await
        .unwrap();
    assert_eq!(statistics.rows_processed, 10_000);
    assert_eq!(observer.0.into_inner().unwrap(), [(100_000_000, BUDGET / 4)]);
    assert!(largest > BUDGET / 8 && largest <= BUDGET / 4, "{largest}");
    assert!(statistics.peak_in_flight_bytes <= BUDGET as u64);
}

#[tokio::test]
async fn an_error_of_the_service_comes_after_the_rows_before_it() {
    let mut got = 0;
    let mut sink = CallbackSink::new(|_, batch: RecordBatch| {
        got += batch.num_rows();
        Ok(())
    });
    let service = Scripted::new(vec![batch(0, 3), batch(3, 2)], End::WithError);
    let executor = executor(service, BatchSize::AsReceived);
    let error = executor.execute(&query(), &mut sink, &NoProgress).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(got, 5);
}

#[tokio::test]
async fn an_error_of_the_consumer_drops_the_stream_even_when_the_server_hangs() {
    let service = Scripted::new(vec![batch(0, 3)], End::Never);
    let seen = Arc::clone(&service.seen);
    let mut sink = CallbackSink::new(|_, _| Err(Error::new(ErrorKind::ResourceExhausted, "disk full")));
    let executor = executor(service, BatchSize::AsReceived);
    let query = query();
    let run = executor.execute(&query, &mut sink, &NoProgress);
    let error = tokio::time::timeout(BOUND, run)
        .await
        .expect("the run hangs")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert!(seen.dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_slow_consumer_slows_the_server_down() {
    let batches: Vec<_> = (0..50).map(|n| batch(n * 10, 10)).collect();
    let service = Scripted::new(batches, End::Well);
    let seen = Arc::clone(&service.seen);
    let most_ahead = Arc::new(Mutex::new(0));
    let sink_seen = Arc::clone(&seen);
    let sink_ahead = Arc::clone(&most_ahead);
    let mut sink = AsyncCallbackSink::new(move |index, _| {
        let (seen, ahead) = (Arc::clone(&sink_seen), Arc::clone(&sink_ahead));
        async move {
            // Many chances for the stream to be polled on.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            let taken = seen.taken.load(Ordering::SeqCst);
            let mut most = ahead.lock().unwrap();
            *most = (*most).max(taken - index);
            Ok(())
        }
    });
    executor(service, BatchSize::AsReceived)
        .execute(&query(), &mut sink, &NoProgress)
        .await
        .unwrap();
    assert_eq!(
        *most_ahead.lock().unwrap(),
        2,
        "the batch that is written and the next one"
    );
}

#[tokio::test]
async fn a_cancelled_run_ends_and_drops_the_stream() {
    let service = Scripted::new(vec![batch(0, 3)], End::Never);
    let seen = Arc::clone(&service.seen);
    let token = CancellationToken::new();
    let options = ExecutionOptions::new()
        .with_batch_size(BatchSize::AsReceived)
        .with_cancellation(token.clone());
    let executor = BatchedExecutor::new(service, options);
    let mut sink = CallbackSink::new(move |_, _| {
        token.cancel();
        Ok(())
    });
    let query = query();
    let run = executor.execute(&query, &mut sink, &NoProgress);
    let error = tokio::time::timeout(BOUND, run)
        .await
        .expect("the run hangs")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(seen.dropped.load(Ordering::SeqCst));
}

struct Slow;

#[async_trait]
impl RowEstimator for Slow {
    async fn estimate(&self, _query: &Query) -> Result<Option<Estimate>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn an_estimate_that_never_arrives_delays_nothing() {
    let service = Scripted::new(vec![batch(0, 3)], End::Well);
    let executor = executor(service, BatchSize::AsReceived).with_estimator(Arc::new(Slow));
    let mut sink = DiscardSink;
    let query = query();
    let run = executor.execute(&query, &mut sink, &NoProgress);
    let statistics = tokio::time::timeout(BOUND, run)
        .await
        .expect("the run waits for the estimate")
        .unwrap();
    assert_eq!(statistics.rows_processed, 3);
    assert_eq!(statistics.estimate, None);
}

#[tokio::test]
async fn the_count_is_that_of_the_query_as_a_subquery() {
    let mut service = MockQueryService::new();
    service.expect_run().returning(|query| {
        assert_eq!(
            query.sql(),
            "SELECT COUNT(*) AS row_count FROM (SELECT n FROM t -- all\n) AS counted"
        );
        let counts = arrow::array::Int64Array::from(vec![42]);
        let batch = RecordBatch::try_from_iter([("row_count", Arc::new(counts) as _)])?;
        Ok(RecordBatchStream::from_batches(batch.schema(), vec![batch]))
    });
    let query = Query::new("SELECT n FROM t -- all").unwrap();
    let estimate = CountEstimator::new(Arc::new(service)).estimate(&query).await.unwrap();
    assert_eq!(
        estimate,
        Some(Estimate {
            rows: 42,
            basis: EstimateBasis::Count
        })
    );
}

/// What a lake of one view set and three partitions lists.
fn listing(sql: &str) -> RecordBatch {
    let text = |values: &[&str]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let bytes = |values: &[&[u8]]| -> ArrayRef { Arc::new(BinaryArray::from(values.to_vec())) };
    if sql.contains("list_view_sets") {
        let yes: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        return RecordBatch::try_from_iter([
            ("view_set_name", text(&["log_entries"])),
            ("current_schema_hash", bytes(&[b"5"])),
            ("schema", text(&[""])),
            ("has_view_maker", Arc::clone(&yes)),
            ("global_instance_available", yes),
        ])
        .unwrap();
    }
    let times =
        |nanos: [i64; 3]| -> ArrayRef { Arc::new(TimestampNanosecondArray::from(nanos.to_vec()).with_timezone("UTC")) };
    let numbers = |values: [i64; 3]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
    RecordBatch::try_from_iter([
        ("view_set_name", text(&["log_entries"; 3])),
        ("view_instance_id", text(&["global"; 3])),
        ("begin_insert_time", times([0, 100, 200])),
        ("end_insert_time", times([100, 200, 300])),
        ("min_event_time", times([0, 100_000, 200_000])),
        ("max_event_time", times([100_000, 200_000, 300_000])),
        ("updated", times([400; 3])),
        ("file_path", text(&["a", "b", "c"])),
        ("file_size", numbers([1; 3])),
        // The second one has the schema of an older version, and no query reads it.
        ("file_schema_hash", bytes(&[b"5", b"4", b"5"])),
        ("source_data_hash", bytes(&[b"".as_slice(); 3])),
        ("num_rows", numbers([1_000, 10_000, 3_000])),
        ("partition_format_version", numbers([2; 3])),
    ])
    .unwrap()
}

#[tokio::test]
async fn partitions_tell_the_rows_of_a_range() {
    let mut service = MockQueryService::new();
    service.expect_run().returning(|query| {
        let batch = listing(query.sql());
        Ok(RecordBatchStream::from_batches(batch.schema(), vec![batch]))
    });
    let estimator = PartitionEstimator::new(Arc::new(service), "log_entries", "global");
    for (end, limit, rows) in [(300_000, None, 4_000), (250_000, None, 2_500), (300_000, Some(7), 7)] {
        let query = query().with_time_range(range(0, end)).with_limit(limit);
        let estimate = estimator.estimate(&query).await.unwrap().unwrap();
        assert_eq!(
            (estimate.rows, estimate.basis),
            (rows, EstimateBasis::PartitionMetadata)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_row_arrives_once_and_in_order(sizes in proptest::collection::vec(0i64..200, 0..12), target in 1usize..20_000) {
        let mut from = 0;
        let batches: Vec<_> = sizes.iter().map(|rows| { let made = batch(from, *rows); from += rows; made }).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut got = Vec::new();
        let mut sink = CallbackSink::new(|_, batch| { got.push(batch); Ok(()) });
        let executor = executor(Scripted::new(batches.clone(), End::Well), BatchSize::Bytes(target));
        let statistics = runtime.block_on(executor.execute(&query(), &mut sink, &NoProgress)).unwrap();
        prop_assert_eq!(statistics.rows_processed, from as u64);
        let columns = |batches: &[RecordBatch]| concat_batches(&schema(), batches).unwrap().project(&[0, 1]).unwrap();
        prop_assert_eq!(columns(&got), columns(&batches));
    }
}

#[tokio::test]
async fn a_stream_that_never_waits_can_be_called_off() {
    let service = Scripted::new(vec![batch(0, 1); 10_000], End::Well);
    for size in [BatchSize::AsReceived, BatchSize::Bytes(usize::MAX)] {
        let token = CancellationToken::new();
        let options = ExecutionOptions::new()
            .with_batch_size(size)
            .with_cancellation(token.clone());
        let executor = BatchedExecutor::new(service.clone(), options);
        let mut sink = DiscardSink;
        let query = query();
        let run = executor.execute(&query, &mut sink, &NoProgress);
        let (outcome, ()) = tokio::join!(run, async { token.cancel() });
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled, "{size:?}");
    }
}
