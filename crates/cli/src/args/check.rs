//! The arguments of `schema`, `check` and `estimate`.

use clap::{Args, ValueEnum};

use super::{LimitArgs, SqlArgs, byte_size};
use crate::output::ReportFormat;

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    #[command(flatten)]
    pub(crate) sql: SqlArgs,

    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) sql: SqlArgs,

    /// Do not ask the server, which would know its own tables and columns
    #[arg(long)]
    pub(crate) offline: bool,

    /// Most columns before a finding
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) max_columns: usize,

    /// Most estimated bytes of a row before a finding
    #[arg(long, value_name = "SIZE", default_value = "1000", value_parser = byte_size)]
    pub(crate) max_row_bytes: u64,

    /// Least severity that makes the exit code 12
    #[arg(long, value_enum, default_value = "error", value_name = "SEVERITY")]
    pub(crate) fail_on: FailOn,

    /// Format of the findings
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Error,
    Warning,
    Hint,
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct EstimateArgs {
    #[command(flatten)]
    pub(crate) sql: SqlArgs,

    /// Read the first N rows of the result to measure the lengths of text and how much filters let through
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sample: Option<u64>,

    /// Count the rows by running the query as a COUNT(*), which may take as long as the query
    #[arg(long)]
    pub(crate) count: bool,

    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}
