//! Errors as gRPC codes: the one table of them.

use lakepilot_query::{Error, ErrorKind};
use tonic::{Code, Status};
use uuid::Uuid;

/// The most that a message may take in the headers that carry it, in bytes. gRPC's C++ core, which pyarrow is made with,
/// takes 8 KiB of headers, and reports a longer answer as a failure of its own.
const MOST_HEADER_BYTES: usize = 5 * 1024;

fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidQuery | ErrorKind::InvalidInput => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::PermissionDenied => Code::PermissionDenied,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::TimedOut => Code::DeadlineExceeded,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::Unsupported => Code::Unimplemented,
        _ => Code::Internal,
    }
}

/// The status for the error of a query. Its message ends in `(query_id=<uuid>)`, with the lake's id where it gave one.
pub(crate) fn from_query_error(error: &Error, query_id: Uuid) -> Status {
    let mut message = error.message().to_owned();
    if let Some(position) = error.position()
        && !message.contains(&format!("ine {}, ", position.line))
        && !message.contains(&format!("ine: {}, ", position.line))
    {
        message.push_str(&format!(" (at line {}, column {})", position.line, position.column));
    }
    let own_id = query_id.to_string();
    let id = error.query_id().unwrap_or(&own_id);
    let tail = format!(" (query_id={id})");
    let message = message.strip_suffix(&tail).unwrap_or(&message);
    Status::new(code(error.kind()), shortened(message, &tail))
}

/// The status for an error that belongs to no query.
pub(crate) fn from_error(error: &Error) -> Status {
    Status::new(code(error.kind()), shortened(&error.to_string(), ""))
}

/// The status for what this server does not offer. The text says what to do instead.
pub(crate) fn not_offered(what: &str) -> Status {
    Status::unimplemented(what)
}

/// The status for what a server that shuts down did not finish.
pub(crate) fn shutting_down() -> Status {
    Status::unavailable("the server is shutting down; ask again when it is back")
}

/// The message and the tail after it, with the end of the message left out when both do not fit into the headers.
fn shortened(message: &str, tail: &str) -> String {
    const LEFT_OUT: &str = " ...";
    let room = MOST_HEADER_BYTES - header_bytes(tail) - header_bytes(LEFT_OUT);
    let mut used = 0;
    for (at, character) in message.char_indices() {
        used += header_bytes(character.encode_utf8(&mut [0; 4]));
        if used > room {
            return format!("{}{LEFT_OUT}{tail}", &message[..at]);
        }
    }
    format!("{message}{tail}")
}

/// How long a text is in a header, where a byte that is not plain ASCII is written as `%XX`.
fn header_bytes(text: &str) -> usize {
    let cost = |byte: u8| {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            1
        } else {
            3
        }
    };
    text.bytes().map(cost).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakepilot_query::Position;

    #[test]
    fn every_kind_has_its_code() {
        for (kind, expected) in [
            (ErrorKind::InvalidQuery, Code::InvalidArgument),
            (ErrorKind::NotFound, Code::NotFound),
            (ErrorKind::Unauthenticated, Code::Unauthenticated),
            (ErrorKind::PermissionDenied, Code::PermissionDenied),
            (ErrorKind::Unavailable, Code::Unavailable),
            (ErrorKind::TimedOut, Code::DeadlineExceeded),
            (ErrorKind::Cancelled, Code::Cancelled),
            (ErrorKind::ResourceExhausted, Code::ResourceExhausted),
            (ErrorKind::Unsupported, Code::Unimplemented),
            (ErrorKind::Protocol, Code::Internal),
            (ErrorKind::InvalidInput, Code::InvalidArgument),
            (ErrorKind::Io, Code::Internal),
            (ErrorKind::Internal, Code::Internal),
        ] {
            let status = from_query_error(&Error::new(kind, "x"), Uuid::nil());
            assert_eq!(status.code(), expected, "{kind}");
            assert_eq!(status.message(), "x (query_id=00000000-0000-0000-0000-000000000000)");
            assert_eq!(from_error(&Error::new(kind, "x")).code(), expected);
        }
    }

    #[test]
    fn the_id_and_the_place_are_told_once() {
        let place = Position { line: 2, column: 15 };
        for (message, expected) in [
            ("no table", "no table (at line 2, column 15) (query_id=lake)"),
            (
                "no table (at line 2, column 15)",
                "no table (at line 2, column 15) (query_id=lake)",
            ),
            (
                "found: X at Line: 2, Column: 15",
                "found: X at Line: 2, Column: 15 (query_id=lake)",
            ),
        ] {
            let error = Error::new(ErrorKind::InvalidQuery, message)
                .with_position(place)
                .with_query_id("lake");
            assert_eq!(from_query_error(&error, Uuid::nil()).message(), expected);
        }
        let told = Error::new(ErrorKind::Internal, "lost (query_id=lake)").with_query_id("lake");
        assert_eq!(from_query_error(&told, Uuid::nil()).message(), "lost (query_id=lake)");
    }

    #[test]
    fn a_long_message_keeps_its_id_and_fits() {
        for long in ["valid fields are a, b, ".repeat(1000), "漢字%".repeat(5000)] {
            let status = from_query_error(&Error::new(ErrorKind::Internal, long), Uuid::nil());
            assert!(
                status
                    .message()
                    .ends_with("... (query_id=00000000-0000-0000-0000-000000000000)")
            );
            assert!(header_bytes(status.message()) <= MOST_HEADER_BYTES);
            assert!(header_bytes(status.message()) > MOST_HEADER_BYTES - 20);
        }
    }
}
