//! The gRPC calls. Answers go out as they lie in memory: tonic's own encoder would copy every one of them.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, CommandStatementQuery,
    ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{Action, FlightDescriptor, FlightEndpoint, FlightInfo, IpcMessage, SchemaAsIpc, Ticket};
use bytes::{Buf, Bytes};
use futures::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost::Message;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use super::answers::{Answer, Answers, framed};

#[derive(Clone)]
pub(crate) struct FlightCalls {
    answers: Arc<Answers>,
}

impl FlightCalls {
    pub(crate) fn new(answers: Arc<Answers>) -> Self {
        Self { answers }
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let dictionaries = request
            .headers()
            .get("preserve_dictionary")
            .is_some_and(|value| value == "true");
        let call = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let body = request.into_body().collect().await?.to_bytes();
        // The prefix of gRPC; no client compresses so small a message.
        let message = body.get(5..).map(Bytes::copy_from_slice).unwrap_or_default();
        match call.as_str() {
            "DoGet" => {
                let sql = statement_of_ticket(&decoded::<Ticket>(message)?.ticket)?;
                let Answer { rows, batches } = self.answers.to(&sql, dictionaries);
                Ok(streamed(rows.sent(batches)))
            }
            "GetFlightInfo" => {
                let command = decoded::<FlightDescriptor>(message)?.cmd;
                let query: CommandStatementQuery = unpacked(&command)?;
                let schema = &self.answers.to(&query.query, dictionaries).rows.schema;
                let ticket = TicketStatementQuery {
                    statement_handle: query.query.into(),
                };
                let info = FlightInfo::new()
                    .try_with_schema(schema)
                    .map_err(|error| Status::internal(error.to_string()))?
                    .with_endpoint(FlightEndpoint::new().with_ticket(Ticket::new(ticket.encode_to_vec())));
                Ok(streamed([framed(&info)]))
            }
            "DoAction" => {
                let action = decoded::<Action>(message)?;
                if action.r#type != "CreatePreparedStatement" {
                    return Err(Status::unimplemented("there is no such action"));
                }
                let request: ActionCreatePreparedStatementRequest = unpacked(&action.body)?;
                Ok(streamed([framed(&self.prepared(request.query)?)]))
            }
            _ => Err(Status::unimplemented("there is no such call")),
        }
    }

    fn prepared(&self, sql: String) -> Result<arrow_flight::Result, Status> {
        let schema = &self.answers.to(&sql, true).rows.schema;
        let options = IpcWriteOptions::default();
        let IpcMessage(dataset_schema) = SchemaAsIpc::new(schema, &options)
            .try_into()
            .map_err(|error: arrow::error::ArrowError| Status::internal(error.to_string()))?;
        let result = ActionCreatePreparedStatementResult {
            prepared_statement_handle: sql.into(),
            dataset_schema,
            parameter_schema: Bytes::new(),
        };
        Ok(arrow_flight::Result::new(result.as_any().encode_to_vec()))
    }
}

impl NamedService for FlightCalls {
    const NAME: &'static str = "arrow.flight.protocol.FlightService";
}

impl Service<Request<Body>> for FlightCalls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.clone().answer(request);
        Box::pin(async { Ok(answer.await.unwrap_or_else(|status| status.into_http())) })
    }
}

/// Both spellings that clients use: packed into an `Any`, and bare.
fn statement_of_ticket(ticket: &Bytes) -> Result<String, Status> {
    let packed = Any::decode(ticket.clone())
        .ok()
        .and_then(|any| any.unpack::<TicketStatementQuery>().ok().flatten());
    let ticket = match packed {
        Some(ticket) => ticket,
        None => decoded::<TicketStatementQuery>(ticket.clone())?,
    };
    String::from_utf8(ticket.statement_handle.to_vec()).map_err(|_| Status::invalid_argument("the ticket is no text"))
}

fn decoded<M: Message + Default>(bytes: impl Buf) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn unpacked<M: ProstMessageExt>(bytes: &Bytes) -> Result<M, Status> {
    Any::decode(bytes.clone())
        .ok()
        .and_then(|any| any.unpack::<M>().ok().flatten())
        .ok_or_else(|| Status::unimplemented("there is no such command"))
}

fn streamed<I>(messages: I) -> Response<Body>
where
    I: IntoIterator<Item = Bytes>,
    I::IntoIter: Send + 'static,
{
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(Code::Ok as i32));
    let frames = messages
        .into_iter()
        .map(Frame::data)
        .chain([Frame::trailers(trailers)])
        .map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::new(StreamBody::new(stream::iter(frames))));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
