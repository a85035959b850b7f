//! One suite of cases for every lake: the embedded one, the real Micromegas service, and any server that speaks the same.
//!
//! A [`Case`] asks a lake something through a [`QueryService`](lakepilot_query::QueryService) and checks what has to hold in
//! it: a count, an order, a partition that is gone. What depends on the server alone (types, kinds of errors, first words of
//! messages) it observes, and the runner compares that with a [`Recording`] of what the real service did. So the embedded
//! lake is held against the real service on every run of the tests, and the real service itself is only needed to record
//! anew, or to see that the suite holds there too. Where the embedded lake differs on purpose, a [`Difference`] says what is
//! seen and why; anything else fails.
//!
//! The program of the same name prints a table of cases by target; `cargo xtask conformance` starts what it needs. The
//! program `accuracy` holds the estimates of `lakepilot-analysis` against what queries return; see
//! [`measure_accuracy`] and `cargo xtask accuracy`.
//!
//! What the client has to be able to do with Flight SQL servers of other makers is an [`InteropCase`] each: the program
//! `interop` runs those on one server, and `cargo xtask interop` starts the servers.
//!
//! # Example
//! ```no_run
//! use lakepilot_conformance::{EmbeddedLake, Recording, run};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let lake = EmbeddedLake::start()?;
//! let only = ["limit".to_owned()];
//! let reports = run("embedded", lake.connect().await?, Some(&Recording::of_micromegas()?), &only).await?;
//! assert!(reports.iter().all(|report| report.is_good()), "{reports:?}");
//! # Ok(())
//! # }
//! ```

mod accuracy;
mod embedded;
mod interop;
mod suite;

pub use accuracy::{
    AccuracyQuery, Facts, Goals, Group, LakeAccuracy, Measured, Sizes, accuracy_markdown, accuracy_queries,
    accuracy_table, measure_accuracy,
};
pub use embedded::{EmbeddedLake, connect};
pub use interop::{
    Dialect, EndServer, InteropCase, InteropReport, InteropTarget, PyarrowServer, Verdict, interop_cases, run_interop,
};
pub use suite::{
    Case, CaseReport, Context, Difference, Failure, Known, Observations, Outcome, Recording, all_cases,
    known_differences, run, run_cases, table,
};
