//! A client for Arrow Flight SQL, and the Micromegas analytics service above all.

mod address;
mod attribution;
mod call;
mod client;
mod config;
mod connection;
mod credentials;
mod deadline;
mod failure;
mod headers;
mod ingestion;
mod ipc;
mod quick_ack;
mod results;
mod server_metadata;
mod status;
mod transport;

pub use attribution::Attribution;
pub use client::FlightClient;
pub use config::{ClientConfig, QuerySpelling};
#[cfg(feature = "mock")]
pub use credentials::MockCredentialProvider;
pub use credentials::{CredentialProvider, StaticCredentials};
pub use ingestion::BulkIngestion;
#[cfg(feature = "mock")]
pub use ingestion::MockBulkIngestion;
#[cfg(feature = "mock")]
pub use server_metadata::MockServerMetadata;
pub use server_metadata::{SchemaFilter, ServerMetadata, TableFilter};
