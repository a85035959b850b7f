//! How far a run is, for whoever watches it.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use lakepilot_query::TimeRange;
use tokio::sync::mpsc;

use crate::estimate::Estimate;
use crate::statistics::Statistics;

/// Something that happened in a run, in the order in which it happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ProgressEvent {
    /// The service has accepted the query, and its schema is known.
    Started {
        /// The schema of the rows to come.
        schema: SchemaRef,
    },
    /// The budget of memory asks for smaller batches than the options do.
    BatchSizeLowered {
        /// The size that the options ask for, in bytes.
        asked_bytes: usize,
        /// The size that batches have.
        bytes: usize,
    },
    /// An estimate has arrived.
    EstimateArrived(Estimate),
    /// The estimate failed or knows nothing; the run goes on without.
    EstimateUnavailable {
        /// Why.
        reason: String,
    },
    /// Rows have arrived from the service; they may wait to be merged.
    Received {
        /// All rows that have arrived so far.
        rows: u64,
        /// All bytes of rows that have arrived so far, in memory.
        bytes: u64,
        /// The time since the start.
        elapsed: Duration,
    },
    /// The consumer is done with a batch.
    Batch {
        /// The number of the batch, from zero.
        index: u64,
        /// The rows of the batch.
        rows: u64,
        /// The bytes of the batch in memory.
        bytes: u64,
        /// All rows that the consumer has got so far.
        total_rows: u64,
        /// The time since the start.
        elapsed: Duration,
    },
    /// The query failed before its first row, in a way that may pass, and is asked again.
    Retried {
        /// Which retry it is, from 1.
        number: u32,
        /// The time until it is made.
        delay: Duration,
        /// The message of the error that made it necessary.
        reason: String,
    },
    /// A slice of the query was asked.
    SliceStarted {
        /// The number of the slice in the order of time, from zero.
        index: usize,
        /// The time range of the slice.
        range: TimeRange,
    },
    /// A slice failed before one of its rows was delivered, in a way that may pass, and is asked again.
    SliceRetried {
        /// The number of the slice.
        index: usize,
        /// The message of the error that made it necessary.
        reason: String,
    },
    /// All rows of a slice were delivered.
    SliceFinished {
        /// The number of the slice.
        index: usize,
        /// The rows of the slice.
        rows: u64,
    },
    /// A run into a directory has found parts of an earlier one that are whole, which are not fetched again.
    PartsKept {
        /// How many parts.
        parts: usize,
        /// The rows of them.
        rows: u64,
    },
    /// All rows were delivered, and the consumer has finished.
    Finished(Box<Statistics>),
    /// The run has failed; the error itself is the result of the run.
    Failed {
        /// The error's message.
        message: String,
    },
}

/// Is told how a run goes.
///
/// Called on the task that runs the query, so it has to return at once.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait ProgressObserver: Send + Sync {
    /// Something happened.
    fn on_event(&self, event: &ProgressEvent);
}

/// Takes events from wherever they happen to the task that runs the query, which alone calls the observer.
#[derive(Clone, Debug)]
pub(crate) struct EventSender(mpsc::UnboundedSender<ProgressEvent>);

/// Where events arrive.
pub(crate) type EventReceiver = mpsc::UnboundedReceiver<ProgressEvent>;

impl EventSender {
    pub(crate) fn channel() -> (Self, EventReceiver) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    pub(crate) fn send(&self, event: ProgressEvent) {
        // Nobody listens any more once the run has ended, and nobody needs to.
        let _ = self.0.send(event);
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl ProgressObserver for NoProgress {
    fn on_event(&self, _event: &ProgressEvent) {}
}

/// A moment of a run in numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProgressSnapshot {
    rows: u64,
    bytes: u64,
    elapsed: Duration,
    expected_rows: Option<u64>,
}

/// Before the end, no more than this share is ever told: an estimate may be too low.
const MOST_BEFORE_THE_END: f64 = 0.99;

impl ProgressSnapshot {
    /// The numbers at a moment before the end.
    pub fn new(rows: u64, bytes: u64, elapsed: Duration, expected_rows: Option<u64>) -> Self {
        Self {
            rows,
            bytes,
            elapsed,
            expected_rows,
        }
    }

    /// Rows per second so far; zero at the start.
    pub fn rows_per_second(&self) -> f64 {
        self.per_second(self.rows)
    }

    /// Bytes per second so far; zero at the start.
    pub fn bytes_per_second(&self) -> f64 {
        self.per_second(self.bytes)
    }

    /// The share that is done, from 0 to 0.99; `None` when the whole is not known.
    pub fn share_done(&self) -> Option<f64> {
        let expected = self.expected_rows.filter(|expected| *expected > 0)?;
        Some((self.rows as f64 / expected as f64).min(MOST_BEFORE_THE_END))
    }

    /// The time that is left at the present speed; `None` when that is not known, or more rows came than were expected.
    pub fn time_left(&self) -> Option<Duration> {
        let expected = self.expected_rows?;
        let left = expected.checked_sub(self.rows)?;
        let speed = self.rows_per_second();
        if speed <= 0.0 {
            return None;
        }
        Duration::try_from_secs_f64(left as f64 / speed).ok()
    }

    fn per_second(&self, count: u64) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(rows: u64, expected: Option<u64>) -> ProgressSnapshot {
        ProgressSnapshot::new(rows, rows * 10, Duration::from_secs(2), expected)
    }

    #[test]
    fn the_share_never_passes_99_percent_before_the_end() {
        assert_eq!(snapshot(50, Some(100)).share_done(), Some(0.5));
        assert_eq!(snapshot(100, Some(100)).share_done(), Some(0.99));
        assert_eq!(snapshot(500, Some(100)).share_done(), Some(0.99));
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        assert_eq!(snapshot(50, None).share_done(), None);
        assert_eq!(snapshot(50, Some(0)).share_done(), None);
        assert_eq!(snapshot(50, None).time_left(), None);
        assert_eq!(snapshot(0, Some(100)).time_left(), None);
        assert_eq!(snapshot(101, Some(100)).time_left(), None);
    }

    #[test]
    fn speed_gives_the_time_left() {
        assert_eq!(snapshot(50, Some(100)).rows_per_second(), 25.0);
        assert_eq!(snapshot(50, Some(100)).bytes_per_second(), 250.0);
        assert_eq!(snapshot(50, Some(100)).time_left(), Some(Duration::from_secs(2)));
    }
}
