//! The schedules, and what a run under one is held to.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use futures::{StreamExt, stream};
use lakepilot_execution::{
    BatchSize, BatchedExecutor, CallbackSink, DeadlineService, ExecutionOptions, NoProgress, RetryPolicy,
    RetryingService, SliceOrder, SliceRule, Slicing, Timeouts,
};
use lakepilot_fault_proxy::{ActionKind, Fired, Schedule};
use lakepilot_flight_client::QuerySpelling;
use lakepilot_query::{Error, ErrorKind, QueryService, QueryServiceExt, Result};

use super::network::{Network, space_of};
use super::numbers::{self, ROWS};

/// After this a run hangs: no sum of limits and retries comes near it.
const HANG: Duration = Duration::from_secs(100);

/// What a wait for the server may take under a schedule that makes it stand still, which each run then sits out.
const SHORT: Duration = Duration::from_secs(1);

/// What it may take under another schedule, where it is not to run out however busy the machine is.
const LONG: Duration = Duration::from_secs(20);

const SCHEDULES: u64 = 200;

/// How the rows are asked for.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// By the decorators alone, with nothing of the executor around them.
    Decorated,
    Whole,
    Sliced(SliceOrder),
}

/// A run under one schedule.
#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    way: Way,
    spelling: QuerySpelling,
    schedule: Schedule,
}

struct Report {
    rows: Vec<i64>,
    /// Whether every row was what it is in the lake.
    genuine: bool,
    outcome: Result<()>,
    fired: Vec<Fired>,
}

impl Case {
    fn of_seed(seed: u64, schedule: Schedule) -> Self {
        Self {
            seed,
            way: match seed % 4 {
                0 => Way::Decorated,
                1 => Way::Whole,
                2 => Way::Sliced(SliceOrder::Ascending),
                _ => Way::Sliced(SliceOrder::Unordered),
            },
            spelling: if (seed / 4).is_multiple_of(2) {
                QuerySpelling::FlightInfo
            } else {
                QuerySpelling::DirectTicket
            },
            schedule,
        }
    }

    /// Whether something can stand still under it: a length that was corrupted makes the reader wait for what never comes.
    fn stands_still(&self) -> bool {
        self.schedule
            .faults()
            .iter()
            .any(|fault| matches!(fault.action.kind(), ActionKind::Stall | ActionKind::Corrupt))
    }

    fn limit(&self) -> Duration {
        if self.stands_still() { SHORT } else { LONG }
    }

    async fn run(&self, network: &Network) -> Report {
        let proxy = network.proxy(self.schedule.clone());
        let limit = self.limit();
        let client = network.client(&proxy, self.spelling, limit).unwrap();
        let mut rows = Vec::new();
        let mut genuine = true;
        let work = async {
            let mut take = |batch: RecordBatch| {
                genuine &= numbers::is_as_in_the_lake(&batch);
                rows.extend(numbers::numbers(&batch));
            };
            match self.way {
                Way::Decorated => decorated(client, limit, &mut take).await,
                Way::Whole => execute(client, None, limit, &mut take).await,
                Way::Sliced(order) => execute(client, Some(order), limit, &mut take).await,
            }
        };
        let outcome = tokio::time::timeout(HANG, work)
            .await
            .unwrap_or_else(|_| panic!("{self:?} hangs"));
        Report {
            rows,
            genuine,
            outcome,
            fired: proxy.fired(),
        }
    }

    fn check(&self, report: &Report, is_tls: bool) {
        let told = format!(
            "seed {}, {:?}, {:?}, {}: {}; fired {:?}; {} rows, {:?}",
            self.seed,
            self.way,
            self.spelling,
            if is_tls { "TLS" } else { "plain text" },
            self.schedule,
            report.fired,
            report.rows.len(),
            report.outcome
        );
        let fired = |kind| report.fired.iter().any(|fired| fired.fault.action.kind() == kind);
        if let Err(error) = &report.outcome {
            self.check_error(error, report, &told, is_tls);
        }
        if fired(ActionKind::Corrupt) && !is_tls {
            return;
        }
        assert!(report.genuine, "rows that are not in the lake: {told}");
        let distinct: HashSet<i64> = report.rows.iter().copied().collect();
        assert_eq!(distinct.len(), report.rows.len(), "rows are repeated: {told}");
        if !matches!(self.way, Way::Sliced(SliceOrder::Unordered)) {
            assert!(report.rows.is_sorted(), "rows are not in order: {told}");
            let expected = report.rows.len() as i64 - 1;
            assert!(
                report.rows.last().is_none_or(|last| *last == expected),
                "rows are lost in the middle: {told}"
            );
        }
        match &report.outcome {
            Ok(()) => assert_eq!(report.rows.len() as i64, ROWS, "rows are lost: {told}"),
            Err(error) if !matches!(self.way, Way::Decorated) && !report.rows.is_empty() => {
                let delivered = format!("after {} rows in ", report.rows.len());
                assert!(
                    error.message().contains(&delivered),
                    "what was delivered is not told: {told}"
                );
            }
            Err(_) => {}
        }
    }

    /// An error is of a kind that the faults can have made.
    fn check_error(&self, error: &Error, report: &Report, told: &str, is_tls: bool) {
        let fired = |kind| report.fired.iter().any(|fired| fired.fault.action.kind() == kind);
        let corrupted = fired(ActionKind::Corrupt);
        let cut = fired(ActionKind::Reset) || fired(ActionKind::Truncate);
        let explained = match error.kind() {
            ErrorKind::TimedOut => self.stands_still(),
            // A connection that ends within the TLS handshake looks like a server that does not speak TLS.
            ErrorKind::Unavailable => cut || corrupted,
            ErrorKind::Protocol => corrupted || (cut && is_tls && report.rows.is_empty()),
            // Plain text that was changed can be any other text: of the SQL, of a header, of an error.
            _ => corrupted && !is_tls,
        };
        assert!(explained, "an error of a kind that nothing explains: {told}");
    }
}

fn quick_retries() -> RetryPolicy {
    RetryPolicy::default().with_delays(Duration::from_millis(1), Duration::from_millis(5))
}

fn timeouts(limit: Duration) -> Timeouts {
    Timeouts::none()
        .with_first_batch(2 * limit)
        .with_idle(2 * limit)
        .with_total(4 * limit)
}

async fn decorated(
    service: impl QueryService + Clone + 'static,
    limit: Duration,
    take: &mut (dyn FnMut(RecordBatch) + Send),
) -> Result<()> {
    let limited = Arc::new(DeadlineService::new(service, timeouts(limit)));
    let retried = RetryingService::new(limited, quick_retries());
    let mut stream = retried.run(&numbers::query()).await?;
    while let Some(batch) = stream.next().await.transpose()? {
        take(batch);
    }
    Ok(())
}

async fn execute(
    service: impl QueryService + 'static,
    order: Option<SliceOrder>,
    limit: Duration,
    take: &mut (dyn FnMut(RecordBatch) + Send),
) -> Result<()> {
    let options = ExecutionOptions::new()
        .with_batch_size(BatchSize::Bytes(20_000))
        .with_timeouts(timeouts(limit))
        .with_retry(quick_retries());
    let executor = BatchedExecutor::new(Arc::new(service), options);
    let mut sink = CallbackSink::new(|_, batch| {
        take(batch);
        Ok(())
    });
    let query = numbers::query();
    match order {
        None => executor.execute(&query, &mut sink, &NoProgress).await?,
        Some(order) => {
            let slicing = Slicing::new(SliceRule::Points, numbers::range().split(4))?
                .with_order(order)
                .with_parallel(3);
            executor
                .execute_sliced(&query, &slicing, &mut sink, &NoProgress)
                .await?
        }
    };
    Ok(())
}

/// Runs every second schedule of all over this network.
async fn run_schedules(network: Network, first: u64) {
    let quiet = network.proxy(Schedule::new());
    let client = network.client(&quiet, QuerySpelling::FlightInfo, LONG).unwrap();
    let whole = client.collect(&numbers::query()).await.unwrap();
    assert_eq!(whole.num_rows() as i64, ROWS);
    let space = space_of(&quiet);

    let cases: Vec<Case> = (first..SCHEDULES)
        .step_by(2)
        // So that every way and every spelling comes to both kinds of networks.
        .map(|seed| Case::of_seed(seed / 2, space.draw(seed)))
        .collect();
    let mut kinds = HashSet::new();
    let mut ended_well = 0;
    let mut reports = stream::iter(&cases)
        .map(|case| {
            let network = &network;
            async move { (case, case.run(network).await) }
        })
        .buffer_unordered(50);
    while let Some((case, report)) = reports.next().await {
        case.check(&report, network.is_tls());
        kinds.extend(report.fired.iter().map(|fired| fired.fault.action.kind()));
        ended_well += usize::from(report.outcome.is_ok());
    }
    drop(reports);
    assert_eq!(kinds.len(), ActionKind::ALL.len(), "only {kinds:?} happened");
    // Both ends are seen, or the schedules show nothing.
    assert!(
        ended_well > cases.len() / 10 && ended_well < cases.len() * 9 / 10,
        "{ended_well} of {} ended well",
        cases.len()
    );
    network.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_schedules_in_plain_text_lose_and_repeat_nothing() {
    run_schedules(Network::plain(), 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_schedules_over_tls_lose_and_repeat_nothing_and_tell_corruption() {
    run_schedules(Network::tls(), 1).await;
}
