//! Realistic telemetry, seeded and repeatable: several processes, weeks of partitions, millions of rows in seconds.

mod events;
mod inventory;
mod logs;
mod measures;
mod population;
mod schedule;
mod spans;
mod text;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, SchemaRef};
use chrono::{DateTime, Utc};
use lakepilot_query::{Error, ErrorKind, Result, to_rfc3339};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::store::Lake;
use crate::views::{ViewSet, view_set};
use population::Population;
use schedule::{Interval, Schedule};

/// What is generated.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// How many log entries there are; measures, spans and events grow with them.
    pub rows: u64,
    /// How many days of telemetry there are, up to `end`.
    pub days: u32,
    /// How many processes send it.
    pub processes: u32,
    /// The seed: the same seed and options, `end` included, give the same rows.
    pub seed: u64,
    /// The end of the telemetry; it is moved back to the hour.
    pub end: DateTime<Utc>,
}

impl GenerateOptions {
    /// A million log entries of eight processes over fourteen days, up to a time.
    pub fn until(end: DateTime<Utc>) -> Self {
        Self {
            rows: 1_000_000,
            days: 14,
            processes: 8,
            seed: 42,
            end,
        }
    }
}

/// What was generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateReport {
    /// Log entries.
    pub log_entries: u64,
    /// Measures.
    pub measures: u64,
    /// Spans of all thread streams.
    pub thread_spans: u64,
    /// Async events of all processes.
    pub async_events: u64,
    /// The processes, the most talkative first.
    pub process_ids: Vec<String>,
    /// The processes, among those, that have view instances of their own already.
    pub materialised_process_ids: Vec<String>,
    /// The first instant of insert time.
    pub begin: DateTime<Utc>,
    /// The end of insert time, which does not belong to it.
    pub end: DateTime<Utc>,
}

const MOST_DAYS: u32 = 3_650;
const MOST_PROCESSES: u32 = 10_000;
/// Encoding is what takes the time; more threads than this meet at the disk.
const MOST_THREADS: usize = 4;

/// Fills a lake with telemetry. `on_progress` is told how many of how many steps are done, from any thread.
///
/// Older days become daily partitions, the last two days hourly ones. Half of the processes get view instances of their
/// own.
///
/// # Errors
/// `InvalidInput` for options out of bounds; `Io` when the lake cannot be written.
pub fn generate(
    lake: &Lake,
    options: &GenerateOptions,
    on_progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<GenerateReport> {
    check(options)?;
    let schedule = Schedule::new(options)?;
    let population = Population::new(options, &schedule)?;
    let instances = population.materialised();
    let steps = schedule.intervals().len() + instances.len();
    let done = AtomicUsize::new(0);
    let step_done = || on_progress(done.fetch_add(1, Ordering::Relaxed) + 1, steps);

    let counts = Mutex::new([0_u64; 4]);
    in_parallel(schedule.intervals(), &|interval| {
        let written = write_interval(lake, options, &population, interval)?;
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (sum, rows) in counts.iter_mut().zip(written) {
            *sum += rows;
        }
        step_done();
        Ok(())
    })?;
    for (view_set, instance) in &instances {
        lake.ensure_instance(view_set, instance, None)?;
        step_done();
    }
    let [log_entries, measures, thread_spans, async_events] =
        counts.into_inner().unwrap_or_else(PoisonError::into_inner);
    let ids = |materialised: bool| {
        population
            .processes()
            .iter()
            .filter(|process| !materialised || process.materialised)
            .map(|process| process.id.clone())
            .collect()
    };
    Ok(GenerateReport {
        log_entries,
        measures,
        thread_spans,
        async_events,
        process_ids: ids(false),
        materialised_process_ids: ids(true),
        begin: schedule.begin(),
        end: schedule.end(),
    })
}

fn check(options: &GenerateOptions) -> Result<()> {
    let refuse = |what: &str| Err(Error::new(ErrorKind::InvalidInput, what.to_owned()));
    if options.days == 0 || options.days > MOST_DAYS {
        return refuse("the number of days has to be from 1 to 3650");
    }
    if options.processes == 0 || options.processes > MOST_PROCESSES {
        return refuse("the number of processes has to be from 1 to 10000");
    }
    if options.rows > 1_000_000_000 {
        return refuse("a thousand million log entries are the most that can be generated");
    }
    Ok(())
}

/// Does the work of every item on a few threads; the first error ends it.
fn in_parallel<T: Sync>(items: &[T], work: &(dyn Fn(&T) -> Result<()> + Sync)) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = work(item) {
                        next.store(items.len(), Ordering::Relaxed);
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            });
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Writes the source rows of an interval, and the partitions of the global instances; returns the rows of the four big
/// views.
fn write_interval(
    lake: &Lake,
    options: &GenerateOptions,
    population: &Population,
    interval: &Interval,
) -> Result<[u64; 4]> {
    // A generator for each view of each interval: threads cannot change what is generated.
    let random = |salt: u64| {
        let mixed = options.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (interval.index as u64) << 8 ^ salt;
        SmallRng::seed_from_u64(mixed)
    };
    let log = logs::log_entries(interval, population, &mut random(1))?;
    let measures = measures::measures(interval, population, &mut random(2))?;
    let spans = spans::thread_spans(interval, population, &mut random(3))?;
    let events = events::async_events(interval, population, &mut random(4))?;
    let sources = [
        ("processes", inventory::processes(interval, population)?),
        ("streams", inventory::streams(interval, population)?),
        ("blocks", inventory::blocks(interval, population)?),
        ("log_entries", log),
        ("measures", measures),
        ("thread_spans", spans),
        ("async_events", events),
    ];
    let rows = |index: usize| sources[index].1.num_rows() as u64;
    let written = [rows(3), rows(4), rows(5), rows(6)];
    let with_views = sources
        .iter()
        .map(|(name, rows)| Ok((known(name)?, std::slice::from_ref(rows))))
        .collect::<Result<Vec<_>>>()?;
    lake.append_sources((interval.begin, interval.end), &with_views)?;
    let step = (interval.end - interval.begin).to_std().unwrap_or_default();
    for view in ["processes", "streams", "blocks", "log_entries", "measures", "log_stats"] {
        lake.materialize(view, interval.begin, interval.end, step, &mut |message| {
            tracing::debug!(%message, "materialised");
        })?;
    }
    tracing::debug!(begin = %to_rfc3339(interval.begin), "generated an interval");
    Ok(written)
}

fn known(name: &str) -> Result<&'static ViewSet> {
    view_set(name).ok_or_else(|| Error::new(ErrorKind::Internal, format!("there is no view set {name}")))
}

/// A dictionary column from keys into values.
fn dictionary(keys: Vec<i32>, values: ArrayRef) -> Result<ArrayRef> {
    Ok(std::sync::Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), values)?))
}

/// A dictionary column in which every row has the same text.
fn constant(rows: usize, value: &str) -> Result<ArrayRef> {
    dictionary(vec![0; rows], std::sync::Arc::new(StringArray::from(vec![value])))
}

/// The rows as a batch of the source schema of a view.
fn batch(schema: &SchemaRef, columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    let plain = RecordBatch::try_from_iter(columns)?;
    crate::store::to_schema(&plain, schema)
}
