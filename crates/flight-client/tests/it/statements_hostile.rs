//! Servers that answer wrongly, or not at all, to statements, transactions and metadata.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow_flight::PutResult;
use arrow_flight::sql::{
    ActionBeginSavepointResult, ActionBeginTransactionResult, ActionCreatePreparedStatementResult, DoPutUpdateResult,
    ProstMessageExt,
};
use lakepilot_flight_client::FlightClient;
use lakepilot_query::{
    Error, ErrorKind, PreparedStatement, PreparedStatements, Query, Result, ServerMetadata, Transaction,
    TransactionService, UpdateService,
};
use prost::Message;
use tonic::Status;

use crate::answers::{client, config};
use crate::server::{PATIENCE, Script, Step, Steps, TestServer};

/// The limit that is to run out, which a slow machine still keeps before it does.
const LIMIT: Duration = Duration::from_millis(150);

fn one<M: ProstMessageExt>(message: &M) -> Steps<arrow_flight::Result> {
    Ok(vec![Step::Send(arrow_flight::Result {
        body: message.as_any().encode_to_vec().into(),
    })])
}

/// Gives out statements and transactions, and answers everything after that like this.
fn giving(rest: impl Fn() -> Steps<arrow_flight::Result> + Send + Sync + 'static) -> Script {
    Script::new().on_action(move |action| match action.r#type.as_str() {
        "CreatePreparedStatement" => one(&ActionCreatePreparedStatementResult {
            prepared_statement_handle: "handle".into(),
            ..ActionCreatePreparedStatementResult::default()
        }),
        "BeginTransaction" => one(&ActionBeginTransactionResult {
            transaction_id: "id".into(),
        }),
        _ => rest(),
    })
}

fn parameters() -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    RecordBatch::try_from_iter([("$1", column)]).unwrap()
}

async fn statement(client: &FlightClient) -> Box<dyn PreparedStatement> {
    client.prepare_statement("SELECT 1").await.unwrap()
}

async fn transaction(client: &FlightClient) -> Box<dyn Transaction> {
    client.begin().await.unwrap()
}

/// Makes every call of statements and transactions, and returns the error of each with the name that is to be in it.
async fn every_call(client: &FlightClient) -> Vec<(&'static str, Error)> {
    async fn of<T>(work: impl Future<Output = Result<T>>) -> Error {
        match tokio::time::timeout(PATIENCE, work).await.expect("it hangs") {
            Ok(_) => panic!("it was to fail"),
            Err(error) => error,
        }
    }
    let query = Query::new("SELECT 1").unwrap();
    let open = transaction(client).await;
    let prepared = statement(client).await;
    vec![
        ("StatementUpdate", of(client.update("DELETE FROM t")).await),
        ("StatementUpdate", of(open.update("DELETE FROM t")).await),
        ("GetFlightInfo", of(open.run(&query)).await),
        ("BeginSavepoint", of(open.savepoint("a")).await),
        ("EndTransaction", of(transaction(client).await.commit()).await),
        ("EndTransaction", of(open.rollback()).await),
        ("GetFlightInfo", of(prepared.run(None)).await),
        (
            "parameters of a prepared statement",
            of(prepared.run(Some(parameters()))).await,
        ),
        ("PreparedStatementUpdate", of(prepared.update(None)).await),
        ("ClosePreparedStatement", of(prepared.close()).await),
    ]
}

#[tokio::test]
async fn what_is_not_implemented_is_unsupported_and_names_the_call() {
    let server = TestServer::start(giving(|| Err(Status::unimplemented("not here")))).await;
    for (name, error) in every_call(&client(&server).await).await {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains(name), "no {name} in: {error}");
    }
    let server = TestServer::start(Script::new()).await;
    let client = client(&server).await;
    let error = client.begin().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("BeginTransaction"), "{error}");
    let error = client.prepare_statement("SELECT 1").await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_call_that_is_never_answered_times_out_and_is_named() {
    let script = giving(|| Ok(vec![Step::Hang]))
        .on_put(|_| Ok(vec![Step::Hang]))
        .on_flight_info_hanging();
    let server = TestServer::start(script).await;
    let config = config(&server)
        .with_plan_timeout(LIMIT)
        .with_first_batch_timeout(LIMIT)
        .with_gap_timeout(LIMIT);
    let client = FlightClient::connect(config).await.unwrap();
    for (name, error) in every_call(&client).await {
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(error.message().contains(name), "no {name} in: {error}");
    }
    let error = client
        .primary_keys(&lakepilot_query::TableName::new("t"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.message().starts_with("GetPrimaryKeys: "), "{error}");
}

#[tokio::test]
async fn answers_that_end_before_they_begin_or_are_other_messages_are_protocol_errors() {
    // A handshake of other messages: a savepoint where a transaction is begun, and nothing at all.
    let savepoint = ActionBeginSavepointResult {
        savepoint_id: "x".into(),
    };
    let nameless = ActionBeginTransactionResult::default();
    for steps in [Ok(Vec::new()), one(&savepoint), one(&nameless)] {
        let server = TestServer::start(Script::new().on_action(move |_| steps.clone())).await;
        let client = client(&server).await;
        let error = client.begin().await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(error.message().contains("BeginTransaction"), "{error}");
        let error = client.prepare_statement("SELECT 1").await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
    let garbage = || {
        Ok(vec![Step::Send(PutResult {
            app_metadata: vec![0xff; 20].into(),
        })])
    };
    for (steps, server_is) in [(Ok(Vec::new()), "silent"), (garbage(), "garbled")] {
        let script = giving(|| Ok(Vec::new())).on_put(move |_| steps.clone());
        let server = TestServer::start(script).await;
        let client = client(&server).await;
        let error = client.update("DELETE FROM t").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{server_is}: {error}");
        assert!(error.message().contains("StatementUpdate"), "{error}");
        let error = statement(&client).await.update(None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{server_is}: {error}");
    }
}

#[tokio::test]
async fn an_update_is_sent_once_whatever_comes_of_it() {
    let script = Script::new().on_put(|_| Err(Status::unavailable("restarting")));
    let server = TestServer::start(script).await;
    let error = client(&server).await.update("DELETE FROM t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(server.methods(), ["DoPut"]);
}

#[tokio::test]
async fn a_negative_count_is_none() {
    let count = DoPutUpdateResult { record_count: -1 };
    let script = Script::new().on_put(move |_| {
        Ok(vec![Step::Send(PutResult {
            app_metadata: count.encode_to_vec().into(),
        })])
    });
    let server = TestServer::start(script).await;
    assert_eq!(client(&server).await.update("x").await.unwrap(), None);
}
