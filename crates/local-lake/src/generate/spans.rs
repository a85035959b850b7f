//! Spans of threads: calls within calls.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use lakepilot_query::Result;
use rand::Rng;
use rand::rngs::SmallRng;

use super::logs::time_column;
use super::population::{Population, StreamKind, jsonb};
use super::schedule::{Interval, Window};
use super::{batch, dictionary, known};

/// Functions, and the file that each is in.
pub(super) const FUNCTIONS: [(&str, &str); 8] = [
    ("tick", "src/server.rs"),
    ("poll_network", "src/net/mod.rs"),
    ("decode_packet", "src/net/packet.rs"),
    ("update_world", "src/world.rs"),
    ("find_match", "src/match.rs"),
    ("load_asset", "src/assets.rs"),
    ("write_journal", "src/storage/wal.rs"),
    ("encode_reply", "src/net/reply.rs"),
];
/// One span to so many log entries.
const LOG_ENTRIES_PER_SPAN: u64 = 8;
const DEEPEST: u32 = 4;
const MILLISECOND: i64 = 1_000_000;
/// A span of this length begins before its window, whose block it is in because it ends there.
const CROSSING: i64 = 10_000 * MILLISECOND;

#[derive(Clone)]
struct Span {
    stream: i32,
    id: i64,
    parent: i64,
    depth: u32,
    begin: i64,
    end: i64,
    function: i32,
    insert_time: i64,
}

pub(super) fn thread_spans(interval: &Interval, population: &Population, random: &mut SmallRng) -> Result<RecordBatch> {
    let streams: Vec<(usize, &str)> = population
        .processes()
        .iter()
        .enumerate()
        .flat_map(|(index, process)| {
            let threads = process.streams.iter().filter(|stream| matches!(stream.kind, StreamKind::Thread(_)));
            threads.map(move |stream| (index, stream.id.as_str()))
        })
        .collect();
    let mut spans = Vec::new();
    for window in &interval.windows {
        let budget = window.log_entries.div_ceil(LOG_ENTRIES_PER_SPAN) / streams.len() as u64 + 1;
        for (stream, (process, _)) in streams.iter().enumerate() {
            if population.runs_in(*process, window) {
                fill(window, stream as i32, budget as usize, &mut spans, random);
            }
        }
    }
    spans.sort_by_key(|span| (span.begin, span.depth, span.id));
    let ids = streams.iter().map(|(_, id)| *id);
    encode(&spans, Arc::new(StringArray::from_iter_values(ids)))
}

/// Fills a window of a stream with top-level calls, one after the other, and the calls within them.
fn fill(window: &Window, stream: i32, budget: usize, spans: &mut Vec<Span>, random: &mut SmallRng) {
    let first = spans.len();
    // Unique within the stream: windows have room for a million spans each.
    let mut next_id = (window.index as i64) * 1_000_000 + 1;
    let mut at = window.first_event();
    if window.index > 0 && random.random_range(0..8) == 0 {
        at -= CROSSING / 2;
    }
    let slot = window.length_nanos() / (budget as i64).max(1);
    let top = Span {
        stream,
        id: 0,
        parent: 0,
        depth: 0,
        begin: 0,
        end: 0,
        function: 0,
        insert_time: window.insert_time(),
    };
    while spans.len() - first < budget {
        let left = budget - (spans.len() - first);
        let length = if at < window.first_event() { CROSSING } else { random.random_range(MILLISECOND..40 * MILLISECOND) };
        let span = Span {
            id: next_id,
            begin: at,
            end: at + length,
            ..top.clone()
        };
        next_id += 1;
        spans.push(span.clone());
        nest(&span, left - 1, &mut next_id, spans, random);
        at = span.end + random.random_range(0..slot.max(1));
        if at + 40 * MILLISECOND > window.first_event() + window.length_nanos() {
            break;
        }
    }
}

/// Calls within a call: shorter than it, and one after the other.
fn nest(parent: &Span, budget: usize, next_id: &mut i64, spans: &mut Vec<Span>, random: &mut SmallRng) {
    let first = spans.len();
    let mut at = parent.begin;
    let calls = random.random_range(0..4);
    for _ in 0..calls {
        let room = parent.end - at;
        if parent.depth + 1 >= DEEPEST || spans.len() - first >= budget || room < 4_000 {
            return;
        }
        let begin = at + random.random_range(0..room / 4);
        let end = begin + random.random_range(1_000..(parent.end - begin) / 2);
        let call = Span {
            id: *next_id,
            parent: parent.id,
            depth: parent.depth + 1,
            begin,
            end,
            function: random.random_range(1..FUNCTIONS.len() as i32),
            ..parent.clone()
        };
        *next_id += 1;
        spans.push(call.clone());
        let left = budget.saturating_sub(spans.len() - first);
        nest(&call, left, next_id, spans, random);
        at = end;
    }
}

fn encode(spans: &[Span], streams: ArrayRef) -> Result<RecordBatch> {
    let functions: Vec<i32> = spans.iter().map(|span| span.function).collect();
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(FUNCTIONS.map(|(name, _)| name)));
    let files: ArrayRef = Arc::new(StringArray::from_iter_values(FUNCTIONS.map(|(_, file)| file)));
    let targets: ArrayRef = Arc::new(StringArray::from_iter_values(FUNCTIONS.map(|(name, _)| format!("engine::{name}"))));
    let integers = |value: fn(&Span) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(spans.iter().map(value))) };
    let numbers = |value: fn(&Span) -> u32| -> ArrayRef { Arc::new(UInt32Array::from_iter_values(spans.iter().map(value))) };
    let none = BinaryArray::from_iter_values([jsonb("{}")?]);
    let columns = vec![
        ("stream_id", dictionary(spans.iter().map(|span| span.stream).collect(), streams)?),
        ("insert_time", time_column(spans.iter().map(|span| span.insert_time).collect())),
        ("id", integers(|span| span.id)),
        ("parent", integers(|span| span.parent)),
        ("depth", numbers(|span| span.depth)),
        ("hash", numbers(|span| (span.function as u32 + 1).wrapping_mul(0x9E37_79B9))),
        ("begin", time_column(spans.iter().map(|span| span.begin).collect())),
        ("end", time_column(spans.iter().map(|span| span.end).collect())),
        ("duration", integers(|span| span.end - span.begin)),
        ("name", dictionary(functions.clone(), names)?),
        ("target", dictionary(functions.clone(), targets)?),
        ("filename", dictionary(functions, files)?),
        ("line", numbers(|span| 20 + span.function as u32 * 13)),
        ("properties", dictionary(vec![0; spans.len()], Arc::new(none))?),
    ];
    batch(&known("thread_spans")?.source_schema(), columns)
}
