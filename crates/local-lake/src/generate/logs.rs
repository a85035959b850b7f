//! Log entries.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int32Array, RecordBatch, StringArray, StringBuilder, TimestampNanosecondArray};
use lakepilot_query::Result;
use rand::Rng;
use rand::rngs::SmallRng;

use super::population::{Population, StreamKind, block_id, jsonb};
use super::schedule::{Interval, Window};
use super::text::Messages;
use super::{batch, constant, dictionary, known};

const TARGETS: [&str; 12] = [
    "net::http", "net::session", "storage::cache", "storage::wal", "game::match", "game::lobby", "auth", "scheduler", "assets",
    "telemetry", "billing", "chat",
];
/// The level of one in a thousand entries, from 1 (fatal) to 6 (trace).
const LEVELS: [(u32, i32); 6] = [(1, 1), (15, 2), (70, 3), (600, 4), (900, 5), (1000, 6)];
const AVERAGE_MESSAGE_BYTES: usize = 160;

/// The columns of an event of a log or of a metric that say where it came from, while they grow.
#[derive(Default)]
pub(super) struct Origin {
    processes: Vec<i32>,
    blocks: Vec<i32>,
    block_ids: Vec<String>,
    insert_times: Vec<i64>,
    times: Vec<i64>,
    targets: Vec<i32>,
}

impl Origin {
    /// Events of a window in order of time, each with the process that sent it.
    pub(super) fn window(
        &mut self,
        window: &Window,
        events: u64,
        kind: StreamKind,
        population: &Population,
        random: &mut SmallRng,
    ) {
        let mut times: Vec<i64> =
            (0..events).map(|_| window.first_event() + random.random_range(0..window.length_nanos())).collect();
        times.sort_unstable();
        let mut block_of: Vec<Option<i32>> = vec![None; population.processes().len()];
        for time in times {
            let process = population.pick(window, random);
            let block = *block_of[process].get_or_insert_with(|| {
                self.block_ids.push(block_id(process, kind, window));
                self.block_ids.len() as i32 - 1
            });
            self.processes.push(process as i32);
            self.blocks.push(block);
            self.insert_times.push(window.insert_time());
            self.times.push(time);
            // Squaring makes the first targets the loud ones.
            let share: f64 = random.random();
            self.targets.push((share * share * TARGETS.len() as f64) as i32);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    pub(super) fn columns(self, kind: StreamKind, population: &Population) -> Result<Vec<(&'static str, ArrayRef)>> {
        let of_process = |values: ArrayRef| dictionary(self.processes.clone(), values);
        let streams = population.texts(|process| {
            process.streams.iter().find(|stream| stream.kind == kind).map_or("", |stream| stream.id.as_str())
        });
        let rows = self.times.len();
        Ok(vec![
            ("process_id", of_process(population.texts(|process| &process.id))?),
            ("stream_id", of_process(streams)?),
            ("exe", of_process(population.texts(|process| &process.exe))?),
            ("username", of_process(population.texts(|process| &process.username))?),
            ("computer", of_process(population.texts(|process| &process.computer))?),
            ("process_properties", of_process(population.properties())?),
            ("block_id", dictionary(self.blocks, Arc::new(StringArray::from(self.block_ids)))?),
            ("insert_time", time_column(self.insert_times)),
            ("time", time_column(self.times)),
            ("target", dictionary(self.targets, Arc::new(StringArray::from(TARGETS.to_vec())))?),
            ("audience", constant(rows, "default")?),
        ])
    }
}

pub(super) fn time_column(times: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(times).with_timezone("+00:00"))
}

pub(super) fn log_entries(interval: &Interval, population: &Population, random: &mut SmallRng) -> Result<RecordBatch> {
    let mut origin = Origin::default();
    for window in &interval.windows {
        origin.window(window, window.log_entries, StreamKind::Log, population, random);
    }
    let rows = origin.len();
    let texts = Messages::new(random);
    let mut messages = StringBuilder::with_capacity(rows, rows * AVERAGE_MESSAGE_BYTES);
    let mut levels = Vec::with_capacity(rows);
    let mut properties = Vec::with_capacity(rows);
    let mut message = String::new();
    for _ in 0..rows {
        texts.next(&mut message, random);
        messages.append_value(&message);
        let at = random.random_range(0..1000);
        levels.push(LEVELS.iter().find(|(below, _)| at < *below).map_or(4, |(_, level)| *level));
        properties.push(random.random_range(0..4_i32).saturating_sub(1).max(0));
    }
    let values = ["{}", r#"{"zone":"a"}"#, r#"{"zone":"b"}"#].map(jsonb).into_iter().collect::<Result<Vec<_>>>()?;
    let mut columns = origin.columns(StreamKind::Log, population)?;
    columns.extend([
        ("level", Arc::new(Int32Array::from(levels)) as ArrayRef),
        ("msg", Arc::new(messages.finish())),
        ("properties", dictionary(properties, Arc::new(BinaryArray::from_iter_values(values)))?),
    ]);
    batch(&known("log_entries")?.source_schema(), columns)
}
