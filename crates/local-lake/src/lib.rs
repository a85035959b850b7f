//! local-lake

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
