//! Realistic telemetry for a lake: seeded, so that the same options make the same rows.
//!
//! Everything follows from a plan (`plan.rs`) that says how many events of each process fall into each window of ten minutes.
//! A window is made from random numbers of its own, so threads can make ranges of insert time in any order.

mod async_events;
mod bucket;
mod columns;
mod events;
mod fleet;
mod logs;
mod measures;
mod plan;
mod registry;
mod spans;
mod text;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use lakepilot_query::{Error, ErrorKind, Result, TimeRange, to_rfc3339};

use self::bucket::{Files, World};
use self::fleet::{Fleet, Process};
use self::plan::{Bucket, Plan};
use crate::store::{Lake, PartitionFilter};

const MOST_DAYS: u32 = 1_000;
const MOST_PROCESSES: u32 = 500;
const MOST_ROWS: u64 = 100_000_000_000;

/// What to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateOptions {
    /// The number of log entries. There are a quarter as many measures and a quarter as many spans, and async events.
    pub rows: u64,
    /// How many days of telemetry there are, up to `end`.
    pub days: u32,
    /// How many processes send telemetry.
    pub processes: u32,
    /// The seed of the random numbers.
    pub seed: u64,
    /// Up to which insert time there is telemetry; the hour that it is in is left out.
    pub end: DateTime<Utc>,
}

impl GenerateOptions {
    /// A million log entries of eight processes in the fourteen days before a time.
    pub fn until(end: DateTime<Utc>) -> Self {
        Self {
            rows: 1_000_000,
            days: 14,
            processes: 8,
            seed: 42,
            end,
        }
    }

    /// The range of insert time.
    fn range(&self) -> Result<(DateTime<Utc>, DateTime<Utc>)> {
        let invalid = |what: String| Err(Error::new(ErrorKind::InvalidInput, what));
        if !(1..=MOST_DAYS).contains(&self.days) {
            return invalid(format!(
                "{} days cannot be generated; choose 1 to {MOST_DAYS}",
                self.days
            ));
        }
        if !(1..=MOST_PROCESSES).contains(&self.processes) {
            return invalid(format!(
                "telemetry of {} processes cannot be generated; choose 1 to {MOST_PROCESSES}",
                self.processes
            ));
        }
        if self.rows > MOST_ROWS {
            return invalid(format!("{} rows are too many; the most is {MOST_ROWS}", self.rows));
        }
        let hour = self.end.duration_trunc(TimeDelta::hours(1)).ok();
        let begin = hour.and_then(|end| end.checked_sub_signed(TimeDelta::days(i64::from(self.days))));
        match (begin, hour) {
            // Before that, hours and days would have to be rounded the other way.
            (Some(begin), Some(end)) if begin.timestamp() > 0 => Ok((begin, end)),
            _ => invalid(format!(
                "telemetry up to {} cannot be generated; choose a time after 1970",
                to_rfc3339(self.end)
            )),
        }
    }
}

/// What was generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateReport {
    /// How many log entries there are.
    pub log_entries: u64,
    /// How many measures there are.
    pub measures: u64,
    /// How many spans of threads there are.
    pub thread_spans: u64,
    /// How many begins and ends of async operations there are.
    pub async_events: u64,
    /// The processes, the most talkative first.
    pub process_ids: Vec<String>,
    /// The processes, among those, whose own instances of view sets are materialised.
    pub materialised_process_ids: Vec<String>,
    /// The begin of the range of insert time.
    pub begin: DateTime<Utc>,
    /// The end of the range of insert time, which does not belong to it.
    pub end: DateTime<Utc>,
}

/// Fills a lake with telemetry: processes with streams and blocks, log entries, measures, spans of threads and async
/// events. Partitions of `global` are a day long, and those since the midnight before last an hour; of a quarter of the
/// processes there are also the partitions of their own instances.
///
/// The same options make the same rows, ids included. All becomes visible together, but for `log_stats`, which is
/// materialised in the end. `on_progress` is told how many of how many steps are done.
///
/// # Errors
/// `InvalidInput` for options out of range, or when the lake has partitions in the range of insert time; `Io` when the lake
/// cannot be written.
pub fn generate(
    lake: &Lake,
    options: &GenerateOptions,
    on_progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<GenerateReport> {
    let (begin, end) = options.range()?;
    refuse_overlap(lake, begin, end)?;
    let nanos = |time: DateTime<Utc>| time.timestamp_nanos_opt().unwrap_or_default();
    let windows = Plan::windows(nanos(end) - nanos(begin));
    let fleet = Fleet::new(options.processes as usize, windows, options.seed);
    let plan = Plan::new(nanos(begin), nanos(end), options.rows, options.seed, &fleet);
    let world = World::new(fleet, plan);
    let buckets = world.plan.buckets.len();
    let written = write_all(lake, &world, &|done| on_progress(done, 2 * buckets))?;
    let rows = lake.transaction(|changes| {
        let mut rows: BTreeMap<&str, u64> = BTreeMap::new();
        for files in written {
            for (view_set, added) in files.add(changes)? {
                *rows.entry(view_set).or_default() += added;
            }
        }
        Ok(rows)
    })?;
    for (number, bucket) in world.plan.buckets.iter().enumerate() {
        count_log_entries(lake, bucket)?;
        on_progress(buckets + number + 1, 2 * buckets);
    }
    let rows = |view_set: &str| rows.get(view_set).copied().unwrap_or_default();
    let ids = |processes: &[Process]| processes.iter().map(|process| process.id.clone()).collect();
    Ok(GenerateReport {
        log_entries: rows("log_entries"),
        measures: rows("measures"),
        thread_spans: rows("thread_spans"),
        async_events: rows("async_events"),
        process_ids: ids(&world.fleet.processes),
        materialised_process_ids: ids(&world.fleet.processes[..world.materialised]),
        begin,
        end,
    })
}

/// A lake has one partition for each instance and insert time.
fn refuse_overlap(lake: &Lake, begin: DateTime<Utc>, end: DateTime<Utc>) -> Result<()> {
    let filter = PartitionFilter {
        insert_range: Some(TimeRange::new(begin, end)?),
        ..PartitionFilter::default()
    };
    let existing = lake.partitions(&filter)?;
    match existing
        .iter()
        .find(|partition| partition.begin_insert_time < end && partition.end_insert_time > begin)
    {
        None => Ok(()),
        Some(partition) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "the lake has partitions between {} and {} already, one of them of {}; generate into a new lake, or up to an \
                 earlier time",
                to_rfc3339(begin),
                to_rfc3339(end),
                partition.view_set_name
            ),
        )),
    }
}

/// Writes the files of all buckets, as many at a time as there are processors; returns them in order.
fn write_all(lake: &Lake, world: &World, on_written: &dyn Fn(usize)) -> Result<Vec<Files>> {
    let buckets = &world.plan.buckets;
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get().min(8));
    let next = AtomicUsize::new(0);
    let mut files: Vec<Option<Files>> = buckets.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads.min(buckets.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((number, bucket)) = next_of(buckets, next) {
                    // Nobody receives any more when another thread has failed.
                    if sender.send((number, world.write(lake, bucket))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (done, (number, written)) in receiver.into_iter().enumerate() {
            files[number] = Some(written?);
            on_written(done + 1);
        }
        Ok::<_, Error>(())
    })?;
    Ok(files.into_iter().flatten().collect())
}

fn next_of<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    items.get(number).map(|item| (number, item))
}

fn count_log_entries(lake: &Lake, bucket: &Bucket) -> Result<()> {
    let (begin, end) = (
        DateTime::from_timestamp_nanos(bucket.begin),
        DateTime::from_timestamp_nanos(bucket.end),
    );
    let step = Duration::from_nanos(bucket.begin.abs_diff(bucket.end));
    lake.materialize("log_stats", begin, end, step, &mut |_| ())
}
