//! Blocks.

use chrono::{DateTime, Utc};
use lakepilot_query::Result;
use serde::{Deserialize, Serialize};

use crate::reader::ColumnReader;

/// A block of events that a process sent at once, as the view `blocks` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The id.
    pub block_id: String,
    /// The stream that it belongs to.
    pub stream_id: String,
    /// The process that sent it.
    pub process_id: String,
    /// The time of its first event.
    pub begin_time: DateTime<Utc>,
    /// The process's counter at that time, in ticks.
    pub begin_ticks: i64,
    /// The time of its last event.
    pub end_time: DateTime<Utc>,
    /// The process's counter at that time, in ticks.
    pub end_ticks: i64,
    /// How many events it holds.
    pub nb_objects: u64,
    /// How many events the stream had before it.
    pub object_offset: u64,
    /// The size of the payload in bytes.
    pub payload_size_bytes: u64,
    /// When it reached the lake.
    pub insert_time: DateTime<Utc>,
}

impl Block {
    /// What is asked of the view: it also holds everything about the process and the stream, once more for every block.
    pub(crate) const COLUMNS: &'static str = "block_id, stream_id, process_id, begin_time, begin_ticks, end_time, \
         end_ticks, nb_objects, object_offset, payload_size, insert_time";

    pub(crate) fn read(columns: &ColumnReader<'_>) -> Result<Vec<Self>> {
        let block_id = columns.required::<String>("block_id")?;
        let stream_id = columns.required::<String>("stream_id")?;
        let process_id = columns.required::<String>("process_id")?;
        let begin_time = columns.required::<DateTime<Utc>>("begin_time")?;
        let begin_ticks = columns.required::<i64>("begin_ticks")?;
        let end_time = columns.required::<DateTime<Utc>>("end_time")?;
        let end_ticks = columns.required::<i64>("end_ticks")?;
        let nb_objects = columns.required::<u64>("nb_objects")?;
        let object_offset = columns.required::<u64>("object_offset")?;
        let payload_size = columns.required::<u64>("payload_size")?;
        let insert_time = columns.required::<DateTime<Utc>>("insert_time")?;
        (0..columns.num_rows())
            .map(|row| {
                Ok(Self {
                    block_id: block_id.value(row)?,
                    stream_id: stream_id.value(row)?,
                    process_id: process_id.value(row)?,
                    begin_time: begin_time.value(row)?,
                    begin_ticks: begin_ticks.value(row)?,
                    end_time: end_time.value(row)?,
                    end_ticks: end_ticks.value(row)?,
                    nb_objects: nb_objects.value(row)?,
                    object_offset: object_offset.value(row)?,
                    payload_size_bytes: payload_size.value(row)?,
                    insert_time: insert_time.value(row)?,
                })
            })
            .collect()
    }
}
