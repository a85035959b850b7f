//! One bar: a partition, or several that lie close together.

use chrono::{DateTime, Utc};
use lakepilot_catalog::Partition;

use crate::TimeAxis;

/// A time as milliseconds since 1970 with its microseconds behind the point. Every time that chrono can hold fits a `f64`
/// to the millisecond, and times of this age to the microsecond.
pub(crate) fn millis(time: DateTime<Utc>) -> f64 {
    time.timestamp_millis() as f64 + f64::from(time.timestamp_subsec_micros() % 1000) / 1000.0
}

/// A stretch of time in milliseconds; the beginning may be the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) begin: f64,
    pub(crate) end: f64,
}

impl Span {
    pub(crate) fn of(begin: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        let (begin, end) = (millis(begin), millis(end));
        Self {
            begin,
            // A server that mixes them up gets a bar that is thin, not one that runs backwards.
            end: end.max(begin),
        }
    }

    pub(crate) fn length(self) -> f64 {
        self.end - self.begin
    }

    pub(crate) fn join(self, other: Self) -> Self {
        Self {
            begin: self.begin.min(other.begin),
            end: self.end.max(other.end),
        }
    }
}

/// What a bar stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    /// Where it lies across.
    pub(crate) span: Span,
    /// The time that does not go across, where there is one.
    pub(crate) other: Option<Span>,
    /// Which of the places above each other it takes, so that those that overlap are both seen.
    pub(crate) lane: usize,
    /// How many partitions it stands for.
    pub(crate) partitions: u64,
    /// How many of them a plan takes.
    pub(crate) planned: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// When it was written; of several, the oldest.
    pub(crate) written: f64,
    /// The file of a single partition.
    pub(crate) file: Option<String>,
}

impl Bar {
    /// The bar of a partition; `None` when it has no time to go across.
    pub(crate) fn of(partition: &Partition, axis: TimeAxis, planned: bool) -> Option<Self> {
        let insert = Span::of(partition.begin_insert_time, partition.end_insert_time);
        let event = partition
            .min_event_time
            .zip(partition.max_event_time)
            .map(|(begin, end)| Span::of(begin, end));
        let (span, other) = match axis {
            TimeAxis::Insert => (insert, event),
            TimeAxis::Event => (event?, Some(insert)),
        };
        Some(Self {
            span,
            other,
            lane: 0,
            partitions: 1,
            planned: u64::from(planned),
            rows: partition.num_rows,
            bytes: partition.file_size_bytes,
            written: millis(partition.updated),
            file: partition.file_path.clone(),
        })
    }

    /// Takes another one in.
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.span = self.span.join(other.span);
        self.other = match (self.other, other.other) {
            (Some(a), Some(b)) => Some(a.join(b)),
            (a, b) => a.or(b),
        };
        self.partitions += other.partitions;
        self.planned += other.planned;
        self.rows = self.rows.saturating_add(other.rows);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.written = self.written.min(other.written);
        self.file = None;
    }
}
