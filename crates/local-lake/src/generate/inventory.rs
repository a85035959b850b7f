//! What the lake knows of its senders: processes, streams and blocks.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field};
use chrono::{DateTime, Utc};
use lakepilot_query::Result;

use super::logs::time_column;
use super::population::{Population, Process, Stream, StreamKind, TICKS_PER_SECOND, block_id, jsonb};
use super::schedule::{Interval, Window};
use super::{batch, constant, dictionary, known};

const FORMAT: &str = "transit";
const DISTRO: &str = "Debian GNU/Linux 12";
const CPU: &str = "generic x86_64";

fn nanos(time: DateTime<Utc>) -> i64 {
    time.timestamp_nanos_opt().unwrap_or(0)
}

fn ticks(time: i64, process: &Process) -> i64 {
    ((i128::from(time) - i128::from(nanos(process.start_time))) * i128::from(TICKS_PER_SECOND) / 1_000_000_000) as i64
}

/// The processes that started in the interval.
fn started<'a>(interval: &Interval, population: &'a Population) -> Vec<&'a Process> {
    let in_interval = |process: &&Process| process.start_time >= interval.begin && process.start_time < interval.end;
    let mut started: Vec<&Process> = population.processes().iter().filter(in_interval).collect();
    started.sort_by_key(|process| process.start_time);
    started
}

pub(super) fn processes(interval: &Interval, population: &Population) -> Result<RecordBatch> {
    let processes = started(interval, population);
    let rows = processes.len();
    let text = |value: fn(&Process) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(processes.iter().map(|process| value(process))))
    };
    let same = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value; rows])) };
    let last = nanos(population.last_update());
    let parents: StringArray = processes.iter().map(|process| process.parent.as_deref()).collect();
    let properties: ArrayRef = Arc::new(BinaryArray::from_iter_values(processes.iter().map(|process| &process.properties)));
    let starts = || time_column(processes.iter().map(|process| nanos(process.start_time)).collect());
    let last_ticks = Int64Array::from_iter_values(processes.iter().map(|process| ticks(last, process)));
    let columns = vec![
        ("process_id", text(|process| &process.id)),
        ("exe", text(|process| &process.exe)),
        ("username", text(|process| &process.username)),
        ("realname", text(|process| &process.username)),
        ("computer", text(|process| &process.computer)),
        ("distro", text(|_| DISTRO)),
        ("cpu_brand", text(|_| CPU)),
        ("tsc_frequency", same(TICKS_PER_SECOND)),
        ("start_time", starts()),
        ("start_ticks", same(0)),
        ("insert_time", starts()),
        ("parent_process_id", Arc::new(parents)),
        ("properties", dictionary((0..rows as i32).collect(), properties)?),
        ("last_update_time", time_column(vec![last; rows])),
        ("last_block_end_ticks", Arc::new(last_ticks)),
        ("last_block_end_time", time_column(vec![last; rows])),
        ("audience", constant(rows, "default")?),
    ];
    batch(&known("processes")?.source_schema(), columns)
}

fn tag_lists(tags: impl Iterator<Item = &'static str>) -> ArrayRef {
    let field = Field::new("tag", DataType::Utf8, false);
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(field);
    for tag in tags {
        lists.values().append_value(tag);
        lists.append(true);
    }
    Arc::new(lists.finish())
}

pub(super) fn streams(interval: &Interval, population: &Population) -> Result<RecordBatch> {
    let streams: Vec<(&Process, &Stream)> = started(interval, population)
        .into_iter()
        .flat_map(|process| process.streams.iter().map(move |stream| (process, stream)))
        .collect();
    let rows = streams.len();
    let text = |value: fn(&Process, &Stream) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(streams.iter().map(|(process, stream)| value(process, stream))))
    };
    let no_metadata: ArrayRef = Arc::new(BinaryArray::from_iter_values(std::iter::repeat_n([], rows)));
    let properties = streams.iter().map(|(_, stream)| jsonb(&stream.kind.properties())).collect::<Result<Vec<_>>>()?;
    let columns = vec![
        ("stream_id", text(|_, stream| stream.id.clone())),
        ("process_id", text(|process, _| process.id.clone())),
        ("dependencies_metadata", Arc::clone(&no_metadata)),
        ("objects_metadata", no_metadata),
        ("tags", tag_lists(streams.iter().map(|(_, stream)| stream.kind.tag()))),
        ("properties", dictionary((0..rows as i32).collect(), Arc::new(BinaryArray::from_iter_values(properties)))?),
        ("insert_time", time_column(streams.iter().map(|(process, _)| nanos(process.start_time)).collect())),
        ("format", text(|_, _| FORMAT.to_owned())),
        ("last_update_time", time_column(vec![nanos(population.last_update()); rows])),
        ("audience", constant(rows, "default")?),
    ];
    batch(&known("streams")?.source_schema(), columns)
}

struct Block<'a> {
    process_index: usize,
    process: &'a Process,
    stream: &'a Stream,
    window: &'a Window,
}

pub(super) fn blocks(interval: &Interval, population: &Population) -> Result<RecordBatch> {
    let mut blocks = Vec::new();
    for window in interval.windows.iter().filter(|window| window.log_entries > 0) {
        for (process_index, process) in population.processes().iter().enumerate() {
            if population.runs_in(process_index, window) {
                blocks.extend(process.streams.iter().map(|stream| Block {
                    process_index,
                    process,
                    stream,
                    window,
                }));
            }
        }
    }
    let mut columns = of_blocks(&blocks);
    columns.extend(of_streams(&blocks)?);
    columns.extend(of_processes(&blocks, population)?);
    columns.push(("audience", constant(blocks.len(), "default")?));
    batch(&known("blocks")?.source_schema(), columns)
}

type Columns = Vec<(&'static str, ArrayRef)>;

fn texts(blocks: &[Block<'_>], value: impl Fn(&Block<'_>) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(blocks.iter().map(value)))
}

fn integers(blocks: &[Block<'_>], value: impl Fn(&Block<'_>) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(blocks.iter().map(value)))
}

fn times(blocks: &[Block<'_>], value: impl Fn(&Block<'_>) -> i64) -> ArrayRef {
    time_column(blocks.iter().map(value).collect())
}

fn of_blocks(blocks: &[Block<'_>]) -> Columns {
    let end = |block: &Block<'_>| block.window.first_event() + block.window.length_nanos();
    // As many objects as an even share of the window's entries: the payload itself is not kept.
    let objects = |block: &Block<'_>| (block.window.log_entries / StreamKind::ALL.len() as u64 + 1) as i64;
    vec![
        ("block_id", texts(blocks, |block| block_id(block.process_index, block.stream.kind, block.window))),
        ("stream_id", texts(blocks, |block| block.stream.id.clone())),
        ("process_id", texts(blocks, |block| block.process.id.clone())),
        ("begin_time", times(blocks, |block| block.window.first_event())),
        ("begin_ticks", integers(blocks, |block| ticks(block.window.first_event(), block.process))),
        ("end_time", times(blocks, end)),
        ("end_ticks", integers(blocks, |block| ticks(end(block), block.process))),
        ("nb_objects", Arc::new(Int32Array::from_iter_values(blocks.iter().map(|block| objects(block) as i32)))),
        ("object_offset", integers(blocks, |block| block.window.index as i64 * objects(block))),
        ("payload_size", integers(blocks, |block| objects(block) * 90)),
        ("insert_time", times(blocks, |block| block.window.insert_time())),
    ]
}

fn of_streams(blocks: &[Block<'_>]) -> Result<Columns> {
    let no_metadata: ArrayRef = Arc::new(BinaryArray::from_iter_values(std::iter::repeat_n([], blocks.len())));
    let properties = StreamKind::ALL.iter().map(|kind| jsonb(&kind.properties())).collect::<Result<Vec<_>>>()?;
    let kind = |block: &Block<'_>| StreamKind::ALL.iter().position(|kind| *kind == block.stream.kind).unwrap_or(0) as i32;
    Ok(vec![
        ("streams.dependencies_metadata", Arc::clone(&no_metadata)),
        ("streams.objects_metadata", no_metadata),
        ("streams.tags", tag_lists(blocks.iter().map(|block| block.stream.kind.tag()))),
        (
            "streams.properties",
            dictionary(blocks.iter().map(kind).collect(), Arc::new(BinaryArray::from_iter_values(properties)))?,
        ),
        ("streams.insert_time", times(blocks, |block| nanos(block.process.start_time))),
        ("streams.format", texts(blocks, |_| FORMAT.to_owned())),
    ])
}

fn of_processes(blocks: &[Block<'_>], population: &Population) -> Result<Columns> {
    let parents: StringArray = blocks.iter().map(|block| block.process.parent.as_deref()).collect();
    let keys = blocks.iter().map(|block| block.process_index as i32).collect();
    Ok(vec![
        ("processes.start_time", times(blocks, |block| nanos(block.process.start_time))),
        ("processes.start_ticks", integers(blocks, |_| 0)),
        ("processes.tsc_frequency", integers(blocks, |_| TICKS_PER_SECOND)),
        ("processes.exe", texts(blocks, |block| block.process.exe.clone())),
        ("processes.username", texts(blocks, |block| block.process.username.clone())),
        ("processes.realname", texts(blocks, |block| block.process.username.clone())),
        ("processes.computer", texts(blocks, |block| block.process.computer.clone())),
        ("processes.distro", texts(blocks, |_| DISTRO.to_owned())),
        ("processes.cpu_brand", texts(blocks, |_| CPU.to_owned())),
        ("processes.insert_time", times(blocks, |block| nanos(block.process.start_time))),
        ("processes.parent_process_id", Arc::new(parents)),
        ("processes.properties", dictionary(keys, population.properties())?),
    ])
}
