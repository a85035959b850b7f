//! What the catalogue knows of a partition.

use chrono::{DateTime, Utc};
use lakepilot_query::TimeRange;

/// One partition: a Parquet file, or an empty range that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    /// The number of the record in the catalogue.
    pub(crate) id: i64,
    /// The view set.
    pub view_set_name: String,
    /// The view instance: `global`, a process id or a stream id.
    pub view_instance_id: String,
    /// The begin of the range of insert time, to the microsecond.
    pub begin_insert_time: DateTime<Utc>,
    /// The end of the range of insert time, to the microsecond. Equal to the begin for a partition of one block.
    pub end_insert_time: DateTime<Utc>,
    /// The earliest event time of the rows; `None` when there are none.
    pub min_event_time: Option<DateTime<Utc>>,
    /// The latest event time of the rows; `None` when there are none.
    pub max_event_time: Option<DateTime<Utc>>,
    /// When the partition was written.
    pub updated: DateTime<Utc>,
    /// The file, relative to the lake's directory; `None` when the partition is empty.
    pub file_path: Option<String>,
    /// The size of the file in bytes.
    pub file_size_bytes: i64,
    /// The version of the view's schema that the file has.
    pub file_schema_hash: Vec<u8>,
    /// The number of source rows that went into the partition, as eight bytes in little-endian order.
    pub source_data_hash: Vec<u8>,
    /// The number of rows.
    pub num_rows: i64,
    /// The version of the partition format.
    pub partition_format_version: i32,
    /// The columns by which the rows are sorted.
    pub sort_order: Vec<String>,
    /// The largest value of the first sort column.
    pub max_sort_key_time: Option<DateTime<Utc>>,
}

/// Which partitions are meant; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct PartitionFilter {
    /// The view set.
    pub view_set: Option<String>,
    /// The view instance.
    pub instance: Option<String>,
    /// Only partitions whose range of insert time overlaps this one.
    pub insert_range: Option<TimeRange>,
    /// Only partitions with rows whose range of event time overlaps this one.
    pub event_range: Option<TimeRange>,
}

impl PartitionFilter {
    /// The partitions of one view instance.
    pub fn instance(view_set: impl Into<String>, instance: impl Into<String>) -> Self {
        Self {
            view_set: Some(view_set.into()),
            instance: Some(instance.into()),
            ..Self::default()
        }
    }
}

/// What a lake holds of one view instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceInfo {
    /// The view set.
    pub view_set_name: String,
    /// The view instance.
    pub view_instance_id: String,
    /// How many partitions there are.
    pub partitions: u64,
    /// How many rows they hold.
    pub rows: u64,
    /// How many bytes their files have.
    pub bytes: u64,
    /// The begin of the first range of insert time.
    pub begin_insert_time: DateTime<Utc>,
    /// The end of the last range of insert time.
    pub end_insert_time: DateTime<Utc>,
    /// The earliest event time.
    pub min_event_time: Option<DateTime<Utc>>,
    /// The latest event time.
    pub max_event_time: Option<DateTime<Utc>>,
}
