//! Spans of threads: trees of calls, each within its parent.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::SchemaRef;
use lakepilot_query::Result;
use rand::Rng;
use rand::rngs::SmallRng;

use super::columns::{Names, batch, keyed, texts, times};
use super::events::{Sending, any_document};
use super::fleet::Fleet;
use super::plan::SECOND;
use crate::generate::plan::Counts;

/// Where in the code a span begins: name, target, file, line.
pub(super) type Site = (&'static str, &'static str, &'static str, u32);

pub(super) const SITES: [Site; 14] = [
    ("run_frame", "render::frame", "src/render/frame.rs", 88),
    ("handle_request", "gateway::http", "src/gateway/http.rs", 141),
    ("tick", "game::session", "src/game/session.rs", 60),
    ("cull_scene", "render::frame", "src/render/cull.rs", 35),
    ("submit_draws", "render::frame", "src/render/draw.rs", 210),
    ("step_physics", "game::physics", "src/game/physics/step.rs", 19),
    ("solve_contacts", "game::physics", "src/game/physics/solve.rs", 77),
    ("replicate", "game::replication", "src/game/replicate.rs", 52),
    ("authorise", "gateway::auth", "src/gateway/auth.rs", 33),
    ("query_profile", "storage::reader", "src/storage/read.rs", 104),
    ("encode_response", "gateway::http", "src/gateway/encode.rs", 12),
    ("load_asset", "assets::cache", "src/assets/cache.rs", 230),
    ("decompress", "assets::cache", "src/assets/decompress.rs", 41),
    ("mix_voices", "audio::mixer", "src/audio/mixer.rs", 95),
];
/// The first sites are where trees begin.
const ROOTS: usize = 3;
const DEEPEST: u32 = 12;
/// Spans of a usual tree.
const TREE: usize = 12;

/// The dictionaries of the columns that follow from the site.
#[derive(Debug)]
pub(super) struct SiteNames {
    names: Names,
    targets: Names,
    files: Names,
}

impl SiteNames {
    pub(super) fn new() -> Self {
        Self {
            names: Names::new(SITES.iter().map(|site| site.0)),
            targets: Names::new(SITES.iter().map(|site| site.1)),
            files: Names::new(SITES.iter().map(|site| site.2)),
        }
    }

    pub(super) fn columns(&self, sites: Vec<i32>) -> Vec<(&'static str, ArrayRef)> {
        let lines: UInt32Array = sites.iter().map(|site| Some(SITES[*site as usize].3)).collect();
        let hashes: UInt32Array = sites.iter().map(|site| Some(hash(&SITES[*site as usize]))).collect();
        let sites = Int32Array::from(sites);
        vec![
            ("name", self.names.of(&sites)),
            ("target", self.targets.of(&sites)),
            ("filename", self.files.of(&sites)),
            ("line", Arc::new(lines) as Arc<dyn Array>),
            ("hash", Arc::new(hashes)),
        ]
    }
}

/// FNV-1a of the place in the code.
fn hash(site: &Site) -> u32 {
    let bytes = site.0.bytes().chain(site.2.bytes());
    bytes.fold(0x811C_9DC5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[derive(Clone, Copy, Debug)]
struct Span {
    begin: i64,
    end: i64,
    id: i64,
    /// 0 for a root.
    parent: i64,
    depth: u32,
    site: i32,
    stream: i32,
}

#[derive(Debug, Default)]
pub(super) struct SpanRows {
    spans: Vec<Span>,
    insert_times: Vec<i64>,
    properties: Vec<i32>,
}

/// Who makes the spans of one thread in one window.
struct Thread<'a> {
    stream: i32,
    next_id: &'a mut i64,
    random: &'a mut SmallRng,
    spans: &'a mut Vec<Span>,
}

impl SpanRows {
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn add_window(
        &mut self,
        fleet: &Fleet,
        counts: &Counts,
        window: (i64, i64),
        first_id: i64,
        sending: &mut Sending,
        random: &mut SmallRng,
    ) {
        let first = self.spans.len();
        let mut next_id = first_id;
        for (number, process) in fleet.processes.iter().enumerate() {
            for (place, stream) in process.threads.clone().enumerate() {
                let (spans, _) = counts.of_thread(number, place, process.threads.len());
                let mut thread = Thread {
                    stream: stream as i32,
                    next_id: &mut next_id,
                    random,
                    spans: &mut self.spans,
                };
                thread.fill(window, spans);
            }
        }
        self.spans[first..].sort_unstable_by_key(|span| (span.begin, span.id));
        for span in &self.spans[first..] {
            let stream = span.stream as usize;
            sending.add(stream, span.begin, span.end);
            self.insert_times.push(sending.insert_times[stream]);
            self.properties.push(any_document(random));
        }
    }

    /// The rows so far, and the stream of each; afterwards there are none.
    pub(super) fn take(
        &mut self,
        schema: SchemaRef,
        sites: &SiteNames,
        streams: &ArrayRef,
        documents: &ArrayRef,
    ) -> Result<(RecordBatch, Int32Array)> {
        let rows = std::mem::take(self);
        let of = |value: fn(&Span) -> i64| rows.spans.iter().map(value).collect::<Vec<_>>();
        let numbers = |value| -> ArrayRef { Arc::new(Int64Array::from(of(value))) };
        let stream_keys = Int32Array::from_iter_values(rows.spans.iter().map(|span| span.stream));
        let depths = UInt32Array::from_iter_values(rows.spans.iter().map(|span| span.depth));
        let mut columns = sites.columns(rows.spans.iter().map(|span| span.site).collect());
        columns.extend([
            ("id", numbers(|span| span.id)),
            ("parent", numbers(|span| span.parent)),
            ("duration", numbers(|span| span.end - span.begin)),
            ("depth", Arc::new(depths)),
            ("begin", times(of(|span| span.begin))),
            ("end", times(of(|span| span.end))),
            ("insert_time", times(rows.insert_times.clone())),
            ("stream_id", keyed(stream_keys.clone(), streams)),
            (
                "properties",
                keyed(Int32Array::from(rows.properties.clone()), documents),
            ),
        ]);
        Ok((batch(schema, columns)?, stream_keys))
    }
}

impl Thread<'_> {
    /// So many spans in a window. The first second is left to the last tree of the window before, which may end in it; a
    /// window begins two seconds before an hour may, so the first tree, which lasts longer, reaches over that edge.
    fn fill(&mut self, (begin, end): (i64, i64), spans: usize) {
        if spans == 0 {
            return;
        }
        let trees = spans.div_ceil(TREE);
        let first_end = begin + self.random.random_range(SECOND * 21 / 10..SECOND * 4);
        self.tree(begin + SECOND, first_end, size(spans, trees, 0));
        let (from, trees_left) = (begin + 5 * SECOND, trees as i64 - 1);
        for tree in 0..trees_left {
            let slot = (end - from) / trees_left;
            let slot_begin = from + tree * slot;
            let root_begin = slot_begin + self.random.random_range(0..slot / 8);
            let longest = (slot / 2).min(4 * SECOND);
            // The shorter, the more frequent.
            let length = (longest as f64 * self.random.random::<f64>().powi(4)) as i64;
            let is_last = tree + 1 == trees_left;
            let root_end = if is_last {
                end + self.random.random_range(0..SECOND * 9 / 10)
            } else {
                root_begin + length.max(longest / 1_000)
            };
            self.tree(root_begin, root_end, size(spans, trees, tree as usize + 1));
        }
    }

    fn tree(&mut self, begin: i64, end: i64, size: usize) {
        let root = self.add(begin, end, 0, 0, true);
        self.children(&root, size - 1);
    }

    /// So many spans below a parent: side by side, and each with spans below it.
    fn children(&mut self, parent: &Span, below: usize) {
        if below == 0 {
            return;
        }
        let beside = if parent.depth + 1 >= DEEPEST {
            below
        } else {
            self.random.random_range(1..=below.min(4))
        };
        let slot = (parent.end - parent.begin) / beside as i64;
        for place in 0..beside {
            let share = below / beside + usize::from(place < below % beside);
            let slot_begin = parent.begin + place as i64 * slot;
            let begin = slot_begin + self.random.random_range(0..=slot / 4);
            let end = begin + self.random.random_range(slot / 4..=slot / 2);
            let child = self.add(begin, end, parent.id, parent.depth + 1, false);
            self.children(&child, share - 1);
        }
    }

    fn add(&mut self, begin: i64, end: i64, parent: i64, depth: u32, is_root: bool) -> Span {
        let sites = if is_root { 0..ROOTS } else { ROOTS..SITES.len() };
        let span = Span {
            begin,
            end,
            id: *self.next_id,
            parent,
            depth,
            site: self.random.random_range(sites) as i32,
            stream: self.stream,
        };
        *self.next_id += 1;
        self.spans.push(span);
        span
    }
}

/// The spans of one of several trees that share them out.
fn size(spans: usize, trees: usize, tree: usize) -> usize {
    spans / trees + usize::from(tree < spans % trees)
}

/// The ids of all streams, of which a key is the number.
pub(super) fn stream_ids(fleet: &Fleet) -> ArrayRef {
    texts(fleet.streams.iter().map(|stream| &stream.id))
}
