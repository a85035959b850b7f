//! What is told of a run that is done: lines for people, JSON for programs.

use std::path::Path;
use std::time::Duration;

use lakepilot_execution::{Part, Statistics};
use lakepilot_query::{Error, ErrorKind, Result, TimeRange, to_rfc3339};
use serde::Serialize;

use super::{Done, PartsDone};
use crate::output::text;

/// The statistics of a run, with what it asked. `docs/running.md` has the fields.
#[derive(Serialize)]
struct Report<'a> {
    server: &'a str,
    sql: &'a str,
    begin: Option<String>,
    end: Option<String>,
    #[serde(flatten)]
    statistics: &'a Statistics,
    rows_per_second: f64,
    bytes_per_second: f64,
    parts: Option<PartsReport<'a>>,
}

#[derive(Serialize)]
struct PartsReport<'a> {
    directory: &'a Path,
    /// How many were there, and whole, before this run.
    kept: usize,
    rows: u64,
    bytes: u64,
    files: &'a [Part],
}

pub(super) fn json(done: &Done, server: &str) -> Result<Vec<u8>> {
    let range = done.query.time_range();
    let report = Report {
        server,
        sql: done.query.sql(),
        begin: range.map(|range: TimeRange| to_rfc3339(range.begin())),
        end: range.map(|range| to_rfc3339(range.end())),
        statistics: &done.statistics,
        rows_per_second: done.statistics.rows_per_second(),
        bytes_per_second: done.statistics.bytes_per_second(),
        parts: done.parts.as_ref().map(|parts| PartsReport {
            directory: &parts.directory,
            kept: parts.kept,
            rows: parts.rows(),
            bytes: parts.bytes(),
            files: &parts.parts,
        }),
    };
    let mut json = serde_json::to_vec_pretty(&report)
        .map_err(|error| Error::new(ErrorKind::Internal, "write the statistics as JSON").with_source(error))?;
    json.push(b'\n');
    Ok(json)
}

impl PartsDone {
    fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }

    fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// What is in the directory.
    pub(super) fn describe(&self) -> String {
        let kept = match self.kept {
            0 => String::new(),
            kept => format!(", {} of them from before", text::count(kept as u64)),
        };
        format!(
            "{} has {}{kept}: {}, {}",
            self.directory.display(),
            text::counted(self.parts.len() as u64, "part"),
            text::counted(self.rows(), "row"),
            text::bytes(self.bytes() as f64),
        )
    }
}

/// The closing statistics, a line for each thing that one asks afterwards.
pub(crate) fn describe(statistics: &Statistics) -> String {
    let mut lines = vec![
        format!(
            "completed: {} in {} ({} rows/s, {}/s)",
            text::counted(statistics.rows_processed, "row"),
            seconds(statistics.total_time),
            text::count(statistics.rows_per_second() as u64),
            text::bytes(statistics.bytes_per_second()),
        ),
        entry("data", &data(statistics)),
        entry("batches", &batches(statistics)),
        entry("time", &times(statistics)),
    ];
    if statistics.slices > 1 || statistics.retries > 0 {
        lines.push(entry(
            "slices",
            &format!(
                "{}, {}",
                text::count(statistics.slices),
                if statistics.retries == 1 {
                    "1 retry".to_owned()
                } else {
                    format!("{} retries", text::count(statistics.retries))
                }
            ),
        ));
    }
    if let Some(report) = &statistics.estimate {
        let estimate = format!(
            "{} from {}, off by a factor of {:.2}",
            text::counted(report.estimate.rows, "row"),
            report.estimate.basis,
            report.q_error,
        );
        lines.push(entry("estimate", &estimate));
    }
    if !statistics.query_ids.is_empty() {
        lines.push(entry("query ids", &statistics.query_ids.join(", ")));
    }
    lines.join("\n")
}

fn entry(name: &str, text: &str) -> String {
    format!("  {name:<10}  {text}")
}

fn seconds(seconds: f64) -> String {
    text::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

fn data(statistics: &Statistics) -> String {
    let mut told = Vec::new();
    if let Some(bytes) = statistics.wire_bytes {
        told.push(format!("{} received", text::bytes(bytes as f64)));
    }
    told.push(format!("{} decoded", text::bytes(statistics.decoded_bytes as f64)));
    if statistics.bytes_written > 0 {
        told.push(format!("{} written", text::bytes(statistics.bytes_written as f64)));
    }
    told.push(format!(
        "at most {} held at once",
        text::bytes(statistics.peak_in_flight_bytes as f64)
    ));
    told.join(", ")
}

fn batches(statistics: &Statistics) -> String {
    let count = text::count(statistics.batches_processed);
    if statistics.batches_processed == 0 {
        return count;
    }
    let latency = statistics.batch_latency;
    format!(
        "{count}; each took {} on average, p50 {}, p95 {}, p99 {}, max {}",
        seconds(statistics.avg_batch_time),
        seconds(latency.p50),
        seconds(latency.p95),
        seconds(latency.p99),
        seconds(latency.max),
    )
}

/// Where the time went; parts of it overlap. What took no time is left out.
fn times(statistics: &Statistics) -> String {
    let first = statistics.time_to_first_batch.map_or_else(
        || "no first batch".to_owned(),
        |time| format!("{} to the first batch", seconds(time)),
    );
    let parts = [
        (statistics.planning_time, "planning"),
        (statistics.waiting_time, "waiting for rows"),
        (statistics.decode_time, "decoding"),
        (statistics.merge_time, "merging"),
        (statistics.consumer_time, "taking batches"),
        (statistics.sink_time, "finishing the output"),
    ];
    let spent = parts
        .into_iter()
        .filter(|(time, _)| *time >= LEAST_SHOWN_SECONDS)
        .map(|(time, what)| format!("{} {what}", seconds(time)));
    std::iter::once(first).chain(spent).collect::<Vec<_>>().join(", ")
}

/// What is shorter would be shown as zero.
const LEAST_SHOWN_SECONDS: f64 = 0.005;

#[cfg(test)]
mod tests {
    use lakepilot_execution::{Estimate, EstimateBasis, EstimateReport, Latency};

    use super::*;

    fn statistics() -> Statistics {
        let mut statistics = Statistics::default();
        statistics.batches_processed = 21;
        statistics.rows_processed = 2_000_000;
        statistics.total_time = 3.21;
        statistics.avg_batch_time = 0.09;
        statistics.wire_bytes = Some(96_200_000);
        statistics.decoded_bytes = 315_000_000;
        statistics.bytes_written = 41_000_000;
        statistics.time_to_first_batch = Some(0.21);
        statistics.planning_time = 0.05;
        statistics.waiting_time = 1.2;
        statistics.decode_time = 0.31;
        statistics.merge_time = 0.001;
        statistics.consumer_time = 1.9;
        statistics.sink_time = 0.02;
        statistics.batch_latency = Latency {
            p50: 0.08,
            p95: 0.12,
            p99: 0.2,
            max: 0.21,
        };
        statistics.peak_in_flight_bytes = 64_000_000;
        statistics.slices = 16;
        statistics.retries = 1;
        statistics.estimate = Some(EstimateReport {
            estimate: Estimate {
                rows: 2_013_220,
                basis: EstimateBasis::PartitionMetadata,
            },
            q_error: 1.006,
        });
        statistics.query_ids = vec!["0198b3c4-4d2e-7a8b-9c0d-1e2f3a4b5c6d".to_owned()];
        statistics
    }

    #[test]
    fn in_a_wide_terminal() {
        insta::assert_snapshot!(describe(&statistics()));
    }

    #[test]
    fn in_a_terminal_of_40_columns() {
        insta::assert_snapshot!(text::wrap(&describe(&statistics()), Some(40)));
    }

    #[test]
    fn of_nothing() {
        insta::assert_snapshot!(describe(&Statistics::default()));
    }
}
