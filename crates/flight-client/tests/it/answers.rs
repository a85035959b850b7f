//! Answers for scripts, and clients for servers.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{Any, Command, CommandStatementQuery, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use futures::{TryStreamExt, stream};
use lakepilot_flight_client::{ClientConfig, FlightClient, QuerySpelling};
use lakepilot_query::Query;
use prost::Message;

use crate::server::{Script, Step, TestServer};

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

pub(crate) fn batch(values: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    RecordBatch::try_new(schema(), vec![column]).unwrap()
}

/// The messages of a stream, schema first.
pub(crate) fn messages(schema: SchemaRef, batches: &[RecordBatch]) -> Vec<FlightData> {
    let batches: Vec<_> = batches.iter().cloned().map(Ok).collect();
    let encoder = FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .build(stream::iter(batches));
    futures::executor::block_on(encoder.try_collect()).unwrap()
}

/// The steps that send the batches, with nothing after them.
pub(crate) fn sending(batches: &[RecordBatch]) -> Vec<Step<FlightData>> {
    messages(schema(), batches).into_iter().map(Step::Send).collect()
}

/// A ticket as Micromegas gives it out: a bare message with the SQL in it.
pub(crate) fn bare_ticket(sql: impl Into<Vec<u8>>) -> Ticket {
    let ticket = TicketStatementQuery {
        statement_handle: sql.into().into(),
    };
    Ticket::new(ticket.encode_to_vec())
}

pub(crate) fn endpoint(ticket: Ticket) -> FlightEndpoint {
    FlightEndpoint::new().with_ticket(ticket)
}

/// The SQL in the command of `GetFlightInfo`.
pub(crate) fn sql_of(command: &[u8]) -> String {
    match Command::try_from(Any::decode(command).unwrap()).unwrap() {
        Command::CommandStatementQuery(CommandStatementQuery { query, .. }) => query,
        other => panic!("not a query: {other:?}"),
    }
}

pub(crate) fn unpack<M: ProstMessageExt>(bytes: &[u8]) -> M {
    Any::decode(bytes)
        .unwrap()
        .unpack()
        .unwrap()
        .expect("the expected type")
}

/// A server that answers every query with these steps, in either spelling.
pub(crate) fn answering(steps: Vec<Step<FlightData>>) -> Script {
    Script::new()
        .on_flight_info(|descriptor: FlightDescriptor| {
            Ok(FlightInfo::new().with_endpoint(endpoint(bare_ticket(sql_of(&descriptor.cmd)))))
        })
        .on_get(move |_| Ok(steps.clone()))
}

/// A server whose results have several endpoints, in an order, each with the steps of its number.
pub(crate) fn with_endpoints(endpoints: Vec<FlightEndpoint>, steps: Vec<Vec<Step<FlightData>>>) -> Script {
    with_info(FlightInfo::new().with_ordered(true), endpoints, steps)
}

/// A server whose results are described like that, and have several endpoints, each with the steps of its number.
pub(crate) fn with_info(info: FlightInfo, endpoints: Vec<FlightEndpoint>, steps: Vec<Vec<Step<FlightData>>>) -> Script {
    Script::new()
        .on_flight_info(move |_| Ok(endpoints.iter().cloned().fold(info.clone(), FlightInfo::with_endpoint)))
        .on_get(move |ticket| Ok(steps[usize::from(ticket.ticket[0])].clone()))
}

/// The ticket of the endpoint with this number.
pub(crate) fn numbered(number: u8) -> FlightEndpoint {
    endpoint(Ticket::new(vec![number]))
}

pub(crate) fn config(server: &TestServer) -> ClientConfig {
    ClientConfig::new(server.url()).unwrap()
}

pub(crate) async fn client(server: &TestServer) -> FlightClient {
    FlightClient::connect(config(server)).await.unwrap()
}

pub(crate) async fn client_with(server: &TestServer, spelling: QuerySpelling) -> FlightClient {
    FlightClient::connect(config(server).with_spelling(spelling))
        .await
        .unwrap()
}

pub(crate) fn query() -> Query {
    Query::new("SELECT n FROM numbers").unwrap()
}
