//! A run into a directory, a file for each slice, which can be killed and taken up again.

mod manifest;
mod run;

pub use manifest::{Part, PartsRequest, Verification, verify_parts};
pub use run::{PartsDirectory, PartsOutcome};
