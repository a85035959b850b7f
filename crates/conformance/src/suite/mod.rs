//! The cases, how they are run, and what is made of what they observe.

mod case;
mod cases;
mod context;
mod differences;
mod recording;
mod report;
mod runner;
pub(crate) mod spell;

pub use case::{Case, Failure, Observations, Outcome};
pub(crate) use case::{ensure, ensure_equal};
pub use cases::all as all_cases;
pub use context::Context;
pub use differences::{Difference, of_target as known_differences};
pub use recording::Recording;
pub use report::{CaseReport, Known, table};
pub use runner::{run, run_cases};
