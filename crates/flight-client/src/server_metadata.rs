//! What a Flight SQL server says of its tables and of itself.

use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    ProstMessageExt,
};
use async_trait::async_trait;
use futures::TryStreamExt;
use lakepilot_query::{QueryResult, Result, SchemaFilter, ServerInfo, ServerMetadata, TableFilter, TableName};

use crate::client::FlightClient;
use crate::sql_info;

impl FlightClient {
    /// The whole answer to a command; an error says which command it was.
    async fn collect_command<C: ProstMessageExt>(&self, command: &C) -> Result<QueryResult> {
        let collect = async {
            let stream = self.stream(command, None, self.query_deadline()).await?;
            let schema = stream.schema();
            let batches = stream.try_collect().await?;
            Ok(QueryResult { schema, batches })
        };
        collect
            .await
            .map_err(|error: lakepilot_query::Error| error.context(name_of::<C>()))
    }
}

/// `GetTables` for the message `CommandGetTables`.
fn name_of<C: ProstMessageExt>() -> &'static str {
    let url = C::type_url();
    url.rsplit_once(".Command").map_or(url, |(_, name)| name)
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

    async fn primary_keys(&self, table: &TableName) -> Result<QueryResult> {
        self.collect_command(&CommandGetPrimaryKeys {
            catalog: table.catalog.clone(),
            db_schema: table.schema.clone(),
            table: table.table.clone(),
        })
        .await
    }

    async fn exported_keys(&self, table: &TableName) -> Result<QueryResult> {
        self.collect_command(&CommandGetExportedKeys {
            catalog: table.catalog.clone(),
            db_schema: table.schema.clone(),
            table: table.table.clone(),
        })
        .await
    }

    async fn imported_keys(&self, table: &TableName) -> Result<QueryResult> {
        self.collect_command(&CommandGetImportedKeys {
            catalog: table.catalog.clone(),
            db_schema: table.schema.clone(),
            table: table.table.clone(),
        })
        .await
    }

    async fn cross_reference(&self, primary: &TableName, foreign: &TableName) -> Result<QueryResult> {
        self.collect_command(&CommandGetCrossReference {
            pk_catalog: primary.catalog.clone(),
            pk_db_schema: primary.schema.clone(),
            pk_table: primary.table.clone(),
            fk_catalog: foreign.catalog.clone(),
            fk_db_schema: foreign.schema.clone(),
            fk_table: foreign.table.clone(),
        })
        .await
    }

    async fn server_info(&self, numbers: &[u32]) -> Result<ServerInfo> {
        let answer = self
            .collect_command(&CommandGetSqlInfo { info: numbers.to_vec() })
            .await?;
        sql_info::server_info(&answer)
    }

    async fn type_info(&self, data_type: Option<i32>) -> Result<QueryResult> {
        self.collect_command(&CommandGetXdbcTypeInfo { data_type }).await
    }
}
