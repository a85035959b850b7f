//! Pictures of a lake's partitions: one row for each instance of a view set, time across, a bar for each partition.
//!
//! A list of a thousand partitions hides what a look shows at once: the hour that was never materialised, two partitions
//! that overlap, the one instance that takes half of the space, and what a plan is about to take away. A
//! [`PartitionMap`] is laid out once, and drawn in three ways: [`to_svg`](PartitionMap::to_svg) for a report,
//! [`to_html`](PartitionMap::to_html) for a page to explore that needs no network,
//! [`to_strip`](PartitionMap::to_strip) for a terminal.
//!
//! Drawing is pure: nothing is asked of a server, no file is written, and "now" is an argument. Names come from servers
//! and may hold anything; they are escaped for where they go.
//!
//! However many partitions there are, a picture stays of a size that opens: bars that would be narrower than a pixel are
//! drawn as one, and instances beyond a limit share a row for each view set.
//!
//! # Example
//! ```
//! use chrono::{TimeZone, Utc};
//! use lakepilot_catalog::Partition;
//! use lakepilot_partition_map::{ColorBy, MapOptions, PartitionMap, StripOptions};
//!
//! fn picture(partitions: &[Partition], planned: &[Partition]) -> String {
//!     let now = Utc.with_ymd_and_hms(2026, 3, 1, 0, 0, 0).unwrap();
//!     let options = MapOptions::new(now).with_color_by(ColorBy::Bytes).with_title("before the clean-up");
//!     let map = PartitionMap::new(partitions, planned, &options);
//!     println!("{}", map.to_strip(&StripOptions::default()));
//!     map.to_html()
//! }
//! # let hour = |hour| Utc.with_ymd_and_hms(2026, 2, 1, hour, 0, 0).unwrap();
//! # let partition = Partition {
//! #     view_set_name: "log_entries".to_owned(), view_instance_id: "global".to_owned(),
//! #     begin_insert_time: hour(1), end_insert_time: hour(2), min_event_time: Some(hour(1)),
//! #     max_event_time: Some(hour(2)), updated: hour(3), file_path: None, file_size_bytes: 10,
//! #     file_schema_hash: vec![4], source_data_hash: vec![], num_rows: 3, partition_format_version: 2,
//! #     sort_order: None, max_sort_key_time: None,
//! # };
//! # assert!(picture(&[partition.clone()], &[partition]).contains("before the clean-up"));
//! ```

mod bar;
mod condense;
mod map;
mod options;
mod page;
mod row;
mod scale;
mod strip;
mod svg;
#[cfg(test)]
mod testing;
mod text;
mod ticks;

pub use map::{MapTotals, PartitionMap};
pub use options::{ColorBy, MapOptions, StripOptions, TimeAxis};
