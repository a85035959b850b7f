//! When telemetry happens: intervals of insert time that become partitions, and windows that become blocks.

use chrono::{DateTime, DurationRound, TimeDelta, Timelike, Utc};
use lakepilot_query::{Error, ErrorKind, Result};

use super::GenerateOptions;

/// A block holds what a stream sent in a window of this length.
const WINDOW_SECONDS: i64 = 900;
/// Days before the end that have hourly partitions; days before those have daily ones.
const HOURLY_DAYS: i64 = 2;
/// How busy each hour of the day is, as a share of the busiest.
const RHYTHM: [u64; 24] = [
    20, 16, 14, 12, 12, 16, 26, 40, 62, 84, 96, 100, 92, 94, 100, 98, 90, 78, 66, 56, 48, 40, 32, 26,
];

/// A range of insert time that becomes one partition of each global view.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    pub(crate) index: usize,
    pub(crate) begin: DateTime<Utc>,
    pub(crate) end: DateTime<Utc>,
    pub(crate) windows: Vec<Window>,
}

/// A range of insert time that becomes one block of each stream.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// The number of the window since the begin of the schedule.
    pub(crate) index: u64,
    pub(crate) begin: DateTime<Utc>,
    /// How many log entries there are.
    pub(crate) log_entries: u64,
}

impl Window {
    /// The time at which the block arrived, which every row of it has as its insert time.
    pub(crate) fn insert_time(&self) -> i64 {
        self.first_event() + (WINDOW_SECONDS + 1) * 1_000_000_000
    }

    /// The first instant at which events of the window may happen: a little before it, so that they arrive within it.
    pub(crate) fn first_event(&self) -> i64 {
        self.begin.timestamp_nanos_opt().unwrap_or(0) - 2_000_000_000
    }

    /// How long events of the window may happen, in nanoseconds.
    pub(crate) fn length_nanos(&self) -> i64 {
        WINDOW_SECONDS * 1_000_000_000
    }
}

/// All intervals of a lake.
#[derive(Debug)]
pub(crate) struct Schedule {
    intervals: Vec<Interval>,
}

impl Schedule {
    pub(crate) fn new(options: &GenerateOptions) -> Result<Self> {
        let invalid = || Error::new(ErrorKind::InvalidInput, "the end of the telemetry is not a time that can be counted from");
        let end = options.end.duration_trunc(TimeDelta::hours(1)).map_err(|_| invalid())?;
        let begin = end.checked_sub_signed(TimeDelta::days(i64::from(options.days))).ok_or_else(invalid)?;
        begin.timestamp_nanos_opt().ok_or_else(invalid)?;
        let mut intervals = edges(begin, end);
        let weight = |window: DateTime<Utc>| RHYTHM[window.hour() as usize];
        let whole: u64 = intervals.iter().flat_map(|interval| &interval.windows).map(|window| weight(window.begin)).sum();
        // Shares are cut from running sums, so that they add up to the whole number of rows.
        let share = |sum: u64| (u128::from(options.rows) * u128::from(sum) / u128::from(whole.max(1))) as u64;
        let mut sum = 0;
        for window in intervals.iter_mut().flat_map(|interval| &mut interval.windows) {
            let before = share(sum);
            sum += weight(window.begin);
            window.log_entries = share(sum) - before;
        }
        Ok(Self { intervals })
    }

    pub(crate) fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    pub(crate) fn begin(&self) -> DateTime<Utc> {
        self.intervals.first().map_or(DateTime::UNIX_EPOCH, |interval| interval.begin)
    }

    pub(crate) fn end(&self) -> DateTime<Utc> {
        self.intervals.last().map_or(DateTime::UNIX_EPOCH, |interval| interval.end)
    }
}

fn edges(begin: DateTime<Utc>, end: DateTime<Utc>) -> Vec<Interval> {
    let hourly = (end - TimeDelta::days(HOURLY_DAYS)).max(begin);
    let mut intervals: Vec<Interval> = Vec::new();
    let mut windows = 0;
    let mut from = begin;
    while from < end {
        let to = if from < hourly { (from + TimeDelta::days(1)).min(hourly) } else { from + TimeDelta::hours(1) };
        let count = (to - from).num_seconds() / WINDOW_SECONDS;
        intervals.push(Interval {
            index: intervals.len(),
            begin: from,
            end: to,
            windows: (0..count)
                .map(|window| Window {
                    index: windows + window as u64,
                    begin: from + TimeDelta::seconds(window * WINDOW_SECONDS),
                    log_entries: 0,
                })
                .collect(),
        });
        windows += count as u64;
        from = to;
    }
    intervals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_tile_the_days_and_windows_hold_every_row() {
        for (rows, days) in [(0, 1), (1_000_003, 14), (7, 3)] {
            let end: DateTime<Utc> = "2026-03-01T12:34:56Z".parse().unwrap();
            let options = GenerateOptions { rows, days, ..GenerateOptions::until(end) };
            let schedule = Schedule::new(&options).unwrap();
            assert_eq!(schedule.end(), "2026-03-01T12:00:00Z".parse::<DateTime<Utc>>().unwrap());
            assert_eq!(schedule.end() - schedule.begin(), TimeDelta::days(i64::from(days)));
            for pair in schedule.intervals().windows(2) {
                assert_eq!(pair[0].end, pair[1].begin);
            }
            let windows = || schedule.intervals().iter().flat_map(|interval| &interval.windows);
            assert_eq!(windows().map(|window| window.log_entries).sum::<u64>(), rows);
            assert!(windows().enumerate().all(|(index, window)| window.index == index as u64));
        }
    }

    #[test]
    fn rows_arrive_within_their_interval_and_after_they_happened() {
        let schedule = Schedule::new(&GenerateOptions::until("2026-03-01T12:00:00Z".parse().unwrap())).unwrap();
        for interval in schedule.intervals() {
            for window in &interval.windows {
                let arrived = DateTime::from_timestamp_nanos(window.insert_time());
                assert!(arrived >= interval.begin && arrived < interval.end);
                assert!(window.insert_time() > window.first_event() + window.length_nanos());
            }
        }
    }
}
