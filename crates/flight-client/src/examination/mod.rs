//! What a server can do, found out by asking it for everything once.

mod claims;
mod metadata;
mod probing;
mod queries;
mod raw;
mod report;
mod statements;
mod writes;

use std::time::{Duration, Instant};

use lakepilot_query::Result;

use crate::client::FlightClient;
use crate::config::ClientConfig;
use probing::Probing;

pub use report::{CallReport, Claim, ConnectionFacts, Examination, ResultFacts, ServerFacts, Verdict};

/// How a server is examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExaminationOptions {
    /// How often each call that works is made, for the median of its time.
    pub repeats: usize,
    /// How long the server may take for each call.
    pub patience: Duration,
    /// A table that statements may be tried on that add no rows to it. Without one nothing is tried that could change
    /// anything.
    pub write_table: Option<String>,
}

impl Default for ExaminationOptions {
    fn default() -> Self {
        Self {
            repeats: 3,
            patience: Duration::from_secs(10),
            write_table: None,
        }
    }
}

/// Makes every call of Flight and of Flight SQL to a server, and tells what came of each.
///
/// Nothing on the server is changed: there are queries of a constant, listings, a prepared query, and transactions with
/// nothing in them. With a [`write_table`](ExaminationOptions::write_table) there are statements and an ingestion too, and they
/// add no rows. A server that lets three calls in a row go unanswered, or that is gone, is not asked any more.
///
/// # Errors
/// What is wrong with a server is in the [`Examination`]. The kinds of [`FlightClient::connect`] when it cannot be reached.
pub async fn examine(config: ClientConfig, options: &ExaminationOptions) -> Result<Examination> {
    let patience = options.patience;
    let config = config
        .with_plan_timeout(patience)
        .with_first_batch_timeout(patience)
        .with_gap_timeout(patience);
    let tls = config.url.is_tls();
    let begun = Instant::now();
    let client = FlightClient::connect(config.clone()).await?;
    let connect = begun.elapsed();
    let mut probing = Probing::new(&client, options.repeats);
    let info = metadata::server_info(&mut probing).await;
    let result = queries::queries(&mut probing).await;
    queries::flight_calls(&mut probing).await;
    metadata::listings(&mut probing).await;
    statements::prepared(&mut probing).await;
    statements::transactions(&mut probing).await;
    statements::substrait(&mut probing).await;
    writes::writes(&mut probing, options.write_table.as_deref()).await;
    let listed = probing.listed_actions().to_vec();
    let (calls, failure) = probing.finish();
    Ok(Examination {
        format_version: 1,
        server: ServerFacts::new(client.url(), tls, info.as_ref()),
        connection: ConnectionFacts::new(connect, result, &calls),
        claims: claims::claims(info.as_ref(), &listed, &calls),
        usable: failure.is_none(),
        calls,
        failure,
    })
}
