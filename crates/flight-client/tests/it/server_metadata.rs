//! What a server says of itself.

use arrow_flight::FlightInfo;
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    ProstMessageExt,
};
use lakepilot_query::{ErrorKind, SchemaFilter, ServerMetadata, TableFilter, TableName};

use crate::answers::{batch, client, numbered, sending, unpack};
use crate::server::{Script, TestServer};

async fn server() -> TestServer {
    let script = Script::new()
        .on_flight_info(|_| Ok(FlightInfo::new().with_endpoint(numbered(0))))
        .on_get(|_| Ok(sending(&[batch(&[1]), batch(&[2])])));
    TestServer::start(script).await
}

/// The command that was sent, when it was of that type.
fn command<M: ProstMessageExt>(server: &TestServer) -> M {
    assert_eq!(server.methods(), ["GetFlightInfo", "DoGet"]);
    unpack(&server.calls()[0].body)
}

#[tokio::test]
async fn catalogs_and_table_types_are_asked_for() {
    let server1 = server().await;
    let result = client(&server1).await.catalogs().await.unwrap();
    assert_eq!(result.to_batch().unwrap(), batch(&[1, 2]));
    command::<CommandGetCatalogs>(&server1);

    let server2 = server().await;
    client(&server2).await.table_types().await.unwrap();
    command::<CommandGetTableTypes>(&server2);
}

#[tokio::test]
async fn filters_are_sent_as_they_are() {
    let server1 = server().await;
    let filter = SchemaFilter {
        catalog: Some("lake".to_owned()),
        schema_pattern: Some("pub%".to_owned()),
    };
    client(&server1).await.schemas(&filter).await.unwrap();
    let sent: CommandGetDbSchemas = command(&server1);
    assert_eq!(sent.catalog.as_deref(), Some("lake"));
    assert_eq!(sent.db_schema_filter_pattern.as_deref(), Some("pub%"));

    let server2 = server().await;
    let filter = TableFilter {
        table_pattern: Some("log%".to_owned()),
        table_types: vec!["TABLE".to_owned()],
        include_schema: true,
        ..TableFilter::default()
    };
    client(&server2).await.tables(&filter).await.unwrap();
    let sent: CommandGetTables = command(&server2);
    assert_eq!(sent.catalog, None);
    assert_eq!(sent.table_name_filter_pattern.as_deref(), Some("log%"));
    assert_eq!(sent.table_types, ["TABLE"]);
    assert!(sent.include_schema);

    let server3 = server().await;
    // What this server answers is a table of numbers, whatever it is asked.
    let error = client(&server3).await.server_info(&[0, 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert_eq!(command::<CommandGetSqlInfo>(&server3).info, [0, 1]);
}

#[tokio::test]
async fn keys_and_types_are_asked_for_by_name_and_number() {
    let table = TableName {
        catalog: Some("lake".to_owned()),
        schema: Some(String::new()),
        table: "blocks".to_owned(),
    };
    let server1 = server().await;
    client(&server1).await.primary_keys(&table).await.unwrap();
    let sent: CommandGetPrimaryKeys = command(&server1);
    assert_eq!(
        (sent.catalog.as_deref(), sent.db_schema.as_deref(), sent.table.as_str()),
        (Some("lake"), Some(""), "blocks")
    );

    let server2 = server().await;
    let foreign = TableName::new("streams");
    client(&server2).await.cross_reference(&table, &foreign).await.unwrap();
    let sent: CommandGetCrossReference = command(&server2);
    assert_eq!((sent.pk_table.as_str(), sent.fk_table.as_str()), ("blocks", "streams"));
    assert_eq!((sent.pk_catalog.as_deref(), sent.fk_catalog), (Some("lake"), None));

    let server3 = server().await;
    client(&server3).await.exported_keys(&foreign).await.unwrap();
    assert_eq!(command::<CommandGetExportedKeys>(&server3).table, "streams");

    let server4 = server().await;
    client(&server4).await.imported_keys(&foreign).await.unwrap();
    assert_eq!(command::<CommandGetImportedKeys>(&server4).table, "streams");

    let server5 = server().await;
    client(&server5).await.type_info(Some(4)).await.unwrap();
    assert_eq!(command::<CommandGetXdbcTypeInfo>(&server5).data_type, Some(4));
}

#[tokio::test]
async fn what_is_not_implemented_is_unsupported() {
    let server = TestServer::start(Script::new()).await;
    let client = client(&server).await;
    let table = TableName::new("t");
    for (name, error) in [
        ("GetCatalogs", client.catalogs().await.unwrap_err()),
        (
            "GetDbSchemas",
            client.schemas(&SchemaFilter::default()).await.unwrap_err(),
        ),
        ("GetTables", client.tables(&TableFilter::default()).await.unwrap_err()),
        ("GetTableTypes", client.table_types().await.unwrap_err()),
        ("GetPrimaryKeys", client.primary_keys(&table).await.unwrap_err()),
        ("GetExportedKeys", client.exported_keys(&table).await.unwrap_err()),
        ("GetImportedKeys", client.imported_keys(&table).await.unwrap_err()),
        (
            "GetCrossReference",
            client.cross_reference(&table, &table).await.unwrap_err(),
        ),
        ("GetSqlInfo", client.server_info(&[]).await.unwrap_err()),
        ("GetXdbcTypeInfo", client.type_info(None).await.unwrap_err()),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().starts_with(name), "{error}");
    }
}
