//! When things happen: the ranges of insert time of the partitions, and how many events of which process fall where.

use chrono::{DateTime, Timelike, Utc};
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::fleet::{Fleet, Process};

pub(super) const SECOND: i64 = 1_000_000_000;
pub(super) const HOUR: i64 = 3_600 * SECOND;
pub(super) const DAY: i64 = 24 * HOUR;
/// A stream sends a block for each window of event time.
pub(super) const WINDOW: i64 = 600 * SECOND;
/// A window ends this long before the insert time up to which its blocks have arrived.
pub(super) const LATENCY: i64 = 2 * SECOND;

/// The events of one kind that are spread over the windows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    LogEntries,
    Measures,
    Spans,
    /// Pairs of the begin and the end of an async operation.
    AsyncPairs,
}

pub(super) const KINDS: [Kind; 4] = [Kind::LogEntries, Kind::Measures, Kind::Spans, Kind::AsyncPairs];

/// One range of insert time, which becomes one partition of each view instance.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Included.
    pub(super) begin: i64,
    /// Not included.
    pub(super) end: i64,
    /// The windows whose blocks arrive in the bucket.
    pub(super) windows: std::ops::Range<usize>,
    /// How many objects each stream has sent before the bucket.
    pub(super) offsets: Vec<i64>,
}

/// How many events of each process there are in one window, by kind.
#[derive(Debug, Default)]
pub(super) struct Counts {
    window: usize,
    by_kind: [Vec<usize>; KINDS.len()],
}

impl Counts {
    pub(super) fn of(&self, kind: Kind) -> &[usize] {
        &self.by_kind[kind as usize]
    }

    /// How many spans and pairs of async events a thread of a process has. Threads take turns at the ones left over.
    pub(super) fn of_thread(&self, process: usize, thread: usize, threads: usize) -> (usize, usize) {
        let share = |kind| {
            let all = self.of(kind)[process];
            all / threads + usize::from((thread + self.window) % threads < all % threads)
        };
        (share(Kind::Spans), share(Kind::AsyncPairs))
    }
}

/// The plan of a whole generated lake.
#[derive(Debug)]
pub(super) struct Plan {
    begin: i64,
    seed: u64,
    rows: [u64; KINDS.len()],
    /// The activity before each window, and at the end the whole.
    cumulative: Vec<f64>,
    rhythm: Vec<f64>,
    pub(super) buckets: Vec<Bucket>,
}

impl Plan {
    /// How many windows there are in so many nanoseconds.
    pub(super) fn windows(nanos: i64) -> usize {
        usize::try_from(nanos / WINDOW).unwrap_or_default()
    }

    pub(super) fn new(begin: i64, end: i64, rows: u64, seed: u64, fleet: &Fleet) -> Self {
        let windows = Self::windows(end - begin);
        let mut plan = Self {
            begin,
            seed,
            rows: [rows, rows / 4, rows / 4, rows / 64],
            cumulative: Vec::with_capacity(windows + 1),
            rhythm: (0..windows).map(|window| rhythm(begin, window, seed)).collect(),
            buckets: Vec::new(),
        };
        let mut activity = 0.0;
        for window in 0..windows {
            plan.cumulative.push(activity);
            for process in &fleet.processes {
                activity += plan.activity(process, window);
            }
        }
        plan.cumulative.push(activity);
        plan.buckets = plan.buckets(end, fleet);
        plan
    }

    /// The first and the last nanosecond of event time of a window, the last not included.
    pub(super) fn window(&self, window: usize) -> (i64, i64) {
        let begin = self.begin - LATENCY + window as i64 * WINDOW;
        (begin, begin + WINDOW)
    }

    /// The random numbers of one window: the same whichever thread makes it.
    pub(super) fn random(&self, window: usize) -> SmallRng {
        SmallRng::seed_from_u64(mixed(self.seed, window as u64 + 1))
    }

    fn activity(&self, process: &Process, window: usize) -> f64 {
        if process.windows.contains(&window) {
            self.rhythm[window] * process.weight
        } else {
            0.0
        }
    }

    /// Rounding the running sum, not each window, makes the whole come out exactly.
    pub(super) fn counts(&self, window: usize, fleet: &Fleet) -> Counts {
        let whole = self.cumulative.last().copied().unwrap_or(1.0);
        let mut counts = Counts {
            window,
            ..Counts::default()
        };
        let mut before = self.cumulative[window];
        for process in &fleet.processes {
            let after = before + self.activity(process, window);
            for kind in KINDS {
                let rows = self.rows[kind as usize] as f64;
                let upto = |activity: f64| (activity / whole * rows) as usize;
                counts.by_kind[kind as usize].push(upto(after) - upto(before));
            }
            before = after;
        }
        counts
    }

    /// Hours back to the midnight before last, and days before that.
    fn buckets(&self, end: i64, fleet: &Fleet) -> Vec<Bucket> {
        let hourly_from = end - end.rem_euclid(DAY) - DAY;
        let mut offsets = vec![0; fleet.streams.len()];
        let mut buckets = Vec::new();
        let mut begin = self.begin;
        while begin < end {
            let upto = if begin >= hourly_from {
                begin + HOUR
            } else {
                (begin - begin.rem_euclid(DAY) + DAY).min(hourly_from)
            };
            let windows = Self::windows(begin - self.begin)..Self::windows(upto - self.begin);
            let bucket = Bucket {
                begin,
                end: upto,
                windows,
                offsets: offsets.clone(),
            };
            for window in bucket.windows.clone() {
                let counts = self.counts(window, fleet);
                for (stream, offset) in offsets.iter_mut().enumerate() {
                    *offset += fleet.objects(stream, &counts) as i64;
                }
            }
            buckets.push(bucket);
            begin = upto;
        }
        buckets
    }
}

pub(super) fn mixed(seed: u64, part: u64) -> u64 {
    seed ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Busy in the afternoon, quiet before dawn, slower at the weekend, and never quite even.
fn rhythm(begin: i64, window: usize, seed: u64) -> f64 {
    let time = DateTime::<Utc>::from_timestamp_nanos(begin + window as i64 * WINDOW);
    let hour = f64::from(time.num_seconds_from_midnight()) / 3_600.0;
    let day = 1.0 + 0.75 * ((hour - 9.0) / 24.0 * std::f64::consts::TAU).sin();
    let is_weekend = chrono::Datelike::weekday(&time).num_days_from_monday() >= 5;
    let noise = SmallRng::seed_from_u64(mixed(!seed, window as u64)).random_range(0.85..1.15);
    day * if is_weekend { 0.6 } else { 1.0 } * noise
}
