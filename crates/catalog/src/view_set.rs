//! View sets.

use lakepilot_query::Result;
use serde::{Deserialize, Serialize};

use crate::reader::ColumnReader;

/// A view set, as `list_view_sets()` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewSet {
    /// The name: `log_entries`, `thread_spans`, ...
    pub name: String,
    /// The hash of the schema that new partitions have.
    #[serde(with = "crate::hex")]
    pub current_schema_hash: Vec<u8>,
    /// The schema, in the server's own words.
    pub schema: String,
    /// Whether there are instances beside `global`, made when they are asked for: one per process, or one per stream.
    pub has_view_maker: bool,
    /// Whether there is a `global` instance.
    pub global_instance_available: bool,
}

impl ViewSet {
    pub(crate) fn read(columns: &ColumnReader<'_>) -> Result<Vec<Self>> {
        let name = columns.required::<String>("view_set_name")?;
        let current_schema_hash = columns.required::<Vec<u8>>("current_schema_hash")?;
        let schema = columns.required::<String>("schema")?;
        let has_view_maker = columns.required::<bool>("has_view_maker")?;
        let global_instance_available = columns.required::<bool>("global_instance_available")?;
        (0..columns.num_rows())
            .map(|row| {
                Ok(Self {
                    name: name.value(row)?,
                    current_schema_hash: current_schema_hash.value(row)?,
                    schema: schema.value(row)?,
                    has_view_maker: has_view_maker.value(row)?,
                    global_instance_available: global_instance_available.value(row)?,
                })
            })
            .collect()
    }
}
