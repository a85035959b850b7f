//! The arguments of the listings.

use std::path::PathBuf;

use clap::Args;

use crate::output::DataFormat;

/// Where a listing goes, and how.
#[derive(Debug, Args)]
pub(crate) struct ListingArgs {
    /// Format of the listing [default: by the ending of --output, or table]
    #[arg(long, value_enum)]
    pub(crate) format: Option<DataFormat>,

    /// File to write the listing to, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ProcessesArgs {
    /// Only processes whose executable has this text in its name
    #[arg(long, value_name = "TEXT")]
    pub(crate) exe: Option<String>,

    /// Most processes to list, the latest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u64,

    #[command(flatten)]
    pub(crate) listing: ListingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StreamsArgs {
    /// Process id
    pub(crate) process_id: String,

    #[command(flatten)]
    pub(crate) listing: ListingArgs,
}
