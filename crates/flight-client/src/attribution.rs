//! What a call says of the program that makes it.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use lakepilot_query::Result;
use uuid::Uuid;

use crate::headers::plain_value;

/// What a server may note in its audit log about who asks: sent as `x-client-...` headers with every call.
///
/// It proves nothing and grants nothing. The names, and `none` for a program that no agent drives, are those that the
/// Micromegas service and its Python client use.
///
/// ```
/// use lakepilot_flight_client::Attribution;
/// # fn main() -> lakepilot_query::Result<()> {
/// let attribution = Attribution::new().with_entrypoint("nightly-report")?;
/// # let _ = attribution;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Attribution {
    headers: HeaderMap,
}

impl Attribution {
    /// The defaults: `x-client-type: lakepilot`, `x-client-agent: none`, `x-client-entrypoint: library` and a random
    /// `x-client-session`, by which the calls of one client can be found together.
    pub fn new() -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(TYPE, HeaderValue::from_static("lakepilot"));
        headers.insert(AGENT, HeaderValue::from_static("none"));
        headers.insert(ENTRYPOINT, HeaderValue::from_static("library"));
        if let Ok(session) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
            headers.insert(SESSION, session);
        }
        Self { headers }
    }

    /// The kind of client (`x-client-type`).
    ///
    /// # Errors
    /// `InvalidInput` when the text is empty or not printable ASCII; the same goes for the methods below.
    pub fn with_type(self, text: &str) -> Result<Self> {
        self.with(TYPE, text)
    }

    /// The agent that drives the program (`x-client-agent`).
    ///
    /// # Errors
    /// As [`with_type`](Self::with_type).
    pub fn with_agent(self, text: &str) -> Result<Self> {
        self.with(AGENT, text)
    }

    /// How the program was started (`x-client-entrypoint`), such as `cli-query`.
    ///
    /// # Errors
    /// As [`with_type`](Self::with_type).
    pub fn with_entrypoint(self, text: &str) -> Result<Self> {
        self.with(ENTRYPOINT, text)
    }

    /// What makes several calls one piece of work (`x-client-session`).
    ///
    /// # Errors
    /// As [`with_type`](Self::with_type).
    pub fn with_session(self, text: &str) -> Result<Self> {
        self.with(SESSION, text)
    }

    /// The notebook that the call comes from (`x-client-notebook`).
    ///
    /// # Errors
    /// As [`with_type`](Self::with_type).
    pub fn with_notebook(self, text: &str) -> Result<Self> {
        self.with(NOTEBOOK, text)
    }

    /// The cell of that notebook (`x-client-cell`).
    ///
    /// # Errors
    /// As [`with_type`](Self::with_type).
    pub fn with_cell(self, text: &str) -> Result<Self> {
        self.with(CELL, text)
    }

    fn with(mut self, name: HeaderName, text: &str) -> Result<Self> {
        let value = plain_value(name.as_str(), text)?;
        self.headers.insert(name, value);
        Ok(self)
    }

    pub(crate) fn as_headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl Default for Attribution {
    fn default() -> Self {
        Self::new()
    }
}

const TYPE: HeaderName = HeaderName::from_static("x-client-type");
const AGENT: HeaderName = HeaderName::from_static("x-client-agent");
const ENTRYPOINT: HeaderName = HeaderName::from_static("x-client-entrypoint");
const SESSION: HeaderName = HeaderName::from_static("x-client-session");
const NOTEBOOK: HeaderName = HeaderName::from_static("x-client-notebook");
const CELL: HeaderName = HeaderName::from_static("x-client-cell");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_is_a_session_of_its_own() {
        let (one, other) = (Attribution::new(), Attribution::new());
        assert_eq!(one.headers[TYPE], "lakepilot");
        assert_ne!(one.headers[SESSION], other.headers[SESSION]);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let error = Attribution::new().with_notebook("line\nbreak").unwrap_err();
        assert!(error.message().contains("x-client-notebook"), "{error}");
    }
}
