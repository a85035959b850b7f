//! One case: a question to a lake, and what came of it.

use std::collections::BTreeMap;
use std::fmt;

use futures::future::BoxFuture;
use lakepilot_query::Error;

use super::Context;

/// What a case found, or why it failed.
pub type Outcome = Result<Observations, Failure>;

/// One thing that every lake has to do.
///
/// What must hold within a lake (a count, an order, a partition that is gone) the case checks itself. What depends on the
/// server and not on its data (a type, an error's kind, the first word of a message) it observes, and the runner compares
/// that with what the real service did.
pub struct Case {
    /// The name, which is its id: lowercase words with dashes.
    pub name: &'static str,
    /// What it proves, for the table.
    pub proves: &'static str,
    /// The case itself.
    pub run: for<'a> fn(&'a Context) -> BoxFuture<'a, Outcome>,
}

/// What was observed, by name. Nothing in it depends on the data of the lake, so that it can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observations(pub(crate) BTreeMap<String, String>);

impl Observations {
    /// Notes an observation.
    pub fn note(&mut self, what: impl Into<String>, seen: impl fmt::Display) {
        self.0.insert(what.into(), seen.to_string());
    }
}

/// Why a case failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub(crate) String);

impl Failure {
    /// A failure with its reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut text = format!("{}: {error}", error.kind());
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text.push_str(&format!("; caused by {cause}"));
            source = cause.source();
        }
        Self(text)
    }
}

/// Fails with the reason unless the condition holds.
pub(crate) fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure(reason())) }
}

/// Fails unless both are equal; `what` says what they are.
pub(crate) fn ensure_equal<T: PartialEq + fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), Failure> {
    ensure(found == expected, || {
        format!("{what}: found {found:?}, expected {expected:?}")
    })
}
