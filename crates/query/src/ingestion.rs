//! Rows into a table.

use async_trait::async_trait;

use crate::{RecordBatchStream, Result};

/// Loads rows in bulk, where a server offers it. Micromegas does for `processes`, `streams`, `blocks` and `payloads`, to
/// administrators.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait BulkIngestion: Send + Sync {
    /// Appends all batches to a table that exists, and tells how many records the server took, or `None` where it does
    /// not say.
    ///
    /// An error in `batches` makes the ingestion fail on the server too; rows that arrived before it may stay, unless the
    /// server loads in one transaction. The same goes for dropping the future, with one more uncertainty: servers on some
    /// gRPC stacks (tonic) cannot tell a call that was dropped from one that came to its end.
    ///
    /// # Errors
    /// The error of `batches`; `TimedOut` when the server neither takes rows nor answers for longer than the gap that the
    /// configuration allows; `Unsupported` when the server does not ingest; `PermissionDenied` when we may not; the
    /// kinds of the transport otherwise.
    async fn ingest(&self, table: &str, batches: RecordBatchStream) -> Result<Option<u64>>;
}
