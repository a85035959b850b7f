//! Catalogs, schemas, tables, keys, SqlInfo.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo,
};
use arrow_flight::{FlightInfo, IpcMessage};
use tonic::Request;
use tonic::transport::Channel;

use super::fixture::{answering, get, only_ticket, serve, sql_client, tables};

/// The rows for a `FlightInfo`, whose schema they have.
async fn rows(client: &mut FlightSqlServiceClient<Channel>, info: FlightInfo) -> RecordBatch {
    let told = SchemaRef::new(info.clone().try_decode_schema().unwrap());
    let (schema, batches) = get(client.inner_mut(), Request::new(only_ticket(&info))).await.unwrap();
    assert_eq!(schema, told);
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn texts(rows: &RecordBatch, column: &str) -> Vec<String> {
    let column = rows.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap().to_owned()).collect()
}

#[tokio::test]
async fn catalogs_schemas_and_types_are_those_of_the_tables() {
    let server = serve(answering().0);
    let mut client = sql_client(&server).await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(texts(&rows(&mut client, info).await, "catalog_name"), ["datafusion"]);

    let all = CommandGetDbSchemas {
        catalog: None,
        db_schema_filter_pattern: None,
    };
    let like = CommandGetDbSchemas {
        catalog: Some("datafusion".to_owned()),
        db_schema_filter_pattern: Some("pub%".to_owned()),
    };
    for (command, expected) in [(all, vec!["information_schema", "public"]), (like, vec!["public"])] {
        let info = client.get_db_schemas(command).await.unwrap();
        assert_eq!(texts(&rows(&mut client, info).await, "db_schema_name"), expected);
    }

    let info = client.get_table_types().await.unwrap();
    assert_eq!(texts(&rows(&mut client, info).await, "table_type"), ["table"]);
}

#[tokio::test]
async fn tables_come_in_order_with_their_columns_when_those_are_wanted() {
    let server = serve(answering().0);
    let mut client = sql_client(&server).await;
    let command = |pattern: &str, types: &[&str], include_schema| CommandGetTables {
        catalog: None,
        db_schema_filter_pattern: Some("public".to_owned()),
        table_name_filter_pattern: Some(pattern.to_owned()),
        table_types: types.iter().map(|kind| (*kind).to_owned()).collect(),
        include_schema,
    };
    for (command, expected) in [
        (command("%", &[], false), vec!["processes", "streams"]),
        (command("str%", &["table"], false), vec!["streams"]),
        (command("%", &["view"], false), vec![]),
    ] {
        let info = client.get_tables(command).await.unwrap();
        let rows = rows(&mut client, info).await;
        assert_eq!(texts(&rows, "table_name"), expected);
        assert_eq!(rows.column_by_name("table_schema"), None);
    }
    let info = client.get_tables(command("processes", &[], true)).await.unwrap();
    let rows = rows(&mut client, info).await;
    let columns = rows.column_by_name("table_schema").unwrap().as_binary::<i32>().value(0);
    let columns = Schema::try_from(IpcMessage(columns.to_vec().into())).unwrap();
    assert_eq!(SchemaRef::new(columns), tables()[0].columns);
}

#[tokio::test]
async fn there_are_no_keys_and_no_types_of_other_systems() {
    let server = serve(answering().0);
    let mut client = sql_client(&server).await;
    let table = || "processes".to_owned();
    let mut infos = vec![
        client
            .get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None })
            .await
            .unwrap(),
    ];
    let command = CommandGetPrimaryKeys {
        table: table(),
        ..CommandGetPrimaryKeys::default()
    };
    infos.push(client.get_primary_keys(command).await.unwrap());
    let command = CommandGetExportedKeys {
        table: table(),
        ..CommandGetExportedKeys::default()
    };
    infos.push(client.get_exported_keys(command).await.unwrap());
    let command = CommandGetImportedKeys {
        table: table(),
        ..CommandGetImportedKeys::default()
    };
    infos.push(client.get_imported_keys(command).await.unwrap());
    let command = CommandGetCrossReference {
        pk_table: table(),
        fk_table: table(),
        ..CommandGetCrossReference::default()
    };
    infos.push(client.get_cross_reference(command).await.unwrap());
    let columns: Vec<usize> = infos
        .iter()
        .map(|info| info.clone().try_decode_schema().unwrap().fields().len())
        .collect();
    assert_eq!(columns, [19, 6, 13, 13, 13]);
    for info in infos {
        assert_eq!(rows(&mut client, info).await.num_rows(), 0);
    }
}

#[tokio::test]
async fn the_server_tells_what_it_is() {
    let server = serve(answering().0);
    let mut client = sql_client(&server).await;
    let asked = vec![SqlInfo::FlightSqlServerName, SqlInfo::FlightSqlServerTransaction];
    let info = client.get_sql_info(asked).await.unwrap();
    let asked = rows(&mut client, info).await;
    assert_eq!(asked.num_rows(), 2);
    let info = client.get_sql_info(vec![]).await.unwrap();
    let all = rows(&mut client, info).await;
    let values = all.column_by_name("value").unwrap().as_union();
    let name = values.value(0);
    assert_eq!(name.as_string::<i32>().value(0), "Lakepilot embedded lake");
    assert!(all.num_rows() > 20);
}
