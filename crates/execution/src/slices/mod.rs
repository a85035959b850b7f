//! One query as many, each over a piece of its time range, at the same time.

mod auto;
mod merge;
mod plan;
mod queue;

pub use auto::{auto_slices, slices_along};
pub(crate) use merge::{SliceRun, run_slices};
pub use plan::{ScanPredicate, SliceOrder, SliceRule, Slicing};
