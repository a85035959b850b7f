//! `lakepilot run`: a large query in batches, with progress and statistics.

mod cut;
mod estimator;
mod place;
mod summary;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lakepilot_analysis::ResultEstimate;
use lakepilot_execution::{
    BatchSink, BatchSize, BatchedExecutor, ExecutionOptions, Part, PartsDirectory, PartsRequest, ProgressObserver,
    Slicing, Statistics,
};
use lakepilot_query::{Dictionaries, Error, ErrorKind, Query, QueryService, Result};
use tokio_util::sync::CancellationToken;

use self::place::{Place, request_of};
pub(crate) use self::summary::describe;
use super::query::dictionaries;
use crate::args::RunArgs;
use crate::context::Context;
use crate::exit::Outcome;
use crate::output;
use crate::progress::{RowsGo, RunProgress};
use crate::{guard, signals};

const BYTES_PER_MB: f64 = 1e6;

/// How often progress is looked at while nothing happens.
const TICK: Duration = Duration::from_millis(100);

pub(crate) async fn run(args: RunArgs, context: &Context) -> Result<Outcome> {
    if let Some(directory) = &args.verify {
        context.refuse_time_range("a directory of parts knows its own")?;
        return verify::verify(directory, args.output.format).await;
    }
    // Its handlers stand before the first file is made.
    let signal = signals::listen()?;
    tokio::pin!(signal);
    let cancellation = CancellationToken::new();
    let job = tokio::select! {
        biased;
        signal = &mut signal => return Ok(Outcome::Stopped(signal)),
        job = Job::new(&args, context, cancellation.clone()) => job?,
    };
    let directory = job.directory().map(PathBuf::from);
    let progress = RunProgress::new(args.reports.progress, context.messages, job.slices(), job.rows_go);
    let running = job.run(&progress);
    tokio::pin!(running);
    let mut ticks = tokio::time::interval(TICK);
    let done = loop {
        tokio::select! {
            biased;
            signal = &mut signal => {
                cancellation.cancel();
                // Its outcome is that it was called off; what counts is that it has cleaned up.
                let _ = tokio::time::timeout(signals::CLEANUP_BOUND, running).await;
                progress.clear();
                if let Some(directory) = directory {
                    context.messages.tell(take_up(&directory));
                }
                return Ok(Outcome::Stopped(signal));
            }
            done = &mut running => break done,
            _ = ticks.tick() => progress.tick(),
        }
    };
    let done = done.inspect_err(|_| {
        if let Some(directory) = directory.as_ref().filter(|directory| has_manifest(directory)) {
            context.messages.tell(take_up(directory));
        }
    })?;
    if let Some(path) = &args.reports.stats {
        output::write_file(path, &summary::json(&done, context.url()?)?)?;
    }
    tell_done(&done, &args, context);
    Ok(Outcome::Done)
}

fn tell_done(done: &Done, args: &RunArgs, context: &Context) {
    match &done.parts {
        Some(parts) if parts.kept == parts.parts.len() => {
            context.messages.tell("nothing is missing, so nothing was fetched")
        }
        _ => context.messages.tell(describe(&done.statistics)),
    }
    match &done.parts {
        Some(parts) => context.messages.tell(parts.describe()),
        None => context.tell_written(args.output.output.as_deref()),
    }
}

fn has_manifest(directory: &Path) -> bool {
    PartsRequest::read(directory).is_ok_and(|request| request.is_some())
}

fn take_up(directory: &Path) -> String {
    format!(
        "the parts that are whole stay in {}; take the run up with: lakepilot run --resume {0}",
        directory.display()
    )
}

/// What a run has come to.
struct Done {
    query: Query,
    statistics: Statistics,
    parts: Option<PartsDone>,
}

/// What is in the directory of a run into parts.
struct PartsDone {
    directory: PathBuf,
    parts: Vec<Part>,
    kept: usize,
}

/// A run that is ready to begin.
struct Job {
    query: Query,
    slicing: Option<Slicing>,
    target: Target,
    rows_go: RowsGo,
    executor: BatchedExecutor,
}

enum Target {
    Sink(Box<dyn BatchSink>),
    Directory(PartsDirectory),
}

impl Job {
    async fn new(args: &RunArgs, context: &Context, cancellation: CancellationToken) -> Result<Self> {
        let place = Place::of(args)?;
        let options = options(args, cancellation)?;
        let asked = match &args.resume {
            Some(directory) => {
                context.refuse_time_range("the directory knows the one of its run")?;
                Asked::again(directory)?
            }
            None => Asked::new(args, context, &place)?,
        };
        let window_bytes = window_bytes(args)?;
        let service = context
            .service_with(|config| {
                let config = args.attempts.make_room(config);
                match window_bytes {
                    Some(bytes) => config.with_window_bytes(bytes),
                    None => config,
                }
            })
            .await?;
        let (query, slicing) = cut::cut(&asked, &args.slices, &place, &service, context.messages).await?;
        let estimate = guard::ensure_within(args.limits, service.as_ref(), &query, context).await?;
        let target = place.target(args.output.compression, asked.earlier.as_ref(), context)?;
        Ok(Self {
            executor: executor(args, options, &service, estimate.as_ref()),
            query,
            slicing,
            target,
            rows_go: place.rows_go(),
        })
    }

    fn slices(&self) -> Option<usize> {
        self.slicing.as_ref().map(|slicing| slicing.slices().len())
    }

    fn directory(&self) -> Option<&Path> {
        match &self.target {
            Target::Directory(directory) => Some(directory.path()),
            Target::Sink(_) => None,
        }
    }

    async fn run(self, progress: &dyn ProgressObserver) -> Result<Done> {
        let Self {
            query,
            slicing,
            target,
            executor,
            rows_go: _,
        } = self;
        let done = match (target, &slicing) {
            (Target::Sink(mut sink), None) => executor
                .execute(&query, sink.as_mut(), progress)
                .await
                .map(|statistics| (statistics, None)),
            (Target::Sink(mut sink), Some(slicing)) => executor
                .execute_sliced(&query, slicing, sink.as_mut(), progress)
                .await
                .map(|statistics| (statistics, None)),
            (Target::Directory(directory), Some(slicing)) => executor
                .execute_into_directory(&query, slicing, &directory, progress)
                .await
                .map(|outcome| {
                    let parts = PartsDone {
                        directory: directory.path().to_owned(),
                        parts: outcome.parts,
                        kept: outcome.parts_kept,
                    };
                    (outcome.statistics, Some(parts))
                }),
            (Target::Directory(_), None) => Err(Error::new(
                ErrorKind::Internal,
                "a run into a directory has no slices, not even one",
            )),
        };
        let (statistics, parts) = done?;
        Ok(Done {
            query,
            statistics,
            parts,
        })
    }
}

fn budget(args: &RunArgs) -> Result<Option<usize>> {
    let size = args.batches.memory_mb;
    size.map(|size| megabytes(size, "--memory-mb")).transpose()
}

/// What a server may send ahead is held here too, encoded: an eighth of the budget, of all streams.
fn window_bytes(args: &RunArgs) -> Result<Option<usize>> {
    let is_cut = args.slices.slices.is_some() || args.output.output_dir.is_some() || args.resume.is_some();
    let streams = if is_cut { args.slices.parallel.get() } else { 1 };
    Ok(budget(args)?.map(|bytes| bytes / 8 / streams))
}

fn options(args: &RunArgs, cancellation: CancellationToken) -> Result<ExecutionOptions> {
    let batch_size = match args.batches.batch_size_mb {
        Some(size) => BatchSize::Bytes(megabytes(size, "--batch-size-mb")?),
        None => BatchSize::Automatic,
    };
    let budget = budget(args)?;
    Ok(ExecutionOptions::new()
        .with_batch_size(batch_size)
        .with_memory_budget(budget)
        .with_timeouts(args.attempts.timeouts())
        .with_retry(args.attempts.retry_policy())
        .with_cancellation(cancellation))
}

fn megabytes(megabytes: f64, option: &str) -> Result<usize> {
    let bytes = megabytes * BYTES_PER_MB;
    if bytes >= 1.0 && bytes <= usize::MAX as f64 {
        return Ok(bytes as usize);
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("{option} {megabytes} is not a size: use a number above zero, such as 100"),
    ))
}

/// The executor, with the estimator that was chosen; an estimate that was made for the guard is not made again.
fn executor(
    args: &RunArgs,
    options: ExecutionOptions,
    service: &Arc<dyn QueryService>,
    estimate: Option<&ResultEstimate>,
) -> BatchedExecutor {
    let executor = BatchedExecutor::new(Arc::clone(service), options);
    match estimator::estimator(args.reports.estimate, Arc::clone(service), estimate) {
        Some(estimator) => executor.with_estimator(estimator),
        None => executor,
    }
}

/// What is asked, and what was asked earlier for the same directory.
struct Asked {
    query: Query,
    earlier: Option<PartsRequest>,
}

impl Asked {
    fn new(args: &RunArgs, context: &Context, place: &Place) -> Result<Self> {
        let query = context
            .query(&args.sql)?
            .with_limit(args.output.limit)
            .with_dictionaries(dictionaries(args.output.preserve_dictionary));
        let earlier = place.directory().map(PartsRequest::read).transpose()?.flatten();
        Ok(Self { query, earlier })
    }

    /// What was asked for the directory, once more.
    fn again(directory: &Path) -> Result<Self> {
        let request = request_of(directory)?;
        let dictionaries = if request.preserves_dictionaries {
            Dictionaries::Preserved
        } else {
            Dictionaries::Flattened
        };
        let query = Query::new(request.sql.as_str())?
            .with_time_range(request.time_range())
            .with_dictionaries(dictionaries);
        Ok(Self {
            query,
            earlier: Some(request),
        })
    }
}
