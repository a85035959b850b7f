//! One case, what came of it, and the runner.

use std::time::Duration;

use futures::future::BoxFuture;
use serde::Serialize;

use super::cases;
use super::target::InteropTarget;
use crate::suite::Failure;

/// The longest that a case may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Good,
    /// The server says that it does not offer what the case needs.
    NotOffered,
    /// It does not hold, for whatever reason.
    Failed,
}

/// What a case found: good with a detail, or not offered with the server's words. A failure is an `Err`.
pub(super) struct Found(pub(super) Verdict, pub(super) String);

impl Found {
    pub(super) fn good(detail: impl Into<String>) -> Self {
        Self(Verdict::Good, detail.into())
    }
}

pub(super) type Outcome = Result<Found, Failure>;

/// One thing that the client has to be able to do with a server.
pub struct InteropCase {
    /// The name, which is its id: lowercase words with dashes.
    pub name: &'static str,
    /// What it proves, for the table.
    pub proves: &'static str,
    pub(super) applies: fn(&InteropTarget) -> bool,
    pub(super) run: for<'a> fn(&'a InteropTarget) -> BoxFuture<'a, Outcome>,
}

/// What came of a case at one server, as a line of JSON.
#[derive(Clone, Debug, Serialize)]
pub struct InteropReport {
    /// The name of the case.
    pub case: &'static str,
    /// What it proves.
    pub proves: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// What was seen, or why it failed.
    pub detail: String,
}

/// All cases, in the order in which they are run.
pub fn interop_cases() -> Vec<InteropCase> {
    cases::all()
}

/// Runs the cases that a server can be asked, one after another, and gives each to `report` as it ends.
pub async fn run_interop(target: &InteropTarget, only: &[String], mut report: impl FnMut(InteropReport)) {
    for case in interop_cases() {
        let wanted = only.is_empty() || only.iter().any(|name| name == case.name);
        if !wanted || !(case.applies)(target) {
            continue;
        }
        let outcome = tokio::time::timeout(PATIENCE, (case.run)(target)).await;
        let (verdict, detail) = match outcome {
            Ok(Ok(Found(verdict, detail))) => (verdict, detail),
            Ok(Err(failure)) => (Verdict::Failed, failure.to_string()),
            Err(_) => (Verdict::Failed, format!("not over after {} s", PATIENCE.as_secs())),
        };
        report(InteropReport {
            case: case.name,
            proves: case.proves,
            verdict,
            detail,
        });
    }
}
