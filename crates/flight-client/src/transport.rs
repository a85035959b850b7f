//! The one place where a connection is made.

use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use lakepilot_query::{Error, ErrorKind, Result};
use tonic::transport::{Channel, Endpoint};
use tower::{BoxError, Service, ServiceExt};

use crate::address::ServerUrl;
use crate::config::{ClientConfig, MOST_WINDOW_BYTES};
use crate::failure;
use crate::proxy::HttpProxy;
use crate::quick_ack::QuickAckStream;

/// The plain Flight client: the Flight SQL one of arrow-flight panics when a server closes without a result.
pub(crate) type FlightService = FlightServiceClient<Channel>;

/// Half of the time and of the processor on both sides of a large result, against HTTP/2's default of 16 KiB.
const FRAME_BYTES: u32 = 256 * 1024;

/// Larger than any frame and than a message of common size.
const LARGEST_BLOCK_BYTES: usize = 16 * 1024 * 1024;

/// What may be under way on all streams of a connection: as much as HTTP/2 can say. Each stream has its own limit; were
/// there a lower one for all, streams that nobody reads at the moment would use it up, and the one that is read would stand
/// still, for ever if the others wait for it.
const CONNECTION_WINDOW_BYTES: u32 = MOST_WINDOW_BYTES;

/// Error messages travel as headers, and one that lists the columns of a wide view is longer than the default of 16 KiB.
const HEADERS_BYTES: u32 = 1024 * 1024;

/// How a server is connected to: all that there is to know for making another connection.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    endpoint: Endpoint,
    proxy: Option<HttpProxy>,
    max_message_bytes: usize,
}

impl Route {
    pub(crate) fn new(config: &ClientConfig, url: &ServerUrl) -> Result<Self> {
        keep_blocks();
        Ok(Self {
            endpoint: endpoint(config, url)?,
            proxy: config.proxy.on_the_way_to(url)?.cloned(),
            max_message_bytes: config.max_message_bytes,
        })
    }

    /// A connection that is there, or an error that says why not.
    pub(crate) async fn connect(&self, config: &ClientConfig, url: &ServerUrl) -> Result<Channel> {
        tracing::debug!(%url, proxy = ?self.proxy, "connecting");
        self.endpoint
            .connect_with_connector(connector(self.proxy.clone()))
            .await
            .map_err(|error| self.on_the_way(failure::from_connect_error(error, url, config.connect_timeout)))
    }

    /// A connection that is made with the first call.
    pub(crate) fn connect_lazily(&self) -> Channel {
        self.endpoint.connect_with_connector_lazy(connector(self.proxy.clone()))
    }

    /// The error of a connection, which may be the fault of the proxy that it goes through.
    pub(crate) fn on_the_way(&self, error: Error) -> Error {
        match self.proxy.as_ref().map(ToString::to_string) {
            Some(proxy) if !error.message().contains(&proxy) => error.context(format!("through the proxy {proxy}")),
            _ => error,
        }
    }

    /// The calls of a server over a channel.
    pub(crate) fn service(&self, channel: Channel) -> FlightService {
        FlightServiceClient::new(channel)
            .max_decoding_message_size(self.max_message_bytes)
            .max_encoding_message_size(self.max_message_bytes)
    }
}

/// Has the allocator keep the blocks that frames are read into.
///
/// Glibc's hands a block of over 128 KiB back to the kernel when it is freed, and the next one is new memory, cleared and
/// mapped page by page: a quarter of the processor time of a large result. It stops doing so for blocks as large as the
/// largest that was ever freed (see `M_MMAP_THRESHOLD` in mallopt(3)), so that one is freed here, untouched. With other
/// allocators this does nothing.
fn keep_blocks() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGEST_BLOCK_BYTES)));
}

fn endpoint(config: &ClientConfig, url: &ServerUrl) -> Result<Endpoint> {
    let endpoint = Endpoint::from(url.to_uri()?)
        .user_agent(concat!("lakepilot/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| Error::new(ErrorKind::Internal, "the user agent cannot be sent").with_source(error))?
        .connect_timeout(config.connect_timeout)
        .max_frame_size(FRAME_BYTES)
        .initial_stream_window_size(config.window_bytes)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADERS_BYTES);
    let endpoint = match config.ping_interval {
        Some(interval) => endpoint.http2_keep_alive_interval(interval),
        None => endpoint,
    };
    if url.is_tls() {
        config.tls.apply(endpoint, url)
    } else {
        Ok(endpoint)
    }
}

/// TCP with the options that small answers and dead machines need, through a proxy if there is one. Tries the addresses of a
/// name side by side.
fn connector(
    proxy: Option<HttpProxy>,
) -> impl Service<Uri, Response = TokioIo<QuickAckStream>, Error = BoxError, Future: Send> + Send + 'static {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(Duration::from_secs(60)));
    http.set_keepalive_interval(Some(Duration::from_secs(15)));
    http.set_keepalive_retries(Some(4));
    tower::service_fn(move |server: Uri| {
        let (http, proxy) = (http.clone(), proxy.clone());
        async move {
            let stream = match proxy {
                Some(proxy) => proxy.connect(http, &server).await?,
                None => http.oneshot(server).await?.into_inner(),
            };
            Ok(TokioIo::new(QuickAckStream::new(stream)))
        }
    })
}
