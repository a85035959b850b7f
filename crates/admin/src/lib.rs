//! Partition operations on a telemetry lake: plan, apply, verify.
//!
//! Retiring partitions cannot be undone, and the service reports a failed retirement only in its own log: the client sees
//! an answer that ends well. So a retirement is three steps here, with a value between them. [`PartitionAdmin`] makes a
//! [`RetirementPlan`] from the catalogue, within [`Guards`]: which partitions go, which stay and why, what the server will
//! be asked for. To show it is a dry run. It can be saved, and is refused when it was edited. Applying it compares it with
//! the lake once more, asks, with a [`Journal`] that a killed run resumes from, and the [`RetirementReport`] goes by what
//! the catalogue lists before and afterwards.
//!
//! What keeps other partitions safe:
//! - Partitions are asked for by name where the server has functions for that: by file, and those without rows by their
//!   metadata ([`Capabilities`]). What was written anew has another file, so that nothing that appears between listing and
//!   call can be taken.
//! - Where there is only `retire_partitions`, which retires whatever lies **within** a range, ranges have the exact times
//!   of the catalogue and never contain a partition that was not selected; where one lies in between, there are two ranges
//!   around it. Before the first one is asked they are compared with the catalogue once more, and narrowed, never widened.
//! - `global`, which holds the rows of all processes, is planned only where a [`Selection`] names it.
//! - Every answer is read to its end, because the service rolls back one that is not.
//!
//! [`RetentionPolicy`] makes plans from rules in a file, [`ServerLock`] keeps two runs apart, [`History`] records them.
//! Materialising and regenerating follow the same pattern: [`Materialisation`] checks the bounds,
//! [`MaterialisationReport`] goes by listings.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//!
//! use lakepilot_admin::{ApplyOptions, Event, FakeLake, Guards, PartitionAdmin};
//! use lakepilot_query::{QueryService, Result};
//!
//! async fn retire_everything_of(process_id: &str, service: Arc<dyn QueryService>) -> Result<()> {
//!     let admin = PartitionAdmin::new(service).with_guards(Guards::default().with_max_partitions(10_000));
//!     let plan = admin.plan_process(process_id, None).await?;
//!     println!("{} partitions, {} rows", plan.totals().partitions, plan.totals().rows);
//!
//!     let report = admin
//!         .apply(&plan, &ApplyOptions::default(), &|event: &Event| println!("{event:?}"))
//!         .await?;
//!     assert!(report.is_complete(), "{:?}", report.first_failure());
//!     Ok(())
//! }
//!
//! // A lake in memory; a `FlightClient` takes its place in earnest.
//! let lake = FakeLake::new(vec![FakeLake::partition("log_entries", "p1", 0, 10)]);
//! futures::executor::block_on(retire_everything_of("p1", Arc::new(lake.clone()))).unwrap();
//! assert!(lake.partitions().is_empty());
//! ```
//!
//! # Features
//! - `mock`: `MockObserver`, made by `mockall`, and `FakeLake`, a lake in memory that misbehaves on demand.

mod admin;
mod apply;
mod capabilities;
mod drift;
#[cfg(feature = "mock")]
mod fake;
mod files;
mod function;
mod guards;
mod history;
mod journal;
mod lock;
mod materialise;
mod messages;
mod method;
mod observer;
mod options;
mod plan;
mod planner;
mod ranges;
mod report;
mod retention;
mod run;
mod saved;
mod selection;
mod sql;
mod verify;
mod work;

pub use admin::PartitionAdmin;
pub use capabilities::{ByMetadata, Capabilities};
pub use drift::Drift;
#[cfg(feature = "mock")]
pub use fake::{FakeLake, FakeState, Hook};
pub use guards::{Guards, Protected};
pub use history::{History, HistoryEntry, HistoryResult, HistoryWork, WritingOrder, WrittenCounts};
pub use journal::Journal;
pub use lock::ServerLock;
pub use materialise::{Materialisation, MaterialisationReport};
pub use messages::Messages;
#[cfg(feature = "mock")]
pub use observer::MockObserver;
pub use observer::{Event, Observer, ServerMessage, Silent};
pub use options::{ApplyOptions, OnDrift, OnFailure, StopSignal};
pub use plan::{
    Basis, InstancePlan, InstanceSummary, PlanTotals, Request, RetirementPlan, StayReason, StayingPartition,
    ViewInstance,
};
pub use ranges::RetirementRange;
pub use report::{Failure, InstanceReport, Outcome, OutcomeCounts, PartitionOutcome, RetirementReport, StillThere};
pub use retention::{RetentionException, RetentionPolicy, RetentionRule};
pub use selection::{Facts, Selection};
pub use verify::{Presence, Verification, VerifiedPartition};
