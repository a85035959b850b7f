//! What log entries and measures have in common: a moment, and the block of a process in which it was sent.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int32Array};
use rand::Rng;
use rand::rngs::SmallRng;

use super::columns::{keyed, texts, times};
use super::fleet::{Origins, Role, jsonb, uuid};
use super::plan::SECOND;

/// Rows are handed on when there are this many.
pub(super) const FULL: usize = 32 * 1024;

/// What each stream sends in one window.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) block_ids: Vec<String>,
    pub(super) insert_times: Vec<i64>,
    /// The least and the greatest event time; `None` for a stream that sends no block.
    pub(super) times: Vec<Option<(i64, i64)>>,
}

impl Sending {
    pub(super) fn new(streams: usize, window_end: i64, random: &mut SmallRng) -> Self {
        Self {
            block_ids: (0..streams).map(|_| uuid(random)).collect(),
            // After the latest end of a span, and before the latency is over.
            insert_times: (0..streams)
                .map(|_| window_end + SECOND + random.random_range(SECOND / 20..SECOND * 19 / 20))
                .collect(),
            times: vec![None; streams],
        }
    }

    /// A stream's event from `begin` to `end`.
    pub(super) fn add(&mut self, stream: usize, begin: i64, end: i64) {
        let known = &mut self.times[stream];
        *known = Some(known.map_or((begin, end), |(least, most)| (least.min(begin), most.max(end))));
    }
}

/// Sorted moments of a window, with the number of the process of each.
pub(super) fn moments(counts: &[usize], (begin, end): (i64, i64), random: &mut SmallRng) -> Vec<(i64, i32)> {
    let mut moments: Vec<(i64, i32)> = Vec::with_capacity(counts.iter().sum());
    for (process, count) in counts.iter().enumerate() {
        moments.extend((0..*count).map(|_| (random.random_range(begin..end), process as i32)));
    }
    moments.sort_unstable();
    moments
}

/// Where events came from, column by column.
#[derive(Debug, Default)]
pub(super) struct Origin {
    times: Vec<i64>,
    insert_times: Vec<i64>,
    processes: Vec<i32>,
    blocks: Vec<i32>,
    block_ids: Vec<String>,
}

impl Origin {
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// Adds the moments of a window; `stream` tells the stream of a process.
    pub(super) fn extend(
        &mut self,
        moments: &[(i64, i32)],
        processes: usize,
        stream: impl Fn(usize) -> usize,
        sending: &mut Sending,
    ) {
        let first = self.block_ids.len() as i32;
        self.block_ids
            .extend((0..processes).map(|process| sending.block_ids[stream(process)].clone()));
        for (time, process) in moments {
            let stream = stream(*process as usize);
            sending.add(stream, *time, *time);
            self.times.push(*time);
            self.insert_times.push(sending.insert_times[stream]);
            self.processes.push(*process);
            self.blocks.push(first + process);
        }
    }

    /// The columns, and the process of each row.
    pub(super) fn columns(self, origins: &Origins, role: Role) -> (Vec<(&'static str, ArrayRef)>, Int32Array) {
        let processes = Int32Array::from(self.processes);
        let mut columns = origins.columns(&processes, role);
        columns.extend([
            ("time", times(self.times)),
            ("insert_time", times(self.insert_times)),
            (
                "block_id",
                keyed(Int32Array::from(self.blocks), &texts(&self.block_ids)),
            ),
        ]);
        (columns, processes)
    }
}

/// The properties that events have: most have none.
pub(super) fn documents() -> ArrayRef {
    let documents = [
        jsonb(&[]),
        jsonb(&[("request", "login"), ("tier", "gold")]),
        jsonb(&[("request", "purchase"), ("tier", "silver")]),
        jsonb(&[("map", "harbour"), ("mode", "ranked")]),
        jsonb(&[("map", "ridge"), ("mode", "casual")]),
        jsonb(&[("shard", "3")]),
        jsonb(&[("quoted", "it's \"so\""), ("city", "Zürich")]),
        jsonb(&[("build", "release"), ("commit", "4f626e2")]),
    ];
    Arc::new(BinaryArray::from_iter_values(documents))
}

/// The place of one of the documents.
pub(super) fn any_document(random: &mut SmallRng) -> i32 {
    match random.random_range(0..24) {
        place @ 1..8 => place,
        _ => 0,
    }
}
