//! SQL over a small lake, in process.

mod administration;
mod errors;
pub(crate) mod fixture;
mod ingestion;
mod properties;
mod selects;
