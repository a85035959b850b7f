//! Limits of time: of one call, of the waits within a result, and of all of it.

use std::future::Future;
use std::time::Duration;

use lakepilot_query::{Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::address::ServerUrl;
use crate::status::Call;

const SERVER_GRACE: Duration = Duration::from_millis(200);

/// How long the server may take, by what it is waited for. `None` is without a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// From a call to its whole answer, where the answer is one message: `GetFlightInfo` and the actions.
    pub(crate) plan: Option<Duration>,
    /// From `DoGet` to the first batch.
    pub(crate) first_batch: Option<Duration>,
    /// Between two batches, and between two signs of life of a server that is sent rows.
    pub(crate) gap: Option<Duration>,
    /// From the first call of a query to its last batch.
    pub(crate) total: Option<Duration>,
}

impl Default for Limits {
    /// A server that plans for more than a minute, or is silent for ten, hangs. A query may take as long as it brings rows.
    fn default() -> Self {
        Self {
            plan: Some(Duration::from_secs(60)),
            first_batch: Some(Duration::from_secs(600)),
            gap: Some(Duration::from_secs(600)),
            total: None,
        }
    }
}

/// When a query has to be over, if ever, and how long each wait in it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    limits: Limits,
    end: Option<(Instant, Duration)>,
}

impl Deadline {
    pub(crate) fn starting_now(limits: Limits) -> Self {
        // A limit too long to be counted is no limit.
        let end = limits
            .total
            .and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        Self { limits, end }
    }

    /// For one call that is answered at once.
    pub(crate) fn of_one_call(limit: Duration) -> Self {
        Self::starting_now(Limits {
            plan: Some(limit),
            total: None,
            ..Limits::default()
        })
    }

    /// For rows that are sent, which may take as long as they need.
    pub(crate) fn of_ingestion(limits: Limits) -> Self {
        Self::starting_now(Limits { total: None, ..limits })
    }

    /// For the parameters of a statement: the server has nothing to do but to keep them.
    pub(crate) fn of_binding(mut self) -> Self {
        self.limits.gap = self.limits.plan;
        self
    }

    pub(crate) fn plan(&self) -> Patience {
        Patience::new(self.limits.plan, What::Answer)
    }

    pub(crate) fn first_batch(&self) -> Patience {
        Patience::new(self.limits.first_batch, What::FirstBatch)
    }

    pub(crate) fn gap(&self) -> Patience {
        Patience::new(self.limits.gap, What::NextBatch)
    }

    /// For what has a limit of its own, or is none of the server's doing.
    pub(crate) fn no_wait(&self) -> Patience {
        Patience::new(None, What::Answer)
    }

    /// The time that is left, for the server to know: of a call that is waited for with this patience. It is told a little
    /// more, so that the limit on this side comes first: that one names the call.
    pub(crate) fn remaining_for_server(&self, patience: &Patience) -> Option<Duration> {
        let total = self.end.map(|(end, _)| end.saturating_duration_since(Instant::now()));
        let remaining = total.into_iter().chain(patience.left()).min()?;
        Some(remaining.saturating_add(SERVER_GRACE))
    }

    /// Waits for the work, which is part of a call to the server, and no longer than allowed. The error outside is that of
    /// a limit that ran out, the one inside that of the work.
    pub(crate) async fn bound<T>(
        &self,
        patience: &mut Patience,
        call: Call,
        url: &ServerUrl,
        work: impl Future<Output = Result<T>>,
    ) -> Result<Result<T>> {
        let start = Instant::now();
        let wait = patience.left().and_then(|left| start.checked_add(left));
        let Some(moment) = self.end.map(|(end, _)| end).into_iter().chain(wait).min() else {
            return Ok(work.await);
        };
        let outcome = tokio::time::timeout_at(moment, work).await;
        patience.spent += start.elapsed();
        outcome.map_err(|_| {
            let message = match self.end {
                Some((end, limit)) if end == moment => {
                    format!("the query did not end within its deadline of {limit:?}: it was called off during {call} at {url}")
                }
                _ => patience.exhausted(call, url),
            };
            Error::new(ErrorKind::TimedOut, message)
        })
    }
}

/// How long the server may take for one thing, over several waits: what the caller does in between is not counted.
#[derive(Debug)]
pub(crate) struct Patience {
    limit: Option<Duration>,
    spent: Duration,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Answer,
    FirstBatch,
    NextBatch,
}

impl Patience {
    fn new(limit: Option<Duration>, what: What) -> Self {
        Self {
            limit,
            spent: Duration::ZERO,
            what,
        }
    }

    fn left(&self) -> Option<Duration> {
        self.limit.map(|limit| limit.saturating_sub(self.spent))
    }

    fn exhausted(&self, call: Call, url: &ServerUrl) -> String {
        let limit = self.limit.unwrap_or_default();
        let hint = "the server, or the network to it, hangs, or it needs more time";
        match self.what {
            What::Answer => format!("{call} at {url} was not answered within {limit:?}: {hint}"),
            What::FirstBatch => format!("{call} at {url} brought no batch within {limit:?}: {hint}"),
            What::NextBatch => format!("{call} at {url} stands still: nothing has come for {limit:?}; {hint}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(10);
    const LATER: Duration = Duration::from_secs(1_000);

    fn limits(plan: Duration, total: Option<Duration>) -> Limits {
        Limits {
            plan: Some(plan),
            total,
            ..Limits::default()
        }
    }

    async fn hang() -> Result<()> {
        std::future::pending().await
    }

    #[tokio::test]
    async fn the_limit_that_comes_first_is_the_one_that_is_told() {
        let url = ServerUrl::parse("grpc://lake.example").unwrap();
        for (limits, expected) in [
            (limits(SOON, Some(LATER)), "was not answered within 10ms"),
            (limits(LATER, Some(SOON)), "within its deadline of 10ms"),
            (limits(SOON, None), "was not answered within 10ms"),
        ] {
            let deadline = Deadline::starting_now(limits);
            let mut patience = deadline.plan();
            let error = deadline
                .bound(&mut patience, Call::FlightInfo, &url, hang())
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            let message = error.message();
            assert!(message.contains(expected), "{error}");
            assert!(
                message.contains("GetFlightInfo at grpc://lake.example:50051"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn patience_is_spent_over_several_waits() {
        let url = ServerUrl::parse("grpc://lake.example").unwrap();
        let deadline = Deadline::starting_now(limits(LATER, None));
        let mut patience = deadline.plan();
        for _ in 0..2 {
            let before = patience.left().unwrap();
            let work = async {
                tokio::time::sleep(SOON).await;
                Ok(())
            };
            let outcome = deadline.bound(&mut patience, Call::Get, &url, work).await;
            outcome.flatten().unwrap();
            assert!(patience.left().unwrap() <= before - SOON);
        }
        patience.spent = LATER;
        let outcome = deadline.bound(&mut patience, Call::Get, &url, hang()).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn the_server_is_told_the_shorter_limit_and_a_little_more() {
        let told = |deadline: Deadline| deadline.remaining_for_server(&deadline.plan());
        assert_eq!(
            told(Deadline::starting_now(limits(SOON, Some(LATER)))),
            Some(SOON + SERVER_GRACE)
        );
        let told = told(Deadline::starting_now(limits(2 * LATER, Some(LATER)))).unwrap();
        assert!(told > LATER && told <= LATER + SERVER_GRACE, "{told:?}");
        for total in [None, Some(Duration::MAX)] {
            let deadline = Deadline::starting_now(limits(SOON, total));
            assert_eq!(deadline.remaining_for_server(&deadline.no_wait()), None);
        }
    }
}
