//! The schema of a query that is not run.

use arrow::datatypes::Schema;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    ProstMessageExt,
};
use arrow_flight::{Action, IpcMessage, SchemaAsIpc};
use lakepilot_flight_client::FlightClient;
use lakepilot_query::{ErrorKind, Position, QueryService, TimeRange};
use prost::Message;
use tonic::Status;

use crate::answers::{client, config, query, schema, unpack};
use crate::server::{Script, Step, Steps, TestServer};

fn prepared(handle: &str, schema: Option<&Schema>) -> Vec<Step<arrow_flight::Result>> {
    let dataset_schema = schema.map_or_else(Default::default, |schema| {
        IpcMessage::try_from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()))
            .unwrap()
            .0
    });
    let result = ActionCreatePreparedStatementResult {
        prepared_statement_handle: handle.to_owned().into(),
        dataset_schema,
        parameter_schema: Default::default(),
    };
    vec![Step::Send(arrow_flight::Result {
        body: result.as_any().encode_to_vec().into(),
    })]
}

/// A server that prepares, and does the given thing when it is asked to close.
fn preparing(handle: &'static str, close: impl Fn() -> Steps<arrow_flight::Result> + Send + Sync + 'static) -> Script {
    Script::new().on_action(move |action: Action| match action.r#type.as_str() {
        "CreatePreparedStatement" => Ok(prepared(handle, Some(&schema()))),
        "ClosePreparedStatement" => close(),
        other => Err(Status::unimplemented(other.to_owned())),
    })
}

#[tokio::test]
async fn a_handle_that_is_the_sql_is_not_closed() {
    let server = TestServer::start(preparing("SELECT n FROM numbers", || panic!("not asked for"))).await;
    let range = TimeRange::new(Default::default(), Default::default()).unwrap();
    let query = query().with_time_range(range).with_limit(3);
    let prepared = client(&server).await.prepare(&query).await.unwrap();
    assert_eq!(prepared.schema(), schema());

    let calls = server.calls();
    assert_eq!(server.methods(), ["DoAction"]);
    let request: ActionCreatePreparedStatementRequest = unpack(&calls[0].body);
    assert_eq!(request.query, "SELECT n FROM numbers");
    for name in ["query_range_begin", "query_range_end", "limit"] {
        assert_eq!(calls[0].header(name), None, "{name}");
    }
    assert_eq!(calls[0].header("x-client-type"), Some("lakepilot"));
}

#[tokio::test]
async fn a_handle_of_the_servers_own_is_closed() {
    let server = TestServer::start(preparing("handle-7", || Ok(Vec::new()))).await;
    client(&server).await.prepare(&query()).await.unwrap();
    assert_eq!(server.methods(), ["DoAction", "DoAction"]);
    let close: ActionClosePreparedStatementRequest = unpack(&server.calls()[1].body);
    assert_eq!(close.prepared_statement_handle, "handle-7".as_bytes());
}

#[tokio::test]
async fn a_close_that_fails_or_hangs_does_no_harm() {
    let closes: [fn() -> Steps<arrow_flight::Result>; 2] = [|| Err(Status::internal("no")), || Ok(vec![Step::Hang])];
    for close in closes {
        let server = TestServer::start(preparing("handle-7", close)).await;
        let prepared = client(&server).await.prepare(&query()).await.unwrap();
        assert_eq!(prepared.schema(), schema());
    }
}

#[tokio::test]
async fn a_statement_without_a_result_has_no_columns() {
    let server = TestServer::start(Script::new().on_action(|_| Ok(prepared("", None)))).await;
    let prepared = client(&server).await.prepare(&query()).await.unwrap();
    assert!(prepared.schema().fields().is_empty());
    assert_eq!(server.methods(), ["DoAction"]);
}

#[tokio::test]
async fn bad_sql_is_told_with_its_place() {
    let server = TestServer::start(Script::new().on_action(|_| {
        Err(Status::invalid_argument(
            "error building dataframe: table 'datafusion.public.nope' not found (at line 1, column 15) \
             (query_id=5f0d4c3e-2b1a-4c9d-8e7f-0a1b2c3d4e5f)",
        ))
    }))
    .await;
    let error = client(&server).await.prepare(&query()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidQuery);
    assert_eq!(error.position(), Some(Position { line: 1, column: 15 }));
    assert_eq!(error.query_id(), Some("5f0d4c3e-2b1a-4c9d-8e7f-0a1b2c3d4e5f"));
}

#[tokio::test]
async fn a_server_that_cannot_prepare_is_unsupported() {
    let server = TestServer::start(Script::new()).await;
    let error = client(&server).await.prepare(&query()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn answers_that_are_not_flight_sql_are_protocol_errors() {
    let garbage = |body: &[u8]| {
        vec![Step::Send(arrow_flight::Result {
            body: body.to_vec().into(),
        })]
    };
    let other = ActionCreatePreparedStatementRequest::default().as_any().encode_to_vec();
    let bad_schema = ActionCreatePreparedStatementResult {
        dataset_schema: vec![1, 2, 3].into(),
        ..Default::default()
    };
    for steps in [
        Vec::new(),
        garbage(b""),
        garbage(&[0xff; 40]),
        garbage(&other),
        garbage(&bad_schema.as_any().encode_to_vec()),
    ] {
        let server = TestServer::start(Script::new().on_action(move |_| Ok(steps.clone()))).await;
        let error = client(&server).await.prepare(&query()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_runs_into_the_deadline() {
    let server = TestServer::start(Script::new().silent()).await;
    let config = config(&server).with_query_deadline(std::time::Duration::from_millis(50));
    let error = FlightClient::connect(config)
        .await
        .unwrap()
        .prepare(&query())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.message().contains("CreatePreparedStatement"), "{error}");
}
