//! What clients ask of the server beside queries: catalogs, schemas, tables, keys, SqlInfo.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::sql::metadata::XdbcTypeInfoDataBuilder;
use arrow_flight::sql::{Command, CommandGetDbSchemas, CommandGetTables};
use tonic::Status;

use crate::server::served::ServedLake;
use crate::server::sql_info::sql_info;
use crate::server::status::{from_error, not_offered};

/// The one type of table, spelled as the real service spells it.
const TABLE_TYPE: &str = "table";

/// The answer to a command that asks for metadata. It is made whole for its schema too: it is small.
///
/// # Errors
/// UNIMPLEMENTED for every other command.
pub(crate) fn answer(lake: &dyn ServedLake, command: &Command) -> Result<RecordBatch, Status> {
    let batch = match command.clone() {
        Command::CommandGetCatalogs(command) => {
            let mut builder = command.into_builder();
            let tables = lake.tables().map_err(|error| from_error(&error))?;
            let catalogs: BTreeSet<String> = tables.into_iter().map(|table| table.catalog).collect();
            catalogs.into_iter().for_each(|catalog| builder.append(catalog));
            builder.build()
        }
        Command::CommandGetDbSchemas(command) => return schemas(lake, command),
        Command::CommandGetTables(command) => return tables(lake, command),
        Command::CommandGetTableTypes(command) => {
            let mut builder = command.into_builder();
            builder.append(TABLE_TYPE);
            builder.build()
        }
        Command::CommandGetSqlInfo(command) => {
            let info = sql_info().map_err(Status::internal)?;
            command.into_builder(info).build()
        }
        Command::CommandGetXdbcTypeInfo(command) => XdbcTypeInfoDataBuilder::new()
            .build()
            .and_then(|info| command.into_builder(&info).build()),
        Command::CommandGetPrimaryKeys(_) => return Ok(RecordBatch::new_empty(Arc::new(primary_keys()))),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => {
            return Ok(RecordBatch::new_empty(Arc::new(foreign_keys())));
        }
        other => return Err(refused(&other)),
    };
    batch.map_err(Status::from)
}

fn schemas(lake: &dyn ServedLake, command: CommandGetDbSchemas) -> Result<RecordBatch, Status> {
    let tables = lake.tables().map_err(|error| from_error(&error))?;
    let schemas: BTreeSet<(String, String)> = tables.into_iter().map(|table| (table.catalog, table.schema)).collect();
    let mut builder = command.into_builder();
    schemas
        .iter()
        .for_each(|(catalog, schema)| builder.append(catalog, schema));
    builder.build().map_err(Status::from)
}

fn tables(lake: &dyn ServedLake, command: CommandGetTables) -> Result<RecordBatch, Status> {
    let mut builder = command.into_builder();
    for table in lake.tables().map_err(|error| from_error(&error))? {
        builder
            .append(table.catalog, table.schema, table.name, TABLE_TYPE, &table.columns)
            .map_err(Status::from)?;
    }
    builder.build().map_err(Status::from)
}

/// The status for a command that this server does not answer.
pub(crate) fn refused(command: &Command) -> Status {
    match command {
        Command::CommandStatementSubstraitPlan(_) => not_offered("Substrait plans are not offered; send SQL"),
        Command::CommandStatementUpdate(_) | Command::CommandPreparedStatementUpdate(_) => {
            not_offered("statements that update are not offered; run them as queries, or ingest rows")
        }
        other => {
            let url = other.type_url();
            let name = url.rsplit_once('.').map_or(url, |(_, name)| name);
            not_offered(&format!("{name} is not offered here"))
        }
    }
}

/// The schema of an answer about primary keys, as the Flight SQL specification has it.
fn primary_keys() -> Schema {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ])
}

/// The schema of an answer about foreign keys, as the Flight SQL specification has it.
fn foreign_keys() -> Schema {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ])
}
