//! Telemetry for the service, through its own ingestion path, and its materialisation.

use anyhow::{Context, Result};
use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::roles::Roles;

/// Length of the partitions of the global views: short, so that a few seconds of telemetry are several of them.
const STEP_SECONDS: i64 = 1;

#[derive(Args)]
pub(crate) struct Amount {
    /// Processes that send telemetry
    #[arg(long, default_value_t = 2)]
    processes: u32,
    /// Log entries of each
    #[arg(long, default_value_t = 20_000)]
    log_entries: u32,
    /// Chooses messages, levels and values
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

impl Default for Amount {
    fn default() -> Self {
        Self {
            processes: 2,
            log_entries: 20_000,
            seed: 42,
        }
    }
}

impl Amount {
    /// The same, of as many processes.
    pub(super) fn with_processes(self, processes: u32) -> Self {
        Self { processes, ..self }
    }
}

/// What one process sent, in rows of the views.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Filled {
    pub(super) process_id: String,
    pub(super) role: String,
    pub(super) log_entries: u64,
    pub(super) measures: u64,
    pub(super) thread_spans: u64,
    pub(super) async_spans: u64,
}

pub(super) fn run(roles: &Roles<'_>, ingestion_url: &str, amount: &Amount) -> Result<Vec<Filled>> {
    let begin = Utc::now();
    let lines = roles.run(
        "fill",
        &[
            "--url",
            ingestion_url,
            "--processes",
            &amount.processes.to_string(),
            "--log-entries",
            &amount.log_entries.to_string(),
            "--seed",
            &amount.seed.to_string(),
        ],
    )?;
    let filled = lines
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("read what was filled: {line}")))
        .collect::<Result<Vec<Filled>>>()?;

    let (begin, end) = whole_steps(begin, Utc::now())?;
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    roles.run(
        "materialise",
        &[
            "--begin",
            &text(begin),
            "--end",
            &text(end),
            "--step-seconds",
            &STEP_SECONDS.to_string(),
        ],
    )?;
    Ok(filled)
}

/// The range widened to whole steps, since a rest shorter than one is not materialised.
fn whole_steps(begin: DateTime<Utc>, end: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>)> {
    let step = TimeDelta::seconds(STEP_SECONDS);
    Ok((begin.duration_trunc(step)?, end.duration_trunc(step)? + step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_widened_to_whole_steps() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        for (begin, end) in [
            ("2026-01-01T00:00:12.5Z", "2026-01-01T00:00:13Z"),
            ("2026-01-01T00:00:12Z", "2026-01-01T00:00:13.999Z"),
        ] {
            let widened = whole_steps(time(begin), time(end)).unwrap();
            assert_eq!(widened, (time("2026-01-01T00:00:12Z"), time("2026-01-01T00:00:14Z")));
        }
    }
}
