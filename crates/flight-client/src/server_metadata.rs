//! What a Flight SQL server says of itself.

use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, ProstMessageExt,
};
use async_trait::async_trait;
use futures::TryStreamExt;
use lakepilot_query::{QueryResult, Result};

use crate::client::FlightClient;

/// Which schemas are meant. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaFilter {
    /// The catalogue they are in; an empty name is "in none".
    pub catalog: Option<String>,
    /// A pattern for their names, in which `%` stands for any characters and `_` for one.
    pub schema_pattern: Option<String>,
}

/// Which tables are meant, and what is told of them. The default is all of them, without their schemas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFilter {
    /// The catalogue they are in; an empty name is "in none".
    pub catalog: Option<String>,
    /// A pattern for the names of their schemas, in which `%` stands for any characters and `_` for one.
    pub schema_pattern: Option<String>,
    /// A pattern for their own names.
    pub table_pattern: Option<String>,
    /// Their types, such as `TABLE` and `VIEW`; none is any.
    pub table_types: Vec<String>,
    /// Whether the columns of each are told too, as an IPC schema in the column `table_schema`.
    pub include_schema: bool,
}

/// What a server says of itself, in the tables that Flight SQL lays down.
///
/// # Errors
/// Every method: `Unsupported` when the server does not offer the call, as the Micromegas service does not for
/// catalogues, schemas and table types; the kinds of the transport otherwise.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ServerMetadata: Send + Sync {
    /// The catalogues: `catalog_name`.
    ///
    /// # Errors
    /// See the trait.
    async fn catalogs(&self) -> Result<QueryResult>;

    /// The schemas: `catalog_name`, `db_schema_name`.
    ///
    /// # Errors
    /// See the trait.
    async fn schemas(&self, filter: &SchemaFilter) -> Result<QueryResult>;

    /// The tables: `catalog_name`, `db_schema_name`, `table_name`, `table_type`, and `table_schema` if asked for.
    ///
    /// # Errors
    /// See the trait.
    async fn tables(&self, filter: &TableFilter) -> Result<QueryResult>;

    /// The types that tables can have: `table_type`.
    ///
    /// # Errors
    /// See the trait.
    async fn table_types(&self) -> Result<QueryResult>;

    /// Facts about the server, by the numbers of Flight SQL's `SqlInfo`, all of them when none is given: `info_name`, and
    /// `value`, a union.
    ///
    /// # Errors
    /// See the trait.
    async fn sql_info(&self, numbers: &[u32]) -> Result<QueryResult>;
}

impl FlightClient {
    async fn collect_command<C: ProstMessageExt>(&self, command: &C) -> Result<QueryResult> {
        let stream = self.stream(command, None, self.query_deadline()).await?;
        let schema = stream.schema();
        let batches = stream.try_collect().await?;
        Ok(QueryResult { schema, batches })
    }
}

#[async_trait]
impl ServerMetadata for FlightClient {
    async fn catalogs(&self) -> Result<QueryResult> {
        self.collect_command(&CommandGetCatalogs {}).await
    }

    async fn schemas(&self, filter: &SchemaFilter) -> Result<QueryResult> {
        self.collect_command(&CommandGetDbSchemas {
            catalog: filter.catalog.clone(),
            db_schema_filter_pattern: filter.schema_pattern.clone(),
        })
        .await
    }

    async fn tables(&self, filter: &TableFilter) -> Result<QueryResult> {
        self.collect_command(&CommandGetTables {
            catalog: filter.catalog.clone(),
            db_schema_filter_pattern: filter.schema_pattern.clone(),
            table_name_filter_pattern: filter.table_pattern.clone(),
            table_types: filter.table_types.clone(),
            include_schema: filter.include_schema,
        })
        .await
    }

    async fn table_types(&self) -> Result<QueryResult> {
        self.collect_command(&CommandGetTableTypes {}).await
    }

    async fn sql_info(&self, numbers: &[u32]) -> Result<QueryResult> {
        self.collect_command(&CommandGetSqlInfo { info: numbers.to_vec() })
            .await
    }
}
