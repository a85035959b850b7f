//! The connections of a client: to its server, and to other places where that server keeps results.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow_flight::{FlightEndpoint, Location};
use futures::FutureExt;
use lakepilot_query::{Error, ErrorKind, Query, Result};
use tonic::transport::Channel;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::address::ServerUrl;
use crate::call;
use crate::config::ClientConfig;
use crate::deadline::{Deadline, Patience};
use crate::status::{Call, error_from_status};
use crate::tickets::KnownTickets;
use crate::transport::{FlightService, Route};

/// Where Flight says "on the connection that you have".
const REUSE_CONNECTION: &str = "arrow-flight-reuse-connection:";

/// How long a server that did not answer is asked after all others.
const DEAD_FOR: Duration = Duration::from_secs(60);

/// One server that calls can go to.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) url: ServerUrl,
    with_credentials: bool,
    wire: Arc<Wire>,
}

/// The channel in use, and how to make another.
#[derive(Debug)]
struct Wire {
    route: Route,
    channel: Mutex<Channel>,
    /// How often the channel was replaced.
    renewals: AtomicU64,
    tickets: KnownTickets,
}

impl Connection {
    fn new(url: ServerUrl, with_credentials: bool, route: Route, channel: Channel) -> Self {
        Self {
            url,
            with_credentials,
            wire: Arc::new(Wire {
                route,
                channel: Mutex::new(channel),
                renewals: AtomicU64::new(0),
                tickets: KnownTickets::default(),
            }),
        }
    }

    /// What is known of the tickets of this server.
    pub(crate) fn tickets(&self) -> &KnownTickets {
        &self.wire.tickets
    }

    /// The client for one call.
    pub(crate) fn service(&self) -> FlightService {
        self.wire.route.service(self.channel())
    }

    /// What is under it, for a call whose answer is read without it.
    pub(crate) fn channel(&self) -> Channel {
        lock(&self.wire.channel).clone()
    }

    /// The request for a call to this server. Getting the credentials for it is part of the query, and not of what the
    /// server is waited for.
    pub(crate) async fn request<T>(
        &self,
        message: T,
        config: &ClientConfig,
        query: Option<&Query>,
        deadline: Deadline,
        call: Call,
        patience: &Patience,
    ) -> Result<Request<T>> {
        let time_limit = deadline.remaining_for_server(patience);
        let request = call::request(message, config, self.with_credentials, query, time_limit);
        deadline
            .bound(&mut deadline.no_wait(), call, &self.url, request)
            .await
            .flatten()
    }

    /// Waits for a part of a call, and no longer than allowed.
    ///
    /// A server that is silent for that long may be one whose connection is dead without anybody having been told. So the
    /// next call makes a new connection; calls that are under way on this one go on.
    pub(crate) async fn bounded<T>(
        &self,
        deadline: Deadline,
        patience: &mut Patience,
        call: Call,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let renewals = self.wire.renewals.load(Ordering::Relaxed);
        let work = self.guarded(call, work);
        match deadline.bound(patience, call, &self.url, work).await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.renew(renewals);
                Err(error)
            }
        }
    }

    /// Does a part of a call. tonic panics on some of what a server may write into its headers, such as details of a status
    /// that are not base64: that is the server's fault, and an error.
    pub(crate) async fn guarded<T>(&self, call: Call, work: impl Future<Output = Result<T>>) -> Result<T> {
        // What the work may leave half done is the state of a call that ends with this error.
        AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Protocol,
                format!("what the server at {} answered to {call} is not gRPC", self.url),
            ))
        })
    }

    /// Has the next call make a new connection, unless somebody has done that since.
    fn renew(&self, renewals: u64) {
        let mut channel = lock(&self.wire.channel);
        if self.wire.renewals.load(Ordering::Relaxed) == renewals {
            tracing::debug!(url = %self.url, "the server was silent: the next call makes a new connection");
            *channel = self.wire.route.connect_lazily();
            self.wire.renewals.store(renewals + 1, Ordering::Relaxed);
        }
    }

    /// The error that a status from this server is.
    pub(crate) fn error(&self, status: Status, call: Call) -> Error {
        let from_connection = std::error::Error::source(&status).is_some();
        let mut error = error_from_status(status, call, &self.url);
        if from_connection {
            error = self.wire.route.on_the_way(error);
        }
        if !self.with_credentials && error.kind() == ErrorKind::Unauthenticated {
            return error.context("the result lies on another host, which is not told the credentials of this server");
        }
        error
    }
}

/// The connection to the server of a client, and those to the locations that it named.
#[derive(Debug)]
pub(crate) struct Connections {
    /// Those of the configuration: at least one.
    homes: Vec<Connection>,
    /// The one that calls go to.
    current: AtomicUsize,
    /// By URL. They stay open as long as the client lives.
    elsewhere: Mutex<HashMap<ServerUrl, Connection>>,
    /// Servers that did not answer, and until when that is remembered.
    dead: Mutex<HashMap<ServerUrl, Instant>>,
}

/// Where a part of a result can be had.
#[derive(Debug)]
pub(crate) enum Place {
    Home,
    Elsewhere(ServerUrl),
    /// Nowhere: the location is not one that can be used.
    Useless(Error),
}

impl Connections {
    /// Connections to all servers of the configuration, which are made with their first calls.
    ///
    /// # Errors
    /// `InvalidInput` when TLS cannot be set up.
    pub(crate) fn new(config: &ClientConfig) -> Result<Self> {
        let readable = config.servers().find(|url| !url.is_tls() && !url.is_loopback());
        if let Some(url) = readable.filter(|_| config.has_credentials()) {
            tracing::warn!(
                %url,
                "credentials go over the network in plain text: whoever listens can read them; use grpc+tls:// if the server has it"
            );
        }
        let homes = config
            .servers()
            .map(|url| {
                let route = Route::new(config, url)?;
                let channel = route.connect_lazily();
                Ok(Connection::new(url.clone(), true, route, channel))
            })
            .collect::<Result<Vec<_>>>()?;
        // Any random number does.
        let first = Uuid::new_v4().as_u128() % homes.len() as u128;
        Ok(Self {
            current: AtomicUsize::new(first as usize),
            homes,
            elsewhere: Mutex::default(),
            dead: Mutex::default(),
        })
    }

    /// Connects to the first server that can be connected to, beginning with the one that calls go to.
    pub(crate) async fn connect(&self, config: &ClientConfig) -> Result<()> {
        self.with_failover(|home| async move {
            let channel = home.wire.route.connect(config, &home.url).await?;
            *lock(&home.wire.channel) = channel;
            Ok(())
        })
        .await
    }

    /// The server that calls go to now.
    pub(crate) fn home(&self) -> Connection {
        self.homes[self.current.load(Ordering::Relaxed) % self.homes.len()].clone()
    }

    /// Makes a call that does no harm when it is made twice: at the server that calls go to, and at the others when that one
    /// cannot be reached. The error is that of the first.
    pub(crate) async fn with_failover<T, F: Future<Output = Result<T>>>(
        &self,
        call: impl Fn(Connection) -> F,
    ) -> Result<T> {
        let mut failure: Option<Error> = None;
        for _ in &self.homes {
            let home = self.home();
            let error = match call(home.clone()).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            if !self.leave(&home, &error) {
                return Err(failure.unwrap_or(error));
            }
            failure.get_or_insert(error);
        }
        Err(failure.unwrap_or_else(|| Error::new(ErrorKind::Internal, "there is no server to call")))
    }

    /// Has later calls go to the next server if this error says that this one is not there; tells whether it does.
    pub(crate) fn leave(&self, home: &Connection, error: &Error) -> bool {
        // One that says when it wants to be asked again is there.
        let gone =
            matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::TimedOut) && error.retry_after().is_none();
        if gone && self.homes.len() > 1 {
            let current = self.current.load(Ordering::Relaxed);
            // Unless another call has done so already.
            if Arc::ptr_eq(&self.homes[current].wire, &home.wire) {
                let next = (current + 1) % self.homes.len();
                tracing::info!(url = %home.url, next = %self.homes[next].url, %error, "going on with another server");
                let _ = self
                    .current
                    .compare_exchange(current, next, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
        // A limit that has run out is not waited for again.
        gone && error.kind() == ErrorKind::Unavailable
    }

    /// Where the result of an endpoint can be had, the likeliest first: over the connection in use, when the endpoint names
    /// no location, ours, or that one; else at its locations, and at those that were found dead a moment ago last.
    ///
    /// `home` is the server that told of the endpoint.
    pub(crate) fn places(&self, endpoint: &FlightEndpoint, config: &ClientConfig, home: &Connection) -> Vec<Place> {
        let mut places: Vec<Place> = endpoint
            .location
            .iter()
            .map(|location| place(location, config, home))
            .collect();
        if places.is_empty() || places.iter().any(|place| matches!(place, Place::Home)) {
            return vec![Place::Home];
        }
        let now = Instant::now();
        let mut dead = lock(&self.dead);
        dead.retain(|_, until| *until > now);
        places.sort_by_key(|place| match place {
            Place::Elsewhere(url) => dead.contains_key(url),
            _ => false,
        });
        places
    }

    /// A server was named and does not answer: for a while it is asked last.
    pub(crate) fn found_dead(&self, url: &ServerUrl) {
        lock(&self.dead).insert(url.clone(), Instant::now() + DEAD_FOR);
        lock(&self.elsewhere).remove(url);
    }

    /// The connection to another server, made if there is none yet.
    pub(crate) async fn connect_to(
        &self,
        url: &ServerUrl,
        config: &ClientConfig,
        home: &Connection,
    ) -> Result<Connection> {
        let known = lock(&self.elsewhere).get(url).cloned();
        if let Some(connection) = known {
            return Ok(connection);
        }
        let route = Route::new(config, url)?;
        let channel = route.connect(config, url).await.inspect_err(|_| self.found_dead(url))?;
        let with_credentials = home.url.may_share_credentials_with(url);
        let connection = Connection::new(url.clone(), with_credentials, route, channel);
        // Of two tasks that connect at once, the second one's connection is kept, and both work.
        lock(&self.elsewhere).insert(url.clone(), connection.clone());
        Ok(connection)
    }
}

/// Where a location is.
fn place(location: &Location, config: &ClientConfig, home: &Connection) -> Place {
    if location.uri.is_empty() || location.uri.starts_with(REUSE_CONNECTION) {
        return Place::Home;
    }
    match ServerUrl::parse_location(&location.uri) {
        Ok(named) => {
            let url = config.rewritten(named);
            if url.is_same_server(&home.url) {
                Place::Home
            } else {
                Place::Elsewhere(url)
            }
        }
        // The server names locations, not the user: what is wrong with one is the server's fault.
        Err(error) if error.kind() == ErrorKind::InvalidInput => Place::Useless(
            Error::new(ErrorKind::Protocol, "the server names a location that is not one").with_source(error),
        ),
        Err(error) => Place::Useless(error),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
