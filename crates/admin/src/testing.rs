//! Values for unit tests.

use chrono::{DateTime, Utc};
use lakepilot_catalog::Partition;

pub(crate) fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

pub(crate) fn partition(view_set: &str, instance: &str, begin: i64, end: i64) -> Partition {
    Partition {
        view_set_name: view_set.to_owned(),
        view_instance_id: instance.to_owned(),
        begin_insert_time: time(begin),
        end_insert_time: time(end),
        min_event_time: Some(time(begin)),
        max_event_time: Some(time(end)),
        updated: time(end),
        file_path: Some(format!("{view_set}/{begin}-{end}")),
        file_size_bytes: 100,
        file_schema_hash: vec![4],
        source_data_hash: vec![1],
        num_rows: 10,
        partition_format_version: 2,
        sort_order: None,
        max_sort_key_time: None,
    }
}
