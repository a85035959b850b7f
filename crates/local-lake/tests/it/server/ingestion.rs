//! Rows that clients send.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    CommandStatementIngest, DoPutUpdateResult, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use arrow_flight::{FlightData, FlightDescriptor};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use lakepilot_local_lake::{ServedLake, ServedTable};
use lakepilot_query::{Error, ErrorKind, PreparedQuery, Query, QueryService, RecordBatchStream, Result};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::fixture::{batch, client, flat_batch, packed, serve, soon, sql_client, tables};

/// A lake that keeps what it is sent.
#[derive(Clone, Default)]
struct Keeping {
    kept: Arc<Mutex<HashMap<String, Vec<RecordBatch>>>>,
    /// Cancelled when an ingestion has its first batch.
    begun: CancellationToken,
    /// What became of the last one.
    ended: Arc<Mutex<Option<ErrorKind>>>,
    over: CancellationToken,
}

#[async_trait]
impl QueryService for Keeping {
    async fn run(&self, _query: &Query) -> Result<RecordBatchStream> {
        Err(Error::new(ErrorKind::Unsupported, "rows only go in"))
    }

    async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
        Err(Error::new(ErrorKind::Unsupported, "rows only go in"))
    }
}

#[async_trait]
impl ServedLake for Keeping {
    async fn result_schema(&self, _query: &Query) -> Result<arrow::datatypes::SchemaRef> {
        Err(Error::new(ErrorKind::Unsupported, "rows only go in"))
    }

    fn tables(&self) -> Result<Vec<ServedTable>> {
        Ok(tables())
    }

    async fn ingest(&self, table: &str, mut rows: RecordBatchStream) -> Result<u64> {
        if table == "payloads" {
            return Err(Error::new(ErrorKind::Unsupported, "payloads are not kept"));
        }
        let _over = self.over.clone().drop_guard();
        let mut batches = Vec::new();
        loop {
            match rows.try_next().await {
                Ok(Some(batch)) => batches.push(batch),
                Ok(None) => break,
                Err(error) => {
                    *self.ended.lock().unwrap() = Some(error.kind());
                    return Err(error);
                }
            }
            self.begun.cancel();
        }
        let count = batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        self.kept.lock().unwrap().insert(table.to_owned(), batches);
        Ok(count as u64)
    }
}

fn command(table: &str) -> CommandStatementIngest {
    CommandStatementIngest {
        table: table.to_owned(),
        ..CommandStatementIngest::default()
    }
}

fn encoded(command: &CommandStatementIngest, batches: Vec<RecordBatch>) -> Vec<FlightData> {
    let descriptor = FlightDescriptor::new_cmd(packed(command));
    let messages = arrow_flight::encode::FlightDataEncoderBuilder::new()
        .with_flight_descriptor(Some(descriptor))
        .with_schema(batch().schema())
        .build(stream::iter(batches.into_iter().map(Ok)));
    futures::executor::block_on(messages.try_collect()).unwrap()
}

async fn put(lake: &Keeping, messages: Vec<FlightData>) -> Result<i64, Status> {
    let server = serve(lake.clone());
    let answers = client(&server).await.do_put(stream::iter(messages)).await?.into_inner();
    let answers: Vec<_> = answers.try_collect().await?;
    assert_eq!(answers.len(), 1);
    Ok(DoPutUpdateResult::decode(answers[0].app_metadata.clone())
        .unwrap()
        .record_count)
}

#[tokio::test]
async fn rows_reach_the_table_and_are_counted() {
    let lake = Keeping::default();
    let server = serve(lake.clone());
    let mut client: FlightSqlServiceClient<_> = sql_client(&server).await;
    let command = CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Fail.into(),
            if_exists: TableExistsOption::Append.into(),
        }),
        ..command("processes")
    };
    let rows = stream::iter([Ok(batch()), Ok(batch())]);
    assert_eq!(client.execute_ingest(command, rows).await.unwrap(), 6);
    assert_eq!(lake.kept.lock().unwrap()["processes"], [flat_batch(), flat_batch()]);
}

#[tokio::test]
async fn the_command_may_come_alone_ahead_of_the_schema() {
    let lake = Keeping::default();
    let mut messages = encoded(&command("streams"), vec![batch()]);
    let alone = FlightData {
        flight_descriptor: messages[0].flight_descriptor.take(),
        ..FlightData::default()
    };
    messages.insert(0, alone);
    assert_eq!(put(&lake, messages).await.unwrap(), 3);
}

#[tokio::test]
async fn no_rows_are_none() {
    let lake = Keeping::default();
    assert_eq!(put(&lake, encoded(&command("streams"), vec![])).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_not_an_ingestion_of_rows_is_refused() {
    let whole = encoded(&command("processes"), vec![batch()]);
    let mut without_descriptor = whole.clone();
    without_descriptor[0].flight_descriptor = None;
    let mut without_schema = whole.clone();
    let descriptor = without_schema.remove(0).flight_descriptor;
    without_schema[0].flight_descriptor = descriptor;
    let mut damaged = whole.clone();
    damaged[1].data_header = vec![0xff; 20].into();
    let mut nothing_more = whole.clone();
    nothing_more.truncate(1);
    nothing_more[0].data_header.clear();
    let mut path = whole.clone();
    path[0].flight_descriptor = Some(FlightDescriptor::new_path(vec!["processes".to_owned()]));
    let temporary = CommandStatementIngest {
        temporary: true,
        ..command("processes")
    };
    for (messages, code, says) in [
        (vec![], Code::InvalidArgument, "before its first message"),
        (without_descriptor, Code::InvalidArgument, "no descriptor"),
        (without_schema, Code::InvalidArgument, "cannot be read"),
        (nothing_more, Code::InvalidArgument, "no schema"),
        (damaged, Code::InvalidArgument, "cannot be read"),
        (path, Code::InvalidArgument, "not a command"),
        (encoded(&temporary, vec![]), Code::Unimplemented, "temporary"),
        (
            encoded(&command("payloads"), vec![batch()]),
            Code::Unimplemented,
            "payloads are not kept",
        ),
    ] {
        let lake = Keeping::default();
        let status = put(&lake, messages).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(says), "{says}: {status}");
        assert!(lake.kept.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_client_that_leaves_adds_nothing() {
    let lake = Keeping::default();
    let server = serve(lake.clone());
    let mut client = client(&server).await;
    let messages = encoded(&command("processes"), vec![batch(), batch()]);
    let messages = stream::iter(messages).chain(stream::pending());
    let call = tokio::spawn(async move { client.do_put(messages).await.map(|_| ()) });
    soon(lake.begun.cancelled()).await;
    call.abort();
    soon(lake.over.cancelled()).await;
    assert!(lake.kept.lock().unwrap().is_empty());
    // The stream failed, or the whole call was dropped before it could.
    assert!(matches!(*lake.ended.lock().unwrap(), None | Some(ErrorKind::Cancelled)));
}
