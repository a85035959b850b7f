//! Partitions.

use chrono::{DateTime, Utc};
use lakepilot_query::Result;
use serde::{Deserialize, Serialize};

use crate::reader::ColumnReader;

/// The instance of a view set that holds the rows of all processes.
pub const GLOBAL_INSTANCE: &str = "global";

/// One Parquet file of one view instance for one range of insert time, as `list_partitions()` tells it.
///
/// Every time is as exact as the server sent it (the service keeps microseconds). Two partitions are the same one only
/// if they are equal in all of this: what was retired and written again has another `file_path` and `updated`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// The view set: `log_entries`, `thread_spans`, ...
    pub view_set_name: String,
    /// `global`, the id of a process, or the id of a stream.
    pub view_instance_id: String,
    /// The beginning of the range of insert time. Included.
    pub begin_insert_time: DateTime<Utc>,
    /// The end of the range of insert time. Equal to the beginning where a partition holds one block of one process.
    pub end_insert_time: DateTime<Utc>,
    /// The earliest event time of its rows; `None` when it has none.
    pub min_event_time: Option<DateTime<Utc>>,
    /// The latest event time of its rows; `None` when it has none.
    pub max_event_time: Option<DateTime<Utc>>,
    /// When the partition was written.
    pub updated: DateTime<Utc>,
    /// The file in the object store; `None` when the partition has no rows.
    pub file_path: Option<String>,
    /// The size of the file in bytes.
    pub file_size_bytes: u64,
    /// The hash of the schema of the file. Queries ignore a partition whose hash is not the view set's current one.
    #[serde(with = "crate::hex")]
    pub file_schema_hash: Vec<u8>,
    /// The hash of what the partition was made of; for most view sets, a count of objects.
    #[serde(with = "crate::hex")]
    pub source_data_hash: Vec<u8>,
    /// How many rows the file has.
    pub num_rows: u64,
    /// The version of the way in which the file's metadata is stored.
    pub partition_format_version: i64,
    /// The columns by which the rows are sorted; `None` where they are not, or where the server does not tell.
    pub sort_order: Option<Vec<String>>,
    /// The latest value of the first sort column, where that is a time; `None` where the server does not tell.
    pub max_sort_key_time: Option<DateTime<Utc>>,
}

impl Partition {
    /// Whether the partition belongs to the instance that holds all processes.
    pub fn is_global(&self) -> bool {
        self.view_instance_id == GLOBAL_INSTANCE
    }

    /// Whether the partition has no rows.
    pub fn is_empty(&self) -> bool {
        self.num_rows == 0
    }

    /// Whether the partition lies in the range with both of its ends, as the service understands `begin` and `end` of a
    /// retirement: where the range is one instant, the partition has to be that instant.
    pub fn is_within(&self, begin: DateTime<Utc>, end: DateTime<Utc>) -> bool {
        self.begin_insert_time >= begin && self.end_insert_time <= end
    }

    pub(crate) fn read(columns: &ColumnReader<'_>) -> Result<Vec<Self>> {
        let view_set_name = columns.required::<String>("view_set_name")?;
        let view_instance_id = columns.required::<String>("view_instance_id")?;
        let begin_insert_time = columns.required::<DateTime<Utc>>("begin_insert_time")?;
        let end_insert_time = columns.required::<DateTime<Utc>>("end_insert_time")?;
        let min_event_time = columns.required::<DateTime<Utc>>("min_event_time")?;
        let max_event_time = columns.required::<DateTime<Utc>>("max_event_time")?;
        let updated = columns.required::<DateTime<Utc>>("updated")?;
        let file_path = columns.required::<String>("file_path")?;
        let file_size = columns.required::<u64>("file_size")?;
        let file_schema_hash = columns.required::<Vec<u8>>("file_schema_hash")?;
        let source_data_hash = columns.required::<Vec<u8>>("source_data_hash")?;
        let num_rows = columns.required::<u64>("num_rows")?;
        let partition_format_version = columns.required::<i64>("partition_format_version")?;
        let sort_order = columns.optional::<Vec<String>>("sort_order")?;
        let max_sort_key_time = columns.optional::<DateTime<Utc>>("max_sort_key_time")?;
        (0..columns.num_rows())
            .map(|row| {
                Ok(Self {
                    view_set_name: view_set_name.value(row)?,
                    view_instance_id: view_instance_id.value(row)?,
                    begin_insert_time: begin_insert_time.value(row)?,
                    end_insert_time: end_insert_time.value(row)?,
                    min_event_time: min_event_time.get(row)?,
                    max_event_time: max_event_time.get(row)?,
                    updated: updated.value(row)?,
                    file_path: file_path.get(row)?,
                    file_size_bytes: file_size.value(row)?,
                    file_schema_hash: file_schema_hash.value(row)?,
                    source_data_hash: source_data_hash.value(row)?,
                    num_rows: num_rows.value(row)?,
                    partition_format_version: partition_format_version.value(row)?,
                    sort_order: sort_order.get(row)?,
                    max_sort_key_time: max_sort_key_time.get(row)?,
                })
            })
            .collect()
    }

    /// The order in which partitions are listed: by view set, instance, insert time.
    pub(crate) fn listing_order(&self, other: &Self) -> std::cmp::Ordering {
        let key = |partition: &Self| {
            (
                partition.begin_insert_time,
                partition.end_insert_time,
                partition.updated,
            )
        };
        self.view_set_name
            .cmp(&other.view_set_name)
            .then_with(|| self.view_instance_id.cmp(&other.view_instance_id))
            .then_with(|| key(self).cmp(&key(other)))
            .then_with(|| self.file_path.cmp(&other.file_path))
    }
}
