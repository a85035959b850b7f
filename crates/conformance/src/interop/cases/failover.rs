//! Replicas of a service, one of which is ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::try_join_all;
use lakepilot_flight_client::FlightClient;
use lakepilot_query::{ErrorKind, Query, QueryServiceExt};
use tokio::sync::watch;

use crate::interop::case::{Found, Outcome};
use crate::interop::dialect::Series;
use crate::interop::target::{EndServer, InteropTarget, numbers};
use crate::suite::{Failure, ensure, ensure_equal, spell};

const WORKERS: usize = 8;
/// Queries of each worker before the replica is ended, at the least, and after it.
const EACH: usize = 5;

/// Large enough that some are under way when the replica ends.
const SERIES: Series = Series {
    sql: "SELECT value FROM generate_series(1, 200000)",
    first: 1,
    rows: 200_000,
};

/// What the workers tell, and what they are told.
struct Shared {
    client: FlightClient,
    before: AtomicUsize,
    after: AtomicUsize,
    broken: AtomicUsize,
    ended: watch::Receiver<bool>,
}

impl Shared {
    /// Queries until the replica has ended, and some more.
    async fn work(&self) -> Result<(), Failure> {
        let query = Query::new(SERIES.sql)?;
        let mut left = EACH;
        while left > 0 {
            let ended = *self.ended.borrow();
            match self.client.collect(&query).await {
                Ok(result) => {
                    let numbers = numbers(&result)?;
                    let found = (numbers.len() as i64, numbers.iter().sum::<i64>());
                    ensure_equal("rows and their sum", found, (SERIES.rows, SERIES.sum()))?;
                    let counter = if ended { &self.after } else { &self.before };
                    counter.fetch_add(1, Ordering::Relaxed);
                    left -= usize::from(ended);
                }
                Err(error) if !ended && error.kind() == ErrorKind::Unavailable => {
                    self.broken.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => return Err(Failure::from(error)),
            }
        }
        Ok(())
    }

    /// Ends the replica that is in use once every worker has had some answers.
    async fn end(&self, end_server: EndServer, tell: watch::Sender<bool>) -> Result<(), Failure> {
        while self.before.load(Ordering::Relaxed) < WORKERS * EACH {
            tokio::task::yield_now().await;
        }
        let url = self.client.url();
        let ended = tokio::task::spawn_blocking(move || end_server(&url)).await;
        ended
            .map_err(|error| Failure::new(error.to_string()))?
            .map_err(|error| Failure::new(format!("end a replica: {error}")))?;
        // The workers may have gone already, for an error that is told by then.
        let _ = tell.send(true);
        Ok(())
    }
}

/// Both replicas answer alike, each asked alone.
async fn ensure_alike(target: &InteropTarget) -> Result<(), Failure> {
    let mut answers = Vec::new();
    for url in &target.urls {
        let alone = InteropTarget::new(target.name.as_str(), target.dialect, url.as_str());
        let count = alone
            .rows("SELECT count(*) AS rows, min(time), max(time) FROM log_entries")
            .await?;
        answers.push(count);
    }
    ensure(answers.windows(2).all(|pair| pair[0] == pair[1]), || {
        format!("the replicas do not answer alike: {answers:?}")
    })
}

pub(super) async fn failover(target: &InteropTarget) -> Outcome {
    let end_server = target
        .end_server
        .clone()
        .ok_or_else(|| Failure::new("no replica may be ended"))?;
    ensure_alike(target).await?;
    let client = target.client().await?;
    let first = client.url();
    let (tell, ended) = watch::channel(false);
    let shared = Arc::new(Shared {
        client,
        before: AtomicUsize::new(0),
        after: AtomicUsize::new(0),
        broken: AtomicUsize::new(0),
        ended,
    });
    let workers = try_join_all((0..WORKERS).map(|_| shared.work()));
    tokio::try_join!(workers, shared.end(end_server, tell))?;
    ensure(shared.client.url() != first, || {
        format!("the client still calls {first}")
    })?;
    let known = target.dialect.rows();
    let rows = spell::rows(&shared.client.collect(&Query::new(known.sql)?).await?)?;
    ensure_equal("rows from the other replica", rows.len(), known.rows.len())?;
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    Ok(Found::good(format!(
        "{} queries right before the end, {} broken by it and told so, {} right after it",
        count(&shared.before),
        count(&shared.broken),
        count(&shared.after)
    )))
}
