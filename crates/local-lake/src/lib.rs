//! An embedded telemetry lake: everything that runs against a real one runs against this with nothing else installed.
//!
//! A lake is a directory. It has the view sets of the real service (Micromegas 0.33) with their schemas, answers the same
//! SQL with the same functions, filters by time in the same way, and retires and materialises partitions by the same
//! rules. It is a [`QueryService`](lakepilot_query::QueryService) in process ([`LakeService`]), and a Flight SQL server on a
//! port ([`FlightServer`]), so that clients of the real service can be tried on it.
//!
//! ```text
//! lake/
//!   catalogue.sqlite                               which partitions and source segments there are
//!   lake.lock                                      held while a process has the lake open
//!   partitions/<view set>/<instance>/<id>.parquet  what queries read
//!   source/<view set>/<id>.parquet                 what partitions are materialised from
//! ```
//!
//! # Why it has this shape
//! - The real service keeps blocks of raw telemetry, and makes partitions from them when they are asked for. The
//!   counterpart here are source segments, which are rows already: a partition that is retired can be materialised again,
//!   and an instance of one process comes into being when it is first queried. Where a partition holds just what a segment
//!   does, it is a second name of the same file.
//! - A file is whole and on the disk before a transaction of the catalogue names it, and it is deleted after the
//!   transaction that retires it, when no query reads it any more. So a process may be killed at any time: what it left
//!   behind is swept when the lake is opened.
//! - One process opens a lake at a time; others query it over its port.
//! - A [`Lake`] blocks on files and knows nothing of SQL or a runtime; the engine and the server are layers above it.
//!
//! # Example
//! ```
//! use lakepilot_local_lake::{GenerateOptions, Lake, LakeService, generate};
//! use lakepilot_query::{Query, QueryServiceExt, TimeRange};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let lake = Lake::create(directory.join("lake"))?;
//! let options = GenerateOptions {
//!     rows: 500,
//!     days: 1,
//!     processes: 2,
//!     ..GenerateOptions::until("2026-03-01T12:00:00Z".parse()?)
//! };
//! let report = generate(&lake, &options, &|_done, _steps| ())?;
//!
//! let service = LakeService::new(lake)?;
//! let query = Query::new("SELECT level, count(*) AS entries FROM log_entries GROUP BY level ORDER BY level")?
//!     .with_time_range(TimeRange::new(report.begin, report.end)?);
//! let levels = service.collect(&query).await?;
//! assert!(levels.num_rows() > 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! - `mock`: a mock of [`ServedLake`], for the tests of whoever serves one.

mod engine;
mod generate;
mod import;
mod server;
mod store;
mod views;

pub use engine::{Fault, LakeService, ServiceOptions};
pub use generate::{GenerateOptions, GenerateReport, generate};
pub use import::{ImportFormat, ImportOptions, ImportReport, import_file};
#[cfg(feature = "mock")]
pub use server::MockServedLake;
pub use server::{BearerToken, FlightServer, ServeOptions, ServedLake, ServedTable, ServerHandle, TlsIdentity};
pub use store::{Changes, InstanceInfo, Lake, Lease, PartitionFilter, PartitionRecord};
pub use views::{Instances, TimeColumns, ViewSet, view_set, view_sets};
