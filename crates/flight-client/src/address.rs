//! The address of a server, in the spellings that Flight clients use.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use lakepilot_query::{Error, ErrorKind, Result};
use url::{Host, Url};

const ACCEPTED: &str =
    "write grpc://HOST:PORT or http://HOST:PORT for plain text, grpc+tls://HOST:PORT or https://HOST:PORT for TLS";

/// The port that Flight servers, Micromegas among them, listen on unless told otherwise.
const DEFAULT_GRPC_PORT: u16 = 50051;

/// Where a server listens, and whether it speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServerUrl {
    scheme: &'static str,
    tls: bool,
    /// As it stands in a URL: IPv6 in brackets.
    host: String,
    loopback: bool,
    port: u16,
}

impl ServerUrl {
    /// Reads an address that the user typed.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Self::read(text.trim())
    }

    /// Reads a location that a server named. `http` and `https` there mean a plain download of the result (Arrow
    /// Flight's extended location URIs), not another Flight server.
    pub(crate) fn parse_location(text: &str) -> Result<Self> {
        let url = Self::read(text)?;
        if url.scheme.starts_with("http") {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the location {url} is a download over HTTP, and only Flight locations can be read"),
            ));
        }
        Ok(url)
    }

    fn read(text: &str) -> Result<Self> {
        let invalid = |problem: &str| {
            // What stands before an '@' may be a password, so that such a text is not repeated.
            let shown = if text.contains('@') {
                String::new()
            } else {
                format!(" '{text}'")
            };
            Error::new(
                ErrorKind::InvalidInput,
                format!("the server URL{shown} {problem}: {ACCEPTED}"),
            )
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid("has no scheme"))?;
        let (scheme, tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "grpc" => ("grpc", false, DEFAULT_GRPC_PORT),
            "grpc+tcp" => ("grpc+tcp", false, DEFAULT_GRPC_PORT),
            "grpc+tls" => ("grpc+tls", true, DEFAULT_GRPC_PORT),
            "http" => ("http", false, 80),
            "https" => ("https", true, 443),
            _ => return Err(invalid("has a scheme that is not known")),
        };
        if rest.is_empty() || rest.starts_with(['/', ':', '?', '#']) {
            return Err(invalid("has no host"));
        }
        // Parsed as a web address, so that the host gets the checks of one.
        let url = Url::parse(&format!("http://{rest}")).map_err(|error| invalid(&format!("is not valid ({error})")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the server URL holds a user name or a password: leave it out, and give credentials as a token or a header",
            ));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("has something after the port"));
        }
        let (host, loopback) = match url.host() {
            Some(Host::Domain(name)) => (name.to_owned(), name == "localhost" || name.ends_with(".localhost")),
            Some(Host::Ipv4(address)) => (address.to_string(), address.is_loopback()),
            Some(Host::Ipv6(address)) => (format!("[{address}]"), IpAddr::V6(address).to_canonical().is_loopback()),
            None => return Err(invalid("has no host")),
        };
        let port = match url.port() {
            Some(0) => return Err(invalid("has port 0, which nothing can listen on")),
            Some(port) => port,
            // The parser drops the port 80 of a web address.
            None if names_a_port(rest) => 80,
            None => default_port,
        };
        Ok(Self {
            scheme,
            tls,
            host,
            loopback,
            port,
        })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    pub(crate) fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether both name the same server and talk to it in the same way.
    pub(crate) fn is_same_server(&self, other: &Self) -> bool {
        self.tls == other.tls && self.host == other.host && self.port == other.port
    }

    /// Whether what is secret between us and this server may be told to the other: it is on the same host, and the
    /// way there is no less private.
    pub(crate) fn may_share_credentials_with(&self, other: &Self) -> bool {
        self.host == other.host && (other.tls || !self.tls)
    }

    /// The address as the HTTP layer wants it.
    pub(crate) fn to_uri(&self) -> Result<Uri> {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
            .parse()
            .map_err(|error| {
                Error::new(ErrorKind::InvalidInput, format!("the server URL {self} is not valid")).with_source(error)
            })
    }
}

fn names_a_port(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let after_address = authority.rsplit(']').next().unwrap_or_default();
    after_address.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty())
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_server_is_understood() {
        for (text, shown, tls, loopback) in [
            ("grpc://localhost", "grpc://localhost:50051", false, true),
            ("grpc://localhost:80", "grpc://localhost:80", false, true),
            ("grpc://localhost:080/", "grpc://localhost:80", false, true),
            ("grpc://[fe80::1]:80", "grpc://[fe80::1]:80", false, false),
            ("grpc+tcp://127.0.0.1:1234", "grpc+tcp://127.0.0.1:1234", false, true),
            (
                "GRPC+TLS://Analytics.Company.com:50051/",
                "grpc+tls://analytics.company.com:50051",
                true,
                false,
            ),
            ("grpc+tls://[::1]", "grpc+tls://[::1]:50051", true, true),
            ("http://10.0.0.1", "http://10.0.0.1:80", false, false),
            ("https://example.com", "https://example.com:443", true, false),
            (" https://example.com:80 ", "https://example.com:80", true, false),
        ] {
            let url = ServerUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!((url.is_tls(), url.is_loopback()), (tls, loopback), "{text}");
            assert!(url.to_uri().is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_server_is_told_what_is_accepted() {
        for (text, says) in [
            ("localhost:50051", "has no scheme"),
            ("", "has no scheme"),
            ("ftp://host:1", "a scheme that is not known"),
            ("grpc+unix:///tmp/socket", "a scheme that is not known"),
            ("grpc://", "has no host"),
            ("grpc:///path", "has no host"),
            ("grpc://:50051", "has no host"),
            ("grpc://host:99999", "invalid port number"),
            ("grpc://host:0", "port 0"),
            ("grpc://host:1/database", "something after the port"),
            ("grpc://host:1?x=y", "something after the port"),
            ("grpc://ho st", "is not valid"),
        ] {
            let error = ServerUrl::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(error.message().contains(says), "{text}: {error}");
            assert!(error.message().contains("grpc+tls://HOST:PORT"), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        for text in [
            "grpc://user:hunter2@host:1",
            "grpc://hunter2@host",
            "grpc://user:hunter2@",
            "hunter2@host",
        ] {
            let error = ServerUrl::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn credentials_stay_on_the_host_and_do_not_leave_tls() {
        let url = |text| ServerUrl::parse(text).unwrap();
        for (from, to, safe) in [
            ("grpc://host:1", "grpc://host:2", true),
            ("grpc://host:1", "grpc+tls://host:2", true),
            ("grpc+tls://host:1", "grpc+tls://host:2", true),
            ("grpc+tls://host:1", "grpc://host:2", false),
            ("grpc+tls://host:1", "grpc+tls://elsewhere:1", false),
        ] {
            assert_eq!(url(from).may_share_credentials_with(&url(to)), safe, "{from} {to}");
        }
    }

    #[test]
    fn a_location_over_http_is_not_a_flight_server() {
        let error = ServerUrl::parse_location("https://bucket.example/part-0.arrow?signature=x").unwrap_err();
        assert_ne!(error.kind(), ErrorKind::Internal);
        assert_eq!(
            ServerUrl::parse_location("https://bucket.example").unwrap_err().kind(),
            ErrorKind::Unsupported
        );
        assert!(ServerUrl::parse_location("grpc+tcp://host:1").is_ok());
    }
}
