//! The view set `log_stats`: log entries counted by minute, process, level and target.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, TimestampNanosecondType};
use lakepilot_query::{Error, ErrorKind, Result};

use super::source;
use crate::views::{ViewSet, dictionary};

const MINUTE_NANOS: i64 = 60_000_000_000;
/// The columns of log entries that are counted by.
pub(super) const COLUMNS: [&str; 5] = ["time", "process_id", "level", "target", "audience"];

/// What entries are counted by. The names stand as their places in the dictionaries.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Bin {
    minute: i64,
    process: i32,
    level: i32,
    target: i32,
    audience: i32,
}

/// A dictionary of names, each of which is in it once.
struct Names {
    keys: Vec<i32>,
    names: Vec<String>,
}

impl Names {
    fn of(rows: &RecordBatch, column: &str) -> Result<Self> {
        let array = cast(
            rows.column_by_name(column).ok_or_else(|| missing(column))?,
            &dictionary(DataType::Utf8),
        )?;
        let array = array.as_dictionary::<Int32Type>();
        let values = array.values().as_string::<i32>();
        let mut places: HashMap<&str, i32> = HashMap::new();
        let mut names = Vec::new();
        // A dictionary that was put together from those of several files may have a name twice.
        let canonical: Vec<i32> = values
            .iter()
            .map(|name| {
                let name = name.unwrap_or_default();
                *places.entry(name).or_insert_with(|| {
                    names.push(name.to_owned());
                    names.len() as i32 - 1
                })
            })
            .collect();
        let keys = array
            .keys()
            .values()
            .iter()
            .map(|key| canonical[*key as usize])
            .collect();
        Ok(Self { keys, names })
    }

    fn name(&self, place: i32) -> &str {
        &self.names[place as usize]
    }
}

/// Counts the entries, in the order of the minutes.
pub(super) fn count(entries: &RecordBatch, log_stats: &ViewSet) -> Result<RecordBatch> {
    let column = |name: &str| entries.column_by_name(name);
    let times = column("time")
        .and_then(|times| times.as_primitive_opt::<TimestampNanosecondType>())
        .ok_or_else(|| missing("time"))?;
    let levels = column("level")
        .and_then(|levels| levels.as_primitive_opt::<Int32Type>())
        .ok_or_else(|| missing("level"))?;
    let (processes, targets, audiences) = (
        Names::of(entries, "process_id")?,
        Names::of(entries, "target")?,
        Names::of(entries, "audience")?,
    );
    let mut counts: HashMap<Bin, i64> = HashMap::new();
    for row in 0..entries.num_rows() {
        let bin = Bin {
            minute: times.value(row).div_euclid(MINUTE_NANOS) * MINUTE_NANOS,
            process: processes.keys[row],
            level: levels.value(row),
            target: targets.keys[row],
            audience: audiences.keys[row],
        };
        *counts.entry(bin).or_default() += 1;
    }
    let mut bins: Vec<(Bin, i64)> = counts.into_iter().collect();
    let named = |bin: &Bin| {
        (
            processes.name(bin.process),
            targets.name(bin.target),
            audiences.name(bin.audience),
        )
    };
    bins.sort_unstable_by(|(a, _), (b, _)| {
        (a.minute, a.level)
            .cmp(&(b.minute, b.level))
            .then_with(|| named(a).cmp(&named(b)))
    });
    let texts = |names: &Names, place: fn(&Bin) -> i32| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            bins.iter().map(|(bin, _)| names.name(place(bin))),
        ))
    };
    let minutes = TimestampNanosecondArray::from_iter_values(bins.iter().map(|(bin, _)| bin.minute));
    let plain = RecordBatch::try_from_iter([
        ("time_bin", Arc::new(minutes.with_timezone("+00:00")) as ArrayRef),
        ("process_id", texts(&processes, |bin| bin.process)),
        (
            "level",
            Arc::new(Int32Array::from_iter_values(bins.iter().map(|(bin, _)| bin.level))),
        ),
        ("target", texts(&targets, |bin| bin.target)),
        (
            "count",
            Arc::new(Int64Array::from_iter_values(bins.iter().map(|(_, count)| *count))),
        ),
        ("audience", texts(&audiences, |bin| bin.audience)),
    ])?;
    source::to_schema(&plain, &log_stats.schema())
}

fn missing(column: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("the log entries lack the column {column}, which log_stats counts by"),
    )
}
