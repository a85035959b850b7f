//! The error that every Lakepilot crate returns.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The result of a Lakepilot operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What kind of failure an [`Error`] is: the part of it that a program may match on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The server, or the analyser, does not accept the SQL.
    InvalidQuery,
    /// Something that was named does not exist: a lake, a file, a partition, a process.
    NotFound,
    /// No credentials were given, or the server does not accept them.
    Unauthenticated,
    /// The credentials are good, and do not allow this.
    PermissionDenied,
    /// The server cannot be reached, or says that it cannot answer now.
    Unavailable,
    /// A time limit ran out.
    TimedOut,
    /// The caller, or the server, called it off.
    Cancelled,
    /// A budget ran out: memory, disk, message size, or a limit that the server's operator set.
    ResourceExhausted,
    /// The server does not offer what was asked.
    Unsupported,
    /// The server answered something that is not the protocol.
    Protocol,
    /// An argument, an option or a file from the user is not valid.
    InvalidInput,
    /// Reading or writing failed on this side.
    Io,
    /// A failure on the server, or here, that fits nowhere else.
    Internal,
}

impl ErrorKind {
    /// The kind as a few words for a person: `"invalid query"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidQuery => "invalid query",
            Self::NotFound => "not found",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission denied",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::ResourceExhausted => "resource exhausted",
            Self::Unsupported => "unsupported",
            Self::Protocol => "protocol error",
            Self::InvalidInput => "invalid input",
            Self::Io => "input/output error",
            Self::Internal => "internal error",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in the SQL text, as the server counts it: both numbers start at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: u64,
    /// The column in that line, in characters from 1.
    pub column: u64,
}

/// What failed, on what, and what to do about it.
///
/// The message is a lowercase fragment that reads well after "failed to ...: ". What the error wraps is its
/// [`source`](StdError::source), and is not repeated in the message.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    query_id: Option<String>,
    position: Option<Position>,
    retry_after: Option<Duration>,
    source: Option<Source>,
}

impl Error {
    /// An error of a kind with a message for a person.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                query_id: None,
                position: None,
                retry_after: None,
                source: None,
            }),
        }
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// The same error with the id under which the server logged the query.
    #[must_use]
    pub fn with_query_id(mut self, query_id: impl Into<String>) -> Self {
        self.inner.query_id = Some(query_id.into());
        self
    }

    /// The same error with its place in the SQL text.
    #[must_use]
    pub fn with_position(mut self, position: Position) -> Self {
        self.inner.position = Some(position);
        self
    }

    /// The same error with how long the server wants not to be asked again. It may be asked after that: see
    /// [`is_retryable`](Self::is_retryable).
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.inner.retry_after = Some(delay);
        self
    }

    /// The same error, told from one layer further up: `context` comes first in the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.inner.message = format!("{context}: {}", self.inner.message);
        self
    }

    /// The kind, to match on.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The message for a person, without the sources.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The id under which the server logged the query, where it told one.
    pub fn query_id(&self) -> Option<&str> {
        self.inner.query_id.as_deref()
    }

    /// The place in the SQL text, where the server told one.
    pub fn position(&self) -> Option<Position> {
        self.inner.position
    }

    /// How long the server wants not to be asked again, where it told so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// Whether the same call may succeed if it is made again, with nothing changed.
    ///
    /// An unavailable server is, and one that says when it may be asked again: a limit that ran out runs out again, and a
    /// refusal stays one.
    pub fn is_retryable(&self) -> bool {
        matches!(self.inner.kind, ErrorKind::Unavailable) || self.inner.retry_after.is_some()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        // The server writes its id into most messages already.
        match &self.inner.query_id {
            Some(id) if !self.inner.message.contains(id.as_str()) => write!(f, " (query_id={id})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("message", &self.inner.message)
            .field("query_id", &self.inner.query_id)
            .field("position", &self.inner.position)
            .field("retry_after", &self.inner.retry_after)
            .field("source", &self.inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(io_kind(&error), error.to_string()).with_source(error)
    }
}

fn io_kind(error: &std::io::Error) -> ErrorKind {
    match error.kind() {
        std::io::ErrorKind::NotFound => ErrorKind::NotFound,
        std::io::ErrorKind::TimedOut => ErrorKind::TimedOut,
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::ResourceExhausted,
        _ => ErrorKind::Io,
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        use arrow::error::ArrowError;
        let kind = match &error {
            ArrowError::IoError(_, io) => io_kind(io),
            ArrowError::IpcError(_) => ErrorKind::Protocol,
            ArrowError::NotYetImplemented(_) => ErrorKind::Unsupported,
            ArrowError::MemoryError(_) => ErrorKind::ResourceExhausted,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_id_is_told_once() {
        let bare = Error::new(ErrorKind::InvalidQuery, "no field named x").with_query_id("1f");
        assert_eq!(bare.to_string(), "no field named x (query_id=1f)");
        let told = Error::new(ErrorKind::InvalidQuery, "no field named x (query_id=1f)").with_query_id("1f");
        assert_eq!(told.to_string(), "no field named x (query_id=1f)");
    }

    #[test]
    fn context_comes_first_and_the_kind_stays() {
        let error = Error::from(std::io::Error::from(std::io::ErrorKind::NotFound)).context("open the lake /x");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with("open the lake /x: "), "{error}");
        assert!(error.source().is_some());
    }

    #[test]
    fn a_server_that_says_when_is_asked_again() {
        let busy = Error::new(ErrorKind::ResourceExhausted, "too many queries");
        assert!(!busy.is_retryable());
        let busy = busy.with_retry_after(Duration::from_secs(2)).context("run");
        assert_eq!(
            (busy.is_retryable(), busy.retry_after()),
            (true, Some(Duration::from_secs(2)))
        );
    }

    #[test]
    fn only_an_unavailable_server_is_asked_again() {
        for (kind, retryable) in [
            (ErrorKind::Unavailable, true),
            (ErrorKind::TimedOut, false),
            (ErrorKind::ResourceExhausted, false),
            (ErrorKind::InvalidQuery, false),
        ] {
            assert_eq!(Error::new(kind, "x").is_retryable(), retryable, "{kind}");
        }
    }
}
