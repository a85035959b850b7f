//! The arguments of `lakepilot doctor`.

use std::time::Duration;

use clap::Args;
use lakepilot_query::parse_duration;

use crate::output::ReportFormat;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,

    /// How often each call that works is made, for the median of its time
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) repeat: u16,

    /// How long the server may take for each call: 10s, 2m
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = patience)]
    pub(crate) patience: Duration,

    /// Table to try updates and an ingestion on, which add no rows to it; without one nothing is tried that could change
    /// anything
    #[arg(long, value_name = "TABLE")]
    pub(crate) write: Option<String>,
}

fn patience(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(Duration::ZERO) => Err("no time is too little: write 10s or 2m".to_owned()),
        Ok(patience) => Ok(patience),
        Err(error) => Err(error.message().to_owned()),
    }
}
