//! SQL over a small lake, in process.

mod administration;
mod errors;
mod fixture;
mod ingestion;
mod properties;
mod selects;
