//! What an examination finds, in the form that is printed and kept.

use std::time::Duration;

use lakepilot_query::{Error, ServerInfo};
use serde::Serialize;

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was answered, and rightly.
    Works,
    /// The server has it, and says no: to these credentials, or to what was asked.
    Refused,
    /// The server does not have it.
    Unimplemented,
    /// The answer was not right, or there was none.
    Wrong,
    /// It was not made.
    NotTried,
}

impl Verdict {
    /// The verdict as a word or two for a person.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Refused => "refused",
            Self::Unimplemented => "unimplemented",
            Self::Wrong => "wrong",
            Self::NotTried => "not tried",
        }
    }
}

/// One call, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallReport {
    /// The call, in the words of Flight and Flight SQL.
    pub call: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// What it answered, or the first line of why not.
    pub detail: String,
    /// The median time of it in milliseconds, where it works.
    pub latency_ms: Option<f64>,
}

/// Who the server is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerFacts {
    /// Its address, as `grpc://HOST:PORT`.
    pub url: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// What it calls itself, if it does.
    pub name: Option<String>,
    /// The version that it says it has.
    pub version: Option<String>,
    /// The version of Arrow that it says it is made with.
    pub arrow_version: Option<String>,
}

impl ServerFacts {
    pub(super) fn new(url: String, tls: bool, info: Option<&ServerInfo>) -> Self {
        let said = |get: fn(&ServerInfo) -> Option<&str>| {
            let text = info.and_then(get)?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        Self {
            url,
            tls,
            name: said(ServerInfo::name),
            version: said(ServerInfo::version),
            arrow_version: said(ServerInfo::arrow_version),
        }
    }
}

/// How the server is reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConnectionFacts {
    /// The time that connecting took in milliseconds: TCP, TLS where there is one, HTTP/2.
    pub connect_ms: f64,
    /// The median time of a whole `SELECT 1` in milliseconds, over a connection that is there.
    pub warm_query_ms: Option<f64>,
    /// What the result of `SELECT 1` is made of, if there was one.
    pub result: Option<ResultFacts>,
}

impl ConnectionFacts {
    pub(super) fn new(connect: Duration, result: Option<ResultFacts>, calls: &[CallReport]) -> Self {
        let warm = calls.iter().find(|call| call.call == super::queries::QUERY);
        Self {
            connect_ms: milliseconds(connect),
            warm_query_ms: warm.and_then(|call| call.latency_ms),
            result,
        }
    }
}

/// What the result of `SELECT 1` is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ResultFacts {
    /// Its rows: one.
    pub rows: usize,
    /// Its batches.
    pub batches: usize,
    /// The bytes of all its messages, schema included.
    pub wire_bytes: u64,
    /// The parts that `GetFlightInfo` names.
    pub endpoints: usize,
    /// Whether a part names where it lies.
    pub has_locations: bool,
    /// Whether `GetFlightInfo` tells the columns of the result.
    pub schema_told: bool,
    /// The compression that the server chose when it was offered gzip and zstd, if any.
    pub compression: Option<String>,
}

/// What a server says that it can do beside what it does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// What it is about.
    pub claim: String,
    /// What the server says; `None` when it says nothing of it.
    pub says: Option<String>,
    /// What it does.
    pub does: String,
    /// Whether the two agree; `None` when that cannot be told.
    pub agrees: Option<bool>,
}

/// Everything that an examination found.
///
/// As JSON this is the document of `lakepilot doctor --format json`. Fields may be added to it; those that are there stay.
#[derive(Debug, Serialize)]
pub struct Examination {
    /// The form of this document: 1.
    pub format_version: u32,
    /// Who the server is.
    pub server: ServerFacts,
    /// How it is reached.
    pub connection: ConnectionFacts,
    /// Every call, in the order in which they were made.
    pub calls: Vec<CallReport>,
    /// What it says beside what it does.
    pub claims: Vec<Claim>,
    /// Whether it answers queries, which is all that Lakepilot cannot do without.
    pub usable: bool,
    /// Why it does not answer queries.
    #[serde(skip)]
    pub failure: Option<Error>,
}

/// To the microsecond, which is more than any of this repeats itself.
pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}
