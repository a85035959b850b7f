//! The slices of a query, each into a file of its own.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakepilot_query::{Error, ErrorKind, Query, Result, TimeRange};
use serde::Serialize;
use tokio::task::JoinSet;

use super::manifest::{Directory, Manifest, Part};
use crate::estimate::Estimate;
use crate::executor::{BatchedExecutor, Run};
use crate::faults::{Retries, RetryPolicy};
use crate::memory::Memory;
use crate::progress::{EventReceiver, EventSender, ProgressEvent, ProgressObserver};
use crate::sink::{BatchSink, Encoding, FileSink, SinkSummary};
use crate::slices::Slicing;
use crate::statistics::{Recorder, Statistics};

/// Where the parts of a run go.
#[derive(Clone, Debug)]
pub struct PartsDirectory {
    path: PathBuf,
    format: Encoding,
    server: String,
}

impl PartsDirectory {
    /// A directory, which is made when there is none, for files of a format. `server` is the address of what is asked: a
    /// run that is taken up again has to ask the same.
    pub fn new(path: impl Into<PathBuf>, format: impl Into<Encoding>, server: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            format: format.into(),
            server: server.into(),
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What a run into a directory has come to.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PartsOutcome {
    /// Of what this run has fetched.
    pub statistics: Statistics,
    /// Every part of the directory, in the order of time.
    pub parts: Vec<Part>,
    /// How many of them were there, and whole, before this run.
    pub parts_kept: usize,
}

impl PartsOutcome {
    /// The rows of all parts.
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }
}

impl BatchedExecutor {
    /// Runs the slices of a query into a directory, a file each, several at a time.
    ///
    /// A part appears under its name when it is whole, and is then told of in the directory's journal. Run again with the
    /// same query, slices and server, after whatever end (also `kill -9`), this checks the parts that are there and makes
    /// only those that are missing or damaged. A slice that fails in a way that may pass is asked again whole, also after
    /// rows. When a slice fails for good, no other is begun, those that run are brought to their end, and the error is
    /// returned; what is there then stays.
    ///
    /// The files are named by the order of time, so that they read in order of their names as an
    /// [`Ascending`](crate::SliceOrder::Ascending) run would.
    ///
    /// # Errors
    /// As [`execute_sliced`](Self::execute_sliced); `InvalidInput` when the directory holds something else, or parts of a
    /// run with another query, time range, cut, schema or server, or is written by another process.
    pub async fn execute_into_directory(
        &self,
        query: &Query,
        slicing: &Slicing,
        directory: &PartsDirectory,
        observer: &dyn ProgressObserver,
    ) -> Result<PartsOutcome> {
        let work = self.fill_directory(query, slicing, directory, observer);
        let outcome = self.within_limits(work).await;
        match &outcome {
            Ok(outcome) => observer.on_event(&ProgressEvent::Finished(Box::new(outcome.statistics.clone()))),
            Err(error) => observer.on_event(&ProgressEvent::Failed {
                message: error.to_string(),
            }),
        }
        outcome
    }

    async fn fill_directory(
        &self,
        query: &Query,
        slicing: &Slicing,
        target: &PartsDirectory,
        observer: &dyn ProgressObserver,
    ) -> Result<PartsOutcome> {
        let start = Instant::now();
        let manifest = Manifest::new(&target.server, query, slicing, target.format.format())?;
        let path = target.path.clone();
        let (opened, parts) = blocking(move || Directory::open(&path, &manifest)).await?;
        let parts_kept = parts.len();
        observer.on_event(&ProgressEvent::PartsKept {
            parts: parts_kept,
            rows: parts.values().map(|part| part.rows).sum(),
        });

        let (events, arriving) = EventSender::channel();
        let waiting = slices_of(query, slicing)?
            .filter(|slice| !parts.contains_key(&slice.index))
            .collect();
        let writer = Arc::new(PartWriter {
            executor: self.for_one_of(slicing.parallel()),
            directory: Arc::new(Mutex::new(opened)),
            format: target.format,
            retries: self.retries(),
            totals: Totals::new(start, events.clone()),
            events,
            memory: Arc::default(),
        });
        writer
            .executor
            .tell_batch_size(false, writer.format.format().keeps_batches(), observer);
        let mut all = AllParts {
            waiting,
            parallel: slicing.parallel(),
            running: JoinSet::new(),
            writer: Arc::clone(&writer),
            parts,
            recorder: Recorder::new(),
            failure: None,
        };
        let estimate = {
            let estimating = self.estimate(query, observer);
            all.run(arriving, estimating, observer).await
        };
        if let Some(error) = all.failure {
            return Err(error);
        }
        // The estimate is of the whole query, so it says nothing of a run that did a part of it.
        let estimate = estimate.filter(|_| parts_kept == 0);
        let mut statistics = all.recorder.finish(start.elapsed(), writer.memory.most(), estimate);
        statistics.slices = slicing.slices().len() as u64;
        statistics.retries = u64::from(writer.retries.count());
        Ok(PartsOutcome {
            statistics,
            parts: all.parts.into_values().collect(),
            parts_kept,
        })
    }
}

struct Slice {
    index: usize,
    range: TimeRange,
    query: Query,
}

fn slices_of(query: &Query, slicing: &Slicing) -> Result<impl Iterator<Item = Slice>> {
    let slices = slicing.queries(query)?.into_iter().zip(slicing.slices()).enumerate();
    Ok(slices.map(|(index, (query, range))| Slice {
        index,
        range: *range,
        query,
    }))
}

/// The parts that are to be made, in as many tasks as run at a time.
struct AllParts {
    waiting: VecDeque<Slice>,
    parallel: usize,
    running: JoinSet<Result<(Part, Recorder)>>,
    writer: Arc<PartWriter>,
    parts: BTreeMap<usize, Part>,
    recorder: Recorder,
    /// The first one, after which none is begun.
    failure: Option<Error>,
}

impl AllParts {
    /// Runs all of them; returns the estimate, if it came in time.
    async fn run(
        &mut self,
        mut arriving: EventReceiver,
        estimating: impl Future<Output = Option<Estimate>>,
        observer: &dyn ProgressObserver,
    ) -> Option<Estimate> {
        futures::pin_mut!(estimating);
        let (mut estimate, mut asking) = (None, true);
        loop {
            self.begin_parts(observer);
            if self.running.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                Some(event) = arriving.recv() => self.tell(&event, observer),
                Some(done) = self.running.join_next() => self.ended(done, observer),
                arrived = &mut estimating, if asking => {
                    estimate = arrived;
                    asking = false;
                }
            }
        }
        while let Ok(event) = arriving.try_recv() {
            self.tell(&event, observer);
        }
        estimate
    }

    fn tell(&mut self, event: &ProgressEvent, observer: &dyn ProgressObserver) {
        if let ProgressEvent::Received { elapsed, .. } = event {
            self.recorder.first_batch(*elapsed);
        }
        observer.on_event(event);
    }

    fn begin_parts(&mut self, observer: &dyn ProgressObserver) {
        while self.failure.is_none() && self.running.len() < self.parallel {
            let Some(slice) = self.waiting.pop_front() else { return };
            observer.on_event(&ProgressEvent::SliceStarted {
                index: slice.index,
                range: slice.range,
            });
            self.running.spawn(Arc::clone(&self.writer).write(slice));
        }
    }

    fn ended(
        &mut self,
        done: std::result::Result<Result<(Part, Recorder)>, tokio::task::JoinError>,
        observer: &dyn ProgressObserver,
    ) {
        let lost = |error| Error::new(ErrorKind::Internal, "the task of a slice ended early").with_source(error);
        match done.map_err(lost).and_then(|outcome| outcome) {
            Ok((part, recorder)) => {
                observer.on_event(&ProgressEvent::SliceFinished {
                    index: part.index,
                    rows: part.rows,
                });
                self.recorder.absorb(&recorder);
                self.parts.insert(part.index, part);
            }
            Err(error) => {
                self.failure.get_or_insert(error);
            }
        }
    }
}

/// Makes one part after the other.
struct PartWriter {
    executor: BatchedExecutor,
    directory: Arc<Mutex<Directory>>,
    format: Encoding,
    retries: Retries,
    totals: Totals,
    events: EventSender,
    memory: Arc<Memory>,
}

impl PartWriter {
    async fn write(self: Arc<Self>, slice: Slice) -> Result<(Part, Recorder)> {
        let told = |error: Error| error.context(format!("the slice {}", slice.range));
        let mut made = 0;
        loop {
            // Nothing of a part is handed over before it is whole, so it may be asked again after rows too.
            match self.attempt(&slice).await {
                Ok(done) => return Ok(done),
                Err(error) => {
                    let retry = self.retries.after(made, error).map_err(told)?;
                    made = retry.number;
                    self.events.send(ProgressEvent::SliceRetried {
                        index: slice.index,
                        reason: retry.reason,
                    });
                    tokio::time::sleep(retry.delay).await;
                }
            }
        }
    }

    async fn attempt(&self, slice: &Slice) -> Result<(Part, Recorder)> {
        let path = self.directory().path_of(slice.index);
        let mut sink = PartSink {
            file: FileSink::create(path, self.format)?,
            directory: Arc::clone(&self.directory),
        };
        let run = Run {
            query: &slice.query,
            slicing: None,
            retries: Retries::new(RetryPolicy::none()),
            events: self.events.clone(),
            memory: Arc::clone(&self.memory),
            // What a part took before it failed is thrown away with it.
            delivered: Arc::default(),
        };
        let received = Received {
            totals: &self.totals,
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        };
        let recorder = match self.executor.work(&run, &mut sink, &received).await {
            Ok((recorder, _)) => recorder,
            Err(error) => {
                // The rows of this attempt are fetched again, and count then.
                received.take_back();
                return Err(error);
            }
        };
        let (directory, index, rows) = (Arc::clone(&self.directory), slice.index, recorder.rows());
        let part = blocking(move || lock(&directory).record(index, rows)).await?;
        Ok((part, recorder))
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        lock(&self.directory)
    }
}

fn lock(directory: &Mutex<Directory>) -> MutexGuard<'_, Directory> {
    directory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what waits for a disk where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(ErrorKind::Internal, "the task that writes ended early").with_source(error))?
}

/// A file whose schema has to be that of the other parts.
struct PartSink {
    file: FileSink,
    directory: Arc<Mutex<Directory>>,
}

#[async_trait]
impl BatchSink for PartSink {
    async fn start(&mut self, schema: SchemaRef) -> Result<()> {
        let (directory, told) = (Arc::clone(&self.directory), Arc::clone(&schema));
        blocking(move || lock(&directory).agree_on_schema(&told)).await?;
        self.file.start(schema).await
    }

    async fn write(&mut self, index: u64, batch: RecordBatch) -> Result<()> {
        self.file.write(index, batch).await
    }

    async fn finish(&mut self) -> Result<SinkSummary> {
        self.file.finish().await
    }

    async fn abort(&mut self) {
        self.file.abort().await;
    }

    fn limit_memory(&mut self, bytes: usize) {
        self.file.limit_memory(bytes);
    }

    fn held_bytes(&self) -> usize {
        self.file.held_bytes()
    }

    fn keeps_batches(&self) -> bool {
        self.file.keeps_batches()
    }
}

/// The rows and bytes that have arrived in all slices.
struct Totals {
    start: Instant,
    events: EventSender,
    /// Whether a slice has answered.
    started: AtomicBool,
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Totals {
    fn new(start: Instant, events: EventSender) -> Self {
        Self {
            start,
            events,
            started: AtomicBool::new(false),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }
}

/// Adds what arrives in one attempt at a slice to the totals.
struct Received<'a> {
    totals: &'a Totals,
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Received<'_> {
    fn take_back(&self) {
        self.totals
            .rows
            .fetch_sub(self.rows.load(Ordering::Relaxed), Ordering::Relaxed);
        self.totals
            .bytes
            .fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl ProgressObserver for Received<'_> {
    fn on_event(&self, event: &ProgressEvent) {
        if let ProgressEvent::Started { .. } = event {
            // All parts have one schema, so that the first tells it for all.
            if !self.totals.started.swap(true, Ordering::Relaxed) {
                self.totals.events.send(event.clone());
            }
        }
        let ProgressEvent::Received { rows, bytes, .. } = event else {
            return;
        };
        let added_rows = rows - self.rows.swap(*rows, Ordering::Relaxed);
        let added_bytes = bytes - self.bytes.swap(*bytes, Ordering::Relaxed);
        let all_rows = self.totals.rows.fetch_add(added_rows, Ordering::Relaxed) + added_rows;
        let all_bytes = self.totals.bytes.fetch_add(added_bytes, Ordering::Relaxed) + added_bytes;
        self.totals.events.send(ProgressEvent::Received {
            rows: all_rows,
            bytes: all_bytes,
            elapsed: self.totals.start.elapsed(),
        });
    }
}
