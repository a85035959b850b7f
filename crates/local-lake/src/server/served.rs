//! What the Flight SQL server asks of the lake behind it.

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakepilot_query::{QueryService, RecordBatchStream, Result};

/// A table as the server lists it to clients that browse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedTable {
    /// The catalog: `datafusion`, as the real service names its one.
    pub catalog: String,
    /// The schema within the catalog: `public`, or `information_schema`.
    pub schema: String,
    /// The name that a query gives after `FROM`.
    pub name: String,
    /// The columns, with dictionary types where the lake keeps dictionaries.
    pub columns: SchemaRef,
}

/// A lake that a [`FlightServer`](crate::FlightServer) can serve: it answers queries, and beside that lists its tables and
/// takes rows in.
#[async_trait]
pub trait ServedLake: QueryService {
    /// The tables that a query can name, in no particular order.
    ///
    /// # Errors
    /// `Io` or `Internal` when the lake cannot list them.
    fn tables(&self) -> Result<Vec<ServedTable>>;

    /// Adds the rows of a stream to a table and returns how many there were. Either all of them are added or none.
    ///
    /// # Errors
    /// `Unsupported` or `InvalidInput` for a table that takes no rows, `InvalidInput` when the rows do not fit it, and whatever arrives in the
    /// stream.
    async fn ingest(&self, table: &str, rows: RecordBatchStream) -> Result<u64>;
}
