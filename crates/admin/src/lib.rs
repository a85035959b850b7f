//! Partition operations on a telemetry lake: plan, apply, verify.
//!
//! Retiring partitions cannot be undone, and the service reports a failed retirement only in its own log: the client sees
//! an answer that ends well. So a retirement is three steps here, with a value between them. [`PartitionAdmin`] makes a
//! [`RetirementPlan`] from the catalogue: which partitions go, what straddles an edge and stays, which exact ranges the
//! server will be asked for. To show it is a dry run; nobody else can make one, so its guards have been passed. Applying
//! it asks for those ranges, and the [`RetirementReport`] goes by what the catalogue lists before and afterwards.
//!
//! What keeps other partitions safe:
//! - The server retires whatever lies **within** a range. The ranges of a plan have the exact times of the catalogue, and
//!   never contain a partition that was not selected; where one lies in between, there are two ranges around it. Before
//!   the first one is asked they are compared with the catalogue once more, and narrowed, never widened.
//! - `global`, which holds the rows of all processes, is planned only where a [`Selection`] names it.
//! - Every answer is read to its end, because the service rolls back one that is not.
//!
//! Materialising and regenerating follow the same pattern: [`Materialisation`] checks the bounds,
//! [`MaterialisationReport`] goes by listings.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//!
//! use lakepilot_admin::{ApplyOptions, Event, PartitionAdmin};
//! use lakepilot_query::{QueryService, Result};
//! # use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
//! # use lakepilot_query::{MockQueryService, RecordBatchStream};
//!
//! async fn retire_everything_of(process_id: &str, service: Arc<dyn QueryService>) -> Result<()> {
//!     let admin = PartitionAdmin::new(service);
//!     let plan = admin.plan_process(process_id, None).await?;
//!     println!("{} partitions, {} rows", plan.totals().partitions, plan.totals().rows);
//!
//!     let report = admin
//!         .apply(&plan, &ApplyOptions::default(), &|event: &Event| println!("{event:?}"))
//!         .await?;
//!     assert!(report.is_complete(), "{:?}", report.first_failure());
//!     Ok(())
//! }
//! # fn partitions(count: usize) -> RecordBatch {
//! #     let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; count])) };
//! #     let time = || -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![5; count]).with_timezone("UTC")) };
//! #     let number = || -> ArrayRef { Arc::new(Int64Array::from(vec![1; count])) };
//! #     let bytes = || -> ArrayRef { Arc::new(BinaryArray::from(vec![b"4".as_slice(); count])) };
//! #     RecordBatch::try_from_iter([
//! #         ("view_set_name", text("log_entries")), ("view_instance_id", text("p1")),
//! #         ("begin_insert_time", time()), ("end_insert_time", time()),
//! #         ("min_event_time", time()), ("max_event_time", time()), ("updated", time()),
//! #         ("file_path", text("1.parquet")), ("file_size", number()), ("num_rows", number()),
//! #         ("file_schema_hash", bytes()), ("source_data_hash", bytes()), ("partition_format_version", number()),
//! #     ]).unwrap()
//! # }
//! # let retired = std::sync::atomic::AtomicBool::new(false);
//! # let mut service = MockQueryService::new();
//! # service.expect_run().returning(move |query| {
//! #     let answer = if query.sql().contains("retire_partitions") {
//! #         retired.store(true, std::sync::atomic::Ordering::Relaxed);
//! #         RecordBatch::try_from_iter([("msg", Arc::new(StringArray::from(vec!["[RETIRE_FOUND]"])) as ArrayRef)]).unwrap()
//! #     } else if query.sql().contains("streams") {
//! #         let none = || -> ArrayRef { Arc::new(StringArray::from(Vec::<&str>::new())) };
//! #         RecordBatch::try_from_iter([("stream_id", none()), ("process_id", none())]).unwrap()
//! #     } else {
//! #         partitions(usize::from(!retired.load(std::sync::atomic::Ordering::Relaxed)))
//! #     };
//! #     Ok(RecordBatchStream::from_batches(answer.schema(), vec![answer]))
//! # });
//! # futures::executor::block_on(retire_everything_of("p1", Arc::new(service))).unwrap();
//! ```
//!
//! # Features
//! - `mock`: `MockObserver`, made by `mockall`.

mod admin;
mod apply;
mod function;
mod materialise;
mod messages;
mod observer;
mod options;
mod plan;
mod planner;
mod ranges;
mod report;
mod selection;
#[cfg(test)]
mod testing;

pub use admin::PartitionAdmin;
pub use materialise::{Materialisation, MaterialisationReport};
pub use messages::Messages;
#[cfg(feature = "mock")]
pub use observer::MockObserver;
pub use observer::{Event, Observer, ServerMessage, Silent};
pub use options::{ApplyOptions, OnFailure, StopSignal};
pub use plan::{InstancePlan, PlanTotals, RetirementPlan, ViewInstance};
pub use ranges::RetirementRange;
pub use report::{Failure, InstanceReport, Outcome, OutcomeCounts, PartitionOutcome, RetirementReport, StillThere};
pub use selection::Selection;
