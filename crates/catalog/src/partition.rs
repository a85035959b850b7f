//! Partitions, and which of them are meant.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use lakepilot_query::{Result, TimeRange, quote_time};
use serde::{Deserialize, Serialize};

use crate::condition::Conditions;
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

/// Which partitions are meant: all conditions have to hold.
///
/// The same filter goes to the server as SQL and answers for a value with [`matches`](Self::matches).
///
/// ```
/// use lakepilot_catalog::PartitionFilter;
///
/// let filter = PartitionFilter::all().with_view_sets(["thread_spans"]).non_global();
/// assert_eq!(
///     filter.to_sql(),
///     "SELECT * FROM list_partitions() WHERE view_set_name IN ('thread_spans') AND view_instance_id <> 'global'"
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionFilter {
    view_sets: Option<HashSet<String>>,
    instances: Option<HashSet<String>>,
    non_global: bool,
    within: Option<TimeRange>,
    overlapping: Option<TimeRange>,
    older_than: Option<DateTime<Utc>>,
}

impl PartitionFilter {
    /// Every partition of the lake.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only those of these view sets, whole names. No names: no partitions.
    #[must_use]
    pub fn with_view_sets<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.view_sets = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Only those of these view instances: `global`, ids of processes, ids of streams. No ids: no partitions.
    #[must_use]
    pub fn with_instances<S: Into<String>>(mut self, ids: impl IntoIterator<Item = S>) -> Self {
        self.instances = Some(ids.into_iter().map(Into::into).collect());
        self
    }

    /// Only those of a process or a stream, none of `global`.
    #[must_use]
    pub fn non_global(mut self) -> Self {
        self.non_global = true;
        self
    }

    /// Only those whose insert time lies in the range with both ends: what a retirement of the range would take.
    #[must_use]
    pub fn within(mut self, range: TimeRange) -> Self {
        self.within = Some(range);
        self
    }

    /// Only those whose insert time has an instant in common with the range, ends included.
    #[must_use]
    pub fn overlapping(mut self, range: TimeRange) -> Self {
        self.overlapping = Some(range);
        self
    }

    /// Only those whose insert time ended at the cutoff or before it.
    #[must_use]
    pub fn older_than(mut self, cutoff: DateTime<Utc>) -> Self {
        self.older_than = Some(cutoff);
        self
    }

    /// Whether the partition is meant.
    pub fn matches(&self, partition: &Partition) -> bool {
        let among =
            |names: &Option<HashSet<String>>, name: &str| names.as_ref().is_none_or(|names| names.contains(name));
        among(&self.view_sets, &partition.view_set_name)
            && among(&self.instances, &partition.view_instance_id)
            && !(self.non_global && partition.is_global())
            && self
                .within
                .is_none_or(|range| partition.is_within(range.begin(), range.end()))
            && self.overlapping.is_none_or(|range| {
                partition.begin_insert_time <= range.end() && partition.end_insert_time >= range.begin()
            })
            && self.older_than.is_none_or(|cutoff| partition.end_insert_time <= cutoff)
    }

    /// The statement that lists the partitions. Every value in it is quoted.
    ///
    /// A list of more than 500 names stays out of it (a statement has a size limit too, and the answer is filtered once
    /// more on this side).
    pub fn to_sql(&self) -> String {
        let mut conditions = Conditions::default();
        conditions.one_of("view_set_name", self.view_sets.as_ref());
        conditions.one_of("view_instance_id", self.instances.as_ref());
        if self.non_global {
            conditions.push(format!("view_instance_id <> '{GLOBAL_INSTANCE}'"));
        }
        if let Some(range) = self.within {
            conditions.push(format!("begin_insert_time >= {}", quote_time(range.begin())));
            conditions.push(format!("end_insert_time <= {}", quote_time(range.end())));
        }
        if let Some(range) = self.overlapping {
            conditions.push(format!("begin_insert_time <= {}", quote_time(range.end())));
            conditions.push(format!("end_insert_time >= {}", quote_time(range.begin())));
        }
        if let Some(cutoff) = self.older_than {
            conditions.push(format!("end_insert_time <= {}", quote_time(cutoff)));
        }
        format!("SELECT * FROM list_partitions(){conditions}")
    }

    /// Whether no partition at all can match, so that there is nothing to ask.
    pub(crate) fn is_never(&self) -> bool {
        let none = |names: &Option<HashSet<String>>| names.as_ref().is_some_and(HashSet::is_empty);
        none(&self.view_sets) || none(&self.instances)
    }
}
