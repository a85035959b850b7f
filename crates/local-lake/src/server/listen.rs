//! The server itself: its port, its life and its end.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use lakepilot_query::{Error, ErrorKind, Result};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tower::util::MapRequestLayer;

use crate::server::connection::accepted;
use crate::server::flight::Endpoint;
use crate::server::ingest::end_with_the_last_message;
use crate::server::options::{ServeOptions, TlsIdentity};
use crate::server::served::ServedLake;
use crate::server::token::guard;

/// The size of an HTTP/2 frame that clients may send. With the 16 KiB that is usual, a large ingestion takes twice the time.
const FRAME_BYTES: u32 = 256 << 10;
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// How often a client is asked whether it is there, and how long it may take to answer: long, because one that a pager or a
/// debugger holds up is there. A query whose client is not, ends.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_PATIENCE: Duration = Duration::from_secs(300);
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(20);
/// How long errors may take to get to their clients once the grace is over, before the sockets are cut.
const FAREWELL: Duration = Duration::from_secs(1);

/// A lake on a port, over Arrow Flight SQL, for this crate's sibling `lakepilot-flight-client`, the Micromegas clients, ADBC
/// and whoever else speaks it. The gRPC health service answers on the same port.
///
/// Queries are put in both spellings of the real service, with the time range, the limit and the treatment of
/// dictionaries as metadata. Other than there, `GetFlightInfo` tells the schema of the result, a prepared statement can be
/// executed by its handle, and catalogs, schemas and table types are told.
///
/// ```
/// use std::sync::Arc;
/// use lakepilot_local_lake::{FlightServer, Lake, LakeService, ServeOptions};
/// # #[tokio::main]
/// # async fn main() -> lakepilot_query::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// let service = LakeService::new(Lake::create(directory.path())?)?;
/// let options = ServeOptions { listen: "127.0.0.1:0".parse().expect("an address"), ..ServeOptions::default() };
/// let server = FlightServer::bind(Arc::new(service), options)?.spawn();
/// assert!(server.url().starts_with("grpc://127.0.0.1:"));
/// server.shutdown().await?;
/// # Ok(())
/// # }
/// ```
pub struct FlightServer {
    lake: Arc<dyn ServedLake>,
    options: ServeOptions,
    transport: Server,
    listener: TcpListener,
    local_addr: SocketAddr,
}

impl FlightServer {
    /// Takes the port. Clients can connect from now on; they are answered once the server runs.
    ///
    /// # Errors
    /// `InvalidInput` when the address is not of this machine, is in use or may not be used; when other machines can reach
    /// it and there is no token; and when the certificate or its key cannot be read. `Io` when the port cannot be opened
    /// for another reason.
    pub fn bind(lake: Arc<dyn ServedLake>, options: ServeOptions) -> Result<Self> {
        let listen = options.listen;
        if !listen.ip().is_loopback() && options.token.is_none() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "other machines can reach {listen}, and there is no token to keep them out; set a token, or listen on 127.0.0.1"
                ),
            ));
        }
        if !listen.ip().is_loopback() && options.tls.is_none() {
            tracing::warn!(%listen, "the token travels in plain text; set a certificate");
        }
        let transport = transport(options.tls.as_ref())?;
        let listener = TcpListener::bind(listen).map_err(|error| bind_error(listen, error))?;
        let local_addr = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            lake,
            options,
            transport,
            listener,
            local_addr,
        })
    }

    /// The address that it listens on, with the port that it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where clients find it: `grpc://HOST:PORT`, or `grpc+tls://HOST:PORT`.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "grpc+tls" } else { "grpc" };
        format!("{scheme}://{}", self.local_addr)
    }

    /// Serves until `shutdown` is there. Then no new connection is accepted; calls that are under way go on for the grace of
    /// the options and end with `Unavailable` after it. When this returns the port is free and no query runs.
    /// Dropping the future ends everything at once.
    ///
    /// # Errors
    /// `Io` when the port cannot be listened on.
    pub async fn serve_until(self, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
        let Self {
            lake,
            options,
            transport,
            listener,
            local_addr,
        } = self;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        // However this ends: connections are tasks of their own.
        let _ended = (stop.clone().drop_guard(), cut.clone().drop_guard());
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<FlightServiceServer<Endpoint>>().await;
        let flight = FlightServiceServer::new(Endpoint::new(lake, stop.clone()))
            .max_decoding_message_size(options.max_message_bytes);
        let shutting_down = CancellationToken::new();
        let told = async {
            shutdown.await;
            tracing::info!(%local_addr, "shutting down");
            shutting_down.cancel();
        };
        let serving = transport
            .layer(MapRequestLayer::new(end_with_the_last_message))
            .add_service(health)
            .add_service(InterceptedService::new(flight, guard(options.token)))
            .serve_with_incoming_shutdown(accepted(listener, cut.clone()), told);
        let end = async {
            shutting_down.cancelled().await;
            tokio::time::sleep(options.shutdown_grace).await;
            stop.cancel();
            tokio::time::sleep(FAREWELL).await;
            cut.cancel();
            tokio::time::sleep(FAREWELL).await;
        };
        tracing::info!(%local_addr, "serving");
        tokio::select! {
            served = serving => served.map_err(|error| {
                Error::new(ErrorKind::Io, format!("the server on {local_addr} failed: {error}")).with_source(error)
            }),
            () = end => Ok(()),
        }
    }

    /// Serves as a task of the present Tokio runtime, until the handle says so or is dropped.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn spawn(self) -> ServerHandle {
        let shutdown = CancellationToken::new();
        let (local_addr, url) = (self.local_addr(), self.url());
        let task = tokio::spawn(self.serve_until(shutdown.clone().cancelled_owned()));
        ServerHandle {
            local_addr,
            url,
            shutdown,
            task: Some(task),
        }
    }
}

impl fmt::Debug for FlightServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlightServer")
            .field("local_addr", &self.local_addr)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A server that runs as a task. Dropping it shuts the server down, and does not wait for that.
#[derive(Debug)]
pub struct ServerHandle {
    local_addr: SocketAddr,
    url: String,
    shutdown: CancellationToken,
    /// `None` once it has been waited for.
    task: Option<JoinHandle<Result<()>>>,
}

impl ServerHandle {
    /// The address that it listens on, with the port that it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where clients find it: `grpc://HOST:PORT`, or `grpc+tls://HOST:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Shuts the server down and waits until it has ended, which may take the grace of its options.
    ///
    /// # Errors
    /// As [`FlightServer::serve_until`].
    pub async fn shutdown(mut self) -> Result<()> {
        self.shutdown.cancel();
        match self.task.take() {
            Some(task) => task
                .await
                .map_err(|error| Error::new(ErrorKind::Internal, "the server ended badly").with_source(error))?,
            None => Ok(()),
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn transport(tls: Option<&TlsIdentity>) -> Result<Server> {
    let server = Server::builder()
        .max_frame_size(FRAME_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_PATIENCE));
    let Some(tls) = tls else { return Ok(server) };
    // A program with two providers in it has to choose one before TLS is used, or rustls panics.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error says that somebody else was faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let identity = Identity::from_pem(&tls.certificate, &tls.key);
    let config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE_PATIENCE);
    server.tls_config(config).map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        Error::new(
            ErrorKind::InvalidInput,
            format!("the certificate and its key cannot be used ({cause}); give both in PEM, and the key that belongs to the certificate"),
        )
        .with_source(error)
    })
}

fn bind_error(listen: SocketAddr, error: io::Error) -> Error {
    let (kind, what) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            ErrorKind::InvalidInput,
            "another program listens there; choose another port, or port 0 for any free one",
        ),
        io::ErrorKind::AddrNotAvailable => (
            ErrorKind::InvalidInput,
            "this machine does not have that address; choose one that it has",
        ),
        io::ErrorKind::PermissionDenied => (
            ErrorKind::InvalidInput,
            "the system does not allow it; choose a port above 1023",
        ),
        _ => (ErrorKind::Io, "the port could not be opened"),
    };
    Error::new(kind, format!("cannot listen on {listen}: {what}")).with_source(error)
}
