//! The connections of a client: to its server, and to other places where that server keeps results.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use arrow_flight::{FlightEndpoint, Location};
use lakepilot_query::{Error, ErrorKind, Query, Result};
use tonic::{Request, Status};

use crate::address::ServerUrl;
use crate::call;
use crate::config::ClientConfig;
use crate::deadline::Deadline;
use crate::status::{Call, error_from_status};
use crate::transport::{self, FlightService};

/// Where Flight says "on the connection that you have".
const REUSE_CONNECTION: &str = "arrow-flight-reuse-connection:";

/// One server that calls can go to.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) url: ServerUrl,
    pub(crate) service: FlightService,
    with_credentials: bool,
}

impl Connection {
    /// The request for a call to this server.
    pub(crate) async fn request<T>(
        &self,
        message: T,
        config: &ClientConfig,
        query: Option<&Query>,
        deadline: Deadline,
    ) -> Result<Request<T>> {
        call::request(message, config, self.with_credentials, query, deadline).await
    }

    /// The error that a status from this server is.
    pub(crate) fn error(&self, status: Status, call: Call) -> Error {
        let error = error_from_status(status, call, &self.url);
        if !self.with_credentials && error.kind() == ErrorKind::Unauthenticated {
            return error.context("the result lies on another host, which is not told the credentials of this server");
        }
        error
    }
}

/// The connection to the server of a client, and those to the locations that it named.
#[derive(Debug)]
pub(crate) struct Connections {
    home: Connection,
    /// By URL. They stay open as long as the client lives.
    elsewhere: Mutex<HashMap<ServerUrl, Connection>>,
}

impl Connections {
    pub(crate) fn new(config: &ClientConfig, service: FlightService) -> Self {
        if config.has_credentials() && !config.url.is_tls() && !config.url.is_loopback() {
            tracing::warn!(
                url = %config.url,
                "credentials go over the network in plain text: whoever listens can read them; use grpc+tls:// if the server has it"
            );
        }
        Self {
            home: Connection {
                url: config.url.clone(),
                service,
                with_credentials: true,
            },
            elsewhere: Mutex::new(HashMap::new()),
        }
    }

    pub(crate) fn home(&self) -> &Connection {
        &self.home
    }

    /// The connection over which the result of an endpoint can be had: ours, when the endpoint names no location, ours, or
    /// the connection in use; else the first of its locations that lets itself be connected to.
    pub(crate) async fn for_endpoint(&self, endpoint: &FlightEndpoint, config: &ClientConfig) -> Result<Connection> {
        if endpoint.location.is_empty() || endpoint.location.iter().any(|location| self.is_home(location)) {
            return Ok(self.home.clone());
        }
        let mut failure = None;
        for location in &endpoint.location {
            match self.to_location(location, config).await {
                Ok(connection) => return Ok(connection),
                Err(error) => {
                    tracing::debug!(location = location.uri, %error, "a location of the result cannot be used");
                    failure.get_or_insert(error);
                }
            }
        }
        let failure = failure.unwrap_or_else(|| Error::new(ErrorKind::Protocol, "no location was named"));
        Err(failure.context("the result lies where it cannot be fetched from"))
    }

    fn is_home(&self, location: &Location) -> bool {
        location.uri.is_empty()
            || location.uri.starts_with(REUSE_CONNECTION)
            || ServerUrl::parse_location(&location.uri).is_ok_and(|url| url.is_same_server(&self.home.url))
    }

    async fn to_location(&self, location: &Location, config: &ClientConfig) -> Result<Connection> {
        // The server names locations, not the user: what is wrong with one is the server's fault.
        let url = ServerUrl::parse_location(&location.uri).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => {
                Error::new(ErrorKind::Protocol, "the server names a location that is not one").with_source(error)
            }
            _ => error,
        })?;
        let known = self.lock().get(&url).cloned();
        if let Some(connection) = known {
            return Ok(connection);
        }
        let connection = Connection {
            service: transport::connect(config, &url).await?,
            with_credentials: self.home.url.may_share_credentials_with(&url),
            url: url.clone(),
        };
        // Of two tasks that connect at once, the second one's connection is kept, and both work.
        self.lock().insert(url, connection.clone());
        Ok(connection)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ServerUrl, Connection>> {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
