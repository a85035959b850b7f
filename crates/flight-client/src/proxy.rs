//! HTTP proxies: which one stands between here and a server, and the tunnel through it (`CONNECT`, RFC 9110, 9.3.6).

use std::error::Error as StdError;
use std::fmt;
use std::io;

use http::header::HeaderValue;
use http::{StatusCode, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::proxy::matcher::Matcher;
use lakepilot_query::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::{BoxError, ServiceExt};
use url::Url;

use crate::address::ServerUrl;

/// More than any proxy has to say before a tunnel stands.
const MOST_HEAD_BYTES: usize = 64 * 1024;

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Through which HTTP proxy each server is reached, if through any: the default is none.
///
/// Proxies are asked for a tunnel (`CONNECT`), so that one sees whom we talk to, and with TLS nothing else. A user name and a
/// password in the URL of a proxy are sent to it and are never printed.
///
/// ```
/// use lakepilot_flight_client::{ClientConfig, ProxySettings};
/// # fn main() -> lakepilot_query::Result<()> {
/// let config = ClientConfig::new("grpc+tls://analytics.company.com")?
///     .with_proxy(ProxySettings::for_all("http://user:hunter2@proxy.company.com:3128")?);
/// assert!(!format!("{config:?}").contains("hunter2"));
///
/// // As programs usually do: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.
/// let config = config.with_proxy(ProxySettings::from_environment());
/// # let _ = config;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ProxySettings {
    for_plain_text: Option<Choice>,
    for_tls: Option<Choice>,
    /// Whether servers on this machine are reached through it too.
    for_loopback: bool,
    exceptions: Vec<String>,
}

/// What a variable or a person says of a proxy.
#[derive(Clone, Debug)]
enum Choice {
    Through(HttpProxy),
    /// Something that cannot be used: the error of who would need it.
    Unusable(ErrorKind, String),
}

impl ProxySettings {
    /// No proxy at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// One proxy for all servers, those on this machine too: `http://HOST:PORT`, or `http://USER:PASSWORD@HOST:PORT` with
    /// what is special in a URL written as `%40`. Without a port it is 80, and the scheme may be left out.
    ///
    /// # Errors
    /// `InvalidInput` when this is not such a URL, and `Unsupported` for another kind of proxy (`https://`, `socks5://`). What
    /// may be a password is not repeated.
    pub fn for_all(url: impl AsRef<str>) -> Result<Self> {
        let proxy = Choice::Through(HttpProxy::parse(url.as_ref())?);
        Ok(Self {
            for_plain_text: Some(proxy.clone()),
            for_tls: Some(proxy),
            for_loopback: true,
            exceptions: Vec::new(),
        })
    }

    /// The proxies of the environment variables of this process; see [`from_variables`](Self::from_variables).
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// The proxies of these variables, as most programs read them: `HTTPS_PROXY` for servers that speak TLS, `HTTP_PROXY` for
    /// plain text, `ALL_PROXY` for what has none of its own, and `NO_PROXY` for
    /// [exceptions](Self::with_exceptions). The names may be in lower case, which goes first. A server on this machine is not
    /// reached through a proxy.
    ///
    /// `HTTP_PROXY` does not count where there is `REQUEST_METHOD`: that is a CGI program, and whoever sends it a request
    /// could set it (CVE-2016-5385). A variable that names no HTTP proxy (see the errors of [`for_all`](Self::for_all)) is the
    /// error of a client for a server that would be reached through it.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let find = |name: &str| {
            let lower = name.to_ascii_lowercase();
            let in_cgi = name == "HTTP_PROXY" && variable("REQUEST_METHOD").is_some();
            let names = if in_cgi {
                vec![lower.as_str()]
            } else {
                vec![lower.as_str(), name]
            };
            let mut found = names.into_iter().map(|name| (name.to_owned(), variable(name)));
            found.find_map(|(name, value)| Some((name, value.filter(|value| !value.trim().is_empty())?)))
        };
        let proxy = |name: &str| {
            let (name, url) = find(name).or_else(|| find("ALL_PROXY"))?;
            Some(match HttpProxy::parse(&url) {
                Ok(proxy) => Choice::Through(proxy),
                Err(error) => Choice::Unusable(error.kind(), format!("the variable {name}: {}", error.message())),
            })
        };
        let settings = Self {
            for_plain_text: proxy("HTTP_PROXY"),
            for_tls: proxy("HTTPS_PROXY"),
            for_loopback: false,
            exceptions: Vec::new(),
        };
        match find("NO_PROXY") {
            Some((_, list)) => settings.with_exceptions(&list),
            None => settings,
        }
    }

    /// Servers that are reached without a proxy: a list with commas or spaces between host names, each of which stands for its
    /// subdomains too (`company.com`, `.company.com` and `*.company.com` are the same), IP addresses, ranges of them
    /// (`10.0.0.0/8`), any of these with a port (`lake.company.com:50051`, `[::1]:50051`), or `*` for all.
    #[must_use]
    pub fn with_exceptions(mut self, list: &str) -> Self {
        let entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        self.exceptions.extend(entries.map(str::to_owned));
        self
    }

    /// The proxy on the way to a server.
    ///
    /// # Errors
    /// `InvalidInput` or `Unsupported` when what the environment names cannot be used.
    pub(crate) fn on_the_way_to(&self, url: &ServerUrl) -> Result<Option<&HttpProxy>> {
        let choice = if url.is_tls() {
            &self.for_tls
        } else {
            &self.for_plain_text
        };
        let Some(choice) = choice else { return Ok(None) };
        if (url.is_loopback() && !self.for_loopback) || self.is_excepted(url) {
            return Ok(None);
        }
        match choice {
            Choice::Through(proxy) => Ok(Some(proxy)),
            Choice::Unusable(kind, problem) => Err(Error::new(
                *kind,
                format!("{problem}; or have {url} reached without a proxy (NO_PROXY)"),
            )),
        }
    }

    fn is_excepted(&self, url: &ServerUrl) -> bool {
        let Ok(uri) = url.to_uri() else { return false };
        let port = uri.port_u16();
        let hosts: Vec<&str> = self
            .exceptions
            .iter()
            .map(|entry| host_and_port(entry))
            .filter(|(_, only)| only.is_none() || *only == port)
            .map(|(host, _)| {
                host.strip_prefix('*')
                    .filter(|rest| rest.starts_with('.'))
                    .unwrap_or(host)
            })
            .collect();
        // The matcher knows hosts and ranges, but no ports: those have been looked at.
        let matcher = Matcher::builder().all("http://proxy").no(hosts.join(",")).build();
        !hosts.is_empty() && matcher.intercept(&uri).is_none()
    }
}

/// Takes an exception apart. An IPv6 address has a port only when it is in brackets.
fn host_and_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

/// An HTTP proxy. Its `Display` is its URL without the password.
#[derive(Clone)]
pub(crate) struct HttpProxy {
    uri: Uri,
    authorization: Option<HeaderValue>,
}

impl HttpProxy {
    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        // Before an '@' stands what may be a password: such a text is not repeated.
        let shown = if text.contains('@') {
            String::new()
        } else {
            format!(" '{}'", text.escape_debug())
        };
        let invalid = || {
            Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the proxy URL{shown} is not valid: write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, with what is \
                     special in a URL as %XX"
                ),
            )
        };
        let url = match text.contains("://") {
            true => Url::parse(text),
            false => Url::parse(&format!("http://{text}")),
        }
        .map_err(|_| invalid())?;
        if url.scheme() != "http" {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the proxy URL{shown} is for a proxy of the kind '{}': only http:// proxies can be used",
                    url.scheme()
                ),
            ));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid());
        }
        // It takes the user and the password out, and makes a header of them.
        let any = Uri::from_static("http://server");
        let matcher = Matcher::builder().all(url.as_str()).build();
        let proxy = matcher.intercept(&any).ok_or_else(invalid)?;
        Ok(Self {
            uri: proxy.uri().clone(),
            authorization: proxy.basic_auth().cloned(),
        })
    }

    /// A tunnel to the server.
    pub(crate) async fn connect(&self, http: HttpConnector, server: &Uri) -> Result<TcpStream, ProxyError> {
        let connected = http.oneshot(self.uri.clone()).await;
        let mut stream = connected
            .map_err(|error| self.problem(Problem::Unreachable(error.into())))?
            .into_inner();
        let status = self.ask(&mut stream, server).await;
        match status.map_err(|error| self.problem(Problem::Broke(error)))? {
            Some(status) if status.is_success() => Ok(stream),
            Some(status) => Err(self.problem(Problem::Refused(status))),
            None => Err(self.problem(Problem::NotHttp)),
        }
    }

    /// Asks for the tunnel, and reads the answer and not a byte more: with plain text the server's first bytes may follow at
    /// once. `None` when the answer is not HTTP.
    async fn ask(&self, stream: &mut TcpStream, server: &Uri) -> io::Result<Option<StatusCode>> {
        let authority = server.authority().map_or("", http::uri::Authority::as_str);
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await?;

        let mut head = Vec::new();
        let mut seen = [0; 1024];
        while head.len() < MOST_HEAD_BYTES {
            let arrived = stream.peek(&mut seen).await?;
            if arrived == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let before = head.len();
            head.extend_from_slice(&seen[..arrived]);
            // The end may lie over what has come before.
            let from = before.saturating_sub(END_OF_HEAD.len());
            let end = head[from..]
                .windows(END_OF_HEAD.len())
                .position(|window| window == END_OF_HEAD)
                .map(|place| from + place + END_OF_HEAD.len());
            head.truncate(end.unwrap_or(head.len()));
            stream.read_exact(&mut seen[..head.len() - before]).await?;
            if end.is_some() {
                return Ok(status_of(&head));
            }
            if !b"HTTP/1.".starts_with(&head[..head.len().min(7)]) {
                break;
            }
        }
        Ok(None)
    }

    fn problem(&self, problem: Problem) -> ProxyError {
        ProxyError {
            proxy: self.clone(),
            problem,
        }
    }
}

/// The status in the first line of an answer.
fn status_of(head: &[u8]) -> Option<StatusCode> {
    let line = head.strip_prefix(b"HTTP/1.")?.get(1..)?.strip_prefix(b" ")?;
    StatusCode::from_bytes(line.get(..3)?).ok()
}

impl fmt::Display for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.uri.authority().map_or("", http::uri::Authority::as_str);
        write!(f, "http://{authority}")
    }
}

impl fmt::Debug for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why there is no tunnel.
#[derive(Debug)]
pub(crate) struct ProxyError {
    proxy: HttpProxy,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Unreachable(BoxError),
    Broke(io::Error),
    Refused(StatusCode),
    NotHttp,
}

impl ProxyError {
    /// The error that this is for somebody who wanted to reach the server.
    pub(crate) fn to_error(&self, url: &ServerUrl) -> Error {
        let proxy = &self.proxy;
        match &self.problem {
            Problem::Unreachable(error) if is_dns(error.as_ref()) => Error::new(
                ErrorKind::Unavailable,
                format!("the host name of the proxy {proxy} cannot be resolved: check its spelling, and the network"),
            ),
            Problem::Unreachable(_) => Error::new(
                ErrorKind::Unavailable,
                format!(
                    "nothing answers at the proxy {proxy}, through which {url} is to be reached: is it the right one?"
                ),
            ),
            Problem::Broke(_) => Error::new(
                ErrorKind::Unavailable,
                format!("the proxy {proxy} hung up when it was asked for a tunnel to {url}"),
            ),
            Problem::NotHttp => Error::new(
                ErrorKind::Protocol,
                format!("what answers at {proxy} is no HTTP proxy: it was asked for a tunnel to {url}"),
            ),
            Problem::Refused(status) => refused(proxy, *status, url),
        }
    }
}

fn refused(proxy: &HttpProxy, status: StatusCode, url: &ServerUrl) -> Error {
    let (kind, hint) = match status {
        // Not `Unauthenticated`: that is for what the server thinks of our credentials, and may have them renewed.
        StatusCode::PROXY_AUTHENTICATION_REQUIRED if proxy.authorization.is_some() => (
            ErrorKind::PermissionDenied,
            "it does not accept the user name and password in its URL",
        ),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => (
            ErrorKind::PermissionDenied,
            "it wants a user name and a password, as in http://USER:PASSWORD@HOST:PORT",
        ),
        StatusCode::FORBIDDEN => (ErrorKind::PermissionDenied, "it does not let us through to this server"),
        StatusCode::TOO_MANY_REQUESTS => (ErrorKind::Unavailable, "it has too much to do"),
        status if status.is_server_error() => (
            ErrorKind::Unavailable,
            "it does not reach the server: is that running, and is its port the right one?",
        ),
        _ => (ErrorKind::Protocol, "is it a proxy, and does it allow this port?"),
    };
    Error::new(
        kind,
        format!("the proxy {proxy} answered {status} when it was asked for a tunnel to {url}: {hint}"),
    )
}

fn is_dns(error: &(dyn StdError + 'static)) -> bool {
    // The type of hyper's connector is private; its words are all there is.
    std::iter::successors(Some(error), |&error| error.source()).any(|error| error.to_string().contains("dns error"))
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no tunnel through the proxy {}", self.proxy)?;
        match &self.problem {
            Problem::Unreachable(_) | Problem::Broke(_) => Ok(()),
            Problem::Refused(status) => write!(f, ": {status}"),
            Problem::NotHttp => f.write_str(": its answer is not HTTP"),
        }
    }
}

impl StdError for ProxyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.problem {
            Problem::Unreachable(error) => Some(error.as_ref()),
            Problem::Broke(error) => Some(error),
            Problem::Refused(_) | Problem::NotHttp => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(settings: &ProxySettings, server: &str) -> Option<String> {
        let url = ServerUrl::parse(server).unwrap();
        settings.on_the_way_to(&url).unwrap().map(ToString::to_string)
    }

    fn of(variables: &[(&str, &str)]) -> ProxySettings {
        ProxySettings::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn each_variable_has_its_servers() {
        let all = of(&[
            ("HTTP_PROXY", "plain:1"),
            ("HTTPS_PROXY", "http://tls:2"),
            ("ALL_PROXY", "all:3"),
        ]);
        assert_eq!(way(&all, "grpc://lake.example").unwrap(), "http://plain:1");
        assert_eq!(way(&all, "grpc+tls://lake.example").unwrap(), "http://tls:2");
        let only = of(&[
            ("ALL_PROXY", "all:3"),
            ("http_proxy", "lower:4"),
            ("HTTP_PROXY", "plain:1"),
        ]);
        assert_eq!(way(&only, "grpc+tls://lake.example").unwrap(), "http://all:3");
        assert_eq!(way(&only, "http://lake.example").unwrap(), "http://lower:4");
        let cgi = of(&[
            ("REQUEST_METHOD", "GET"),
            ("HTTP_PROXY", "evil:1"),
            ("HTTPS_PROXY", "tls:2"),
        ]);
        assert_eq!(way(&cgi, "grpc://lake.example"), None);
        assert!(way(&cgi, "grpc+tls://lake.example").is_some());
        assert_eq!(way(&of(&[("https_proxy", " ")]), "grpc+tls://lake.example"), None);
    }

    #[test]
    fn this_machine_is_reached_directly_unless_it_is_said_otherwise() {
        let environment = of(&[("ALL_PROXY", "proxy:1")]);
        let explicit = ProxySettings::for_all("proxy:1").unwrap();
        for server in [
            "grpc://localhost",
            "grpc://127.0.0.1:1",
            "grpc+tls://[::1]",
            "grpc://a.localhost",
        ] {
            assert_eq!(way(&environment, server), None, "{server}");
            assert!(way(&explicit, server).is_some(), "{server}");
        }
    }

    #[test]
    fn exceptions_are_hosts_suffixes_ranges_and_ports() {
        let list = "lake.example,.inner.example *.star.example, 10.1.0.0/16,192.168.0.7, fd00::/8,ported.example:50051,\
                    [2001:db8::1]:50051";
        let settings = of(&[("ALL_PROXY", "proxy:1"), ("NO_PROXY", list)]);
        for direct in [
            "grpc://lake.example",
            "grpc://LAKE.example:1",
            "grpc://sub.lake.example",
            "grpc+tls://inner.example",
            "grpc://sub.inner.example",
            "grpc://sub.star.example",
            "grpc://10.1.200.3",
            "grpc://192.168.0.7",
            "grpc://[fd12::1]",
            "grpc://ported.example",
            "grpc://[2001:db8::1]:50051",
        ] {
            assert_eq!(way(&settings, direct), None, "{direct}");
        }
        for proxied in [
            "grpc://notlake.example",
            "grpc://example",
            "grpc://10.2.0.1",
            "grpc://192.168.0.8",
            "grpc://[fe80::1]",
            "grpc://ported.example:50052",
            "grpc://[2001:db8::1]:50052",
        ] {
            assert!(way(&settings, proxied).is_some(), "{proxied}");
        }
        let none = of(&[("ALL_PROXY", "proxy:1"), ("no_proxy", "*")]);
        assert_eq!(way(&none, "grpc://lake.example"), None);
    }

    #[test]
    fn a_proxy_has_a_user_and_a_password_that_nobody_sees() {
        let proxy = HttpProxy::parse("http://us%40er:hunter2%3A@proxy.example:3128/").unwrap();
        // us@er:hunter2:
        assert_eq!(proxy.authorization.as_ref().unwrap(), "Basic dXNAZXI6aHVudGVyMjo=");
        assert!(proxy.authorization.as_ref().unwrap().is_sensitive());
        assert_eq!(
            format!("{proxy} {proxy:?}"),
            "http://proxy.example:3128 http://proxy.example:3128"
        );
        for (text, kind) in [
            ("", ErrorKind::InvalidInput),
            ("http://", ErrorKind::InvalidInput),
            ("http://user:hunter2@ho st:1", ErrorKind::InvalidInput),
            ("http://user:hunter2@host:1/path", ErrorKind::InvalidInput),
            ("http://host:99999", ErrorKind::InvalidInput),
            ("https://user:hunter2@host:1", ErrorKind::Unsupported),
            ("socks5://host:1", ErrorKind::Unsupported),
        ] {
            let error = ProxySettings::for_all(text).unwrap_err();
            assert_eq!(error.kind(), kind, "{text}: {error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let others = of(&[
            ("ALL_PROXY", "socks5://user:hunter2@host:1"),
            ("NO_PROXY", "direct.example"),
        ]);
        let url = |text| ServerUrl::parse(text).unwrap();
        let error = others.on_the_way_to(&url("grpc://lake.example")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("variable ALL_PROXY"), "{error}");
        assert!(!format!("{error:?} {others:?}").contains("hunter2"), "{error:?}");
        for direct in ["grpc://localhost", "grpc+tls://direct.example"] {
            assert!(others.on_the_way_to(&url(direct)).unwrap().is_none(), "{direct}");
        }
    }

    #[test]
    fn a_refusal_is_of_the_right_kind_and_names_the_proxy_and_the_status() {
        let url = ServerUrl::parse("grpc+tls://lake.example").unwrap();
        for (status, kind) in [
            (407, ErrorKind::PermissionDenied),
            (403, ErrorKind::PermissionDenied),
            (502, ErrorKind::Unavailable),
            (504, ErrorKind::Unavailable),
            (429, ErrorKind::Unavailable),
            (400, ErrorKind::Protocol),
            (404, ErrorKind::Protocol),
        ] {
            let proxy = HttpProxy::parse("proxy.example:3128").unwrap();
            let refused = Problem::Refused(StatusCode::from_u16(status).unwrap());
            let error = proxy.problem(refused).to_error(&url);
            assert_eq!(error.kind(), kind, "{error}");
            for words in [
                "http://proxy.example:3128",
                &status.to_string(),
                "grpc+tls://lake.example:50051",
            ] {
                assert!(error.message().contains(words), "{error}");
            }
        }
    }

    #[test]
    fn a_status_is_read_from_the_first_line() {
        assert_eq!(
            status_of(b"HTTP/1.1 200 Connection established\r\n\r\n"),
            Some(StatusCode::OK)
        );
        assert_eq!(
            status_of(b"HTTP/1.0 407\r\n\r\n"),
            Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED)
        );
        for head in [&b"HTTP/2 200\r\n\r\n"[..], b"HTTP/1.1 20\r\n\r\n", b"", b"HTTP/1."] {
            assert_eq!(status_of(head), None);
        }
    }
}
