//! What a user may send as a header, and what not.

use http::header::{HeaderName, HeaderValue};
use lakepilot_query::{Error, ErrorKind, Result};

/// What the client itself puts on a call, from the query.
const FROM_THE_QUERY: [&str; 4] = ["query_range_begin", "query_range_end", "limit", "preserve_dictionary"];

/// What belongs to HTTP/2 and gRPC.
const RESERVED: [&str; 11] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// A header name that a gRPC call can carry, in lower case.
pub(crate) fn header_name(name: &str) -> Result<HeaderName> {
    let refuse = |problem: &str| {
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the header '{}' {problem}", name.escape_debug()),
        ))
    };
    let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
        return refuse("has a name that cannot be sent: use letters, digits, '-', '_' and '.'");
    };
    let lower = parsed.as_str();
    if FROM_THE_QUERY.contains(&lower) {
        return refuse("is sent from the query: set its time range, limit or dictionaries instead");
    }
    if RESERVED.contains(&lower) || lower.starts_with("grpc-") {
        return refuse("belongs to the protocol and cannot be set");
    }
    if lower.ends_with("-bin") {
        return refuse("would be binary for gRPC, and only text can be sent: give it another name");
    }
    Ok(parsed)
}

/// A header value that a gRPC call can carry, marked so that nothing prints it. The value is not in the error: it may
/// be a secret.
pub(crate) fn secret_value(name: &str, value: &str) -> Result<HeaderValue> {
    let mut value = plain_value(name, value)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A header value that a gRPC call can carry.
pub(crate) fn plain_value(name: &str, value: &str) -> Result<HeaderValue> {
    let printable = value.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    let trimmed = value.trim();
    match HeaderValue::from_str(trimmed) {
        Ok(header) if printable && !trimmed.is_empty() => Ok(header),
        _ => {
            let problem = if trimmed.is_empty() {
                "is empty"
            } else {
                "has characters that cannot be sent (line breaks, controls or non-ASCII)"
            };
            Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the value of the header '{name}' {problem}"),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_of_the_guide_are_accepted() {
        for name in [
            "authorization",
            "X-Tenant-Id",
            "x-request-id",
            "x-api-key",
            "x-client-version",
            "under_score",
        ] {
            assert_eq!(header_name(name).unwrap().as_str(), name.to_lowercase());
        }
    }

    #[test]
    fn a_bad_name_says_what_is_wrong() {
        for (name, says) in [
            ("", "cannot be sent"),
            ("two words", "cannot be sent"),
            ("line\nbreak", "cannot be sent"),
            (":path", "cannot be sent"),
            ("ключ", "cannot be sent"),
            ("limit", "sent from the query"),
            ("Query_Range_Begin", "sent from the query"),
            ("grpc-timeout", "belongs to the protocol"),
            ("Content-Type", "belongs to the protocol"),
            ("trace-bin", "binary"),
        ] {
            let error = header_name(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(says), "{name}: {error}");
        }
    }

    #[test]
    fn a_bad_value_is_refused_and_not_repeated() {
        for value in ["hunter2\n", "hunter2\u{0}x", "hunter2 ключ", "hunter2\tx"] {
            let error = secret_value("authorization", value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
            assert!(error.message().contains("authorization"), "{error}");
        }
        assert!(plain_value("x", "  ").unwrap_err().message().contains("is empty"));
    }

    #[test]
    fn a_secret_value_is_not_printed() {
        let value = secret_value("authorization", "Bearer hunter2").unwrap();
        assert!(value.is_sensitive());
        assert!(!format!("{value:?}").contains("hunter2"));
    }
}
