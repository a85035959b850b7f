//! Partitions and bars for the tests.

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_catalog::Partition;

use crate::TimeAxis;
use crate::bar::Bar;

pub(crate) fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap()
}

/// A partition from one millisecond since 1970 to another, of one row of ten bytes.
pub(crate) fn partition(view_set: &str, instance: &str, begin: i64, end: i64) -> Partition {
    Partition {
        view_set_name: view_set.to_owned(),
        view_instance_id: instance.to_owned(),
        begin_insert_time: time(begin),
        end_insert_time: time(end),
        min_event_time: Some(time(begin) - TimeDelta::milliseconds(1)),
        max_event_time: Some(time(end) - TimeDelta::milliseconds(1)),
        updated: time(end),
        file_path: Some(format!("{view_set}/{begin}.parquet")),
        file_size_bytes: 10,
        file_schema_hash: vec![4],
        source_data_hash: Vec::new(),
        num_rows: 1,
        partition_format_version: 2,
        sort_order: None,
        max_sort_key_time: None,
    }
}

pub(crate) fn bar(begin: i64, end: i64) -> Bar {
    Bar::of(&partition("x", "p", begin, end), TimeAxis::Insert, false).unwrap()
}
