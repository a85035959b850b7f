//! What a server says of itself.

use arrow_flight::FlightInfo;
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, ProstMessageExt,
};
use lakepilot_flight_client::{SchemaFilter, ServerMetadata, TableFilter};
use lakepilot_query::ErrorKind;

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
    client(&server3).await.sql_info(&[0, 1]).await.unwrap();
    assert_eq!(command::<CommandGetSqlInfo>(&server3).info, [0, 1]);
}

#[tokio::test]
async fn what_is_not_implemented_is_unsupported() {
    let server = TestServer::start(Script::new()).await;
    let client = client(&server).await;
    for result in [
        client.catalogs().await,
        client.schemas(&SchemaFilter::default()).await,
        client.tables(&TableFilter::default()).await,
        client.table_types().await,
        client.sql_info(&[]).await,
    ] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
