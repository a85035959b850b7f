//! What the Flight SQL server asks of the lake behind it.

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakepilot_query::{Query, QueryService, RecordBatchStream, Result};

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

/// A lake that a [`FlightServer`](crate::FlightServer) can serve: it answers queries, and beside that tells the schema of a
/// result ahead, lists its tables and takes rows in.
#[async_trait]
pub trait ServedLake: QueryService {
    /// The schema that the stream of [`run`](QueryService::run) has for this query, with its dictionaries as the query
    /// wants them. Nothing is run: clients ask for it before they ask for the rows, and some compare the two.
    ///
    /// # Errors
    /// As [`run`](QueryService::run).
    async fn result_schema(&self, query: &Query) -> Result<SchemaRef>;

    /// The tables that a query can name, in no particular order.
    ///
    /// # Errors
    /// `Io` or `Internal` when the lake cannot list them.
    fn tables(&self) -> Result<Vec<ServedTable>>;

    /// Adds the rows of a stream to a table and returns how many there were. Either all of them are added or none; an error
    /// in the stream, or dropping the future, adds none.
    ///
    /// # Errors
    /// `Unsupported` or `InvalidInput` for a table that takes no rows, `InvalidInput` when the rows do not fit it,
    /// `PermissionDenied` where rows are not taken from the caller, and whatever arrives in the stream.
    async fn ingest(&self, table: &str, rows: RecordBatchStream) -> Result<u64>;
}

#[cfg(feature = "mock")]
mockall::mock! {
    /// A [`ServedLake`] that answers as a test tells it to.
    pub ServedLake {}

    #[async_trait]
    impl QueryService for ServedLake {
        async fn run(&self, query: &Query) -> Result<RecordBatchStream>;
        async fn prepare(&self, query: &Query) -> Result<lakepilot_query::PreparedQuery>;
    }

    #[async_trait]
    impl ServedLake for ServedLake {
        async fn result_schema(&self, query: &Query) -> Result<SchemaRef>;
        fn tables(&self) -> Result<Vec<ServedTable>>;
        async fn ingest(&self, table: &str, rows: RecordBatchStream) -> Result<u64>;
    }
}
