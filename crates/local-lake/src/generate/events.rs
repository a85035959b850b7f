//! Async events: the begins and ends of spans that leave their thread.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use lakepilot_query::Result;
use rand::Rng;
use rand::rngs::SmallRng;

use super::logs::time_column;
use super::population::{Population, StreamKind, block_id, jsonb};
use super::schedule::{Interval, Window};
use super::spans::FUNCTIONS;
use super::{batch, dictionary, known};

/// One asynchronous span, which is two events, to so many log entries.
const LOG_ENTRIES_PER_SPAN: u64 = 32;

struct Event {
    process: i32,
    block: i32,
    time: i64,
    insert_time: i64,
    end: bool,
    id: i64,
    parent: i64,
    depth: u32,
    function: i32,
}

pub(super) fn async_events(interval: &Interval, population: &Population, random: &mut SmallRng) -> Result<RecordBatch> {
    let mut events = Vec::new();
    let mut block_ids = Vec::new();
    for window in &interval.windows {
        fill(window, population, &mut events, &mut block_ids, random);
    }
    events.sort_by_key(|event| (event.time, event.id, event.end));
    encode(&events, block_ids, population)
}

fn fill(
    window: &Window,
    population: &Population,
    events: &mut Vec<Event>,
    block_ids: &mut Vec<String>,
    random: &mut SmallRng,
) {
    let mut block_of: Vec<Option<i32>> = vec![None; population.processes().len()];
    let mut last_of: Vec<Option<(i64, i64, i64, u32)>> = vec![None; population.processes().len()];
    for number in 0..window.log_entries.div_ceil(LOG_ENTRIES_PER_SPAN) {
        let process = population.pick(window, random);
        let block = *block_of[process].get_or_insert_with(|| {
            block_ids.push(block_id(process, StreamKind::Async, window));
            block_ids.len() as i32 - 1
        });
        let id = (window.index as i64) * 1_000_000 + number as i64 + 1;
        // Every third lies within the one before it of the same process.
        let within = last_of[process].filter(|(_, begin, end, _)| random.random_range(0..3) == 0 && end - begin > 1_000);
        let (parent, depth, begin, end) = match within {
            Some((parent, begin, end, depth)) => {
                let inner = begin + random.random_range(0..(end - begin) / 2);
                (parent, depth + 1, inner, inner + random.random_range(1..=(end - inner)))
            }
            None => {
                let begin = window.first_event() + random.random_range(0..window.length_nanos() / 2);
                (0, 0, begin, begin + random.random_range(1_000_000..window.length_nanos() / 2))
            }
        };
        last_of[process] = Some((id, begin, end, depth));
        let function = random.random_range(0..FUNCTIONS.len() as i32);
        for (time, is_end) in [(begin, false), (end, true)] {
            events.push(Event {
                process: process as i32,
                block,
                time,
                insert_time: window.insert_time(),
                end: is_end,
                id,
                parent,
                depth,
                function,
            });
        }
    }
}

fn encode(events: &[Event], block_ids: Vec<String>, population: &Population) -> Result<RecordBatch> {
    let keys = |key: fn(&Event) -> i32| -> Vec<i32> { events.iter().map(key).collect() };
    let numbers = |value: fn(&Event) -> u32| -> ArrayRef { Arc::new(UInt32Array::from_iter_values(events.iter().map(value))) };
    let integers = |value: fn(&Event) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(events.iter().map(value))) };
    let streams = population.texts(|process| {
        process.streams.iter().find(|stream| stream.kind == StreamKind::Async).map_or("", |stream| stream.id.as_str())
    });
    let types: ArrayRef = Arc::new(StringArray::from(vec!["begin", "end"]));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(FUNCTIONS.map(|(name, _)| format!("{name}_async"))));
    let files: ArrayRef = Arc::new(StringArray::from_iter_values(FUNCTIONS.map(|(_, file)| file)));
    let targets: ArrayRef = Arc::new(StringArray::from_iter_values(FUNCTIONS.map(|(name, _)| format!("engine::{name}"))));
    let none = BinaryArray::from_iter_values([jsonb("{}")?]);
    let columns = vec![
        ("process_id", dictionary(keys(|event| event.process), population.texts(|process| &process.id))?),
        ("insert_time", time_column(events.iter().map(|event| event.insert_time).collect())),
        ("stream_id", dictionary(keys(|event| event.process), streams)?),
        ("block_id", dictionary(keys(|event| event.block), Arc::new(StringArray::from(block_ids)))?),
        ("time", time_column(events.iter().map(|event| event.time).collect())),
        ("event_type", dictionary(keys(|event| i32::from(event.end)), types)?),
        ("span_id", integers(|event| event.id)),
        ("parent_span_id", integers(|event| event.parent)),
        ("depth", numbers(|event| event.depth)),
        ("hash", numbers(|event| (event.function as u32 + 1).wrapping_mul(0x85EB_CA6B))),
        ("name", dictionary(keys(|event| event.function), names)?),
        ("filename", dictionary(keys(|event| event.function), files)?),
        ("target", dictionary(keys(|event| event.function), targets)?),
        ("line", numbers(|event| 30 + event.function as u32 * 17)),
        ("properties", dictionary(vec![0; events.len()], Arc::new(none))?),
    ];
    batch(&known("async_events")?.source_schema(), columns)
}
