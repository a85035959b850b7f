//! The time limit of one query.

use std::future::Future;
use std::time::Duration;

use lakepilot_query::{Error, ErrorKind, Result};
use tokio::time::Instant;

const SERVER_GRACE: Duration = Duration::from_millis(200);

/// When a query has to be over, if ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    limit: Option<(Instant, Duration)>,
}

impl Deadline {
    pub(crate) fn starting_now(limit: Option<Duration>) -> Self {
        // A limit too long to be counted is no limit.
        let limit = limit.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        Self { limit }
    }

    pub(crate) fn none() -> Self {
        Self { limit: None }
    }

    /// The time that is left, for the server to know. It is told a little more, so that the limit on this side comes
    /// first: that one names the call.
    pub(crate) fn remaining_for_server(&self) -> Option<Duration> {
        let (end, _) = self.limit?;
        Some(
            end.saturating_duration_since(Instant::now())
                .saturating_add(SERVER_GRACE),
        )
    }

    /// Waits for the result, and no longer than allowed. `what` is the call, for the error.
    pub(crate) async fn bound<T>(
        &self,
        what: impl std::fmt::Display,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some((end, limit)) = self.limit else {
            return work.await;
        };
        tokio::time::timeout_at(end, work).await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::TimedOut,
                format!("the query did not end within its deadline of {limit:?}: it was called off during {what}"),
            ))
        })
    }
}
