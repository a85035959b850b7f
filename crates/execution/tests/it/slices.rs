//! Slices: every row exactly once, in the order that was asked for, within the budget, and no task left behind.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use chrono::DateTime;
use lakepilot_catalog::Partition;
use lakepilot_execution::{
    AsyncCallbackSink, BatchSize, BatchedExecutor, CallbackSink, DiscardSink, ExecutionOptions, NoProgress,
    ProgressEvent, ProgressObserver, RetryPolicy, ScanPredicate, SliceOrder, SliceRule, Slicing, Statistics,
    slices_along,
};
use lakepilot_query::{ErrorKind, PreparedQuery, Query, QueryService, RecordBatchStream, Result, TimeRange};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::timed_lake::{Row, TimedLake, range, rows_of};

/// Long enough for a slow machine, and no test takes it when it passes.
const BOUND: Duration = Duration::from_secs(30);

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()
            .unwrap()
    })
}

fn options() -> ExecutionOptions {
    let quick = RetryPolicy::default()
        .with_retries(1_000)
        .with_budget(1_000)
        .with_delays(Duration::from_micros(1), Duration::from_micros(10));
    ExecutionOptions::new()
        .with_batch_size(BatchSize::AsReceived)
        .with_retry(quick)
}

/// What was delivered, and how the run ended.
fn delivered(
    lake: TimedLake,
    query: &Query,
    slicing: &Slicing,
    options: ExecutionOptions,
) -> (Vec<Row>, Result<Statistics>) {
    let executor = BatchedExecutor::new(Arc::new(lake), options);
    let mut rows = Vec::new();
    let mut sink = CallbackSink::new(|_, batch: RecordBatch| {
        rows.extend(rows_of(&batch));
        Ok(())
    });
    let run = executor.execute_sliced(query, slicing, &mut sink, &NoProgress);
    let outcome = runtime().block_on(async { tokio::time::timeout(BOUND, run).await.expect("the run hangs") });
    (rows, outcome)
}

fn points() -> impl Strategy<Value = Vec<Row>> {
    // Few instants, so that many rows are on the edges of slices, and several at the same time.
    proptest::collection::vec(0i64..60, 0..120).prop_map(|times| {
        let rows = times.into_iter().enumerate();
        rows.map(|(id, time)| Row {
            begin: time,
            end: time,
            id: id as i64,
        })
        .collect()
    })
}

fn spans() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec((-20i64..80, 0i64..50), 0..120).prop_map(|spans| {
        let rows = spans.into_iter().enumerate();
        rows.map(|(id, (begin, length))| Row {
            begin,
            end: begin + length,
            id: id as i64,
        })
        .collect()
    })
}

/// A range and any cut of it, not only an even one.
fn cuts() -> impl Strategy<Value = (TimeRange, Vec<TimeRange>)> {
    (0i64..30, 0i64..40, proptest::collection::btree_set(1i64..40, 0..12)).prop_map(|(begin, length, cuts)| {
        let mut edges: Vec<i64> = cuts
            .into_iter()
            .filter(|cut| *cut <= length)
            .map(|cut| begin + cut)
            .collect();
        edges.insert(0, begin);
        edges.push(begin + length + 1);
        let slices = edges.windows(2).map(|edge| range(edge[0], edge[1] - 1)).collect();
        (range(begin, begin + length), slices)
    })
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

/// The rows of a query that is not cut, as the lake defines them.
fn whole(rows: &[Row], range: TimeRange) -> Vec<Row> {
    let overlaps = |row: &&Row| row.begin <= range.end_nanos() && row.end >= range.begin_nanos();
    sorted(rows.iter().filter(overlaps).copied().collect())
}

fn partition(begin: i64, end: i64, rows: u64) -> Partition {
    let time = DateTime::from_timestamp_nanos;
    Partition {
        view_set_name: "spans".to_owned(),
        view_instance_id: "7".to_owned(),
        begin_insert_time: time(begin),
        end_insert_time: time(end),
        min_event_time: Some(time(begin)),
        max_event_time: Some(time(end)),
        updated: time(end),
        file_path: Some("file".to_owned()),
        file_size_bytes: rows * 10,
        file_schema_hash: vec![4],
        source_data_hash: vec![],
        num_rows: rows,
        partition_format_version: 2,
        sort_order: None,
        max_sort_key_time: None,
    }
}

fn span_rule() -> SliceRule {
    SliceRule::Intervals(ScanPredicate::new(
        "SELECT * FROM (SELECT * FROM spans WHERE ",
        "begin",
        ") AS s",
    ))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn points_arrive_exactly_once(rows in points(), (range, slices) in cuts(), parallel in 1usize..6, batch_rows in 1usize..9) {
        let query = Query::new("SELECT * FROM log_entries").unwrap().with_time_range(range);
        let slicing = Slicing::new(SliceRule::Points, slices).unwrap().with_parallel(parallel);
        let (got, outcome) = delivered(TimedLake::new(rows.clone(), batch_rows), &query, &slicing, options());
        prop_assert_eq!(outcome.unwrap().rows_processed, got.len() as u64);
        prop_assert_eq!(sorted(got), whole(&rows, range));
    }

    #[test]
    fn spans_arrive_exactly_once_also_those_that_cross_cuts(
        rows in spans(), (range, slices) in cuts(), parallel in 1usize..6, batch_rows in 1usize..9,
    ) {
        let query = Query::new("SELECT * FROM spans").unwrap().with_time_range(range);
        let slicing = Slicing::new(span_rule(), slices).unwrap().with_parallel(parallel);
        let (got, outcome) = delivered(TimedLake::new(rows.clone(), batch_rows), &query, &slicing, options());
        outcome.unwrap();
        prop_assert_eq!(sorted(got), whole(&rows, range));
    }

    #[test]
    fn slices_along_partitions_deliver_exactly_once(
        rows in spans(), begin in 0i64..30, length in 0i64..40, parts in 1usize..9, parallel in 1usize..6,
        partitions in proptest::collection::vec((-20i64..80, 0i64..50, 1u64..1_000), 0..8),
    ) {
        let partitions: Vec<_> = partitions.into_iter().map(|(begin, length, rows)| partition(begin, begin + length, rows)).collect();
        let range = range(begin, begin + length);
        let slices = slices_along(&partitions, range, parts);
        let query = Query::new("SELECT * FROM spans").unwrap().with_time_range(range);
        let slicing = Slicing::new(span_rule(), slices).unwrap().with_parallel(parallel);
        let (got, outcome) = delivered(TimedLake::new(rows.clone(), 4), &query, &slicing, options());
        outcome.unwrap();
        prop_assert_eq!(sorted(got), whole(&rows, range));
    }

    #[test]
    fn ordered_slices_keep_the_order_of_the_whole(
        rows in spans(), (range, slices) in cuts(), parallel in 1usize..6, batch_rows in 1usize..9, down: bool,
    ) {
        // A memory of one byte: each slice holds no more than one batch until it is its turn.
        let options = options().with_memory_budget(1);
        let (order, word) = if down { (SliceOrder::Descending, "DESC") } else { (SliceOrder::Ascending, "ASC") };
        let query = Query::new(format!("SELECT * FROM spans ORDER BY begin {word}")).unwrap().with_time_range(range);
        let rule = ScanPredicate::new("SELECT * FROM (SELECT * FROM spans WHERE ", "begin", format!(") AS s ORDER BY begin {word}"));
        let slicing = Slicing::new(SliceRule::Intervals(rule), slices).unwrap().with_parallel(parallel).with_order(order);
        let (got, outcome) = delivered(TimedLake::new(rows.clone(), batch_rows), &query, &slicing, options);
        outcome.unwrap();
        let mut expected = whole(&rows, range);
        if down { expected.reverse() }
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn failures_before_rows_lose_and_repeat_nothing(
        rows in points(), (range, slices) in cuts(), failures in proptest::collection::vec(proptest::option::of(Just(0usize)), 0..30),
    ) {
        let query = Query::new("SELECT * FROM log_entries").unwrap().with_time_range(range);
        let slicing = Slicing::new(SliceRule::Points, slices).unwrap().with_parallel(3);
        let lake = TimedLake::new(rows.clone(), 4).failing(failures);
        let (got, outcome) = delivered(lake, &query, &slicing, options());
        outcome.unwrap();
        prop_assert_eq!(sorted(got), whole(&rows, range));
    }

    #[test]
    fn failures_anywhere_repeat_nothing_and_are_told(
        rows in points(), (range, slices) in cuts(), failures in proptest::collection::vec(proptest::option::of(0usize..4), 0..30),
        ordered: bool,
    ) {
        let query = Query::new("SELECT * FROM log_entries").unwrap().with_time_range(range);
        let order = if ordered { SliceOrder::Ascending } else { SliceOrder::Unordered };
        let slicing = Slicing::new(SliceRule::Points, slices).unwrap().with_parallel(3).with_order(order);
        let lake = TimedLake::new(rows.clone(), 4).failing(failures);
        let (got, outcome) = delivered(lake, &query, &slicing, options());
        let expected = whole(&rows, range);
        match outcome {
            Ok(_) => prop_assert_eq!(sorted(got), expected),
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Unavailable);
                if ordered {
                    prop_assert_eq!(&got[..], &expected[..got.len()]);
                }
                let got = sorted(got);
                prop_assert!(got.windows(2).all(|pair| pair[0] != pair[1]), "a row came twice");
                prop_assert!(got.iter().all(|row| expected.contains(row)));
            }
        }
    }
}

fn many_points(count: i64) -> Vec<Row> {
    (0..count)
        .map(|n| Row {
            begin: n,
            end: n,
            id: n,
        })
        .collect()
}

fn point_query(end: i64) -> Query {
    Query::new("SELECT * FROM log_entries")
        .unwrap()
        .with_time_range(range(0, end))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_slices_run_than_were_asked_for_and_all_are_told() {
    #[derive(Default)]
    struct Slices(Mutex<Vec<(usize, &'static str)>>);
    impl ProgressObserver for Slices {
        fn on_event(&self, event: &ProgressEvent) {
            match event {
                ProgressEvent::SliceStarted { index, .. } => self.0.lock().unwrap().push((*index, "started")),
                ProgressEvent::SliceFinished { index, rows } => {
                    assert_eq!(*rows, 100);
                    self.0.lock().unwrap().push((*index, "finished"));
                }
                _ => {}
            }
        }
    }
    let lake = Arc::new(TimedLake::new(many_points(1_000), 10));
    let slicing = Slicing::new(SliceRule::Points, range(0, 999).split(10))
        .unwrap()
        .with_parallel(3);
    let observer = Slices::default();
    let statistics = BatchedExecutor::new(Arc::clone(&lake) as Arc<dyn QueryService>, options())
        .execute_sliced(&point_query(999), &slicing, &mut DiscardSink, &observer)
        .await
        .unwrap();
    assert_eq!(
        (statistics.slices, statistics.rows_processed, statistics.retries),
        (10, 1_000, 0)
    );
    assert!(lake.load.most.load(Ordering::SeqCst) <= 3);
    let mut told = observer.0.into_inner().unwrap();
    told.sort_unstable();
    let expected: Vec<_> = (0..10)
        .flat_map(|index| [(index, "finished"), (index, "started")])
        .collect();
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_counted() {
    let lake = TimedLake::new(many_points(100), 10).failing(vec![Some(0), Some(0)]);
    let slicing = Slicing::new(SliceRule::Points, range(0, 99).split(4)).unwrap();
    let statistics = BatchedExecutor::new(Arc::new(lake), options())
        .execute_sliced(&point_query(99), &slicing, &mut DiscardSink, &NoProgress)
        .await
        .unwrap();
    assert_eq!((statistics.rows_processed, statistics.retries), (100, 2));
}

/// On one thread, so that every yield below gives each slice its turn.
#[tokio::test]
async fn a_consumer_that_stops_stops_every_slice() {
    let lake = Arc::new(TimedLake::new(many_points(10_000), 10));
    let load = Arc::clone(&lake.load);
    // A batch has 240 bytes, and each of 4 slices a share of 500 of them.
    let options = options().with_memory_budget(4_000);
    let slicing = Slicing::new(SliceRule::Points, range(0, 9_999).split(4))
        .unwrap()
        .with_parallel(4);
    let (stopped, mut has_stopped) = tokio::sync::mpsc::channel(1);
    let mut sink = AsyncCallbackSink::new(move |_, _| {
        let stopped = stopped.clone();
        async move {
            stopped.send(()).await.unwrap();
            std::future::pending().await
        }
    });
    let executor = BatchedExecutor::new(lake, options);
    let run = tokio::spawn(async move {
        executor
            .execute_sliced(&point_query(9_999), &slicing, &mut sink, &NoProgress)
            .await
    });
    tokio::time::timeout(BOUND, has_stopped.recv()).await.unwrap();
    // In each queue two, one that waits for room; in the executor one that is written and one that is gathered.
    let most = 4 * 3 + 2;
    for _ in 0..1_000 {
        assert!(load.taken.load(Ordering::SeqCst) <= most);
        tokio::task::yield_now().await;
    }
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    let ended = async {
        while load.active.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, ended)
        .await
        .expect("a slice runs on after the run was dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_panics_is_an_error_and_no_hang() {
    struct Broken;
    #[async_trait]
    impl QueryService for Broken {
        async fn run(&self, _query: &Query) -> Result<RecordBatchStream> {
            panic!("a bug of the service")
        }
        async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
            panic!("a bug of the service")
        }
    }
    let slicing = Slicing::new(SliceRule::Points, range(0, 99).split(4)).unwrap();
    let executor = BatchedExecutor::new(Arc::new(Broken), options());
    let query = point_query(99);
    let run = async {
        executor
            .execute_sliced(&query, &slicing, &mut DiscardSink, &NoProgress)
            .await
    };
    let error = tokio::time::timeout(BOUND, run)
        .await
        .expect("the run hangs")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn a_query_that_was_not_cut_is_refused_before_it_runs() {
    let lake = Arc::new(TimedLake::new(many_points(10), 10));
    let slicing = Slicing::new(SliceRule::Points, range(0, 99).split(4)).unwrap();
    let error = BatchedExecutor::new(Arc::clone(&lake) as Arc<dyn QueryService>, options())
        .execute_sliced(&point_query(98), &slicing, &mut DiscardSink, &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(lake.load.most.load(Ordering::SeqCst), 0);
}
