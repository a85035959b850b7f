//! The arguments of `schema`, `check` and `estimate`.

use clap::{Args, ValueEnum};

use super::SqlArgs;
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
    #[arg(long, value_name = "BYTES", default_value_t = 1000)]
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

    /// Count the rows by running the query as a COUNT(*), which may take as long as the query
    #[arg(long)]
    pub(crate) count: bool,

    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,
}
