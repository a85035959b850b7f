//! The arguments of `lake` and `demo`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::output::ReportFormat;

#[derive(Debug, Subcommand)]
pub(crate) enum LakeCommand {
    /// Serve a lake over Arrow Flight SQL; with --token-file, clients must send the token in it
    Serve(ServeArgs),
    /// Make a lake and fill it with realistic telemetry
    Generate(GenerateArgs),
    /// Import a Parquet, CSV or NDJSON file as a view instance
    Import(ImportArgs),
    /// Tell what a lake holds
    Info(InfoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Directory of the lake
    pub(crate) dir: PathBuf,

    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    pub(crate) listen: String,

    /// PEM file with the server's certificate chain
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// PEM file with the private key of the certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Leave out the functions that retire and materialise
    #[arg(long)]
    pub(crate) no_admin: bool,

    /// Misbehave on purpose, to test clients
    #[arg(long, value_enum, value_name = "FAULT")]
    pub(crate) fault: Option<FaultArg>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FaultArg {
    /// Leave every second partition of a retirement in place, and report nothing
    SwallowRetirement,
}

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Directory to make; it must not exist, or be empty
    pub(crate) dir: PathBuf,

    /// Log entries to generate; the other views grow with them
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) rows: u64,

    /// Days of telemetry, up to --end
    #[arg(long, value_name = "D", default_value_t = 14)]
    pub(crate) days: u32,

    /// Processes that send it
    #[arg(long, value_name = "P", default_value_t = 8)]
    pub(crate) processes: u32,

    /// Seed: the same seed and options give the same rows
    #[arg(long, value_name = "S", default_value_t = 42)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Directory of the lake; it is made when it does not exist
    pub(crate) dir: PathBuf,

    /// File to import: .parquet, .csv, .ndjson or .jsonl
    pub(crate) input: PathBuf,

    /// View set whose schema the file has
    #[arg(long, value_name = "NAME")]
    pub(crate) view_set: String,

    /// View instance
    #[arg(long, value_name = "ID", default_value = "global")]
    pub(crate) instance: String,

    /// Leave out columns that the view set does not have, instead of refusing the file
    #[arg(long)]
    pub(crate) ignore_unknown_columns: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// Directory of the lake
    pub(crate) dir: PathBuf,

    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Log entries to generate
    #[arg(long, value_name = "N", default_value_t = 2_200_000)]
    pub(crate) rows: u64,

    /// Keep the lake in this directory instead of a temporary one
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}
