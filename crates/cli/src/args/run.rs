//! The arguments of `query` and `run`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::SqlArgs;
use crate::output::DataFormat;

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) sql: SqlArgs,

    /// Format of the rows [default: by the ending of --output, or table]
    #[arg(long, value_enum)]
    pub(crate) format: Option<DataFormat>,

    /// File to write the rows to, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Most rows that the server returns
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// Most rows that a table shows
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) max_display_rows: usize,

    /// Keep dictionary columns as dictionaries on the wire and in Parquet and Arrow files
    #[arg(long)]
    pub(crate) preserve_dictionary: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) sql: SqlArgs,

    /// Size of a batch in megabytes (1,000,000 bytes)
    #[arg(long, value_name = "MB", default_value_t = 100.0)]
    pub(crate) batch_size_mb: f64,

    /// Format of the rows [default: by the ending of --output]
    #[arg(long, value_enum)]
    pub(crate) format: Option<DataFormat>,

    /// File to write the rows to; without it, and without --format, rows are counted and dropped
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Most rows that the server returns
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// Keep dictionary columns as dictionaries on the wire and in Parquet and Arrow files
    #[arg(long)]
    pub(crate) preserve_dictionary: bool,

    /// Where the expected number of rows comes from
    #[arg(long, value_enum, default_value = "partitions")]
    pub(crate) estimate: EstimateSource,

    /// File to write the statistics to, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EstimateSource {
    /// The metadata of partitions, while the query runs
    Partitions,
    /// A COUNT(*) over the query, while the query runs: it may double the work of the server
    Count,
    /// No estimate
    None,
}
