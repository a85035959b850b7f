//! The files of one range of insert time: source rows of every view set, and instances of some processes.

use arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use lakepilot_query::{Error, ErrorKind, Result};

use super::async_events::AsyncRows;
use super::columns::texts;
use super::events::{FULL, Sending, documents};
use super::fleet::{Fleet, Origins, Process};
use super::logs::{LogRows, TARGETS};
use super::measures::{MeasureNames, MeasureRows};
use super::plan::{Bucket, Kind, Plan};
use super::registry::{Block, Registry};
use super::spans::{SiteNames, SpanRows, stream_ids};
use crate::store::{Changes, Lake, PreparedSegment, StagedFile, StagedWriter};
use crate::views::{ViewSet, view_set};

/// All that the threads of a generator share.
pub(super) struct World {
    pub(super) fleet: Fleet,
    pub(super) plan: Plan,
    /// Of how many processes, the first ones, instances are materialised.
    pub(super) materialised: usize,
    origins: Origins,
    streams: ArrayRef,
    targets: ArrayRef,
    documents: ArrayRef,
    measures: MeasureNames,
    sites: SiteNames,
}

/// A view set in a bucket: the source rows, and the partitions of instances.
struct Written {
    view_set: &'static ViewSet,
    segment: Option<StagedFile>,
    instances: Vec<(String, Option<StagedFile>)>,
}

/// The files of a bucket.
pub(super) struct Files {
    insert_range: (DateTime<Utc>, DateTime<Utc>),
    written: Vec<Written>,
}

/// The files of one view set that are being written.
struct Sink {
    view_set: &'static ViewSet,
    segment: StagedWriter,
    /// The number, by which rows are told apart, and the id of each instance.
    instances: Vec<(usize, String, StagedWriter)>,
}

/// The files of the view sets of events, and the rows that are not in them yet.
struct Events {
    logs: (Sink, LogRows),
    measures: (Sink, MeasureRows),
    spans: (Sink, SpanRows),
    async_events: (Sink, AsyncRows),
}

impl World {
    pub(super) fn new(fleet: Fleet, plan: Plan) -> Self {
        Self {
            origins: Origins::new(&fleet),
            streams: stream_ids(&fleet),
            targets: texts(TARGETS),
            documents: documents(),
            measures: MeasureNames::new(),
            sites: SiteNames::new(),
            materialised: fleet.processes.len().div_ceil(4),
            fleet,
            plan,
        }
    }

    /// Makes the rows of a bucket and writes them to files, which the catalogue does not name yet.
    pub(super) fn write(&self, lake: &Lake, bucket: &Bucket) -> Result<Files> {
        let mut events = Events::new(self, lake)?;
        let mut blocks = Vec::new();
        let mut offsets = bucket.offsets.clone();
        for window in bucket.windows.clone() {
            self.add_window(window, &mut events, &mut blocks, &mut offsets);
            events.flush(self, FULL)?;
        }
        events.flush(self, 1)?;
        blocks.sort_by_key(|block: &Block| block.insert_time);
        let registry = Registry {
            fleet: &self.fleet,
            plan: &self.plan,
            blocks: &blocks,
        };
        let is_starting = |process: &Process| bucket.windows.contains(&process.windows.start);
        let mut written = Vec::new();
        for name in ["blocks", "processes", "streams"] {
            let mut sink = Sink::new(lake, name, Vec::new())?;
            let rows = match name {
                "blocks" => registry.blocks(sink.view_set)?,
                "processes" => registry.processes(sink.view_set, is_starting)?,
                _ => registry.streams(sink.view_set, is_starting)?,
            };
            sink.segment.write(&rows)?;
            written.push(sink.finish()?);
        }
        written.extend(events.finish()?);
        Ok(Files {
            insert_range: (
                DateTime::from_timestamp_nanos(bucket.begin),
                DateTime::from_timestamp_nanos(bucket.end),
            ),
            written,
        })
    }

    fn add_window(&self, window: usize, events: &mut Events, blocks: &mut Vec<Block>, offsets: &mut [i64]) {
        let fleet = &self.fleet;
        let mut random = self.plan.random(window);
        let counts = self.plan.counts(window, fleet);
        let range = self.plan.window(window);
        let first_id = (window as i64 + 1) << 24;
        let sending = &mut Sending::new(fleet.streams.len(), range.1, &mut random);
        let log_entries = counts.of(Kind::LogEntries);
        events
            .logs
            .1
            .add_window(fleet, log_entries, range, sending, &mut random);
        let measures = counts.of(Kind::Measures);
        events
            .measures
            .1
            .add_window(fleet, measures, range, sending, &mut random);
        events
            .spans
            .1
            .add_window(fleet, &counts, range, first_id, sending, &mut random);
        let async_events = &mut events.async_events.1;
        async_events.add_window(fleet, &counts, range, first_id, sending, &mut random);
        for (stream, times) in sending.times.iter().enumerate() {
            let Some((begin, end)) = *times else { continue };
            let objects = fleet.objects(stream, &counts);
            blocks.push(Block {
                id: std::mem::take(&mut sending.block_ids[stream]),
                stream,
                begin,
                end,
                insert_time: sending.insert_times[stream],
                objects: i32::try_from(objects).unwrap_or(i32::MAX),
                object_offset: offsets[stream],
            });
            offsets[stream] += objects as i64;
        }
    }

    /// The instances of per-process view sets that are materialised.
    fn processes(&self) -> Vec<(usize, String)> {
        let processes = self.fleet.processes.iter().take(self.materialised).enumerate();
        processes
            .map(|(number, process)| (number, process.id.clone()))
            .collect()
    }

    /// The instances of per-stream view sets that are materialised.
    fn threads(&self) -> Vec<(usize, String)> {
        let processes = self.fleet.processes.iter().take(self.materialised);
        processes
            .flat_map(|process| process.threads.clone())
            .map(|stream| (stream, self.fleet.streams[stream].id.clone()))
            .collect()
    }
}

impl Events {
    fn new(world: &World, lake: &Lake) -> Result<Self> {
        Ok(Self {
            logs: (Sink::new(lake, "log_entries", world.processes())?, LogRows::default()),
            measures: (Sink::new(lake, "measures", world.processes())?, MeasureRows::default()),
            spans: (Sink::new(lake, "thread_spans", world.threads())?, SpanRows::default()),
            async_events: (
                Sink::new(lake, "async_events", world.processes())?,
                AsyncRows::default(),
            ),
        })
    }

    /// Writes the rows of which there are at least so many.
    fn flush(&mut self, world: &World, enough: usize) -> Result<()> {
        let (sink, rows) = &mut self.logs;
        if rows.len() >= enough {
            sink.write(rows.take(sink.schema(), &world.origins, &world.targets, &world.documents)?)?;
        }
        let (sink, rows) = &mut self.measures;
        if rows.len() >= enough {
            sink.write(rows.take(sink.schema(), &world.origins, &world.measures, &world.documents)?)?;
        }
        let (sink, rows) = &mut self.spans;
        if rows.len() >= enough {
            sink.write(rows.take(sink.schema(), &world.sites, &world.streams, &world.documents)?)?;
        }
        let (sink, rows) = &mut self.async_events;
        if rows.len() >= enough {
            let schema = sink.schema();
            sink.write(rows.take(schema, &world.origins, &world.sites, &world.streams, &world.documents)?)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Written>> {
        let sinks = [self.logs.0, self.measures.0, self.spans.0, self.async_events.0];
        sinks.into_iter().map(Sink::finish).collect()
    }
}

impl Sink {
    fn new(lake: &Lake, view_set_name: &str, instances: Vec<(usize, String)>) -> Result<Self> {
        let view_set = view_set(view_set_name).ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                format!("the generator fills the view set {view_set_name}, and there is none"),
            )
        })?;
        let instances = instances
            .into_iter()
            .map(|(number, id)| {
                let writer = lake.stage_partition(view_set, &id);
                (number, id, writer)
            })
            .collect();
        Ok(Self {
            view_set,
            segment: lake.stage_segment(view_set),
            instances,
        })
    }

    fn schema(&self) -> SchemaRef {
        self.view_set.source_schema()
    }

    /// Writes rows; `members` tells the instance of each by its number.
    fn write(&mut self, (rows, members): (RecordBatch, Int32Array)) -> Result<()> {
        self.segment.write(&rows)?;
        for (number, _, writer) in &mut self.instances {
            let number = *number as i32;
            let kept: BooleanArray = members.values().iter().map(|member| Some(*member == number)).collect();
            writer.write(&filter_record_batch(&rows, &kept)?)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Written> {
        Ok(Written {
            view_set: self.view_set,
            segment: self.segment.finish()?,
            instances: self
                .instances
                .into_iter()
                .map(|(_, id, writer)| Ok((id, writer.finish()?)))
                .collect::<Result<_>>()?,
        })
    }
}

impl Files {
    /// Adds the files to the catalogue: the source rows, the partitions of `global`, those of instances. Returns how many
    /// source rows of which view set there are.
    pub(super) fn add(self, changes: &mut Changes<'_>) -> Result<Vec<(&'static str, u64)>> {
        let insert_range = self.insert_range;
        let mut rows = Vec::new();
        for Written {
            view_set,
            segment,
            instances,
        } in self.written
        {
            let has_global = view_set.instances().has_global();
            let Some(staged) = segment else {
                if has_global {
                    changes.add_staged(view_set, "global", insert_range, None)?;
                }
                continue;
            };
            let segment = changes.add_segment(PreparedSegment {
                view_set,
                insert_range,
                staged,
            })?;
            rows.push((view_set.name(), segment.num_rows.unsigned_abs()));
            if has_global {
                changes.add_linked(view_set, "global", &segment)?;
            }
            for (id, staged) in instances {
                changes.mark_extracted(view_set.name(), &id, segment.id)?;
                if staged.is_some() {
                    changes.add_staged(view_set, &id, insert_range, staged)?;
                }
            }
        }
        Ok(rows)
    }
}
