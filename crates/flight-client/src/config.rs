//! Where the server is, and how to talk to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lakepilot_query::{Error, ErrorKind, Result};

use crate::address::ServerUrl;
use crate::attribution::Attribution;
use crate::credentials::{CredentialProvider, StaticCredentials};
use crate::deadline::Limits;
use crate::login::Login;
use crate::proxy::ProxySettings;
use crate::tls::TlsSettings;

/// 500 MB/s over a round trip of 60 ms.
const DEFAULT_WINDOW_BYTES: u32 = 32 * 1024 * 1024;

/// What HTTP/2 begins with.
const LEAST_WINDOW_BYTES: u32 = 65_535;

/// As much as HTTP/2 can say.
pub(crate) const MOST_WINDOW_BYTES: u32 = (1 << 31) - 1;

/// How a query is put to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QuerySpelling {
    /// As `FlightInfo`, until an answer of the server shows that its tickets hold the SQL and nothing else, as those of
    /// Micromegas do: from then on the client makes them itself, which is half of the round trips and of the server's
    /// planning. It asks again after an error that may come of that. Queries with a time range, a limit or dictionaries are
    /// told apart from those that are the SQL alone.
    #[default]
    Adaptive,
    /// `GetFlightInfo`, then `DoGet` of every endpoint that it names: what Flight SQL asks for, and every server takes.
    FlightInfo,
    /// `DoGet` of a ticket that holds the SQL text, as the Micromegas Python client does: one round trip less, and only
    /// for servers that read such a ticket, which Micromegas and the embedded lake do.
    DirectTicket,
    /// `PollFlightInfo` until the server says that the result is whole, then `DoGet` of every endpoint: for servers that work
    /// on a query for longer than a proxy between keeps a call open. One that cannot be polled is asked with
    /// `GetFlightInfo`, from then on.
    PollFlightInfo,
}

/// Where a server is, and how to talk to it. Everything in it has been checked.
///
/// ```
/// use lakepilot_flight_client::ClientConfig;
/// # fn main() -> lakepilot_query::Result<()> {
/// let config = ClientConfig::new("grpc+tls://analytics.company.com:50051")?
///     .with_bearer_token("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9")?
///     .with_header("x-tenant-id", "production")?
///     .with_header("x-request-id", "trace-12345")?;
/// assert!(!format!("{config:?}").contains("eyJ"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ClientConfig {
    pub(crate) url: ServerUrl,
    pub(crate) headers: StaticCredentials,
    pub(crate) provider: Option<Arc<dyn CredentialProvider>>,
    pub(crate) login: Option<Login>,
    pub(crate) attribution: Attribution,
    pub(crate) tls: TlsSettings,
    pub(crate) proxy: ProxySettings,
    pub(crate) connect_timeout: Duration,
    pub(crate) limits: Limits,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) max_message_bytes: usize,
    pub(crate) window_bytes: u32,
    pub(crate) spelling: QuerySpelling,
    pub(crate) parallel_parts: usize,
    pub(crate) parts_budget_bytes: usize,
    /// What the server calls another one, and where that is found from here.
    pub(crate) rewrites: Vec<(ServerUrl, ServerUrl)>,
    /// Other servers that answer the same.
    pub(crate) replicas: Vec<ServerUrl>,
}

impl ClientConfig {
    /// The defaults for the server at `url`: `grpc://`, `grpc+tcp://` or `http://` for plain text, `grpc+tls://` or
    /// `https://` for TLS. Without a port it is 50051, or that of the web for `http` and `https`.
    ///
    /// # Errors
    /// `InvalidInput`, with the accepted spellings, when the URL is not one of them, has no host, or holds a user name, a
    /// password, a path or parameters.
    pub fn new(url: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            url: ServerUrl::parse(url.as_ref())?,
            headers: StaticCredentials::new(),
            provider: None,
            login: None,
            attribution: Attribution::new(),
            tls: TlsSettings::default(),
            proxy: ProxySettings::none(),
            connect_timeout: Duration::from_secs(10),
            limits: Limits::default(),
            ping_interval: None,
            max_message_bytes: 256 * 1024 * 1024,
            window_bytes: DEFAULT_WINDOW_BYTES,
            spelling: QuerySpelling::default(),
            parallel_parts: 4,
            parts_budget_bytes: 64 * 1024 * 1024,
            rewrites: Vec::new(),
            replicas: Vec::new(),
        })
    }

    /// Sends one more header with every call. It is treated as a secret. A header of the same name is replaced.
    ///
    /// # Errors
    /// `InvalidInput` when the name or the value cannot be sent, or when the name is one that the client or the protocol
    /// sets. The value is never in the error.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self> {
        self.headers = self.headers.with_header(name, value)?;
        Ok(self)
    }

    /// Sends `authorization: Bearer TOKEN` with every call.
    ///
    /// # Errors
    /// `InvalidInput` when the token is empty or has spaces in it.
    pub fn with_bearer_token(mut self, token: impl AsRef<str>) -> Result<Self> {
        self.headers = self.headers.with_bearer_token(token)?;
        Ok(self)
    }

    /// Sends `x-api-key: KEY` with every call; see [`StaticCredentials::with_api_key`].
    ///
    /// # Errors
    /// `InvalidInput` when the key is empty or cannot be sent.
    pub fn with_api_key(mut self, key: impl AsRef<str>) -> Result<Self> {
        self.headers = self.headers.with_api_key(key)?;
        Ok(self)
    }

    /// Asks the provider for headers before every call; they replace those of the same name set here.
    #[must_use]
    pub fn with_credentials(mut self, provider: Arc<dyn CredentialProvider>) -> Self {
        self.provider = Some(provider);
        self.login = None;
        self
    }

    /// Logs in with a user name and a password before the first call, by Flight's `Handshake`, and sends the token that comes
    /// back with every call, as pyarrow's `authenticate_basic_token` does. When a server refuses the token it is asked for
    /// another, once. Takes the place of [`with_credentials`](Self::with_credentials), and the other way round.
    ///
    /// # Errors
    /// `InvalidInput` when the user name is empty or has a `:` in it.
    pub fn with_basic_login(mut self, user: &str, password: &str) -> Result<Self> {
        self.login = Some(Login::new(user, password)?);
        self.provider = None;
        Ok(self)
    }

    /// Says something else of the calling program.
    #[must_use]
    pub fn with_attribution(mut self, attribution: Attribution) -> Self {
        self.attribution = attribution;
        self
    }

    /// Trusts the authorities of a PEM file too, beside those of the system and of Mozilla's list.
    ///
    /// # Errors
    /// `InvalidInput` when there is no certificate in it, or one that cannot be read.
    pub fn with_ca_certificate(mut self, pem: impl AsRef<[u8]>) -> Result<Self> {
        self.tls.add_authority(pem.as_ref())?;
        Ok(self)
    }

    /// Shows a certificate to servers that ask who is calling (mutual TLS): the certificate in PEM, with those between it and
    /// its authority after it, and its key in PEM, not encrypted. It is shown to every server that asks, the locations of a
    /// result among them; the key stays here.
    ///
    /// # Errors
    /// `InvalidInput` when one of them cannot be read, or the key is another's. The key is never in the error.
    pub fn with_client_certificate(mut self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self> {
        self.tls.set_identity(certificate.as_ref(), key.as_ref())?;
        Ok(self)
    }

    /// The name that the certificates of servers have to be for, in place of the host in their URL: for a server that is
    /// reached by its address or through a port that was forwarded.
    ///
    /// # Errors
    /// `InvalidInput` when it is neither a host name nor an IP address.
    pub fn with_tls_server_name(mut self, name: &str) -> Result<Self> {
        self.tls.set_server_name(name)?;
        Ok(self)
    }

    /// Takes any certificate of a server: TLS then keeps nobody out who is on the way. For tests and emergencies; each
    /// connection is warned about with `tracing`. Better is [`with_ca_certificate`](Self::with_ca_certificate) or
    /// [`with_tls_server_name`](Self::with_tls_server_name).
    #[must_use]
    pub fn without_certificate_verification(mut self) -> Self {
        self.tls.verify_nothing();
        self
    }

    /// Reaches servers through HTTP proxies. None unless set: the environment is read by
    /// [`ProxySettings::from_environment`] only.
    #[must_use]
    pub fn with_proxy(mut self, proxy: ProxySettings) -> Self {
        self.proxy = proxy;
        self
    }

    /// How long connecting may take, with name resolution, a proxy and the TLS handshake. 10 seconds unless set.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a query may take in all, from the call to its last batch, and the same for a prepare. No limit unless set:
    /// a query may go on as long as it brings rows.
    ///
    /// The server is told, and the client keeps to it even if the server does not.
    #[must_use]
    pub fn with_query_deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.limits.total = deadline.into();
        self
    }

    /// How long a call may take whose answer is one message: `GetFlightInfo`, in which a server plans the query, and the
    /// actions of a prepare. 60 seconds unless set; `None` for no limit. The server is told.
    #[must_use]
    pub fn with_plan_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.limits.plan = timeout.into();
        self
    }

    /// How long `DoGet` may take to its first batch, for each endpoint of a result. Ten minutes unless set; `None` for no
    /// limit.
    #[must_use]
    pub fn with_first_batch_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.limits.first_batch = timeout.into();
        self
    }

    /// How long nothing may come between two batches, and how long a server that is sent rows may neither take any nor
    /// answer. Ten minutes unless set; `None` for no limit. Only time spent waiting for the server counts.
    #[must_use]
    pub fn with_gap_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.limits.gap = timeout.into();
        self
    }

    /// How often to ask, while a call is under way and nothing arrives, whether the server still answers (HTTP/2 PING).
    /// Never unless set: TCP keepalive, which is always on, finds a dead machine, and many gRPC servers hang up on a
    /// client that pings more often than every five minutes. Set it when a proxy stands between.
    #[must_use]
    pub fn with_ping_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.ping_interval = interval.into();
        self
    }

    /// The largest message that is accepted, in bytes, as it arrives and once unpacked. 256 MiB unless set.
    ///
    /// # Errors
    /// `InvalidInput` when it is zero.
    pub fn with_max_message_bytes(mut self, bytes: usize) -> Result<Self> {
        if bytes == 0 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the message size limit cannot be zero",
            ));
        }
        self.max_message_bytes = bytes;
        Ok(self)
    }

    /// With so many bytes that a server may send on one stream before they are read; 32 MiB otherwise, at least 64 KiB and
    /// at most 2 GiB.
    ///
    /// They are held in memory when the reader is slower than the server. A stream is no faster than a window for each
    /// round trip: 1 MiB is 50 MB/s over 20 ms.
    #[must_use]
    pub fn with_window_bytes(mut self, bytes: usize) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.window_bytes = bytes.clamp(LEAST_WINDOW_BYTES, MOST_WINDOW_BYTES);
        self
    }

    /// Puts queries to the server in another way.
    #[must_use]
    pub fn with_spelling(mut self, spelling: QuerySpelling) -> Self {
        self.spelling = spelling;
        self
    }

    /// How many parts of a result that lies in several places are fetched at a time; zero counts as one. 4 unless set.
    #[must_use]
    pub fn with_parallel_parts(mut self, parts: usize) -> Self {
        self.parallel_parts = parts.max(1);
        self
    }

    /// How many bytes of messages of all parts of one result may wait here to be taken, beside one message of each part.
    /// 64 MiB unless set.
    #[must_use]
    pub fn with_parts_budget_bytes(mut self, bytes: usize) -> Self {
        self.parts_budget_bytes = bytes;
        self
    }

    /// Finds a server that results are said to lie on at another address: `from` is what the server calls it, which may
    /// only mean something inside of its cluster, and `to` is where it is from here.
    ///
    /// # Errors
    /// As [`new`](Self::new), for either of them.
    pub fn with_location_rewrite(mut self, from: impl AsRef<str>, to: impl AsRef<str>) -> Result<Self> {
        let from = ServerUrl::parse(from.as_ref()).map_err(|error| error.context("the location to rewrite"))?;
        let to = ServerUrl::parse(to.as_ref()).map_err(|error| error.context("what a location is rewritten to"))?;
        self.rewrites.push((from, to));
        Ok(self)
    }

    /// Adds a server that answers the same as the first, such as another replica of it. Calls go to one of them, which a
    /// client chooses at random, so that many clients spread over all; when it cannot be reached they go to the next. A call
    /// that can be made again with no harm (`GetFlightInfo`, a prepare, a `DoGet` of a ticket that holds the SQL) is made
    /// there at once. A query stays with the server that it was planned on.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_replica(mut self, url: impl AsRef<str>) -> Result<Self> {
        self.replicas.push(ServerUrl::parse(url.as_ref())?);
        Ok(self)
    }

    /// All servers that calls may go to.
    pub(crate) fn servers(&self) -> impl Iterator<Item = &ServerUrl> {
        std::iter::once(&self.url).chain(&self.replicas)
    }

    /// Where a server that was named is found from here.
    pub(crate) fn rewritten(&self, named: ServerUrl) -> ServerUrl {
        self.rewrites
            .iter()
            .find(|(from, _)| from.is_same_server(&named))
            .map_or(named, |(_, to)| to.clone())
    }

    /// The server, the first where there are replicas, as `grpc://HOST:PORT`. There is never a secret in it.
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// Whether a call tells the server something secret.
    pub(crate) fn has_credentials(&self) -> bool {
        self.provider.is_some() || self.login.is_some() || !self.headers.is_empty()
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("url", &format_args!("{}", self.url))
            .field("headers", &self.headers)
            .field("provider", &self.provider.as_ref().map(|_| "..."))
            .field("login", &self.login)
            .field("attribution", &self.attribution)
            .field("tls", &self.tls)
            .field("proxy", &self.proxy)
            .field("connect_timeout", &self.connect_timeout)
            .field("limits", &self.limits)
            .field("ping_interval", &self.ping_interval)
            .field("max_message_bytes", &self.max_message_bytes)
            .field("window_bytes", &self.window_bytes)
            .field("spelling", &self.spelling)
            .field("parallel_parts", &self.parallel_parts)
            .field("parts_budget_bytes", &self.parts_budget_bytes)
            .field("rewrites", &self.rewrites)
            .field("replicas", &self.replicas)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ClientConfig {
        ClientConfig::new("grpc://localhost").unwrap()
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = config()
            .with_bearer_token("hunter2-bearer")
            .unwrap()
            .with_api_key("hunter2-key")
            .unwrap()
            .with_credentials(Arc::new(
                StaticCredentials::new().with_bearer_token("hunter2-provided").unwrap(),
            ));
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(
            shown.contains("authorization") && shown.contains("x-api-key"),
            "{shown}"
        );
    }

    #[test]
    fn windows_are_what_http_can_say() {
        for (bytes, window) in [(0, 65_535), (1 << 20, 1 << 20), (usize::MAX, (1 << 31) - 1)] {
            assert_eq!(config().with_window_bytes(bytes).window_bytes, window);
        }
    }

    #[test]
    fn a_message_limit_of_nothing_is_refused() {
        assert_eq!(
            config().with_max_message_bytes(0).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}
