//! Rows into a table.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::sql::{CommandStatementIngest, DoPutUpdateResult, TableExistsOption, TableNotExistOption};
use arrow_flight::{FlightData, PutResult};
use futures::{StreamExt, TryStreamExt, stream};
use lakepilot_flight_client::FlightClient;
use lakepilot_query::{BulkIngestion, Error, ErrorKind, RecordBatchStream};
use prost::Message;
use tonic::Status;

use crate::answers::{batch, client, config, schema, unpack};
use crate::server::{Event, PATIENCE, Script, Step, TestServer};

fn counted(count: i64) -> Vec<Step<PutResult>> {
    let result = DoPutUpdateResult { record_count: count };
    vec![Step::Send(PutResult {
        app_metadata: result.encode_to_vec().into(),
    })]
}

fn batches() -> RecordBatchStream {
    RecordBatchStream::from_batches(schema(), vec![batch(&[1, 2]), batch(&[3])])
}

fn put(server: &TestServer) -> Option<Vec<FlightData>> {
    server.events().into_iter().find_map(|event| match event {
        Event::Put(messages) => Some(messages),
        Event::Call(_) | Event::Abandoned(_) => None,
    })
}

async fn decoded(messages: Vec<FlightData>) -> Vec<RecordBatch> {
    FlightRecordBatchStream::new_from_flight_data(stream::iter(messages.into_iter().map(Ok)))
        .try_collect()
        .await
        .unwrap()
}

#[tokio::test]
async fn every_batch_arrives_and_the_count_comes_back() {
    let server = TestServer::start(Script::new().on_put(|_| Ok(counted(3)))).await;
    let config = config(&server).with_bearer_token("token-1").unwrap();
    let client = FlightClient::connect(config).await.unwrap();
    assert_eq!(client.ingest("processes", batches()).await.unwrap(), Some(3));

    let messages = put(&server).unwrap();
    let command: CommandStatementIngest = unpack(&messages[0].flight_descriptor.as_ref().unwrap().cmd);
    assert_eq!(command.table, "processes");
    let options = command.table_definition_options.unwrap();
    assert_eq!(options.if_not_exist(), TableNotExistOption::Fail);
    assert_eq!(options.if_exists(), TableExistsOption::Append);
    assert_eq!(decoded(messages).await, [batch(&[1, 2]), batch(&[3])]);
    assert_eq!(server.calls()[0].header("authorization"), Some("Bearer token-1"));
}

#[tokio::test]
async fn no_batches_are_a_schema_and_no_rows() {
    let server = TestServer::start(Script::new().on_put(|_| Ok(counted(0)))).await;
    let none = RecordBatchStream::from_batches(schema(), Vec::new());
    assert_eq!(client(&server).await.ingest("processes", none).await.unwrap(), Some(0));
    assert_eq!(put(&server).unwrap().len(), 1);
}

#[tokio::test]
async fn a_count_that_the_server_does_not_know_is_none() {
    let server = TestServer::start(Script::new().on_put(|_| Ok(counted(-1)))).await;
    assert_eq!(
        client(&server).await.ingest("processes", batches()).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn an_error_in_the_batches_is_the_result_and_fails_on_the_server_too() {
    let server = TestServer::start(Script::new().on_put(|_| Ok(counted(1)))).await;
    let failing = RecordBatchStream::new(
        schema(),
        stream::iter([
            Ok(batch(&[1])),
            Err(Error::new(ErrorKind::NotFound, "the file is gone")),
        ]),
    );
    let error = client(&server).await.ingest("processes", failing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.message(), "the file is gone");
    // A server that decodes what it got fails there too, and takes nothing for the end of the rows.
    let mut arrived = FlightRecordBatchStream::new_from_flight_data(stream::iter(put(&server).unwrap()).map(Ok));
    assert_eq!(arrived.next().await.unwrap().unwrap(), batch(&[1]));
    assert!(arrived.next().await.unwrap().is_err());
}

#[tokio::test]
async fn an_ingestion_called_off_does_not_wait_for_a_server_that_hangs() {
    let server = TestServer::start(Script::new().silent()).await;
    let failing = RecordBatchStream::new(schema(), stream::iter([Err(Error::new(ErrorKind::Io, "no disk"))]));
    let client = client(&server).await;
    let ingestion = client.ingest("processes", failing);
    let error = tokio::time::timeout(PATIENCE, ingestion).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[tokio::test]
async fn what_the_server_refuses_is_told() {
    for (status, kind) in [
        (
            Status::permission_denied("bulk_ingest requires admin privileges"),
            ErrorKind::PermissionDenied,
        ),
        (Status::unimplemented("no"), ErrorKind::Unsupported),
        (Status::invalid_argument("no such table"), ErrorKind::InvalidInput),
    ] {
        let status = Arc::new(status);
        let server = TestServer::start(Script::new().on_put(move |_| Err((*status).clone()))).await;
        assert_eq!(
            client(&server).await.ingest("x", batches()).await.unwrap_err().kind(),
            kind
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_none_or_garbage_is_a_protocol_error() {
    let garbage = vec![Step::Send(PutResult {
        app_metadata: vec![0xff; 20].into(),
    })];
    for steps in [Vec::new(), garbage] {
        let server = TestServer::start(Script::new().on_put(move |_| Ok(steps.clone()))).await;
        let error = client(&server).await.ingest("x", batches()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
}

#[tokio::test]
async fn an_error_after_the_count_counts() {
    let server = TestServer::start(Script::new().on_put(|_| {
        let mut steps = counted(3);
        steps.push(Step::Fail(Status::internal("the commit failed")));
        Ok(steps)
    }))
    .await;
    let error = client(&server).await.ingest("x", batches()).await.unwrap_err();
    assert!(error.message().contains("the commit failed"), "{error}");
}

#[tokio::test]
async fn a_server_that_refuses_early_does_not_wait_for_the_rest() {
    let server = TestServer::start(Script::new().with_token("right")).await;
    let endless = RecordBatchStream::new(schema(), stream::repeat_with(|| Ok(batch(&[1]))).boxed());
    let error = client(&server).await.ingest("x", endless).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error:?}");
}
