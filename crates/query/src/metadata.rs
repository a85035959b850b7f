//! What a server says of its tables and of itself.

use std::fmt;

use async_trait::async_trait;

use crate::{QueryResult, Result, ServerInfo};

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

/// One table by its name, which is no pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TableName {
    /// The catalogue it is in: `None` for any, an empty name for "in none".
    pub catalog: Option<String>,
    /// The schema it is in, likewise.
    pub schema: Option<String>,
    /// Its own name.
    pub table: String,
}

impl TableName {
    /// A table of this name, wherever it is.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            ..Self::default()
        }
    }
}

impl fmt::Display for TableName {
    /// The parts that are named, with points between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.catalog, &self.schema].into_iter().flatten() {
            write!(f, "{part}.")?;
        }
        f.write_str(&self.table)
    }
}

/// What a server says of its tables and of itself. The columns of the answers are those that Flight SQL lays down.
///
/// # Errors
/// Every method: `Unsupported` when the server does not offer the call, as the Micromegas service does not for
/// catalogues, schemas, table types and keys; `NotFound` when a table that is named is not there and the server says so; the
/// kinds of the transport otherwise.
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

    /// The primary key of a table, a row a column of it: `catalog_name`, `db_schema_name`, `table_name`, `column_name`,
    /// `key_name`, `key_sequence`.
    ///
    /// # Errors
    /// See the trait.
    async fn primary_keys(&self, table: &TableName) -> Result<QueryResult>;

    /// The foreign keys of other tables that refer to this one: `pk_catalog_name`, `pk_db_schema_name`, `pk_table_name`,
    /// `pk_column_name`, the same four with `fk_`, `key_sequence`, `fk_key_name`, `pk_key_name`, `update_rule`,
    /// `delete_rule`.
    ///
    /// # Errors
    /// See the trait.
    async fn exported_keys(&self, table: &TableName) -> Result<QueryResult>;

    /// The foreign keys of this table, with the columns of [`exported_keys`](Self::exported_keys).
    ///
    /// # Errors
    /// See the trait.
    async fn imported_keys(&self, table: &TableName) -> Result<QueryResult>;

    /// The foreign keys of the table `foreign` that refer to `primary`, with the columns of
    /// [`exported_keys`](Self::exported_keys).
    ///
    /// # Errors
    /// See the trait.
    async fn cross_reference(&self, primary: &TableName, foreign: &TableName) -> Result<QueryResult>;

    /// Facts about the server, by the numbers of Flight SQL's `SqlInfo`; all that it tells when none is given.
    ///
    /// # Errors
    /// See the trait; `Protocol` when the answer is not in the form that Flight SQL lays down.
    async fn server_info(&self, numbers: &[u32]) -> Result<ServerInfo>;

    /// The data types that the server has in SQL, or the one with this number of XDBC: `type_name`, `data_type`, and what
    /// else ODBC and JDBC drivers want to know.
    ///
    /// # Errors
    /// See the trait.
    async fn type_info(&self, data_type: Option<i32>) -> Result<QueryResult>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_shown_with_what_is_known_of_its_place() {
        let mut name = TableName::new("blocks");
        assert_eq!(name.to_string(), "blocks");
        name.catalog = Some("lake".to_owned());
        name.schema = Some("public".to_owned());
        assert_eq!(name.to_string(), "lake.public.blocks");
    }
}
