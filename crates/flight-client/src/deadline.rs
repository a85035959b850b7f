//! The time limit of one query.

use std::future::Future;
use std::time::Duration;

use lakepilot_query::{Error, ErrorKind, Result};
use tokio::time::Instant;

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

    /// The time that is left, for the server to know.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        self.limit.map(|(end, _)| end.saturating_duration_since(Instant::now()))
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
