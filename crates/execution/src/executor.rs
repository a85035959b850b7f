//! The executor: a query in batches of a size, handed to a sink one after the other.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lakepilot_query::{Error, ErrorKind, Query, QueryService, RecordBatchStream, Result};

use crate::estimate::{Estimate, RowEstimator};
use crate::faults::{DeadlineService, Retries, Retry, RetryingService};
use crate::memory::{Held, Memory};
use crate::metering::{MeteredService, Usage};
use crate::options::ExecutionOptions;
use crate::progress::{EventSender, ProgressEvent, ProgressObserver};
use crate::sink::BatchSink;
use crate::size::{Meter, batch_bytes};
use crate::slices::{SliceRun, Slicing, run_slices};
use crate::source::Source;
use crate::statistics::{Recorder, Statistics};

/// Runs large queries in batches, with progress and statistics.
#[derive(Clone)]
pub struct BatchedExecutor {
    service: Arc<dyn QueryService>,
    options: ExecutionOptions,
    estimator: Option<Arc<dyn RowEstimator>>,
}

/// What is asked in one run.
pub(crate) struct Run<'a> {
    pub(crate) query: &'a Query,
    pub(crate) slicing: Option<&'a Slicing>,
    pub(crate) retries: Retries,
    pub(crate) events: EventSender,
    pub(crate) memory: Arc<Memory>,
    pub(crate) delivered: Arc<Delivered>,
}

/// What the sink has taken: to be told with an error, whichever way a run comes to it.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    rows: AtomicU64,
    batches: AtomicU64,
}

impl Delivered {
    fn add(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    fn told_with(&self, error: Error) -> Error {
        match (self.rows.load(Ordering::Relaxed), self.batches.load(Ordering::Relaxed)) {
            (_, 0) => error,
            (rows, batches) => error.context(format!("after {rows} rows in {batches} batches were delivered")),
        }
    }
}

impl BatchedExecutor {
    /// An executor on a service.
    pub fn new(service: Arc<dyn QueryService>, options: ExecutionOptions) -> Self {
        Self {
            service,
            options,
            estimator: None,
        }
    }

    /// The same executor with an estimator, which is asked while the query runs and never delays it.
    #[must_use]
    pub fn with_estimator(mut self, estimator: Arc<dyn RowEstimator>) -> Self {
        self.estimator = Some(estimator);
        self
    }

    /// Runs a query into a sink.
    ///
    /// While the sink writes one batch, the rows of the next are gathered, and no more than these: a sink that is slow
    /// slows the server down. They are merged when the sink is done, so that no more than two batches are held. Dropping the future calls the query off, and the sink leaves nothing half-written.
    ///
    /// # Errors
    /// Those of the service and of the sink; `TimedOut` when a limit of time ran out; `Cancelled` when the token called the
    /// run off. The sink was then aborted. The message tells how many rows it had taken before, if any.
    pub async fn execute(
        &self,
        query: &Query,
        sink: &mut dyn BatchSink,
        observer: &dyn ProgressObserver,
    ) -> Result<Statistics> {
        self.run_into(query, None, sink, observer).await
    }

    /// Runs a query in slices of its time range, several at a time, into one sink. The rows are exactly those of the query
    /// run whole, in the order that the slicing asks for.
    ///
    /// Needs a Tokio runtime: each slice is a task of its own.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and `InvalidInput` when the slices are not those of the query.
    pub async fn execute_sliced(
        &self,
        query: &Query,
        slicing: &Slicing,
        sink: &mut dyn BatchSink,
        observer: &dyn ProgressObserver,
    ) -> Result<Statistics> {
        self.run_into(query, Some(slicing), sink, observer).await
    }

    async fn run_into(
        &self,
        query: &Query,
        slicing: Option<&Slicing>,
        sink: &mut dyn BatchSink,
        observer: &dyn ProgressObserver,
    ) -> Result<Statistics> {
        let delivered = Arc::<Delivered>::default();
        let work = self.drive(query, slicing, Arc::clone(&delivered), sink, observer);
        let outcome = self.within_limits(work).await;
        match outcome.map_err(|error| delivered.told_with(error)) {
            Ok(statistics) => {
                observer.on_event(&ProgressEvent::Finished(Box::new(statistics.clone())));
                Ok(statistics)
            }
            Err(error) => {
                sink.abort().await;
                observer.on_event(&ProgressEvent::Failed {
                    message: error.to_string(),
                });
                Err(error)
            }
        }
    }

    /// The outcome of the work, unless the token or the limit on the whole ends it before.
    pub(crate) async fn within_limits<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.options.cancellation.cancelled() => {
                Err(Error::new(ErrorKind::Cancelled, "the run was called off"))
            }
            outcome = self.options.timeouts.limit_whole(work) => outcome,
        }
    }

    /// An executor for one of so many runs at the same time, which share the budget and are observed together.
    pub(crate) fn for_one_of(&self, runs: usize) -> Self {
        let budget = self.options.memory_budget_bytes.map(|bytes| bytes / runs);
        Self {
            service: Arc::clone(&self.service),
            options: self.options.clone().with_memory_budget(budget),
            estimator: None,
        }
    }

    /// Tells when the budget makes batches smaller than they were asked for.
    pub(crate) fn tell_batch_size(&self, sliced: bool, keeps_batches: bool, observer: &dyn ProgressObserver) {
        if let (Some(asked_bytes), Some(bytes)) = (
            self.options.batch_size.bytes(keeps_batches),
            self.options.shares(sliced, keeps_batches).batch_bytes,
        ) && bytes < asked_bytes
        {
            observer.on_event(&ProgressEvent::BatchSizeLowered { asked_bytes, bytes });
        }
    }

    /// The retries of one run.
    pub(crate) fn retries(&self) -> Retries {
        Retries::new(self.options.retry)
    }

    /// Works, and passes on what happens elsewhere: in the tasks of slices, and between two attempts.
    async fn drive(
        &self,
        query: &Query,
        slicing: Option<&Slicing>,
        delivered: Arc<Delivered>,
        sink: &mut dyn BatchSink,
        observer: &dyn ProgressObserver,
    ) -> Result<Statistics> {
        let start = Instant::now();
        let (events, mut arriving) = EventSender::channel();
        let run = Run {
            query,
            slicing,
            retries: self.retries(),
            events,
            memory: Arc::default(),
            delivered,
        };
        self.tell_batch_size(slicing.is_some(), sink.keeps_batches(), observer);
        let working = self.work(&run, sink, observer);
        futures::pin_mut!(working);
        let outcome = loop {
            tokio::select! {
                biased;
                Some(event) = arriving.recv() => observer.on_event(&event),
                outcome = &mut working => break outcome,
            }
        };
        while let Ok(event) = arriving.try_recv() {
            observer.on_event(&event);
        }
        let (recorder, estimate) = outcome?;
        let mut statistics = recorder.finish(start.elapsed(), run.memory.most(), estimate);
        statistics.slices = slicing.map_or(1, |slicing| slicing.slices().len() as u64);
        statistics.retries = u64::from(run.retries.count());
        Ok(statistics)
    }

    /// Hands all rows to the sink and finishes it; an error leaves it to the caller to abort it.
    pub(crate) async fn work(
        &self,
        run: &Run<'_>,
        sink: &mut dyn BatchSink,
        observer: &dyn ProgressObserver,
    ) -> Result<(Recorder, Option<Estimate>)> {
        let start = Instant::now();
        let mut recorder = Recorder::new();
        let shares = self.options.shares(run.slicing.is_some(), sink.keeps_batches());
        let usage = Arc::new(Usage::default());
        let stream = self.open(run, shares.queues_bytes, &usage).await?;
        let schema = stream.schema();
        observer.on_event(&ProgressEvent::Started {
            schema: Arc::clone(&schema),
        });
        if let Some(bytes) = shares.sink_bytes {
            sink.limit_memory(bytes);
        }
        let opening = Instant::now();
        sink.start(schema).await?;
        recorder.in_sink(opening.elapsed());

        // Asked only now: the query is already running.
        let mut estimate = None;
        {
            let source = Source::new(stream, shares.batch_bytes, start, &run.memory);
            let estimating = self.estimate(run.query, observer);
            let pumping = pump(source, sink, observer, &mut recorder, run);
            futures::pin_mut!(estimating, pumping);
            let mut asking = self.estimator.is_some();
            loop {
                tokio::select! {
                    biased;
                    done = &mut pumping => break done?,
                    arrived = &mut estimating, if asking => {
                        estimate = arrived;
                        asking = false;
                    }
                }
            }
        }
        let finishing = Instant::now();
        let summary = sink.finish().await?;
        recorder.in_sink(finishing.elapsed());
        recorder.wrote(&summary);
        recorder.used(usage.used());
        Ok((recorder, estimate))
    }

    /// The rows of the query, whole or of all its slices.
    async fn open(&self, run: &Run<'_>, queues_bytes: usize, usage: &Arc<Usage>) -> Result<RecordBatchStream> {
        let metered = MeteredService::new(Arc::clone(&self.service), Arc::clone(usage));
        let attempts = DeadlineService::new(metered, self.options.timeouts.of_an_attempt());
        let Some(slicing) = run.slicing else {
            let events = run.events.clone();
            let on_retry = move |retry: &Retry| {
                events.send(ProgressEvent::Retried {
                    number: retry.number,
                    delay: retry.delay,
                    reason: retry.reason.clone(),
                });
            };
            let service = RetryingService::observed(attempts, run.retries.clone(), Arc::new(on_retry));
            return service.run(run.query).await;
        };
        let slices = SliceRun {
            service: Arc::new(attempts),
            budget_bytes: queues_bytes,
            retries: run.retries.clone(),
            events: run.events.clone(),
            memory: Arc::clone(&run.memory),
        };
        run_slices(slices, run.query, slicing).await
    }

    pub(crate) async fn estimate(&self, query: &Query, observer: &dyn ProgressObserver) -> Option<Estimate> {
        let estimator = self.estimator.as_ref()?;
        let reason = match estimator.estimate(query).await {
            Ok(Some(estimate)) => {
                observer.on_event(&ProgressEvent::EstimateArrived(estimate.clone()));
                return Some(estimate);
            }
            Ok(None) => "nothing is known of the size of the result".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::debug!(%reason, "no estimate");
        observer.on_event(&ProgressEvent::EstimateUnavailable { reason });
        None
    }
}

/// Hands every batch to the sink, while the next one is gathered.
async fn pump(
    mut source: Source,
    sink: &mut dyn BatchSink,
    observer: &dyn ProgressObserver,
    recorder: &mut Recorder,
    run: &Run<'_>,
) -> Result<()> {
    let mut index = 0;
    let mut meter = Meter::default();
    let (mut with_consumer, mut in_sink) = (Held::nothing(&run.memory), Held::nothing(&run.memory));
    let begun = Instant::now();
    let mut current = source.next(observer).await?;
    recorder.starved(begun.elapsed());
    if let Some(first_batch) = source.first_batch() {
        recorder.first_batch(first_batch.duration_since(source.start()));
    }
    while let Some(batch) = current {
        let rows = batch.num_rows() as u64;
        let bytes = meter.added_bytes(&batch) as u64;
        with_consumer.set(batch_bytes(&batch));
        let writing = async {
            let begun = Instant::now();
            sink.write(index, batch).await?;
            run.delivered.add(rows);
            Ok(begun.elapsed())
        };
        let (written, (outcome, gathered)) = write_and_gather(&mut source, observer, writing).await?;
        with_consumer.set(0);
        in_sink.set(sink.held_bytes());
        recorder.consumed(rows, bytes, written);
        observer.on_event(&ProgressEvent::Batch {
            index,
            rows,
            bytes,
            total_rows: recorder.rows(),
            elapsed: source.start().elapsed(),
        });
        index += 1;
        // What is merged takes as much memory again, so it waits until the batch before is gone.
        let begun = Instant::now();
        let next = match outcome {
            Ok(()) => source.next(observer).await,
            Err(error) => Err(error),
        };
        recorder.starved(gathered.saturating_sub(written) + begun.elapsed());
        current = next?;
    }
    recorder.merged(source.merge_time());
    Ok(())
}

/// Writes a batch while the next one is gathered; tells how long each took.
async fn write_and_gather(
    source: &mut Source,
    observer: &dyn ProgressObserver,
    writing: impl Future<Output = Result<Duration>>,
) -> Result<(Duration, (Result<()>, Duration))> {
    let begun = Instant::now();
    let gathering = async { (source.gather(observer).await, begun.elapsed()) };
    futures::pin_mut!(writing, gathering);
    // A sink that fails is not to wait for a server that is slow.
    match futures::future::select(writing, gathering).await {
        futures::future::Either::Left((written, gathering)) => Ok((written?, gathering.await)),
        futures::future::Either::Right((gathered, writing)) => Ok((writing.await?, gathered)),
    }
}
