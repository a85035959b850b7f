//! The client: queries and prepares.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_flight::sql::{Any, CommandStatementQuery, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{Action, FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use async_trait::async_trait;
use bytes::Bytes;
use lakepilot_query::{Error, ErrorKind, PreparedQuery, Query, QueryService, RecordBatchStream, Result};
use prost::Message;

use crate::call;
use crate::config::{ClientConfig, QuerySpelling};
use crate::connection::{Connection, Connections};
use crate::deadline::Deadline;
use crate::ipc::decode_schema;
use crate::login::HandshakeTokens;
use crate::results;
use crate::status::Call;

/// A [`QueryService`] on the other side of a network: a server that speaks Arrow Flight SQL.
///
/// A clone shares the connection, and costs next to nothing. Calls of several tasks go over the one connection side by
/// side. A connection that breaks is made again with the next call.
///
/// Dropping the [`RecordBatchStream`] of a query, or the future of any call, ends the call on the server.
#[derive(Clone)]
pub struct FlightClient {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: ClientConfig,
    pub(crate) connections: Arc<Connections>,
    cannot_cancel: AtomicBool,
    cannot_poll: AtomicBool,
}

impl Shared {
    /// One action whose answer is one message, at one server.
    pub(crate) async fn action_at(
        &self,
        home: Connection,
        call: Call,
        body: Bytes,
        deadline: Deadline,
    ) -> Result<Option<Bytes>> {
        let mut patience = deadline.plan();
        let action = Action {
            r#type: call.to_string(),
            body,
        };
        let request = home
            .request(action, &self.config, None, deadline, call, &patience)
            .await?;
        tracing::debug!(url = %home.url, %call, "calling");
        let mut service = home.service();
        let work = async {
            let mut answers = match service.do_action(request).await {
                Ok(response) => response.into_inner(),
                Err(status) => return Err(home.error(status, call)),
            };
            let mut next = async || answers.message().await.map_err(|status| home.error(status, call));
            let answer = next().await?;
            // An error may still follow the answer; a second answer has no meaning, and ends the call.
            if answer.is_some() {
                next().await?;
            }
            Ok(answer.map(|answer| answer.body))
        };
        home.bounded(deadline, &mut patience, call, work).await
    }

    /// Whether the server may be able to call results off; until it was asked, it may.
    pub(crate) fn may_cancel(&self) -> bool {
        !self.cannot_cancel.load(Ordering::Relaxed)
    }

    /// The server cannot call results off: it is not asked again.
    pub(crate) fn cannot_cancel(&self) {
        self.cannot_cancel.store(true, Ordering::Relaxed);
    }

    /// Whether the server may be one that can be polled; until it was asked, it may.
    pub(crate) fn may_poll(&self) -> bool {
        !self.cannot_poll.load(Ordering::Relaxed)
    }

    /// The server cannot be polled: it is not tried again.
    pub(crate) fn cannot_poll(&self) {
        self.cannot_poll.store(true, Ordering::Relaxed);
    }
}

impl FlightClient {
    /// Connects to the server of the configuration. No call is made, so that credentials are not tried yet.
    ///
    /// # Errors
    /// - `Unavailable` when the server cannot be reached.
    /// - `TimedOut` when it could not within the connect timeout.
    /// - `Protocol` when it was reached and TLS with it failed, as with a certificate that is not trusted.
    pub async fn connect(config: ClientConfig) -> Result<Self> {
        let client = Self::unconnected(config)?;
        let Shared {
            config, connections, ..
        } = &*client.shared;
        connections.connect(config).await?;
        Ok(client)
    }

    /// A client that connects with its first call. An unreachable server is that call's error.
    ///
    /// # Errors
    /// `InvalidInput` when TLS cannot be set up, or outside of a Tokio runtime, which the connection needs.
    pub fn connect_lazily(config: ClientConfig) -> Result<Self> {
        tokio::runtime::Handle::try_current().map_err(|error| {
            Error::new(
                ErrorKind::InvalidInput,
                "a client has to be made within a Tokio runtime",
            )
            .with_source(error)
        })?;
        Self::unconnected(config)
    }

    fn unconnected(mut config: ClientConfig) -> Result<Self> {
        let connections = Arc::new(Connections::new(&config)?);
        if let Some(login) = config.login.take() {
            let tokens = HandshakeTokens::new(login, config.clone(), Arc::clone(&connections));
            config.provider = Some(Arc::new(tokens));
        }
        Ok(Self {
            shared: Arc::new(Shared {
                connections,
                config,
                cannot_cancel: AtomicBool::new(false),
                cannot_poll: AtomicBool::new(false),
            }),
        })
    }

    /// The server that calls go to, as `grpc://HOST:PORT`.
    pub fn url(&self) -> String {
        self.shared.connections.home().url.to_string()
    }

    pub(crate) fn query_deadline(&self) -> Deadline {
        Deadline::starting_now(self.shared.config.limits)
    }

    /// Asks where the result of a Flight SQL command is; tells which server said so.
    pub(crate) async fn flight_info(
        &self,
        command: Bytes,
        query: Option<&Query>,
        deadline: Deadline,
    ) -> Result<(FlightInfo, Connection)> {
        let ask = async |home: Connection| {
            let info = self.flight_info_at(&home, command.clone(), query, deadline).await?;
            Ok((info, home))
        };
        self.shared.connections.with_failover(ask).await
    }

    /// The same of one server, and no other.
    pub(crate) async fn flight_info_at(
        &self,
        home: &Connection,
        command: Bytes,
        query: Option<&Query>,
        deadline: Deadline,
    ) -> Result<FlightInfo> {
        const CALL: Call = Call::FlightInfo;
        let mut patience = deadline.plan();
        let descriptor = FlightDescriptor::new_cmd(command);
        let request = home
            .request(descriptor, &self.shared.config, query, deadline, CALL, &patience)
            .await?;
        tracing::debug!(url = %home.url, call = %CALL, "calling");
        let mut service = home.service();
        let work = async {
            match service.get_flight_info(request).await {
                Ok(response) => Ok(response.into_inner()),
                Err(status) => Err(home.error(status, CALL)),
            }
        };
        home.bounded(deadline, &mut patience, CALL, work).await
    }

    /// Does the work, and does it once more when the server refuses the credentials and there are others to be had. Nothing
    /// has come out of it by then.
    /// Getting credentials takes from the time of the whole query, here as for each of its calls.
    pub(crate) async fn renewing<T, F: Future<Output = Result<T>> + Send>(
        &self,
        call: Call,
        deadline: Deadline,
        work: impl Fn() -> F + Send + Sync,
    ) -> Result<T> {
        let config = &self.shared.config;
        let Some(provider) = &config.provider else {
            return work().await;
        };
        // Those that the first call is about to send: a provider that has newer ones by then need not ask for more.
        let sent = deadline
            .bound(
                &mut deadline.no_wait(),
                call,
                &config.url,
                call::provided(provider.as_ref()),
            )
            .await
            .flatten()?;
        match work().await {
            Err(error) if error.kind() == ErrorKind::Unauthenticated => {
                tracing::debug!(%error, "the credentials were refused");
                let renewed = provider.renew(&sent);
                let renewed = deadline
                    .bound(&mut deadline.no_wait(), call, &config.url, renewed)
                    .await;
                if renewed.flatten()? { work().await } else { Err(error) }
            }
            result => result,
        }
    }

    /// The result of a command, from all of its endpoints.
    pub(crate) async fn stream<C: ProstMessageExt + Sync>(
        &self,
        command: &C,
        query: Option<&Query>,
        deadline: Deadline,
    ) -> Result<RecordBatchStream> {
        self.renewing(Call::FlightInfo, deadline, || async {
            let (info, home) = self.flight_info(packed(command), query, deadline).await?;
            results::open(Arc::clone(&self.shared), home, info, query.cloned(), deadline).await
        })
        .await
    }

    /// The result of a query, with the ticket made here if this server's are known to be the SQL.
    async fn run_adaptively(&self, query: &Query, deadline: Deadline) -> Result<RecordBatchStream> {
        let command = packed(&CommandStatementQuery {
            query: query.sql().to_owned(),
            transaction_id: None,
        });
        let open = |home, info| results::open(Arc::clone(&self.shared), home, info, Some(query.clone()), deadline);
        self.renewing(Call::FlightInfo, deadline, || async {
            let home = self.shared.connections.home();
            if let Some(info) = home.tickets().flight_info(query) {
                match open(home.clone(), info).await {
                    Ok(result) => return Ok(result),
                    Err(error) => {
                        home.tickets().doubt(query, &error);
                        // The server may be another one since, or gone; the call below is made at one that is there.
                        if error.kind() != ErrorKind::Unavailable || error.retry_after().is_some() {
                            return Err(error);
                        }
                    }
                }
            }
            let (info, home) = self.flight_info(command.clone(), Some(query), deadline).await?;
            home.tickets().learn(query, &info);
            open(home, info).await
        })
        .await
    }

    /// The result of a command at one server, and no other: the one that holds what the command names.
    pub(crate) async fn stream_at(
        &self,
        home: &Connection,
        command: Bytes,
        query: Option<&Query>,
        deadline: Deadline,
    ) -> Result<RecordBatchStream> {
        self.renewing(Call::FlightInfo, deadline, || async {
            let info = self.flight_info_at(home, command.clone(), query, deadline).await?;
            results::open(Arc::clone(&self.shared), home.clone(), info, query.cloned(), deadline).await
        })
        .await
    }

    pub(crate) fn not_flight_sql(&self, call: Call, problem: &str) -> Error {
        Error::new(
            ErrorKind::Protocol,
            format!(
                "the server at {} does not speak Flight SQL in {call}: {problem}",
                self.url()
            ),
        )
    }
}

#[async_trait]
impl QueryService for FlightClient {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let deadline = self.query_deadline();
        match self.shared.config.spelling {
            QuerySpelling::Adaptive => self.run_adaptively(query, deadline).await,
            QuerySpelling::FlightInfo => {
                let command = CommandStatementQuery {
                    query: query.sql().to_owned(),
                    transaction_id: None,
                };
                self.stream(&command, Some(query), deadline).await
            }
            QuerySpelling::PollFlightInfo => {
                let command = packed(&CommandStatementQuery {
                    query: query.sql().to_owned(),
                    transaction_id: None,
                });
                self.renewing(Call::Poll, deadline, || async {
                    let (info, home) = self.polled_info(command.clone(), Some(query), deadline).await?;
                    results::open(Arc::clone(&self.shared), home, info, Some(query.clone()), deadline).await
                })
                .await
            }
            QuerySpelling::DirectTicket => {
                let ticket = TicketStatementQuery {
                    statement_handle: Bytes::copy_from_slice(query.sql().as_bytes()),
                };
                let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(packed(&ticket)));
                let info = FlightInfo::new().with_endpoint(endpoint);
                let open = |home| {
                    let shared = Arc::clone(&self.shared);
                    results::open(shared, home, info.clone(), Some(query.clone()), deadline)
                };
                self.renewing(Call::Get, deadline, || self.shared.connections.with_failover(open))
                    .await
            }
        }
    }

    /// One call, and a second one to close the statement if the server keeps it. What travels beside the SQL is not sent:
    /// servers plan without it.
    async fn prepare(&self, query: &Query) -> Result<PreparedQuery> {
        let deadline = self.query_deadline();
        let (prepared, home) = self.create_prepared(query.sql(), None, deadline).await?;
        let handle = prepared.prepared_statement_handle;
        // A handle that is the SQL itself, as Micromegas gives it, names nothing that the server would keep.
        if !handle.is_empty() && handle != query.sql().as_bytes() {
            self.forget_prepared(home, handle).await;
        }
        Ok(PreparedQuery::new(decode_schema(&prepared.dataset_schema)?))
    }
}

impl fmt::Debug for FlightClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlightClient")
            .field("config", &self.shared.config)
            .finish()
    }
}

/// A Flight SQL message as it travels: packed into an `Any` that names its type.
pub(crate) fn packed<M: ProstMessageExt>(message: &M) -> Bytes {
    message.as_any().encode_to_vec().into()
}

/// The Flight SQL message in the answer to an action.
pub(crate) fn unpacked<M: ProstMessageExt + Default>(
    client: &FlightClient,
    call: Call,
    answer: Option<Bytes>,
) -> Result<M> {
    let answer = answer.ok_or_else(|| client.not_flight_sql(call, "it answered with nothing"))?;
    Any::decode(answer)
        .ok()
        .and_then(|any| any.unpack().ok().flatten())
        .ok_or_else(|| client.not_flight_sql(call, "its answer is another message"))
}
