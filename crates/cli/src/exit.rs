//! Exit codes, and the text of an error: the one place that decides both.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;

use lakepilot_query::{Error, ErrorKind};

use crate::signals::Signal;

/// How a command ended when it did not fail with an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All that was asked was done.
    Done,
    /// A check found something at or above the chosen severity.
    Findings,
    /// The server said that it did something, and looking again did not confirm it.
    NotVerified,
    /// The person said no, or there was nobody to ask.
    Declined,
    /// A signal ended it before it was done.
    Stopped(Signal),
}

impl Outcome {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 12,
            Self::NotVerified => 13,
            Self::Declined => 14,
            Self::Stopped(signal) => signal.exit_code(),
        }
    }
}

/// What a shell sees after Ctrl-C: 128 and the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// The exit code of an error, by its kind. README has the table.
pub(crate) fn exit_code(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::InvalidInput => 2,
        ErrorKind::InvalidQuery => 3,
        ErrorKind::NotFound => 4,
        ErrorKind::Unauthenticated | ErrorKind::PermissionDenied => 5,
        ErrorKind::Unavailable => 6,
        ErrorKind::TimedOut => 7,
        ErrorKind::ResourceExhausted => 8,
        ErrorKind::Unsupported => 9,
        ErrorKind::Protocol => 10,
        ErrorKind::Io => 11,
        ErrorKind::Cancelled => INTERRUPTED,
        _ => 1,
    }
}

/// Whether the reader of our output went away, which is no failure: `lakepilot query ... | head`. A connection to the server
/// that broke while something was sent is one, and of another kind.
pub(crate) fn is_broken_pipe(error: &Error) -> bool {
    if error.kind() != ErrorKind::Io {
        return false;
    }
    let mut source: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = source {
        if let Some(io) = current.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::BrokenPipe
        {
            return true;
        }
        source = current.source();
    }
    false
}

/// The error as a person reads it: the message, then each cause that adds something to it.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !told.is_empty() && !text.contains(&told) {
            let _ = write!(text, "\n  caused by: {told}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pipe_is_seen_through_its_wrappers() {
        let inner = Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        let outer = Error::new(ErrorKind::Io, "write the rows").with_source(inner);
        assert!(is_broken_pipe(&outer));
        assert!(!is_broken_pipe(&Error::new(ErrorKind::Io, "write the rows")));
        let connection = io::Error::from(io::ErrorKind::BrokenPipe);
        let lost = Error::new(ErrorKind::Unavailable, "the connection was lost").with_source(connection);
        assert!(!is_broken_pipe(&lost));
    }

    #[test]
    fn a_cause_is_told_when_it_adds_something() {
        let error = Error::new(ErrorKind::Unavailable, "cannot reach the server")
            .with_source(io::Error::other("connection refused"));
        assert_eq!(
            describe(&error),
            "cannot reach the server\n  caused by: connection refused"
        );
        let repeated = Error::from(io::Error::other("disk on fire"));
        assert_eq!(describe(&repeated), "disk on fire");
    }

    #[test]
    fn codes_of_kinds_do_not_collide_with_outcomes() {
        let outcomes = [Outcome::Findings, Outcome::NotVerified, Outcome::Declined].map(Outcome::exit_code);
        for kind in [
            ErrorKind::InvalidQuery,
            ErrorKind::NotFound,
            ErrorKind::Unauthenticated,
            ErrorKind::Unavailable,
            ErrorKind::Io,
            ErrorKind::Internal,
        ] {
            assert!(!outcomes.contains(&exit_code(&Error::new(kind, "x"))), "{kind}");
        }
    }
}
