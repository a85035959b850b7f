//! What a server says of its tables and of itself.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use lakepilot_query::{QueryResult, Result, SchemaFilter, ServerInfo, ServerMetadata, TableFilter, TableName};

use super::probing::{Probing, Right, right, wrong};

/// A table for calls that want one, when the server has none.
const NO_TABLE: &str = "lakepilot_doctor";

const FOREIGN_KEYS: [&str; 13] = [
    "pk_catalog_name",
    "pk_db_schema_name",
    "pk_table_name",
    "pk_column_name",
    "fk_catalog_name",
    "fk_db_schema_name",
    "fk_table_name",
    "fk_column_name",
    "key_sequence",
    "fk_key_name",
    "pk_key_name",
    "update_rule",
    "delete_rule",
];

/// What the server says of itself.
pub(super) async fn server_info(probing: &mut Probing<'_>) -> Option<ServerInfo> {
    let client = probing.client;
    probing
        .call("GetSqlInfo", async || {
            let info = client.server_info(&[]).await?;
            right(counted(info.len(), "fact"), info)
        })
        .await
}

/// Catalogues, schemas, tables, keys and types.
pub(super) async fn listings(probing: &mut Probing<'_>) {
    let client = probing.client;
    probing
        .call("GetCatalogs", async || {
            listed(client.catalogs().await?, &["catalog_name"], "catalogue")
        })
        .await;
    probing
        .call("GetDbSchemas", async || {
            let schemas = client.schemas(&SchemaFilter::default()).await?;
            listed(schemas, &["catalog_name", "db_schema_name"], "schema")
        })
        .await;
    let tables = probing
        .call("GetTables", async || {
            let tables = client.tables(&TableFilter::default()).await?;
            listed(
                tables,
                &["catalog_name", "db_schema_name", "table_name", "table_type"],
                "table",
            )
        })
        .await;
    let table = tables.as_ref().and_then(first_table);
    let table = table.unwrap_or_else(|| TableName::new(NO_TABLE));
    with_schema(probing, &table).await;
    probing
        .call("GetTableTypes", async || {
            listed(client.table_types().await?, &["table_type"], "type")
        })
        .await;
    keys(probing, &table).await;
    probing
        .call("GetXdbcTypeInfo", async || {
            listed(client.type_info(None).await?, &["type_name", "data_type"], "type")
        })
        .await;
}

/// Of one table, since those of all may be many.
async fn with_schema(probing: &mut Probing<'_>, table: &TableName) {
    let client = probing.client;
    let filter = TableFilter {
        table_pattern: Some(table.table.clone()),
        include_schema: true,
        ..TableFilter::default()
    };
    probing
        .call("GetTables with schemas", async || {
            let tables = client.tables(&filter).await?;
            let columns = [
                "catalog_name",
                "db_schema_name",
                "table_name",
                "table_type",
                "table_schema",
            ];
            let right = listed(tables, &columns, "table")?;
            let schemas = right.answer.to_batch()?;
            let schemas = schemas.column(4).as_binary_opt::<i32>();
            for schema in schemas.into_iter().flatten().flatten() {
                crate::ipc::decode_schema(schema)
                    .map_err(|error| wrong(format!("the schema of a table cannot be read: {}", error.message())))?;
            }
            Ok(right)
        })
        .await;
}

async fn keys(probing: &mut Probing<'_>, table: &TableName) {
    let client = probing.client;
    probing
        .call("GetPrimaryKeys", async || {
            let columns = [
                "catalog_name",
                "db_schema_name",
                "table_name",
                "column_name",
                "key_name",
                "key_sequence",
            ];
            listed(client.primary_keys(table).await?, &columns, "column")
        })
        .await;
    probing
        .call("GetExportedKeys", async || {
            listed(client.exported_keys(table).await?, &FOREIGN_KEYS, "column")
        })
        .await;
    probing
        .call("GetImportedKeys", async || {
            listed(client.imported_keys(table).await?, &FOREIGN_KEYS, "column")
        })
        .await;
    probing
        .call("GetCrossReference", async || {
            listed(client.cross_reference(table, table).await?, &FOREIGN_KEYS, "column")
        })
        .await;
}

/// Checks that a listing has the columns that Flight SQL lays down for it, and counts its rows.
fn listed(result: QueryResult, columns: &[&str], noun: &str) -> Result<Right<QueryResult>> {
    let fields = result.schema.fields();
    let fits = fields.len() >= columns.len() && columns.iter().zip(fields).all(|(name, field)| field.name() == name);
    if !fits {
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        return Err(wrong(format!(
            "its columns are ({}), and are to be ({})",
            names.join(", "),
            columns.join(", ")
        )));
    }
    right(counted(result.num_rows(), noun), result)
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

fn first_table(tables: &QueryResult) -> Option<TableName> {
    let batch = tables.batches.iter().find(|batch| batch.num_rows() > 0)?;
    let text = |column: usize| {
        let column = cast(batch.column(column), &DataType::Utf8).ok()?;
        let column = column.as_string::<i32>();
        column.is_valid(0).then(|| column.value(0).to_owned())
    };
    Some(TableName {
        catalog: text(0),
        schema: text(1),
        table: text(2)?,
    })
}
