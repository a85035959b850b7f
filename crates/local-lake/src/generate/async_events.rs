//! Begins and ends of async operations, which wander between the threads of a process.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, UInt32Array};
use arrow::datatypes::SchemaRef;
use lakepilot_query::Result;
use rand::Rng;
use rand::rngs::SmallRng;

use super::columns::{batch, keyed, texts, times};
use super::events::{Sending, any_document};
use super::fleet::{Fleet, Origins};
use super::plan::{Counts, SECOND};
use super::spans::{SITES, SiteNames};

#[derive(Clone, Copy, Debug)]
struct Operation {
    begin: i64,
    end: i64,
    id: i64,
    /// 0 when there is none.
    parent: i64,
    depth: u32,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    time: i64,
    /// 0 is a begin, 1 an end.
    event_type: i32,
    operation: Operation,
    site: i32,
    stream: i32,
    process: i32,
    block: i32,
}

#[derive(Debug, Default)]
pub(super) struct AsyncRows {
    events: Vec<Event>,
    block_ids: Vec<String>,
    insert_times: Vec<i64>,
    properties: Vec<i32>,
}

impl AsyncRows {
    pub(super) fn len(&self) -> usize {
        self.events.len()
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
        let first_block = self.block_ids.len() as i32;
        self.block_ids.extend(sending.block_ids.iter().cloned());
        let first = self.events.len();
        let mut next_id = first_id;
        for (number, process) in fleet.processes.iter().enumerate() {
            for (place, stream) in process.threads.clone().enumerate() {
                let (_, pairs) = counts.of_thread(number, place, process.threads.len());
                let mut before: Option<Operation> = None;
                for _ in 0..pairs {
                    let operation = operation(window, before, next_id, random);
                    next_id += 1;
                    before = Some(operation);
                    let site = random.random_range(0..SITES.len()) as i32;
                    self.events.extend(
                        [(operation.begin, 0), (operation.end, 1)].map(|(time, event_type)| Event {
                            time,
                            event_type,
                            operation,
                            site,
                            stream: stream as i32,
                            process: number as i32,
                            block: first_block + stream as i32,
                        }),
                    );
                }
            }
        }
        self.events[first..].sort_unstable_by_key(|event| (event.time, event.operation.id, event.event_type));
        for event in &self.events[first..] {
            let stream = event.stream as usize;
            sending.add(stream, event.time, event.time);
            self.insert_times.push(sending.insert_times[stream]);
            self.properties.push(any_document(random));
        }
    }

    /// The rows so far, and the process of each; afterwards there are none.
    pub(super) fn take(
        &mut self,
        schema: SchemaRef,
        origins: &Origins,
        sites: &SiteNames,
        streams: &ArrayRef,
        documents: &ArrayRef,
    ) -> Result<(RecordBatch, Int32Array)> {
        let rows = std::mem::take(self);
        let keys = |key: fn(&Event) -> i32| Int32Array::from_iter_values(rows.events.iter().map(key));
        let numbers = |number: fn(&Event) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(rows.events.iter().map(number)))
        };
        let processes = keys(|event| event.process);
        let depths = UInt32Array::from_iter_values(rows.events.iter().map(|event| event.operation.depth));
        let mut columns = sites.columns(rows.events.iter().map(|event| event.site).collect());
        columns.extend([
            ("process_id", origins.process_ids(&processes)),
            ("stream_id", keyed(keys(|event| event.stream), streams)),
            ("block_id", keyed(keys(|event| event.block), &texts(&rows.block_ids))),
            ("time", times(rows.events.iter().map(|event| event.time).collect())),
            ("insert_time", times(rows.insert_times.clone())),
            (
                "event_type",
                keyed(keys(|event| event.event_type), &texts(["begin", "end"])),
            ),
            ("span_id", numbers(|event| event.operation.id)),
            ("parent_span_id", numbers(|event| event.operation.parent)),
            ("depth", Arc::new(depths) as Arc<dyn Array>),
            (
                "properties",
                keyed(Int32Array::from(rows.properties.clone()), documents),
            ),
        ]);
        Ok((batch(schema, columns)?, processes))
    }
}

/// An operation of a window; some lie within the one before.
fn operation((begin, end): (i64, i64), before: Option<Operation>, id: i64, random: &mut SmallRng) -> Operation {
    let parent =
        before.filter(|before| before.depth < 6 && before.end - before.begin > 1_000 && random.random_bool(0.4));
    let (least, most) = parent.map_or((begin, end), |parent| (parent.begin, parent.end));
    let longest = ((most - least) / 2).min(30 * SECOND);
    let from = random.random_range(least..most - longest);
    Operation {
        begin: from,
        end: from + random.random_range(longest / 100..longest),
        id,
        parent: parent.map_or(0, |parent| parent.id),
        depth: parent.map_or(0, |parent| parent.depth + 1),
    }
}
