//! The executor: a query in batches of a size, handed to a sink one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use lakepilot_query::{Error, ErrorKind, Query, QueryService, RecordBatchStream, Result};
use tokio_util::sync::CancellationToken;

use crate::estimate::{Estimate, RowEstimator};
use crate::progress::{ProgressEvent, ProgressObserver};
use crate::rebatch::{Rebatcher, batch_bytes};
use crate::sink::BatchSink;
use crate::statistics::{Recorder, Statistics};

/// How large the batches are that a consumer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    /// As they arrive: nothing is merged or split.
    AsReceived,
    /// About this many bytes of rows in memory; a single row that is wider passes alone.
    Bytes(usize),
}

impl Default for BatchSize {
    /// The guide's 100 MB.
    fn default() -> Self {
        Self::Bytes(100_000_000)
    }
}

/// What an executor may be told.
#[derive(Clone, Debug, Default)]
pub struct ExecutionOptions {
    batch_size: BatchSize,
    cancellation: CancellationToken,
}

impl ExecutionOptions {
    /// The defaults: batches of 100 MB.
    pub fn new() -> Self {
        Self::default()
    }

    /// With batches of another size.
    #[must_use]
    pub fn with_batch_size(mut self, batch_size: BatchSize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// With a token that calls runs off.
    #[must_use]
    pub fn with_cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = token;
        self
    }
}

/// Runs large queries in batches, with progress and statistics.
#[derive(Clone)]
pub struct BatchedExecutor {
    service: Arc<dyn QueryService>,
    options: ExecutionOptions,
    estimator: Option<Arc<dyn RowEstimator>>,
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
    /// At most two batches are held at one time: while the sink writes one, the next is gathered. A sink that is slow
    /// therefore slows the server down. Dropping the future calls the query off, and the sink leaves nothing half-written.
    ///
    /// # Errors
    /// Those of the service and of the sink; `Cancelled` when the token called the run off. The sink was then aborted.
    pub async fn execute(
        &self,
        query: &Query,
        sink: &mut dyn BatchSink,
        observer: &dyn ProgressObserver,
    ) -> Result<Statistics> {
        let outcome = tokio::select! {
            biased;
            () = self.options.cancellation.cancelled() => {
                Err(Error::new(ErrorKind::Cancelled, "the run was called off"))
            }
            outcome = self.drive(query, sink, observer) => outcome,
        };
        match outcome {
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

    async fn drive(
        &self,
        query: &Query,
        sink: &mut dyn BatchSink,
        observer: &dyn ProgressObserver,
    ) -> Result<Statistics> {
        let start = Instant::now();
        let mut recorder = Recorder::new();
        let stream = self.service.run(query).await?;
        let schema = stream.schema();
        recorder.planned(start.elapsed());
        observer.on_event(&ProgressEvent::Started {
            schema: Arc::clone(&schema),
        });
        sink.start(Arc::clone(&schema)).await?;

        // Asked only now: the query is already running.
        let mut estimate = None;
        {
            let source = Source::new(stream, schema, self.options.batch_size, start);
            let estimating = self.estimate(query, observer);
            let pumping = pump(source, sink, observer, &mut recorder);
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
        sink.finish().await?;
        Ok(recorder.finish(start.elapsed(), estimate))
    }

    async fn estimate(&self, query: &Query, observer: &dyn ProgressObserver) -> Option<Estimate> {
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
) -> Result<()> {
    let mut index = 0;
    let mut current = timed_next(&mut source, observer, recorder).await?;
    while let Some(batch) = current {
        let rows = batch.num_rows() as u64;
        let bytes = batch_bytes(&batch);
        recorder.in_flight(bytes + source.held_bytes());
        let (written, (next, waited)) = write_and_gather(&mut source, sink, observer, index, batch).await?;
        recorder.consumed(rows, bytes as u64, written);
        observer.on_event(&ProgressEvent::Batch {
            index,
            rows,
            bytes: bytes as u64,
            total_rows: recorder.totals().0,
            elapsed: source.start.elapsed(),
        });
        recorder.waited(waited);
        recorder.in_flight(
            bytes + source.held_bytes() + next.as_ref().ok().and_then(Option::as_ref).map_or(0, batch_bytes),
        );
        current = next?;
        index += 1;
    }
    Ok(())
}

/// Writes a batch while the next one is gathered; tells how long each took.
async fn write_and_gather(
    source: &mut Source,
    sink: &mut dyn BatchSink,
    observer: &dyn ProgressObserver,
    index: u64,
    batch: RecordBatch,
) -> Result<(Duration, (Result<Option<RecordBatch>>, Duration))> {
    let begun = Instant::now();
    let writing = async { sink.write(index, batch).await.map(|()| begun.elapsed()) };
    let gathering = async { (source.next(observer).await, begun.elapsed()) };
    futures::pin_mut!(writing, gathering);
    // A sink that fails is not to wait for a server that is slow.
    match futures::future::select(writing, gathering).await {
        futures::future::Either::Left((written, gathering)) => Ok((written?, gathering.await)),
        futures::future::Either::Right((gathered, writing)) => Ok((writing.await?, gathered)),
    }
}

async fn timed_next(
    source: &mut Source,
    observer: &dyn ProgressObserver,
    recorder: &mut Recorder,
) -> Result<Option<RecordBatch>> {
    let begun = Instant::now();
    let next = source.next(observer).await;
    recorder.waited(begun.elapsed());
    if let Some(first_batch) = source.first_batch {
        recorder.first_batch(first_batch.duration_since(source.start));
    }
    next
}

/// The stream of the service, as batches of the size that was asked for.
struct Source {
    stream: RecordBatchStream,
    rebatcher: Option<Rebatcher>,
    start: Instant,
    first_batch: Option<Instant>,
    ended: bool,
    rows: u64,
    bytes: u64,
}

impl Source {
    fn new(stream: RecordBatchStream, schema: SchemaRef, batch_size: BatchSize, start: Instant) -> Self {
        Self {
            stream,
            rebatcher: match batch_size {
                BatchSize::AsReceived => None,
                BatchSize::Bytes(bytes) => Some(Rebatcher::new(schema, bytes)),
            },
            start,
            first_batch: None,
            ended: false,
            rows: 0,
            bytes: 0,
        }
    }

    fn held_bytes(&self) -> usize {
        self.rebatcher.as_ref().map_or(0, Rebatcher::buffered_bytes)
    }

    async fn next(&mut self, observer: &dyn ProgressObserver) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.rebatcher.as_mut().and_then(Rebatcher::pop) {
                return Ok(Some(batch));
            }
            if self.ended {
                return self.rebatcher.as_mut().map_or(Ok(None), Rebatcher::finish);
            }
            match self.stream.next().await.transpose()? {
                None => self.ended = true,
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => {
                    self.received(&batch, observer);
                    match &mut self.rebatcher {
                        Some(rebatcher) => rebatcher.push(batch)?,
                        None => return Ok(Some(batch)),
                    }
                }
            }
        }
    }

    fn received(&mut self, batch: &RecordBatch, observer: &dyn ProgressObserver) {
        self.first_batch.get_or_insert_with(Instant::now);
        self.rows += batch.num_rows() as u64;
        self.bytes += batch_bytes(batch) as u64;
        observer.on_event(&ProgressEvent::Received {
            rows: self.rows,
            bytes: self.bytes,
            elapsed: self.start.elapsed(),
        });
    }
}
