//! What it means when there is no answer at all: the machine, the network or the handshake failed.
//!
//! A server that cannot be reached is `Unavailable`, and may be there in a moment. One that was reached and cannot be
//! talked to, be it for its certificate, is `Protocol`: asking again changes nothing.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use lakepilot_query::{Error, ErrorKind};
use rustls::CertificateError;
use tonic::{Code, Status};

use crate::address::ServerUrl;
use crate::proxy::ProxyError;
use crate::status::Call;

/// The error for a connection that could not be made.
pub(crate) fn from_connect_error(error: tonic::transport::Error, url: &ServerUrl, limit: Duration) -> Error {
    classify(&error, url, Some(limit))
        .unwrap_or_else(|| Error::new(ErrorKind::Unavailable, format!("cannot connect to {url}")))
        .with_source(error)
}

/// The error for a status that this side made up because the connection failed; `None` when the server sent it.
pub(crate) fn from_status(status: &Status, call: Call, url: &ServerUrl) -> Option<Error> {
    let Some(source) = status.source() else {
        // tonic's words for a connection whose task is gone.
        return status.message().starts_with("Service was not ready").then(|| {
            Error::new(
                ErrorKind::Unavailable,
                format!("the connection to {url} was closed before {call}"),
            )
        });
    };
    Some(classify(source, url, None).unwrap_or_else(|| match status.code() {
        Code::Internal => Error::new(
            ErrorKind::Protocol,
            format!(
                "what the server at {url} answered to {call} is not gRPC; {}",
                protocol_hint(url)
            ),
        ),
        _ => Error::new(
            ErrorKind::Unavailable,
            format!("the connection to {url} broke during {call}"),
        ),
    }))
}

/// What the chain of errors under a failed connection says, if it says anything known.
fn classify(error: &(dyn StdError + 'static), url: &ServerUrl, limit: Option<Duration>) -> Option<Error> {
    let mut dns = false;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = tls_error(error) {
            return Some(from_tls_error(tls, url));
        }
        if let Some(proxy) = error.downcast_ref::<ProxyError>() {
            return Some(proxy.to_error(url));
        }
        if let Some(expired) = error.downcast_ref::<tonic::TimeoutExpired>() {
            return Some(Error::new(
                ErrorKind::TimedOut,
                format!("the call to {url} ran out of time ({expired})"),
            ));
        }
        // The type of hyper's connector is private; its words are all there is.
        dns |= error.to_string().contains("dns error");
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(from_io_error(error, url, limit, dns));
        }
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return from_h2_error(error, url);
        }
        next = error.source();
    }
    None
}

/// The TLS error in this link of the chain. An I/O error does not name what it carries as its source, so that it has
/// to be looked into.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let carried = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref());
    carried.or_else(|| error.downcast_ref())
}

fn from_io_error(error: &io::Error, url: &ServerUrl, limit: Option<Duration>, dns: bool) -> Error {
    if let Some(alert) = alert_in_words(error) {
        return from_alert(&alert, url);
    }
    if dns {
        return Error::new(
            ErrorKind::Unavailable,
            format!("the host name of {url} cannot be resolved: check its spelling, and the network"),
        );
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::new(
            ErrorKind::Unavailable,
            format!("nothing answers at {url}: is the server running, and is the port the right one?"),
        ),
        io::ErrorKind::TimedOut => {
            let limit = limit
                .map(|limit| format!(" within the limit of {limit:?}"))
                .unwrap_or_default();
            Error::new(
                ErrorKind::TimedOut,
                format!("no connection to {url}{limit}: is the server running, and does a firewall let us through?"),
            )
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => Error::new(
            ErrorKind::Unavailable,
            format!("there is no route to {url}: check the network"),
        ),
        io::ErrorKind::UnexpectedEof if url.is_tls() && limit.is_some() => Error::new(
            ErrorKind::Protocol,
            format!(
                "the server at {url} hung up during the TLS handshake; {}",
                protocol_hint(url)
            ),
        ),
        _ => Error::new(ErrorKind::Unavailable, format!("the connection to {url} broke")),
    }
}

fn from_h2_error(error: &h2::Error, url: &ServerUrl) -> Option<Error> {
    if let Some(error) = error.get_io() {
        return Some(from_io_error(error, url, None, false));
    }
    match error.reason()? {
        h2::Reason::FRAME_SIZE_ERROR | h2::Reason::PROTOCOL_ERROR | h2::Reason::COMPRESSION_ERROR => Some(Error::new(
            ErrorKind::Protocol,
            format!(
                "what answers at {url} does not speak HTTP/2 as asked; {}",
                protocol_hint(url)
            ),
        )),
        h2::Reason::CANCEL => Some(Error::new(
            ErrorKind::Cancelled,
            format!("the server at {url} called the query off"),
        )),
        // How a server says goodbye when it is told to end, to calls that it has not begun with too.
        h2::Reason::NO_ERROR => Some(Error::new(
            ErrorKind::Unavailable,
            format!("the server at {url} closed the connection: is it shutting down?"),
        )),
        h2::Reason::ENHANCE_YOUR_CALM => Some(Error::new(
            ErrorKind::ResourceExhausted,
            format!("the server at {url} asks to be left alone for a while (HTTP/2 ENHANCE_YOUR_CALM)"),
        )),
        _ => None,
    }
}

fn from_tls_error(error: &rustls::Error, url: &ServerUrl) -> Error {
    use rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(certificate) => Error::new(ErrorKind::Protocol, certificate_message(certificate, url)),
        Tls::InvalidMessage(_) => Error::new(
            ErrorKind::Protocol,
            format!("what answers at {url} does not speak TLS; {}", protocol_hint(url)),
        ),
        Tls::AlertReceived(alert) => from_alert(&format!("{alert:?}"), url),
        Tls::NoApplicationProtocol => Error::new(
            ErrorKind::Protocol,
            format!("the server at {url} speaks TLS but not HTTP/2, which gRPC needs"),
        ),
        _ => Error::new(ErrorKind::Protocol, format!("the TLS handshake with {url} failed")),
    }
}

/// What the server said when it ended TLS, by the name that rustls has for it.
fn from_alert(alert: &str, url: &ServerUrl) -> Error {
    let message = match alert {
        "CertificateRequired" => format!("the server at {url} wants a client certificate: give one, and its key"),
        // A client sends these about the certificate of a server; a server has none but ours to speak of.
        "BadCertificate"
        | "UnsupportedCertificate"
        | "CertificateRevoked"
        | "CertificateExpired"
        | "CertificateUnknown"
        | "UnknownCA"
        | "DecryptError"
        | "AccessDenied" => format!(
            "the server at {url} does not accept the client certificate ({alert}), or wants one and was given none: give one \
             that is signed by an authority which the server trusts, and has not expired"
        ),
        _ => format!("the server at {url} refused the TLS handshake ({alert})"),
    };
    Error::new(ErrorKind::Protocol, message)
}

/// The alert that is in the words of an error. A server refuses our certificate when the handshake is over for this side, and
/// h2, which reads by then, keeps of an error only its words.
fn alert_in_words(error: &io::Error) -> Option<String> {
    let words = error.get_ref()?.to_string();
    Some(words.strip_prefix("received fatal alert: ")?.to_owned())
}

fn certificate_message(error: &CertificateError, url: &ServerUrl) -> String {
    match error {
        CertificateError::UnknownIssuer => format!(
            "the certificate of {url} is not signed by an authority that is trusted here: give the authority's certificate \
             (PEM) as the CA certificate"
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "the certificate of {url} is for another host name: use a name that it was made for in the URL, or give it as \
                 the TLS server name"
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!(
                "the certificate of {url} has expired: it has to be renewed on the server (or is the clock here wrong?)"
            )
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {url} is not valid yet: is the clock here wrong?")
        }
        CertificateError::Revoked => format!("the certificate of {url} was revoked by its authority"),
        // webpki's words for a certificate of an authority that a server uses as its own, as a self-signed one is.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => format!(
            "the certificate of {url} is that of an authority (self-signed?): the server needs one of its own, signed by that \
             authority, and the authority's certificate (PEM) goes here as the CA certificate"
        ),
        _ => format!("the certificate of {url} is not valid"),
    }
}

fn protocol_hint(url: &ServerUrl) -> &'static str {
    if url.is_tls() {
        "if it serves plain text, use grpc:// in place of grpc+tls://"
    } else {
        "if it serves TLS, use grpc+tls:// in place of grpc://"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(error: CertificateError) -> Error {
        let url = ServerUrl::parse("grpc+tls://lake.example").unwrap();
        let carried = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::InvalidCertificate(error));
        classify(&carried, &url, None).unwrap()
    }

    #[test]
    fn each_way_to_fail_has_its_advice() {
        let url = ServerUrl::parse("grpc://lake.example").unwrap();
        for (error, kind, says) in [
            (
                io::ErrorKind::ConnectionRefused,
                ErrorKind::Unavailable,
                "is the server running",
            ),
            (io::ErrorKind::TimedOut, ErrorKind::TimedOut, "within the limit of 3s"),
            (io::ErrorKind::HostUnreachable, ErrorKind::Unavailable, "no route"),
            (io::ErrorKind::ConnectionReset, ErrorKind::Unavailable, "broke"),
        ] {
            let error = classify(&io::Error::from(error), &url, Some(Duration::from_secs(3))).unwrap();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(
                error.message().contains(says) && error.message().contains("grpc://lake.example:50051"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_reset_says_why() {
        let url = ServerUrl::parse("grpc://lake.example").unwrap();
        for (reason, kind) in [
            (h2::Reason::FRAME_SIZE_ERROR, ErrorKind::Protocol),
            (h2::Reason::CANCEL, ErrorKind::Cancelled),
            (h2::Reason::ENHANCE_YOUR_CALM, ErrorKind::ResourceExhausted),
            (h2::Reason::REFUSED_STREAM, ErrorKind::Unavailable),
            (h2::Reason::NO_ERROR, ErrorKind::Unavailable),
            (h2::Reason::INTERNAL_ERROR, ErrorKind::Protocol),
        ] {
            let status = Status::from_error(Box::new(h2::Error::from(reason)));
            let error = from_status(&status, Call::Get, &url).unwrap();
            assert_eq!(error.kind(), kind, "{reason:?}: {error}");
        }
    }

    #[test]
    fn a_bad_certificate_says_which_way_it_is_bad() {
        for (error, says) in [
            (CertificateError::UnknownIssuer, "CA certificate"),
            (CertificateError::NotValidForName, "another host name"),
            (CertificateError::Expired, "expired"),
            (CertificateError::NotValidYet, "not valid yet"),
            (CertificateError::Revoked, "revoked"),
            (CertificateError::BadEncoding, "is not valid"),
        ] {
            let error = certificate(error);
            assert!(error.message().contains(says), "{error}");
        }
    }
}
