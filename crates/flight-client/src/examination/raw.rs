//! Calls that the client has no use for itself, or that it makes in passing.

use arrow::datatypes::SchemaRef;
use arrow_flight::sql::{ActionCancelQueryRequest, ActionCancelQueryResult};
use arrow_flight::{
    CancelFlightInfoRequest, CancelFlightInfoResult, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint,
    FlightInfo, HandshakeRequest, RenewFlightEndpointRequest, Ticket,
};
use bytes::Bytes;
use futures::stream;
use lakepilot_query::Result;
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

use super::probing::wrong;
use crate::client::FlightClient;
use crate::client::{packed, unpacked};
use crate::connection::Connection;
use crate::ipc::decode_schema;
use crate::messages::response_encoding;
use crate::status::Call;
use crate::transport::FlightService;

/// The most messages of a listing that are read: it is not what is in it that matters.
const MOST_LISTED: usize = 1_000;

/// What is offered to the server to compress with, as gRPC spells it.
const COMPRESSIONS: &str = "gzip,zstd,identity";

impl FlightClient {
    /// One call, with its limit of time and its name in errors.
    async fn ask<T, R, F>(
        &self,
        home: &Connection,
        call: Call,
        message: T,
        work: impl FnOnce(FlightService, Request<T>) -> F + Send,
    ) -> Result<R>
    where
        T: Send,
        F: Future<Output = Result<R, Status>> + Send,
    {
        let deadline = self.query_deadline();
        let mut patience = deadline.plan();
        let request = home
            .request(message, &self.shared.config, None, deadline, call, &patience)
            .await?;
        let work = work(home.service(), request);
        let work = async { work.await.map_err(|status| home.error(status, call)) };
        home.bounded(deadline, &mut patience, call, work).await
    }

    /// A handshake without a word; tells how many answers there were.
    pub(super) async fn shake_hands(&self, home: &Connection) -> Result<usize> {
        let message = stream::iter([HandshakeRequest::default()]);
        let shake = |mut service: FlightService, request| async move {
            let mut answers = service.handshake(request).await?.into_inner();
            let mut count = 0;
            while answers.message().await?.is_some() && count < MOST_LISTED {
                count += 1;
            }
            Ok(count)
        };
        self.ask(home, Call::Handshake, message, shake).await
    }

    /// How many flights the server lists.
    pub(super) async fn count_flights(&self, home: &Connection) -> Result<usize> {
        let list = |mut service: FlightService, request| async move {
            let mut flights = service.list_flights(request).await?.into_inner();
            let mut count = 0;
            while flights.message().await?.is_some() && count < MOST_LISTED {
                count += 1;
            }
            Ok(count)
        };
        self.ask(home, Call::ListFlights, Criteria::default(), list).await
    }

    /// The names of the actions that the server lists.
    pub(super) async fn list_actions(&self, home: &Connection) -> Result<Vec<String>> {
        let list = |mut service: FlightService, request| async move {
            let mut actions = service.list_actions(request).await?.into_inner();
            let mut names = Vec::new();
            while let Some(action) = actions.message().await? {
                names.push(action.r#type);
                if names.len() == MOST_LISTED {
                    break;
                }
            }
            Ok(names)
        };
        self.ask(home, Call::ListActions, Empty::default(), list).await
    }

    /// An exchange in which nothing is sent; tells how many answers there were.
    pub(super) async fn exchange_nothing(&self, home: &Connection) -> Result<usize> {
        let exchange = |mut service: FlightService, request| async move {
            let mut answers = service.do_exchange(request).await?.into_inner();
            let mut count = 0;
            while answers.message().await?.is_some() && count < MOST_LISTED {
                count += 1;
            }
            Ok(count)
        };
        let nothing = stream::empty::<FlightData>();
        self.ask(home, Call::Exchange, nothing, exchange).await
    }

    /// The schema of the result of a command.
    pub(super) async fn schema_of(&self, home: &Connection, command: Bytes) -> Result<SchemaRef> {
        let message = FlightDescriptor::new_cmd(command);
        let get = |mut service: FlightService, request| async move {
            Ok(service.get_schema(request).await?.into_inner().schema)
        };
        decode_schema(&self.ask(home, Call::Schema, message, get).await?)
    }

    /// Calls a result off; tells the status that the server answers, as Flight numbers it.
    pub(super) async fn cancel_info(&self, home: &Connection, info: FlightInfo) -> Result<i32> {
        let body = CancelFlightInfoRequest { info: Some(info) }.encode_to_vec().into();
        let answer = self
            .shared
            .action_at(home.clone(), Call::Cancel, body, self.query_deadline());
        let answer = answer.await?.ok_or_else(|| wrong("it answered with nothing"))?;
        CancelFlightInfoResult::decode(answer)
            .map(|result| result.status)
            .map_err(|error| self.not_flight_sql(Call::Cancel, &error.to_string()))
    }

    /// The same in the way that Flight SQL had before Flight had one.
    pub(super) async fn cancel_query(&self, home: &Connection, info: &FlightInfo) -> Result<i32> {
        let request = ActionCancelQueryRequest {
            info: info.encode_to_vec().into(),
        };
        let answer = self
            .shared
            .action_at(home.clone(), Call::CancelQuery, packed(&request), self.query_deadline())
            .await?;
        let result: ActionCancelQueryResult = unpacked(self, Call::CancelQuery, answer)?;
        Ok(result.result)
    }

    /// Asks the server to keep a part for longer.
    pub(super) async fn renew_endpoint(&self, home: &Connection, endpoint: FlightEndpoint) -> Result<FlightEndpoint> {
        let body = RenewFlightEndpointRequest {
            endpoint: Some(endpoint),
        };
        let answer = self
            .shared
            .action_at(
                home.clone(),
                Call::Renew,
                body.encode_to_vec().into(),
                self.query_deadline(),
            )
            .await?
            .ok_or_else(|| wrong("it answered with nothing"))?;
        FlightEndpoint::decode(answer).map_err(|error| self.not_flight_sql(Call::Renew, &error.to_string()))
    }

    /// The compression that the server chooses for a result, when it may.
    pub(super) async fn compression_of(&self, home: &Connection, ticket: Ticket) -> Result<Option<String>> {
        let channel = home.channel();
        let get = |_, mut request: Request<Ticket>| async move {
            request
                .metadata_mut()
                .insert("grpc-accept-encoding", MetadataValue::from_static(COMPRESSIONS));
            response_encoding(channel, request).await
        };
        self.ask(home, Call::Get, ticket, get).await
    }
}
