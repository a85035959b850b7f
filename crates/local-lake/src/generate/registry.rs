//! The rows that tell of processes, streams and blocks.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use lakepilot_query::Result;

use super::columns::{batch, binaries, texts, times};
use super::fleet::{AUDIENCE, Fleet, Process, Stream};
use super::plan::{LATENCY, Plan, SECOND};
use crate::views::{ViewSet, dictionary};

/// What the real service says of the layout of payloads of its own; there are no payloads here.
const FORMAT: &str = "micromegas-transit";
/// An empty CBOR array: no payload, so no objects to describe.
const NO_METADATA: &[u8] = &[0x80];
const BYTES_AN_OBJECT: i64 = 48;

/// What a stream sent in one window.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) id: String,
    pub(super) stream: usize,
    pub(super) begin: i64,
    pub(super) end: i64,
    pub(super) insert_time: i64,
    pub(super) objects: i32,
    pub(super) object_offset: i64,
}

/// What the rows are made from.
pub(super) struct Registry<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) plan: &'a Plan,
    /// The blocks of a range of insert time, in its order.
    pub(super) blocks: &'a [Block],
}

impl Registry<'_> {
    fn start_time(&self, process: &Process) -> i64 {
        self.plan.window(process.windows.start).0
    }

    /// A process says so a moment after it started, when its first window opens.
    fn process_insert_time(&self, process: &Process) -> i64 {
        self.start_time(process) + LATENCY + SECOND / 10
    }

    fn ticks(&self, process: &Process, time: i64) -> i64 {
        let elapsed = i128::from(time - self.start_time(process));
        process.start_ticks + (elapsed * i128::from(process.tsc_frequency) / i128::from(SECOND)) as i64
    }

    /// The last of the blocks, for each of the members to which `member` assigns them.
    fn last_blocks(&self, members: usize, member: impl Fn(&Block) -> usize) -> Vec<Option<&Block>> {
        let mut last = vec![None; members];
        for block in self.blocks {
            last[member(block)] = Some(block);
        }
        last
    }

    /// A row for each process that sent a block, or starts.
    pub(super) fn processes(&self, view_set: &ViewSet, starting: impl Fn(&Process) -> bool) -> Result<RecordBatch> {
        let last = self.last_blocks(self.fleet.processes.len(), |block| {
            self.fleet.streams[block.stream].process
        });
        let mut rows: Vec<(&Process, Option<&Block>)> = self.fleet.processes.iter().zip(last).collect();
        rows.retain(|(process, last)| last.is_some() || starting(process));
        rows.sort_by_key(|(process, _)| self.process_insert_time(process));
        let text = |text: fn(&Process) -> &str| texts(rows.iter().map(|(process, _)| text(process)));
        let inserted = |process: &Process| self.process_insert_time(process);
        let number = |number: &dyn Fn(&Process, Option<&Block>) -> Option<i64>| -> Int64Array {
            rows.iter().map(|(process, last)| number(process, *last)).collect()
        };
        let time =
            |nanos: &dyn Fn(&Process, Option<&Block>) -> Option<i64>| cast(&number(nanos), &crate::views::timestamp());
        let properties = rows.iter().map(|(process, _)| &process.properties);
        let parents: StringArray = rows.iter().map(|(process, _)| process.parent.as_deref()).collect();
        batch(
            view_set.source_schema(),
            vec![
                ("process_id", text(|process| &process.id)),
                ("exe", text(|process| process.exe)),
                ("username", text(|process| process.username)),
                ("realname", text(|process| process.realname)),
                ("computer", text(|process| process.computer)),
                ("distro", text(|process| process.distro)),
                ("cpu_brand", text(|process| process.cpu_brand)),
                (
                    "tsc_frequency",
                    Arc::new(number(&|process, _| Some(process.tsc_frequency))),
                ),
                ("start_time", time(&|process, _| Some(self.start_time(process)))?),
                ("start_ticks", Arc::new(number(&|process, _| Some(process.start_ticks)))),
                ("insert_time", time(&|process, _| Some(inserted(process)))?),
                ("parent_process_id", Arc::new(parents)),
                ("properties", documents(properties)?),
                (
                    "last_update_time",
                    time(&|process, last| Some(last.map_or(inserted(process), |block| block.insert_time)))?,
                ),
                (
                    "last_block_end_ticks",
                    Arc::new(number(&|process, last| {
                        last.map(|block| self.ticks(process, block.end))
                    })),
                ),
                ("last_block_end_time", time(&|_, last| last.map(|block| block.end))?),
                ("audience", audience(rows.len())?),
            ],
        )
    }

    /// A row for each stream that sent a block, or whose process starts.
    pub(super) fn streams(&self, view_set: &ViewSet, starting: impl Fn(&Process) -> bool) -> Result<RecordBatch> {
        let last = self.last_blocks(self.fleet.streams.len(), |block| block.stream);
        let process = |stream: &Stream| &self.fleet.processes[stream.process];
        let mut rows: Vec<(&Stream, Option<&Block>)> = self.fleet.streams.iter().zip(last).collect();
        rows.retain(|(stream, last)| last.is_some() || starting(process(stream)));
        let inserted = |stream: &Stream| self.process_insert_time(process(stream));
        rows.sort_by_key(|(stream, _)| inserted(stream));
        let updates = rows
            .iter()
            .map(|(stream, last)| last.map_or(inserted(stream), |block| block.insert_time));
        batch(
            view_set.source_schema(),
            vec![
                ("stream_id", texts(rows.iter().map(|(stream, _)| &stream.id))),
                ("process_id", texts(rows.iter().map(|(stream, _)| &process(stream).id))),
                ("dependencies_metadata", metadata(rows.len())),
                ("objects_metadata", metadata(rows.len())),
                ("tags", tags(rows.iter().map(|(stream, _)| stream.tag()))),
                (
                    "properties",
                    documents(rows.iter().map(|(stream, _)| &stream.properties))?,
                ),
                (
                    "insert_time",
                    times(rows.iter().map(|(stream, _)| inserted(stream)).collect()),
                ),
                ("format", texts(vec![FORMAT; rows.len()])),
                ("last_update_time", times(updates.collect())),
                ("audience", audience(rows.len())?),
            ],
        )
    }

    /// A row for each block.
    pub(super) fn blocks(&self, view_set: &ViewSet) -> Result<RecordBatch> {
        let stream = |block: &Block| &self.fleet.streams[block.stream];
        let process = |block: &Block| &self.fleet.processes[stream(block).process];
        let text = |text: &dyn Fn(&Block) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(self.blocks.iter().map(text)))
        };
        let of_process = |name: fn(&Process) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(
                self.blocks.iter().map(|block| name(process(block))),
            ))
        };
        let number = |number: &dyn Fn(&Block) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(self.blocks.iter().map(number)))
        };
        let time = |nanos: &dyn Fn(&Block) -> i64| times(self.blocks.iter().map(nanos).collect());
        let objects = Int32Array::from_iter_values(self.blocks.iter().map(|block| block.objects));
        let parents: StringArray = self
            .blocks
            .iter()
            .map(|block| process(block).parent.as_deref())
            .collect();
        let inserted = |block: &Block| self.process_insert_time(process(block));
        let columns = vec![
            ("block_id", texts(self.blocks.iter().map(|block| &block.id))),
            ("stream_id", texts(self.blocks.iter().map(|block| &stream(block).id))),
            ("process_id", of_process(|process| &process.id)),
            ("begin_time", time(&|block| block.begin)),
            ("begin_ticks", number(&|block| self.ticks(process(block), block.begin))),
            ("end_time", time(&|block| block.end)),
            ("end_ticks", number(&|block| self.ticks(process(block), block.end))),
            ("nb_objects", Arc::new(objects) as Arc<dyn Array>),
            ("object_offset", number(&|block| block.object_offset)),
            (
                "payload_size",
                number(&|block| i64::from(block.objects) * BYTES_AN_OBJECT),
            ),
            ("insert_time", time(&|block| block.insert_time)),
            ("streams.dependencies_metadata", metadata(self.blocks.len())),
            ("streams.objects_metadata", metadata(self.blocks.len())),
            (
                "streams.tags",
                tags(self.blocks.iter().map(|block| stream(block).tag())),
            ),
            (
                "streams.properties",
                documents(self.blocks.iter().map(|block| &stream(block).properties))?,
            ),
            ("streams.insert_time", time(&inserted)),
            ("streams.format", text(&|_| FORMAT)),
            ("processes.start_time", time(&|block| self.start_time(process(block)))),
            ("processes.start_ticks", number(&|block| process(block).start_ticks)),
            ("processes.tsc_frequency", number(&|block| process(block).tsc_frequency)),
            ("processes.exe", of_process(|process| process.exe)),
            ("processes.username", of_process(|process| process.username)),
            ("processes.realname", of_process(|process| process.realname)),
            ("processes.computer", of_process(|process| process.computer)),
            ("processes.distro", of_process(|process| process.distro)),
            ("processes.cpu_brand", of_process(|process| process.cpu_brand)),
            ("processes.insert_time", time(&inserted)),
            ("processes.parent_process_id", Arc::new(parents)),
            (
                "processes.properties",
                documents(self.blocks.iter().map(|block| &process(block).properties))?,
            ),
            ("audience", audience(self.blocks.len())?),
        ];
        batch(view_set.source_schema(), columns)
    }
}

fn metadata(rows: usize) -> ArrayRef {
    binaries(&vec![NO_METADATA.to_vec(); rows])
}

fn documents<'a>(documents: impl Iterator<Item = &'a Vec<u8>>) -> Result<ArrayRef> {
    let plain = BinaryArray::from_iter_values(documents);
    Ok(cast(&plain, &dictionary(DataType::Binary))?)
}

fn audience(rows: usize) -> Result<ArrayRef> {
    Ok(cast(&texts(vec![AUDIENCE; rows]), &dictionary(DataType::Utf8))?)
}

/// One tag a row.
fn tags(tags: impl Iterator<Item = &'static str>) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Field::new("tag", DataType::Utf8, false));
    for tag in tags {
        lists.values().append_value(tag);
        lists.append(true);
    }
    Arc::new(lists.finish())
}
