//! The command line: every command, option and default, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::output::{DataFormat, ReportFormat};

/// Query and look after a telemetry lake behind Arrow Flight SQL.
#[derive(Debug, Parser)]
#[command(name = "lakepilot", version, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 internal error, 2 wrong usage or input, 3 invalid query, 4 not found, \
5 not allowed, 6 unavailable, 7 timed out, 8 out of resources, 9 unsupported, 10 protocol error, 11 input/output error, \
12 findings, 13 not verified, 14 declined, 130 interrupted.";

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Server (grpc://HOST:PORT, grpc+tls://HOST:PORT), or an embedded lake in a directory (lake:DIR)
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "MICROMEGAS_ANALYTICS_URI",
        hide_env_values = true,
        default_value = "grpc://localhost:50051"
    )]
    pub(crate) url: String,

    /// Header to send with every call; may be repeated
    #[arg(long = "header", global = true, value_name = "KEY=VALUE")]
    pub(crate) headers: Vec<String>,

    /// File whose content is sent as the bearer token
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// PEM file with the certificate of the authority that signed the server's
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// First instant of the time range: RFC 3339, an age (30s, 15m, 6h, 7d, 2w) or now
    #[arg(long, global = true, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) begin: Option<String>,

    /// Last instant of the time range, included [default: now, when --begin is given]
    #[arg(long, global = true, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) end: Option<String>,

    /// Print data and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Tell on stderr what the program does; twice or three times to tell more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Colours on a terminal
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a query and print or save its rows
    Query(QueryArgs),
    /// Show the schema of a query, and the estimated size of its rows, without running it
    Schema(SchemaArgs),
    /// Check a query before it runs
    Check(CheckArgs),
    /// Estimate the result of a query without running it
    Estimate(EstimateArgs),
    /// Run a large query in batches, with progress and statistics
    Run(RunArgs),
    /// List, retire and materialise partitions
    Partitions {
        #[command(subcommand)]
        command: PartitionsCommand,
    },
    /// List processes
    Processes(ProcessesArgs),
    /// List the streams of a process
    Streams(StreamsArgs),
    /// Make, fill, import into, describe or serve an embedded lake
    #[cfg(feature = "lake")]
    Lake {
        #[command(subcommand)]
        command: LakeCommand,
    },
    /// Run the whole main job on a temporary embedded lake
    #[cfg(feature = "lake")]
    Demo(DemoArgs),
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether the command itself decides what Ctrl-C does: a server, and a retirement, finish what is in flight.
    pub(crate) fn handles_interrupts(&self) -> bool {
        match self {
            Self::Partitions { command } => matches!(
                command,
                PartitionsCommand::Retire(_)
                    | PartitionsCommand::RetireInstances(_)
                    | PartitionsCommand::RetireProcess(_)
            ),
            #[cfg(feature = "lake")]
            Self::Lake {
                command: LakeCommand::Serve(_),
            } => true,
            _ => false,
        }
    }
}

/// Where the SQL comes from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SqlArgs {
    /// SQL text, or - to read it from standard input
    pub(crate) sql: Option<String>,

    /// File to read the SQL from
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

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

#[derive(Debug, Subcommand)]
pub(crate) enum PartitionsCommand {
    /// List partitions; --begin and --end select by insert time
    List(ListArgs),
    /// Retire the partitions of one view instance that lie within --begin and --end (insert time)
    Retire(RetireArgs),
    /// Retire the partitions of all non-global view instances, or those within --begin and --end (insert time)
    RetireInstances(RetireInstancesArgs),
    /// Retire the partitions of one process and of its streams
    RetireProcess(RetireProcessArgs),
    /// Materialise the partitions of a view set between --begin and --end (insert time)
    Materialize(MaterializeArgs),
    /// Write the partitions of a view set between --begin and --end (insert time) anew
    Regenerate(MaterializeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// View set
    #[arg(long, value_name = "NAME")]
    pub(crate) view_set: Option<String>,

    /// View instance: global, a process id or a stream id
    #[arg(long, value_name = "ID")]
    pub(crate) instance: Option<String>,

    /// Non-global view instances only
    #[arg(long, conflicts_with = "instance")]
    pub(crate) non_global: bool,

    #[command(flatten)]
    pub(crate) listing: ListingArgs,
}

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

/// How a command that deletes is confirmed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// Show the plan and stop
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Go on without asking
    #[arg(long, short, conflicts_with = "dry_run")]
    pub(crate) yes: bool,

    /// Format of the plan and of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// View set, such as log_entries
    pub(crate) view_set: String,

    /// View instance: global, a process id or a stream id
    pub(crate) instance: String,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetireInstancesArgs {
    /// Only this view set; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) view_set: Vec<String>,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetireProcessArgs {
    /// Process id
    pub(crate) process_id: String,

    /// Only partitions that were inserted before this time: RFC 3339, an age (30d) or now
    #[arg(long, value_name = "TIME")]
    pub(crate) older_than: Option<String>,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MaterializeArgs {
    /// View set, such as log_entries
    pub(crate) view_set: String,

    /// Insert time that one partition covers: 60s, 1h, 1d
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub(crate) step: String,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
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

#[cfg(feature = "lake")]
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

#[cfg(feature = "lake")]
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

#[cfg(feature = "lake")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FaultArg {
    /// Leave every second partition of a retirement in place, and report nothing
    SwallowRetirement,
}

#[cfg(feature = "lake")]
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

#[cfg(feature = "lake")]
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

#[cfg(feature = "lake")]
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// Directory of the lake
    pub(crate) dir: PathBuf,

    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,
}

#[cfg(feature = "lake")]
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Log entries to generate
    #[arg(long, value_name = "N", default_value_t = 2_200_000)]
    pub(crate) rows: u64,

    /// Keep the lake in this directory instead of a temporary one
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}
