//! Measures: numbers with a name and a unit.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Float64Array, RecordBatch, StringArray};
use lakepilot_query::Result;
use rand::Rng;
use rand::rngs::SmallRng;

use super::logs::Origin;
use super::population::{Population, StreamKind, jsonb};
use super::schedule::Interval;
use super::{batch, dictionary, known};

/// Names, units and how large the numbers are.
const METRICS: [(&str, &str, f64); 6] = [
    ("cpu_usage", "percent", 100.0),
    ("memory_used", "bytes", 4e9),
    ("request_duration", "ms", 250.0),
    ("queue_depth", "count", 2000.0),
    ("frame_time", "ms", 33.0),
    ("connected_players", "count", 12_000.0),
];
/// One measure to so many log entries.
const LOG_ENTRIES_PER_MEASURE: u64 = 4;

pub(super) fn measures(interval: &Interval, population: &Population, random: &mut SmallRng) -> Result<RecordBatch> {
    let mut origin = Origin::default();
    for window in &interval.windows {
        let events = window.log_entries.div_ceil(LOG_ENTRIES_PER_MEASURE);
        origin.window(window, events, StreamKind::Metrics, population, random);
    }
    let rows = origin.len();
    let names: Vec<i32> = (0..rows).map(|_| random.random_range(0..METRICS.len() as i32)).collect();
    let values: Float64Array = names
        .iter()
        .map(|name| {
            let share: f64 = random.random();
            Some(METRICS[*name as usize].2 * share * share)
        })
        .collect();
    let texts = |text: fn(&(&'static str, &'static str, f64)) -> &'static str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(METRICS.iter().map(text)))
    };
    let mut columns = origin.columns(StreamKind::Metrics, population)?;
    let none = BinaryArray::from_iter_values([jsonb("{}")?]);
    columns.extend([
        ("name", dictionary(names.clone(), texts(|metric| metric.0))?),
        ("unit", dictionary(names, texts(|metric| metric.1))?),
        ("value", Arc::new(values) as ArrayRef),
        ("properties", dictionary(vec![0; rows], Arc::new(none))?),
    ]);
    batch(&known("measures")?.source_schema(), columns)
}
