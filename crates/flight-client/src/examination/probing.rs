//! Making calls, timing them, and judging what comes of them.

use std::time::{Duration, Instant};

use lakepilot_query::{Error, ErrorKind, Result};

use super::report::{CallReport, Verdict, milliseconds};
use crate::client::FlightClient;
use crate::connection::Connection;

/// So many calls in a row may go unanswered.
const MOST_SILENCES: usize = 3;

/// The most of a server's message that is told of a call, in characters.
const MOST_DETAIL: usize = 300;

/// The answer of a call that is right, and what there is to say of it.
pub(super) struct Right<T> {
    pub(super) detail: String,
    pub(super) answer: T,
}

/// An answer with something to say of it.
pub(super) fn right<T>(detail: impl Into<String>, answer: T) -> Result<Right<T>> {
    Ok(Right {
        detail: detail.into(),
        answer,
    })
}

/// The error of an answer that is not right.
pub(super) fn wrong(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, problem)
}

/// An examination under way.
pub(super) struct Probing<'a> {
    pub(super) client: &'a FlightClient,
    /// The server: all calls go to one, were there replicas.
    pub(super) home: Connection,
    repeats: usize,
    calls: Vec<CallReport>,
    actions: Vec<String>,
    failure: Option<Error>,
    silences: usize,
    gone: Option<String>,
}

impl<'a> Probing<'a> {
    pub(super) fn new(client: &'a FlightClient, repeats: usize) -> Self {
        Self {
            client,
            home: client.shared.connections.home(),
            repeats: repeats.max(1),
            calls: Vec::new(),
            actions: Vec::new(),
            failure: None,
            silences: 0,
            gone: None,
        }
    }

    /// Makes a call several times, and reports it. The answer is that of the last time, if all went well.
    pub(super) async fn call<T>(
        &mut self,
        call: &'static str,
        attempt: impl AsyncFn() -> Result<Right<T>>,
    ) -> Option<T> {
        self.call_times(call, self.repeats, attempt).await.ok()
    }

    /// Makes a call that is part of something once.
    pub(super) async fn call_once<T>(
        &mut self,
        call: &'static str,
        attempt: impl AsyncFn() -> Result<Right<T>>,
    ) -> Option<T> {
        self.call_times(call, 1, attempt).await.ok()
    }

    /// Makes a call without which the server is of no use.
    pub(super) async fn needed<T>(
        &mut self,
        call: &'static str,
        attempt: impl AsyncFn() -> Result<Right<T>>,
    ) -> Option<T> {
        match self.call_times(call, self.repeats, attempt).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.failure = Some(error.unwrap_or_else(|| {
                    Error::new(
                        ErrorKind::TimedOut,
                        "the server does not answer, so that no query was tried",
                    )
                }));
                None
            }
        }
    }

    /// The error is `None` when the call was not made.
    async fn call_times<T>(
        &mut self,
        call: &'static str,
        times: usize,
        attempt: impl AsyncFn() -> Result<Right<T>>,
    ) -> Result<T, Option<Error>> {
        if let Some(why) = &self.gone {
            let why = why.clone();
            self.not_tried(call, why);
            return Err(None);
        }
        let mut latencies = Vec::new();
        loop {
            let begun = Instant::now();
            let outcome = attempt().await;
            latencies.push(begun.elapsed());
            match outcome {
                Ok(right) if latencies.len() == times => {
                    self.silences = 0;
                    self.calls.push(CallReport {
                        call,
                        verdict: Verdict::Works,
                        detail: first_line(&right.detail),
                        latency_ms: Some(milliseconds(median(latencies))),
                    });
                    return Ok(right.answer);
                }
                Ok(_) => {}
                Err(error) => {
                    self.failed(call, latencies.len(), &error);
                    return Err(Some(error));
                }
            }
        }
    }

    fn failed(&mut self, call: &'static str, attempts: usize, error: &Error) {
        tracing::debug!(call, %error, "the call failed");
        let mut verdict = verdict(error);
        let mut detail = brief(error, call, &self.home.url.to_string());
        if attempts > 1 {
            detail = format!("worked, and then at attempt {attempts}: {detail}");
            verdict = Verdict::Wrong;
        }
        self.calls.push(CallReport {
            call,
            verdict,
            detail: first_line(&detail),
            latency_ms: None,
        });
        match error.kind() {
            ErrorKind::TimedOut => self.silences += 1,
            ErrorKind::Unavailable => self.gone = Some("the server was gone by then".to_owned()),
            _ => self.silences = 0,
        }
        if self.silences == MOST_SILENCES {
            self.gone = Some(format!("the server left {MOST_SILENCES} calls in a row unanswered"));
        }
    }

    /// Reports a call that is not made.
    pub(super) fn not_tried(&mut self, call: &'static str, why: impl Into<String>) {
        self.calls.push(CallReport {
            call,
            verdict: Verdict::NotTried,
            detail: why.into(),
            latency_ms: None,
        });
    }

    /// Has calls that are refused by their nature, such as one with an empty plan, count as refused.
    pub(super) fn refusal_was_meant(&mut self, call: &'static str, note: &str) {
        let Some(last) = self.calls.last_mut().filter(|last| last.call == call) else {
            return;
        };
        if last.verdict == Verdict::Wrong && self.gone.is_none() && self.silences == 0 {
            last.verdict = Verdict::Refused;
        }
        if last.verdict == Verdict::Refused {
            last.detail = first_line(&format!("{note}: {}", last.detail));
        }
    }

    /// A query was answered in another way, so that the server is of use.
    pub(super) fn is_of_use_all_the_same(&mut self) {
        self.failure = None;
    }

    pub(super) fn set_listed_actions(&mut self, actions: Vec<String>) {
        self.actions = actions;
    }

    pub(super) fn listed_actions(&self) -> &[String] {
        &self.actions
    }

    /// The reports, and why the server is of no use, if it is of none.
    pub(super) fn finish(self) -> (Vec<CallReport>, Option<Error>) {
        (self.calls, self.failure)
    }
}

/// What servers made with arrow-flight say of an action that they do not know, under INVALID_ARGUMENT.
const UNKNOWN_ACTION: &str = "The defined request is invalid";

fn verdict(error: &Error) -> Verdict {
    match error.kind() {
        ErrorKind::InvalidInput if error.message().contains(UNKNOWN_ACTION) => Verdict::Unimplemented,
        ErrorKind::Unsupported => Verdict::Unimplemented,
        ErrorKind::Unauthenticated
        | ErrorKind::PermissionDenied
        | ErrorKind::InvalidQuery
        | ErrorKind::InvalidInput
        | ErrorKind::NotFound
        | ErrorKind::ResourceExhausted => Verdict::Refused,
        _ => Verdict::Wrong,
    }
}

/// The message of an error without what the line of a call says already: the name of it, the address, and that the server does
/// not offer it.
fn brief(error: &Error, call: &str, url: &str) -> String {
    let text = error.message().replace(&format!(" at {url}"), "");
    let name = call.split(' ').next().unwrap_or_default();
    let unnamed = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
    let text = unnamed.unwrap_or(&text).to_owned();
    match text.split_once("the server does not offer this (") {
        Some((_, rest)) if error.kind() == ErrorKind::Unsupported => {
            let (_, said) = rest.split_once(')').unwrap_or_default();
            said.trim_start_matches([':', ' ']).to_owned()
        }
        _ => text,
    }
}

fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default().trim_end();
    match line.char_indices().nth(MOST_DETAIL) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_one_short_line() {
        assert_eq!(first_line("  one \ntwo"), "one");
        assert_eq!(first_line(""), "");
        assert_eq!(first_line(&"é".repeat(1_000)).chars().count(), MOST_DETAIL + 3);
    }

    #[test]
    fn what_the_line_says_already_is_not_repeated() {
        let url = "grpc://lake:1";
        let of = |kind, text: &str| brief(&Error::new(kind, text), "GetTables with schemas", url);
        assert_eq!(of(ErrorKind::Protocol, "GetTables: it is damaged"), "it is damaged");
        assert_eq!(
            of(
                ErrorKind::Unsupported,
                "GetCatalogs: the server at grpc://lake:1 does not offer this (GetFlightInfo): no catalogs"
            ),
            "no catalogs"
        );
        assert_eq!(
            of(
                ErrorKind::Unsupported,
                "the server at grpc://lake:1 does not offer this (DoPut)"
            ),
            ""
        );
        assert_eq!(
            of(ErrorKind::TimedOut, "DoGet at grpc://lake:1 was not answered within 1s"),
            "DoGet was not answered within 1s"
        );
    }

    #[test]
    fn the_median_is_the_middle_one() {
        let of = |times: &[u64]| median(times.iter().map(|time| Duration::from_millis(*time)).collect());
        assert_eq!(of(&[9, 1, 5]), Duration::from_millis(5));
        assert_eq!(of(&[]), Duration::ZERO);
    }
}
