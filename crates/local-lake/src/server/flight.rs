//! The calls of Arrow Flight, and what they mean in Flight SQL.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    Any, Command, CommandStatementIngest, DoPutUpdateResult, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
    HandshakeResponse, IpcMessage, PollInfo, PutResult, SchemaAsIpc, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use lakepilot_query::Query;
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::server::answer::{self, Audit, Messages};
use crate::server::ingest::ingest;
use crate::server::metadata;
use crate::server::request::{self, Attribution, Beside};
use crate::server::served::ServedLake;
use crate::server::status::{from_error, not_offered, shutting_down};

const CREATE_PREPARED_STATEMENT: &str = "CreatePreparedStatement";
const CLOSE_PREPARED_STATEMENT: &str = "ClosePreparedStatement";

/// A lake behind the calls of Flight.
pub(crate) struct Endpoint {
    lake: Arc<dyn ServedLake>,
    /// Cancelled when nothing may go on any longer.
    stop: CancellationToken,
}

/// What a client wants the rows of.
enum Wanted {
    Query(request::Request),
    Metadata(Command),
}

impl Endpoint {
    pub(crate) fn new(lake: Arc<dyn ServedLake>, stop: CancellationToken) -> Self {
        Self { lake, stop }
    }

    /// The outcome of a future, unless the server stops before it is there.
    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(shutting_down()),
            outcome = work => outcome,
        }
    }

    /// The schema of what is wanted, and the ticket for it.
    async fn planned<T>(&self, request: &Request<T>, wanted: Wanted) -> Result<(SchemaRef, Bytes), Status> {
        match wanted {
            Wanted::Metadata(command) => {
                let schema = metadata::answer(self.lake.as_ref(), &command)?.schema();
                Ok((schema, command.into_any().encode_to_vec().into()))
            }
            Wanted::Query(asked) => {
                let (query, mut audit) = begin(request, &asked)?;
                let schema = self.lake.result_schema(&query).await;
                let schema = schema.map_err(|error| audit.failed(&error))?;
                // Not packed, as the real service has it.
                let ticket = TicketStatementQuery {
                    statement_handle: asked.handle(),
                };
                audit.planned();
                let schema = answer::sent_schema(schema, query.dictionaries());
                Ok((schema, ticket.encode_to_vec().into()))
            }
        }
    }

    async fn rows<T>(&self, request: &Request<T>, wanted: Wanted) -> Result<Messages, Status> {
        match wanted {
            Wanted::Metadata(command) => {
                let batch: RecordBatch = metadata::answer(self.lake.as_ref(), &command)?;
                Ok(answer::one_batch(batch))
            }
            Wanted::Query(asked) => {
                let (query, mut audit) = begin(request, &asked)?;
                let batches = self.lake.run(&query).await;
                let batches = batches.map_err(|error| audit.failed(&error))?;
                Ok(answer::rows(batches, query.dictionaries(), audit, &self.stop))
            }
        }
    }

    /// Plans a statement. Its handle is its text, so that there is nothing to keep.
    async fn create_prepared(&self, request: &Request<Action>) -> Result<Bytes, Status> {
        let asked: ActionCreatePreparedStatementRequest = unpacked(&request.get_ref().body)?;
        let asked = request::Request {
            sql: asked.query,
            beside: beside(request.metadata())?,
        };
        let (query, mut audit) = begin(request, &asked)?;
        let prepared = self.lake.prepare(&query).await;
        let prepared = prepared.map_err(|error| audit.failed(&error))?;
        audit.planned();
        let result = ActionCreatePreparedStatementResult {
            prepared_statement_handle: asked.sql.into(),
            dataset_schema: ipc_stream(&prepared.schema()).map_err(internal)?.into(),
            parameter_schema: Bytes::new(),
        };
        Ok(result.as_any().encode_to_vec().into())
    }

    async fn put(&self, request: Request<Streaming<FlightData>>) -> Result<Bytes, Status> {
        let client = request.remote_addr();
        let mut messages = request.into_inner();
        let first = messages
            .message()
            .await?
            .ok_or_else(|| Status::invalid_argument("the call ended before its first message"))?;
        let descriptor = first
            .flight_descriptor
            .as_ref()
            .ok_or_else(|| Status::invalid_argument("the first message has no descriptor that says what is put"))?;
        let command = match command_of(descriptor)? {
            Command::CommandStatementIngest(command) => command,
            Command::CommandPreparedStatementQuery(_) => {
                return Err(not_offered(
                    "parameters of prepared statements are not offered; write the values into the SQL",
                ));
            }
            other => return Err(metadata::refused(&other)),
        };
        let rows = stream::once(async { Ok(first) }).chain(messages);
        let added = ingest(self.lake.as_ref(), &command, rows).await;
        log_ingestion(&command, client, &added);
        let added = added.map_err(|error| from_error(&error))?;
        let result = DoPutUpdateResult {
            record_count: i64::try_from(added).unwrap_or(i64::MAX),
        };
        Ok(result.encode_to_vec().into())
    }
}

fn log_ingestion(
    command: &CommandStatementIngest,
    client: Option<std::net::SocketAddr>,
    added: &Result<u64, lakepilot_query::Error>,
) {
    let client = client.map(tracing::field::display);
    match added {
        Ok(rows) => tracing::info!(table = command.table, client, rows, "ingestion"),
        Err(error) => tracing::info!(table = command.table, client, %error, "ingestion"),
    }
}

/// The query of a request, and its log.
fn begin<T>(request: &Request<T>, asked: &request::Request) -> Result<(Query, Audit), Status> {
    let mut audit = Audit::begin(&asked.sql, request.remote_addr(), Attribution::of(request.metadata()));
    let query = asked.query().map_err(|error| audit.failed(&error))?;
    audit.asked(&query);
    Ok((query, audit))
}

fn beside(metadata: &MetadataMap) -> Result<Beside, Status> {
    Beside::of(metadata).map_err(|error| from_error(&error))
}

fn from_handle(handle: Bytes, metadata: &MetadataMap) -> Result<Wanted, Status> {
    let asked = request::Request::from_handle(handle, beside(metadata)?);
    asked.map(Wanted::Query).map_err(|error| from_error(&error))
}

fn command_of(descriptor: &FlightDescriptor) -> Result<Command, Status> {
    if descriptor.r#type() != DescriptorType::Cmd {
        return Err(Status::invalid_argument(
            "the descriptor is not a command: this server answers Flight SQL, and has no flights with a path",
        ));
    }
    let any = Any::decode(descriptor.cmd.clone())
        .map_err(|error| Status::invalid_argument(format!("the command is not a message of Flight SQL: {error}")))?;
    Command::try_from(any).map_err(|error| Status::invalid_argument(format!("the command is damaged: {error}")))
}

/// What a descriptor names.
fn described(request: &Request<FlightDescriptor>) -> Result<Wanted, Status> {
    match command_of(request.get_ref())? {
        Command::CommandStatementQuery(command) => Ok(Wanted::Query(request::Request {
            sql: command.query,
            beside: beside(request.metadata())?,
        })),
        Command::CommandPreparedStatementQuery(command) => {
            from_handle(command.prepared_statement_handle, request.metadata())
        }
        command => Ok(Wanted::Metadata(command)),
    }
}

/// What a ticket is for. Two spellings of a query are in use: packed, by the Micromegas Python client, which makes its
/// tickets itself; and not packed, in the tickets that the real service and this server give out.
fn ticketed(request: &Request<Ticket>) -> Result<Wanted, Status> {
    let ticket = &request.get_ref().ticket;
    let packed = Any::decode(ticket.clone()).ok();
    match packed.map(Command::try_from) {
        Some(Ok(Command::TicketStatementQuery(query))) => from_handle(query.statement_handle, request.metadata()),
        Some(Ok(Command::CommandPreparedStatementQuery(query))) => {
            from_handle(query.prepared_statement_handle, request.metadata())
        }
        Some(Err(error)) => Err(Status::invalid_argument(format!("the ticket is damaged: {error}"))),
        None | Some(Ok(Command::Unknown(_))) => {
            let query = TicketStatementQuery::decode(ticket.clone()).map_err(|error| {
                Status::invalid_argument(format!(
                    "the ticket is neither from this server nor a statement: {error}"
                ))
            })?;
            from_handle(query.statement_handle, request.metadata())
        }
        Some(Ok(command)) => Ok(Wanted::Metadata(command)),
    }
}

/// The message that an action carries.
fn unpacked<M: ProstMessageExt + Default>(body: &Bytes) -> Result<M, Status> {
    Any::decode(body.clone())
        .ok()
        .and_then(|any| any.unpack().ok().flatten())
        .ok_or_else(|| Status::invalid_argument(format!("the action does not carry a {}", M::type_url())))
}

/// A schema as a stream of no batches, which is how the real service writes the schema of a prepared statement.
fn ipc_stream(schema: &Schema) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
    writer.finish()?;
    writer.into_inner()
}

fn internal(error: ArrowError) -> Status {
    Status::internal(format!("the schema cannot be written: {error}"))
}

#[tonic::async_trait]
impl FlightService for Endpoint {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = Messages;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;

    async fn handshake(
        &self,
        _request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(not_offered(
            "there is no handshake; send the header authorization: Bearer TOKEN with every call, if the server wants a token",
        ))
    }

    async fn list_flights(&self, _request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(not_offered(
            "there are no flights to list; ask for tables with CommandGetTables",
        ))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let wanted = described(&request)?;
        let (schema, ticket) = self.unless_stopped(self.planned(&request, wanted)).await?;
        let info = FlightInfo::new()
            .try_with_schema(&schema)
            .map_err(internal)?
            .with_endpoint(FlightEndpoint::new().with_ticket(Ticket::new(ticket)))
            .with_descriptor(request.into_inner());
        Ok(Response::new(info))
    }

    async fn poll_flight_info(&self, _request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(not_offered("queries are not polled; GetFlightInfo answers at once"))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let wanted = described(&request)?;
        let (schema, _) = self.unless_stopped(self.planned(&request, wanted)).await?;
        let options = IpcWriteOptions::default();
        let IpcMessage(schema) = SchemaAsIpc::new(&schema, &options).try_into().map_err(internal)?;
        Ok(Response::new(SchemaResult { schema }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let wanted = ticketed(&request)?;
        let messages = self.unless_stopped(self.rows(&request, wanted)).await?;
        Ok(Response::new(messages))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let app_metadata = self.unless_stopped(self.put(request)).await?;
        let result = PutResult { app_metadata };
        Ok(Response::new(stream::once(async { Ok(result) }).boxed()))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(not_offered(
            "nothing is exchanged; query with DoGet, and ingest with DoPut",
        ))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        match request.get_ref().r#type.as_str() {
            CREATE_PREPARED_STATEMENT => {
                let body = self.unless_stopped(self.create_prepared(&request)).await?;
                let result = arrow_flight::Result { body };
                Ok(Response::new(stream::once(async { Ok(result) }).boxed()))
            }
            CLOSE_PREPARED_STATEMENT => {
                unpacked::<ActionClosePreparedStatementRequest>(&request.get_ref().body)?;
                Ok(Response::new(stream::empty().boxed()))
            }
            "CancelFlightInfo" | "CancelQuery" => Err(not_offered("end the call of a query to cancel it")),
            other => Err(not_offered(&format!("the action {other} is not offered"))),
        }
    }

    async fn list_actions(&self, _request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        let actions = [
            (
                CREATE_PREPARED_STATEMENT,
                "Plans a statement and tells the schema of its result.",
            ),
            (CLOSE_PREPARED_STATEMENT, "Forgets a prepared statement."),
        ];
        let actions = actions.map(|(r#type, description)| {
            Ok(ActionType {
                r#type: r#type.to_owned(),
                description: description.to_owned(),
            })
        });
        Ok(Response::new(stream::iter(actions).boxed()))
    }
}
