//! The Flight SQL server: over a mock, and over a lake.

mod fixture;
mod ingestion;
mod lake;
mod metadata;
mod queries;
mod refusals;
mod shutdown;
mod transport;
