//! One query as many, each over a piece of its time range, at the same time.

mod merge;
mod plan;
mod queue;

pub(crate) use merge::{SliceRun, run_slices};
pub use plan::{ScanPredicate, SliceOrder, SliceRule, Slicing};
pub(crate) use queue::Gauge;
