//! Lakes in memory, and what is said of them in short.

use chrono::{DateTime, Utc};
use lakepilot_admin::{Capabilities, RetirementReport};
use lakepilot_catalog::Partition;

pub(crate) use lakepilot_admin::FakeLake;

pub(crate) fn time(micros: i64) -> DateTime<Utc> {
    FakeLake::time(micros)
}

pub(crate) fn partition(view_set: &str, instance: &str, begin: i64, end: i64) -> Partition {
    FakeLake::partition(view_set, instance, begin, end)
}

/// A partition without rows, which has no file.
pub(crate) fn empty(view_set: &str, instance: &str, begin: i64, end: i64) -> Partition {
    Partition {
        num_rows: 0,
        file_path: None,
        file_size_bytes: 0,
        ..partition(view_set, instance, begin, end)
    }
}

/// A server that can be asked by range only.
pub(crate) fn by_range_only(partitions: Vec<Partition>) -> FakeLake {
    let lake = FakeLake::new(partitions);
    lake.state().offers = Some(Capabilities {
        by_range: true,
        ..Capabilities::default()
    });
    lake
}

pub(crate) fn retirements(lake: &FakeLake) -> Vec<Vec<String>> {
    lake.calls_of("retire_partitions")
}

/// How many were retired, remain, are unknown, were gone.
pub(crate) fn counts(report: &RetirementReport) -> (u64, u64, u64, u64) {
    let counts = report.counts();
    (counts.retired, counts.remaining, counts.unknown, counts.already_gone)
}
