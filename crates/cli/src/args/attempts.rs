//! How long a query may take, and how often it is asked again.

use std::time::Duration;

use clap::Args;
use lakepilot_execution::{RetryPolicy, Timeouts};
use lakepilot_flight_client::ClientConfig;
use lakepilot_query::parse_duration;

/// The retries that all slices of a query have together, unless one may have more.
const LEAST_BUDGET: u32 = 10;

/// How much longer the client waits for the server than the query may take, so that the limit of the query comes first: that
/// one knows which slice it is.
const GRACE: Duration = Duration::from_secs(60);

/// The limit of the client when no other is asked for, without the grace.
const LEAST_WAIT: Duration = Duration::from_secs(9 * 60);

/// The limits of time and the retries of a query.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Time limits and retries")]
pub(crate) struct AttemptArgs {
    /// Longest time until the first rows arrive: 30s, 5m [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = time_limit)]
    first_batch_timeout: Option<Duration>,

    /// Longest time that nothing arrives after that [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = time_limit)]
    idle_timeout: Option<Duration>,

    /// Longest time for all of it, writing included [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = time_limit)]
    deadline: Option<Duration>,

    /// How often a query, or a slice, is asked again when it fails in a way that may pass before its rows were handed on
    #[arg(long, value_name = "N", default_value_t = 3)]
    retries: u32,
}

impl AttemptArgs {
    pub(crate) fn timeouts(&self) -> Timeouts {
        Timeouts::none()
            .with_first_batch(self.first_batch_timeout)
            .with_idle(self.idle_timeout)
            .with_total(self.deadline)
    }

    /// The client, which has limits of its own, with room for these.
    pub(crate) fn make_room(&self, mut config: ClientConfig) -> ClientConfig {
        let longer = |limit: Duration| limit.max(LEAST_WAIT).saturating_add(GRACE);
        if let Some(limit) = self.first_batch_timeout {
            config = config.with_first_batch_timeout(longer(limit));
        }
        if let Some(limit) = self.idle_timeout {
            config = config.with_gap_timeout(longer(limit));
        }
        config
    }

    /// The policy. All slices of a query share a budget, so that a server that is down is not asked by each of a thousand.
    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy::default()
            .with_retries(self.retries)
            .with_budget(self.retries.max(LEAST_BUDGET))
    }
}

/// A length of time that is not zero.
pub(super) fn time_limit(text: &str) -> Result<Duration, String> {
    let limit = parse_duration(text).map_err(|error| error.message().to_owned())?;
    if limit.is_zero() {
        return Err("a limit of zero lets nothing pass; leave the option out for its default".to_owned());
    }
    Ok(limit)
}
