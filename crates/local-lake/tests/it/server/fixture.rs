//! A server over a mock, and plain Flight clients for it.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{Any, CommandStatementQuery, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightInfo, Ticket};
use async_trait::async_trait;
use futures::TryStreamExt;
use lakepilot_local_lake::{FlightServer, MockServedLake, ServeOptions, ServedLake, ServedTable, ServerHandle};
use lakepilot_query::{Dictionaries, PreparedQuery, Query, QueryService, RecordBatchStream, Result};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::metadata::AsciiMetadataKey;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// Nothing on loopback takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("nothing happened")
}

pub(crate) fn on_any_port() -> ServeOptions {
    ServeOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..ServeOptions::default()
    }
}

pub(crate) fn serve(lake: impl ServedLake + 'static) -> ServerHandle {
    FlightServer::bind(Arc::new(lake), on_any_port()).unwrap().spawn()
}

pub(crate) async fn channel(server: &ServerHandle) -> Channel {
    let url = format!("http://{}", server.local_addr());
    Channel::from_shared(url).unwrap().connect().await.unwrap()
}

pub(crate) async fn client(server: &ServerHandle) -> FlightServiceClient<Channel> {
    FlightServiceClient::new(channel(server).await)
}

pub(crate) async fn sql_client(server: &ServerHandle) -> FlightSqlServiceClient<Channel> {
    FlightSqlServiceClient::new(channel(server).await)
}

/// A request with metadata.
pub(crate) fn with<T>(message: T, metadata: &[(&str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in metadata {
        let name: AsciiMetadataKey = name.parse().unwrap();
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    request
}

pub(crate) fn packed(message: &impl ProstMessageExt) -> Vec<u8> {
    message.as_any().encode_to_vec()
}

pub(crate) fn unpacked<M: ProstMessageExt + Default>(bytes: &[u8]) -> M {
    Any::decode(bytes).unwrap().unpack().unwrap().unwrap()
}

pub(crate) fn statement(sql: &str) -> FlightDescriptor {
    FlightDescriptor::new_cmd(packed(&CommandStatementQuery {
        query: sql.to_owned(),
        transaction_id: None,
    }))
}

pub(crate) fn statement_ticket(sql: &str) -> TicketStatementQuery {
    TicketStatementQuery {
        statement_handle: sql.to_owned().into(),
    }
}

/// The ticket that the Micromegas Python client makes.
pub(crate) fn ticket(sql: &str) -> Ticket {
    Ticket::new(packed(&statement_ticket(sql)))
}

pub(crate) fn only_ticket(info: &FlightInfo) -> Ticket {
    assert_eq!(info.endpoint.len(), 1);
    info.endpoint[0].ticket.clone().unwrap()
}

/// The schema and the batches that come for a ticket.
pub(crate) async fn get(
    client: &mut FlightServiceClient<Channel>,
    request: Request<Ticket>,
) -> Result<(SchemaRef, Vec<RecordBatch>), Status> {
    let messages = client.do_get(request).await?.into_inner();
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages.map_err(FlightError::from));
    let mut received = Vec::new();
    while let Some(batch) = batches.try_next().await.map_err(status)? {
        received.push(batch);
    }
    Ok((batches.schema().expect("a schema").clone(), received))
}

pub(crate) fn status(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => panic!("{other}"),
    }
}

/// Names as a dictionary, and numbers.
pub(crate) fn batch() -> RecordBatch {
    let names: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::from_iter(["a", "b", "a"]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    RecordBatch::try_from_iter([("name", names), ("number", numbers)]).unwrap()
}

/// The same with plain names.
pub(crate) fn flat_batch() -> RecordBatch {
    let batch = batch();
    let names = cast(batch.column(0), &DataType::Utf8).unwrap();
    RecordBatch::try_from_iter([("name", names), ("number", Arc::clone(batch.column(1)))]).unwrap()
}

fn delivered(dictionaries: Dictionaries) -> RecordBatch {
    match dictionaries {
        Dictionaries::Flattened => flat_batch(),
        Dictionaries::Preserved => batch(),
    }
}

/// The queries that a mock was asked, in order.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Query>>>);

impl Seen {
    pub(crate) fn last(&self) -> Query {
        self.0.lock().unwrap().last().expect("a query").clone()
    }
}

/// A lake that answers every query with two batches.
pub(crate) fn answering() -> (MockServedLake, Seen) {
    let seen = Seen::default();
    let mut lake = MockServedLake::new();
    let run = seen.clone();
    lake.expect_run().returning(move |query| {
        run.0.lock().unwrap().push(query.clone());
        let batch = delivered(query.dictionaries());
        Ok(RecordBatchStream::from_batches(
            batch.schema(),
            vec![batch.clone(), batch],
        ))
    });
    let planned = seen.clone();
    lake.expect_result_schema().returning(move |query| {
        planned.0.lock().unwrap().push(query.clone());
        Ok(delivered(query.dictionaries()).schema())
    });
    let prepared = seen.clone();
    lake.expect_prepare().returning(move |query| {
        prepared.0.lock().unwrap().push(query.clone());
        Ok(PreparedQuery::new(batch().schema()))
    });
    lake.expect_tables().returning(|| Ok(tables()));
    (lake, seen)
}

pub(crate) fn tables() -> Vec<ServedTable> {
    let columns: SchemaRef = Arc::new(Schema::new(vec![Field::new("process_id", DataType::Utf8, false)]));
    let table = |schema: &str, name: &str| ServedTable {
        catalog: "datafusion".to_owned(),
        schema: schema.to_owned(),
        name: name.to_owned(),
        columns: Arc::clone(&columns),
    };
    vec![
        table("public", "streams"),
        table("public", "processes"),
        table("information_schema", "tables"),
    ]
}

/// A stream of ever more batches, and a token that is cancelled when it is dropped.
pub(crate) fn endless() -> (RecordBatchStream, CancellationToken) {
    let dropped = CancellationToken::new();
    let guard = dropped.clone().drop_guard();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1000); 1000]));
    let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let batches = futures::stream::repeat_with({
        let batch = batch.clone();
        move || {
            let _held = &guard;
            Ok(batch.clone())
        }
    });
    (RecordBatchStream::new(batch.schema(), batches), dropped)
}

/// A lake whose every query has no end, and the token of the one that it is asked.
pub(crate) fn unending() -> (MockServedLake, CancellationToken) {
    let mut lake = MockServedLake::new();
    let (stream, dropped) = endless();
    lake.expect_run().return_once(move |_| Ok(stream));
    (lake, dropped)
}

/// A lake that thinks about every query for ever, and tells when it begins to and when it is stopped.
pub(crate) struct Thinking {
    pub(crate) begun: CancellationToken,
    pub(crate) dropped: CancellationToken,
}

impl Thinking {
    async fn think<T>(&self) -> T {
        let _stopped = self.dropped.clone().drop_guard();
        self.begun.cancel();
        std::future::pending().await
    }
}

#[async_trait]
impl QueryService for Thinking {
    async fn run(&self, _query: &Query) -> Result<RecordBatchStream> {
        self.think().await
    }

    async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
        self.think().await
    }
}

#[async_trait]
impl ServedLake for Thinking {
    async fn result_schema(&self, _query: &Query) -> Result<SchemaRef> {
        self.think().await
    }

    fn tables(&self) -> Result<Vec<ServedTable>> {
        Ok(Vec::new())
    }

    async fn ingest(&self, _table: &str, _rows: RecordBatchStream) -> Result<u64> {
        self.think().await
    }
}

/// The log of the present thread, which is all of a test with a runtime of its own.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(crate) fn lines_with(&self, part: &str) -> Vec<String> {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        log.lines()
            .filter(|line| line.contains(part))
            .map(str::to_owned)
            .collect()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
