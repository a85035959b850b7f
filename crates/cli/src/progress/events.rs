//! Progress as JSON objects, one a line, for programs. `docs/running.md` says what they mean; they are kept stable.

use arrow::datatypes::Schema;
use lakepilot_execution::{ProgressEvent, Statistics};
use lakepilot_query::to_rfc3339;
use serde::Serialize;

use super::line::{Moment, Slices};

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event<'a> {
    Started {
        elapsed: f64,
        columns: Vec<Column<'a>>,
        slices: Option<usize>,
    },
    Estimate {
        elapsed: f64,
        rows: Option<u64>,
        basis: Option<String>,
        reason: Option<&'a str>,
    },
    FirstBatch {
        elapsed: f64,
        rows: u64,
        bytes: u64,
    },
    Progress {
        elapsed: f64,
        rows: u64,
        bytes: u64,
        rows_per_second: f64,
        bytes_per_second: f64,
        share_done: Option<f64>,
        time_left: Option<f64>,
        slices_running: Option<usize>,
        slices_done: Option<usize>,
    },
    Batch {
        elapsed: f64,
        index: u64,
        rows: u64,
        bytes: u64,
        total_rows: u64,
    },
    Retried {
        elapsed: f64,
        retry: u32,
        delay: f64,
        reason: &'a str,
    },
    SliceStarted {
        elapsed: f64,
        slice: usize,
        begin: String,
        end: String,
    },
    SliceRetried {
        elapsed: f64,
        slice: usize,
        reason: &'a str,
    },
    SliceFinished {
        elapsed: f64,
        slice: usize,
        rows: u64,
    },
    PartsKept {
        elapsed: f64,
        parts: usize,
        rows: u64,
    },
    Finished {
        elapsed: f64,
        statistics: &'a Statistics,
    },
}

#[derive(Serialize)]
pub(super) struct Column<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    data_type: String,
    nullable: bool,
}

fn columns(schema: &Schema) -> Vec<Column<'_>> {
    schema
        .fields()
        .iter()
        .map(|field| Column {
            name: field.name(),
            data_type: field.data_type().to_string(),
            nullable: field.is_nullable(),
        })
        .collect()
}

/// What is said of an event, at the moment after it. Arrivals are told as progress, by [`progress`]; and a failure once, by
/// whoever ends the program.
pub(super) fn object<'a>(event: &'a ProgressEvent, moment: &Moment) -> Option<Event<'a>> {
    let elapsed = moment.elapsed.as_secs_f64();
    Some(match event {
        ProgressEvent::Started { schema } => Event::Started {
            elapsed,
            columns: columns(schema),
            slices: moment.slices.map(|slices| slices.total),
        },
        ProgressEvent::EstimateArrived(estimate) => Event::Estimate {
            elapsed,
            rows: Some(estimate.rows),
            basis: Some(estimate.basis.to_string().replace(' ', "_")),
            reason: None,
        },
        ProgressEvent::EstimateUnavailable { reason } => Event::Estimate {
            elapsed,
            rows: None,
            basis: None,
            reason: Some(reason),
        },
        ProgressEvent::Batch {
            index,
            rows,
            bytes,
            total_rows,
            ..
        } => Event::Batch {
            elapsed,
            index: *index,
            rows: *rows,
            bytes: *bytes,
            total_rows: *total_rows,
        },
        ProgressEvent::Retried { number, delay, reason } => Event::Retried {
            elapsed,
            retry: *number,
            delay: delay.as_secs_f64(),
            reason,
        },
        ProgressEvent::SliceStarted { index, range } => Event::SliceStarted {
            elapsed,
            slice: *index,
            begin: to_rfc3339(range.begin()),
            end: to_rfc3339(range.end()),
        },
        ProgressEvent::SliceRetried { index, reason } => Event::SliceRetried {
            elapsed,
            slice: *index,
            reason,
        },
        ProgressEvent::SliceFinished { index, rows } => Event::SliceFinished {
            elapsed,
            slice: *index,
            rows: *rows,
        },
        ProgressEvent::PartsKept { parts, rows } => Event::PartsKept {
            elapsed,
            parts: *parts,
            rows: *rows,
        },
        ProgressEvent::Finished(statistics) => Event::Finished { elapsed, statistics },
        _ => return None,
    })
}

/// That the first rows have arrived.
pub(super) fn first_batch(moment: &Moment) -> Event<'static> {
    Event::FirstBatch {
        elapsed: moment.elapsed.as_secs_f64(),
        rows: moment.rows,
        bytes: moment.bytes,
    }
}

/// How far the run is.
pub(super) fn progress(moment: &Moment) -> Event<'static> {
    let snapshot = moment.snapshot();
    let slices = |count: fn(Slices) -> usize| moment.slices.map(count);
    Event::Progress {
        elapsed: moment.elapsed.as_secs_f64(),
        rows: moment.rows,
        bytes: moment.bytes,
        rows_per_second: snapshot.rows_per_second(),
        bytes_per_second: snapshot.bytes_per_second(),
        share_done: moment.share_done(),
        time_left: moment.time_left().map(|left| left.as_secs_f64()),
        slices_running: slices(|slices| slices.running),
        slices_done: slices(|slices| slices.done),
    }
}
