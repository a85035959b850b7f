//! What a gRPC status means here: the one place where codes and server messages become an [`ErrorKind`].

use std::fmt;

use lakepilot_query::{Error, ErrorKind, Position};
use tonic::{Code, Status};

use crate::address::ServerUrl;
use crate::failure;
use crate::retry_info::retry_after;

/// What was asked of the server, for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    FlightInfo,
    Get,
    Prepare,
    ClosePrepared,
    Ingest,
    Cancel,
    Renew,
    Poll,
    Schema,
    Update,
    Bind,
    UpdatePrepared,
    BeginTransaction,
    EndTransaction,
    BeginSavepoint,
    EndSavepoint,
    CancelQuery,
    Handshake,
    ListFlights,
    ListActions,
    Exchange,
}

impl Call {
    /// Whether an argument that the server refuses is the SQL.
    fn carries_sql(self) -> bool {
        matches!(
            self,
            Self::FlightInfo | Self::Get | Self::Prepare | Self::Poll | Self::Schema | Self::Update
        )
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FlightInfo => "GetFlightInfo",
            Self::Get => "DoGet",
            Self::Prepare => "CreatePreparedStatement",
            Self::ClosePrepared => "ClosePreparedStatement",
            Self::Ingest => "DoPut",
            Self::Cancel => "CancelFlightInfo",
            Self::Renew => "RenewFlightEndpoint",
            Self::Poll => "PollFlightInfo",
            Self::Schema => "GetSchema",
            Self::Update => "DoPut of StatementUpdate",
            Self::Bind => "DoPut of the parameters of a prepared statement",
            Self::UpdatePrepared => "DoPut of PreparedStatementUpdate",
            Self::BeginTransaction => "BeginTransaction",
            Self::EndTransaction => "EndTransaction",
            Self::BeginSavepoint => "BeginSavepoint",
            Self::EndSavepoint => "EndSavepoint",
            Self::CancelQuery => "CancelQuery",
            Self::Handshake => "Handshake",
            Self::ListFlights => "ListFlights",
            Self::ListActions => "ListActions",
            Self::Exchange => "DoExchange",
        })
    }
}

/// The most of a server's message that is kept, in bytes: enough for the longest list of valid fields.
const MOST_MESSAGE_BYTES: usize = 16 * 1024;

/// The error that a status is, for a call to that server.
pub(crate) fn error_from_status(status: Status, call: Call, url: &ServerUrl) -> Error {
    if let Some(error) = failure::from_status(&status, call, url) {
        return error.with_source(status);
    }
    let text = shortened(status.message());
    let kind = kind_of(status.code(), text, call);
    let message = match kind {
        ErrorKind::InvalidQuery => format!("the server does not accept the query: {text}"),
        ErrorKind::Unauthenticated => {
            format!("the server at {url} does not accept the credentials (a token, an API key or a header): {text}")
        }
        ErrorKind::PermissionDenied => format!("the server at {url} does not allow this: {text}"),
        ErrorKind::Unsupported => format!("the server at {url} does not offer this ({call}): {text}"),
        ErrorKind::ResourceExhausted if is_too_large(status.code(), text) => format!(
            "{call} at {url} answered with a message over the size limit; raise the limit, or ask for smaller batches: {text}"
        ),
        _ => format!("{call} at {url} failed: {text}"),
    };
    let mut error = Error::new(kind, message.trim_end_matches([' ', ':']).to_owned());
    if let Some(query_id) = query_id(status.message()) {
        error = error.with_query_id(query_id);
    }
    if let Some(position) = position(status.message()) {
        error = error.with_position(position);
    }
    if let Some(delay) = retry_after(&status) {
        error = error.with_retry_after(delay);
    }
    error
}

/// The kind for a code that the server sent, with the help of its message where the code says too little.
fn kind_of(code: Code, text: &str, call: Call) -> ErrorKind {
    match code {
        // Servers made with tonic report their own time limit as a cancellation.
        Code::Cancelled if text == "Timeout expired" => ErrorKind::TimedOut,
        Code::Cancelled | Code::Aborted => ErrorKind::Cancelled,
        Code::InvalidArgument if text.contains("query_range_") => ErrorKind::InvalidInput,
        Code::InvalidArgument if call.carries_sql() => ErrorKind::InvalidQuery,
        Code::InvalidArgument | Code::AlreadyExists => ErrorKind::InvalidInput,
        Code::OutOfRange if is_too_large(code, text) => ErrorKind::ResourceExhausted,
        Code::OutOfRange => ErrorKind::InvalidInput,
        Code::DeadlineExceeded => ErrorKind::TimedOut,
        Code::NotFound => ErrorKind::NotFound,
        Code::PermissionDenied => ErrorKind::PermissionDenied,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
        Code::ResourceExhausted => ErrorKind::ResourceExhausted,
        Code::Unimplemented => ErrorKind::Unsupported,
        Code::Unavailable => ErrorKind::Unavailable,
        // tonic's words for a stream that ends without a status, and for a message it cannot take apart.
        Code::Unknown if text.contains("missing grpc-status") => ErrorKind::Protocol,
        Code::Internal if is_undecodable(text) => ErrorKind::Protocol,
        Code::Internal | Code::Unknown if call.carries_sql() => kind_by_message(text),
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss | Code::FailedPrecondition => ErrorKind::Internal,
    }
}

/// tonic's words for a message over the limit, which it reports as if the server had.
fn is_too_large(code: Code, text: &str) -> bool {
    code == Code::OutOfRange && text.contains("message length too large")
}

fn is_undecodable(text: &str) -> bool {
    [
        "failed to decode Protobuf message",
        "protocol error: ",
        "Unexpected EOF decoding stream",
        "Missing response message",
    ]
    .iter()
    .any(|words| text.starts_with(words))
}

/// What DataFusion, and what is built on it, says of SQL that it does not accept; older servers send it under `INTERNAL`. Only wordings that
/// cannot come from running a query are in the list: a division by zero or a bad cast stays an internal error.
const BAD_SQL: [&str; 13] = [
    "SQL error: ",
    "ParserError(",
    "No field named ",
    "Ambiguous reference to unqualified field",
    "Invalid function '",
    "Error during planning: ",
    "Schema error: ",
    "Projections require unique expression names",
    "query range mandatory for",
    "type_coercion",
    "Failed to coerce",
    // Sail's words.
    "plan error: analysis error: ",
    "plan error: not supported: unknown function",
];

const UNSUPPORTED_SQL: [&str; 2] = ["This feature is not implemented: ", "Unsupported SQL statement"];

fn kind_by_message(text: &str) -> ErrorKind {
    let has = |words: &[&str]| words.iter().any(|words| text.contains(words));
    let planning = [
        "error building dataframe",
        "error creating physical plan",
        "error preparing",
    ]
    .iter()
    .any(|prefix| text.trim_start().starts_with(prefix));
    let unknown_table = text.contains("table '") && text.contains("' not found");
    if has(&BAD_SQL) || (planning && unknown_table) {
        ErrorKind::InvalidQuery
    } else if (planning && has(&UNSUPPORTED_SQL)) || text.starts_with("plan error: not supported: ") {
        ErrorKind::Unsupported
    } else {
        ErrorKind::Internal
    }
}

/// The id in `(query_id=<uuid>)`.
fn query_id(text: &str) -> Option<&str> {
    let (_, rest) = text.rsplit_once("(query_id=")?;
    let (id, _) = rest.split_once(')')?;
    uuid::Uuid::try_parse(id).ok().map(|_| id)
}

/// The place in `(at line L, column C)`, or in the parser's `at Line: L, Column: C`.
fn position(text: &str) -> Option<Position> {
    [("(at line ", ", column "), ("at Line: ", ", Column: ")]
        .into_iter()
        .find_map(|(before_line, before_column)| {
            let (_, rest) = text.split_once(before_line)?;
            let (line, rest) = leading_number(rest)?;
            let (column, _) = leading_number(rest.strip_prefix(before_column)?)?;
            Some(Position { line, column })
        })
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

fn shortened(text: &str) -> &str {
    let text = text.trim();
    let mut end = text.len().min(MOST_MESSAGE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: Code, text: &str, call: Call) -> Error {
        let url = ServerUrl::parse("grpc://lake.example").unwrap();
        error_from_status(Status::new(code, text), call, &url)
    }

    #[test]
    fn every_code_has_its_kind() {
        for (code, in_query, in_ingest) in [
            (Code::Cancelled, ErrorKind::Cancelled, ErrorKind::Cancelled),
            (Code::Unknown, ErrorKind::Internal, ErrorKind::Internal),
            (Code::InvalidArgument, ErrorKind::InvalidQuery, ErrorKind::InvalidInput),
            (Code::DeadlineExceeded, ErrorKind::TimedOut, ErrorKind::TimedOut),
            (Code::NotFound, ErrorKind::NotFound, ErrorKind::NotFound),
            (Code::AlreadyExists, ErrorKind::InvalidInput, ErrorKind::InvalidInput),
            (
                Code::PermissionDenied,
                ErrorKind::PermissionDenied,
                ErrorKind::PermissionDenied,
            ),
            (
                Code::ResourceExhausted,
                ErrorKind::ResourceExhausted,
                ErrorKind::ResourceExhausted,
            ),
            (Code::FailedPrecondition, ErrorKind::Internal, ErrorKind::Internal),
            (Code::Aborted, ErrorKind::Cancelled, ErrorKind::Cancelled),
            (Code::OutOfRange, ErrorKind::InvalidInput, ErrorKind::InvalidInput),
            (Code::Unimplemented, ErrorKind::Unsupported, ErrorKind::Unsupported),
            (Code::Internal, ErrorKind::Internal, ErrorKind::Internal),
            (Code::Unavailable, ErrorKind::Unavailable, ErrorKind::Unavailable),
            (Code::DataLoss, ErrorKind::Internal, ErrorKind::Internal),
            (
                Code::Unauthenticated,
                ErrorKind::Unauthenticated,
                ErrorKind::Unauthenticated,
            ),
        ] {
            assert_eq!(error(code, "x", Call::Get).kind(), in_query, "{code:?}");
            assert_eq!(error(code, "x", Call::Ingest).kind(), in_ingest, "{code:?}");
        }
    }

    #[test]
    fn messages_tell_what_a_code_does_not() {
        for (code, text, kind) in [
            (
                Code::Internal,
                "error building dataframe: Error during planning: table 'datafusion.public.nope' not found (at line 1, column 15)",
                ErrorKind::InvalidQuery,
            ),
            (
                Code::Internal,
                "error building dataframe: table 'datafusion.public.nope' not found",
                ErrorKind::InvalidQuery,
            ),
            (
                Code::Internal,
                "error building dataframe: Schema error: No field named nope. Valid fields are a, b.",
                ErrorKind::InvalidQuery,
            ),
            (
                Code::Internal,
                "error building dataframe: Invalid function 'foo'.\nDid you mean 'floor'?",
                ErrorKind::InvalidQuery,
            ),
            (
                Code::Internal,
                "error building dataframe: SQL error: ParserError(\"Expected: an SQL statement, found: SELEC at Line: 1, Column: 1\")",
                ErrorKind::InvalidQuery,
            ),
            (
                Code::Unknown,
                "error creating physical plan: Error during planning: x",
                ErrorKind::InvalidQuery,
            ),
            (
                Code::Internal,
                "plan error: analysis error: Table not found: [TABLE_OR_VIEW_NOT_FOUND] Table or view not found: nope",
                ErrorKind::InvalidQuery,
            ),
            (
                Code::Internal,
                "plan error: not supported: unknown function: nope",
                ErrorKind::InvalidQuery,
            ),
            (
                Code::Internal,
                "plan error: not supported: a feature",
                ErrorKind::Unsupported,
            ),
            (
                Code::Internal,
                "plan error: error in DataFusion: Optimizer rule 'simplify_expressions' failed\ncaused by\nArrow error: Cast error: x",
                ErrorKind::Internal,
            ),
            (
                Code::Internal,
                "error building dataframe: query range mandatory for thread spans view",
                ErrorKind::InvalidQuery,
            ),
            (
                Code::Internal,
                "error building dataframe: This feature is not implemented: MERGE",
                ErrorKind::Unsupported,
            ),
            (
                Code::Internal,
                "error building dataframe: process 0b7e not found",
                ErrorKind::Internal,
            ),
            (
                Code::Internal,
                "error building dataframe: connection to server closed",
                ErrorKind::Internal,
            ),
            (
                Code::Internal,
                "error building data stream: Arrow error: Divide by zero error",
                ErrorKind::Internal,
            ),
            (
                Code::Internal,
                "error building data stream: Arrow error: Cast error: Cannot cast string 'x' to value of Int64 type",
                ErrorKind::Internal,
            ),
            (Code::Internal, "lost table 'x': file not found", ErrorKind::Internal),
            (
                Code::ResourceExhausted,
                "query denied by rule no-full-scans",
                ErrorKind::ResourceExhausted,
            ),
            (
                Code::InvalidArgument,
                "Unable to parse query_range_begin as a rfc3339 datetime",
                ErrorKind::InvalidInput,
            ),
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes",
                ErrorKind::ResourceExhausted,
            ),
            (
                Code::Unknown,
                "protocol error: missing grpc-status trailer, stream was terminated",
                ErrorKind::Protocol,
            ),
            (
                Code::Internal,
                "failed to decode Protobuf message: invalid wire type",
                ErrorKind::Protocol,
            ),
            (Code::Cancelled, "Timeout expired", ErrorKind::TimedOut),
        ] {
            let error = error(code, text, Call::FlightInfo);
            assert_eq!(error.kind(), kind, "{text}");
            assert!(error.message().ends_with(text), "{error}");
        }
        // Ingestion carries no SQL, so that no wording makes it a bad query.
        assert_eq!(
            error(Code::Internal, "Schema error: No field named x", Call::Ingest).kind(),
            ErrorKind::Internal
        );
    }

    #[test]
    fn the_query_id_and_the_place_are_read() {
        let id = "5f0d4c3e-2b1a-4c9d-8e7f-0a1b2c3d4e5f";
        let text = format!(
            "error building dataframe: table 'datafusion.public.nope' not found (at line 2, column 15) (query_id={id})"
        );
        let error = error(Code::InvalidArgument, &text, Call::FlightInfo);
        assert_eq!(error.query_id(), Some(id));
        assert_eq!(error.position(), Some(Position { line: 2, column: 15 }));

        for (text, expected) in [
            (
                "ParserError(\"found: SELEC at Line: 3, Column: 7\")",
                Some(Position { line: 3, column: 7 }),
            ),
            ("(at line 1)", None),
            ("(at line 99999999999999999999, column 1)", None),
            ("(at line , column 2)", None),
            ("column 3", None),
        ] {
            assert_eq!(position(text), expected, "{text}");
        }
        for text in ["(query_id=not-a-uuid)", "(query_id=", "query_id=5", ""] {
            assert_eq!(query_id(text), None, "{text}");
        }
    }

    #[test]
    fn a_message_of_megabytes_is_cut() {
        let error = error(Code::Internal, &"é".repeat(5_000_000), Call::Get);
        assert!(
            error.message().len() < MOST_MESSAGE_BYTES + 200,
            "{}",
            error.message().len()
        );
    }

    #[test]
    fn an_empty_message_leaves_no_loose_colon() {
        assert_eq!(
            error(Code::Internal, "", Call::Get).message(),
            "DoGet at grpc://lake.example:50051 failed"
        );
    }
}
