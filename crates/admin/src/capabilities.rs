//! How exactly a server can be told which partition is meant.

use lakepilot_query::{Error, ErrorKind, Query, Result};
use serde::{Deserialize, Serialize};

use crate::PartitionAdmin;

/// What a server offers to retire partitions with, from the most exact to the least.
///
/// - `retire_partition_by_file(path)` names one file. A partition that was written anew has another file, so nothing
///   else can be meant.
/// - `retire_partition_by_metadata(...)` names a view instance, the exact insert times and, since 0.33, the schema hash.
///   It is all there is for a partition without rows, which has no file.
/// - `retire_partitions(...)` takes whatever lies in a range when the server gets to it.
///
/// Which of them there are is found out by preparing statements, which does not run them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    /// Whether partitions can be named by their file.
    pub by_file: bool,
    /// How partitions can be named by their metadata.
    pub by_metadata: ByMetadata,
    /// Whether partitions can be retired by range of insert time.
    pub by_range: bool,
}

/// How partitions can be named by their metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByMetadata {
    /// They cannot.
    #[default]
    No,
    /// By view set, instance and insert times, as servers up to 0.30 have it. Two partitions of one range and different
    /// schemas cannot be told apart.
    WithoutSchema,
    /// By those and the hash of the file's schema.
    WithSchema,
}

impl Capabilities {
    /// Whether the server offers none of it: administrator rights are missing, or it is too old.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

const NOBODYS_TIME: &str = "arrow_cast('1990-01-01T00:00:00Z', 'Timestamp(Nanosecond, Some(\"UTC\"))')";

impl PartitionAdmin {
    /// Finds out what the server offers to retire partitions with. Nothing is retired.
    ///
    /// # Errors
    /// Those of preparing a statement, but for the server's word that there is no such function, which is an answer.
    pub async fn capabilities(&self) -> Result<Capabilities> {
        let by_file = self.is_planned("SELECT retire_partition_by_file('') AS msg").await?;
        let names = format!("'', '', {NOBODYS_TIME}, {NOBODYS_TIME}");
        let with_schema = format!("SELECT retire_partition_by_metadata({names}, decode('00', 'hex')) AS msg");
        let without_schema = format!("SELECT retire_partition_by_metadata({names}) AS msg");
        let by_metadata = if self.is_planned(&with_schema).await? {
            ByMetadata::WithSchema
        } else if self.is_planned(&without_schema).await? {
            ByMetadata::WithoutSchema
        } else {
            ByMetadata::No
        };
        let range = "SELECT time, msg FROM retire_partitions('', '', '1990-01-01T00:00:00Z', '1990-01-01T00:00:00Z')";
        Ok(Capabilities {
            by_file,
            by_metadata,
            by_range: self.is_planned(range).await?,
        })
    }

    async fn is_planned(&self, sql: &str) -> Result<bool> {
        match self.catalog().service().prepare(&Query::new(sql)?).await {
            Ok(_) => Ok(true),
            // Older servers have one kind of error for everything.
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(error.context("find out how the server retires partitions")),
        }
    }
}

fn is_refused(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidQuery
            | ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::Unsupported
            | ErrorKind::Internal
    )
}
