//! What a telemetry lake says about itself, as typed values.
//!
//! A lake answers questions about itself in SQL: `list_partitions()`, `list_view_sets()` and the views `processes`,
//! `streams` and `blocks`. [`Catalog`] asks them over any [`QueryService`](lakepilot_query::QueryService) (a remote lake,
//! an embedded one, a mock) and returns [`Partition`], [`ViewSet`], [`Process`], [`Stream`] and [`Block`].
//!
//! Three things make this more than a row mapper. Servers spell the same column in many ways (plain, view, large,
//! dictionary; times in any unit), which [`ColumnReader`] takes care of, also for answers that are not in the catalogue.
//! Servers of several versions are in use, so newer columns may be missing. And what goes into the SQL comes from
//! people, so filters ([`PartitionFilter`], [`ProcessFilter`], [`StreamFilter`]) quote every value.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use lakepilot_catalog::{Catalog, PartitionFilter};
//! use lakepilot_query::{PreparedQuery, Query, QueryService, RecordBatchStream, Result};
//! # use arrow::array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
//! # use arrow::array::TimestampMicrosecondArray;
//!
//! /// A lake of one partition; a `FlightClient` takes its place in earnest.
//! struct SmallLake;
//!
//! # fn one_partition() -> Result<RecordBatch> {
//! #     let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
//! #     let time = || -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![1_700_000_000_000_001]).with_timezone("UTC")) };
//! #     let bytes = || -> ArrayRef { Arc::new(BinaryArray::from(vec![b"4".as_slice()])) };
//! #     let number = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
//! #     let version: ArrayRef = Arc::new(Int32Array::from(vec![2]));
//! #     Ok(RecordBatch::try_from_iter([
//! #         ("view_set_name", text("log_entries")), ("view_instance_id", text("global")),
//! #         ("begin_insert_time", time()), ("end_insert_time", time()),
//! #         ("min_event_time", time()), ("max_event_time", time()), ("updated", time()),
//! #         ("file_path", text("views/log_entries/1.parquet")), ("file_size", number(1_000)),
//! #         ("file_schema_hash", bytes()), ("source_data_hash", bytes()), ("num_rows", number(42)),
//! #         ("partition_format_version", version),
//! #     ])?)
//! # }
//! #[async_trait]
//! impl QueryService for SmallLake {
//!     async fn run(&self, _query: &Query) -> Result<RecordBatchStream> {
//!         let batch = one_partition()?;
//!         Ok(RecordBatchStream::from_batches(batch.schema(), vec![batch]))
//!     }
//!
//!     async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
//!         Ok(PreparedQuery::new(one_partition()?.schema()))
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let catalog = Catalog::new(Arc::new(SmallLake));
//! let filter = PartitionFilter::all().with_view_sets(["log_entries"]);
//! let partitions = futures::executor::block_on(catalog.partitions(&filter))?;
//! assert_eq!(partitions[0].num_rows, 42);
//! assert_eq!(partitions[0].begin_insert_time.timestamp_subsec_micros(), 1);
//! # Ok(())
//! # }
//! ```

mod block;
mod catalog;
mod condition;
mod hex;
mod name_pattern;
mod partition;
mod partition_filter;
mod process;
mod reader;
mod stream;
mod view_set;

pub use block::Block;
pub use catalog::Catalog;
pub use name_pattern::NamePattern;
pub use partition::{GLOBAL_INSTANCE, Partition};
pub use partition_filter::PartitionFilter;
pub use process::{Process, ProcessFilter};
pub use reader::{Column, ColumnReader, ColumnValue};
pub use stream::{Stream, StreamFilter};
pub use view_set::ViewSet;
