//! The command line: every command, option and default, as clap reads it.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::{FalseyValueParser, OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

mod attempts;
mod check;
mod connection;
mod doctor;
#[cfg(feature = "lake")]
mod lake;
mod limits;
mod listing;
mod login;
mod partitions;
mod run;

pub(crate) use attempts::AttemptArgs;
pub(crate) use check::{
    CheckArgs, EstimateArgs, FailOn, FindingsFormat, RulesArgs, RulesFormat, SchemaArgs, SettingArgs,
};
pub(crate) use connection::ConnectionArgs;
pub(crate) use doctor::DoctorArgs;
#[cfg(feature = "lake")]
pub(crate) use lake::{DemoArgs, FaultArg, GenerateArgs, ImportArgs, InfoArgs, LakeCommand, ServeArgs};
pub(crate) use limits::{LimitArgs, byte_size};
pub(crate) use listing::{ListingArgs, ProcessesArgs, StreamsArgs};
pub(crate) use login::{LoginArgs, ProfileArgs, ProfileCheckArgs, ProfilesCommand, ProfilesListArgs, WhoamiArgs};
pub(crate) use partitions::{
    ApplyArgs, ApplyPlanArgs, GuardArgs, HistoryArgs, ListArgs, MapArgs, MapColor, MapTime, MaterializeArgs,
    PartitionsCommand, PlanRetireArgs, ProtectArgs, RetentionApplyArgs, RetentionCommand, RetentionPlanArgs,
    RetireArgs, RetireInstancesArgs, RetireProcessArgs, RetirementArgs, SelectionArgs, VerifyArgs,
};
pub(crate) use run::{EstimateSource, ProgressChoice, QueryArgs, RunArgs, RunOutputArgs, SliceArgs, SliceCut};

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
12 findings, 13 not verified, 14 declined, 130 interrupted, 143 terminated.";

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// First instant of the time range: RFC 3339, an age (30s, 15m, 6h, 7d, 2w) or now
    #[arg(long, global = true, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) begin: Option<String>,

    /// Last instant of the time range, included [default: now, when --begin is given]
    #[arg(long, global = true, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) end: Option<String>,

    /// Neither keep nor use the lengths of text that queries teach, which make estimates better
    #[arg(long, global = true, env = "LAKEPILOT_NO_LEARN", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) no_learn: bool,

    /// Print data and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Tell on stderr what the program does; twice or three times to tell more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Colours on a terminal
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: ColorChoice,

    // The last: its heading is that of all arguments after it.
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
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
    /// Check queries before they run
    Check(CheckArgs),
    /// List the rules that check has, or tell some in full
    Rules(RulesArgs),
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
    /// Find out what a server can do, and what is wrong with it
    Doctor(DoctorArgs),
    /// Log in with the OpenID Connect provider of the profile
    Login(LoginArgs),
    /// Forget the logins, or that of --profile
    Logout,
    /// Tell who the server is told that is calling, and where it is
    Whoami(WhoamiArgs),
    /// List, show and check the profiles of ~/.micromegas/config.json
    Profiles {
        #[command(subcommand)]
        command: ProfilesCommand,
    },
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
    /// Whether standard error is for a program, which reads it as JSON.
    pub(crate) fn reports_in_json(&self) -> bool {
        matches!(self, Self::Run(args) if args.reports.progress == ProgressChoice::Json)
    }

    /// Whether the command itself decides what a signal does: a server, and a retirement, finish what is in flight, a query
    /// gives up what it has begun to write, and a run tells what is there.
    pub(crate) fn handles_interrupts(&self) -> bool {
        match self {
            Self::Query(_) | Self::Run(_) => true,
            Self::Partitions { command } => command.retires(),
            #[cfg(feature = "lake")]
            Self::Lake {
                command: LakeCommand::Serve(_),
            } => true,
            _ => false,
        }
    }
}

/// Goes before SQL that begins with a comment, since clap takes what begins with `--` for an option wherever it stands. No
/// argument of a program has a NUL in it, so the mark is nobody's text.
const COMMENT_MARK: &str = "\0";

/// Reads the command line; what is wrong with it is told, and ends the program.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Cli {
    Cli::parse_from(arguments.map(|argument| match begins_with_comment(&argument) {
        true => OsString::from_iter([OsStr::new(COMMENT_MARK), &argument]),
        false => argument,
    }))
}

/// Whether an argument is SQL that begins with a comment: no option has a blank or a line break in its name.
fn begins_with_comment(argument: &OsStr) -> bool {
    let name = argument.to_str().and_then(|text| text.strip_prefix("--"));
    name.and_then(|name| name.split('=').next())
        .is_some_and(|name| name.contains(char::is_whitespace))
}

/// Reads SQL, or a path in its place, as it was given.
fn sql_parser() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new().map(|argument| {
        let unmarked = argument.to_str().and_then(|text| text.strip_prefix(COMMENT_MARK));
        unmarked.map(OsString::from).unwrap_or(argument)
    })
}

/// Reads SQL as it was given.
fn sql_text(argument: &str) -> Result<String, Infallible> {
    Ok(argument.strip_prefix(COMMENT_MARK).unwrap_or(argument).to_owned())
}

/// Where the SQL comes from.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SqlArgs {
    /// SQL text, or - to read it from standard input
    #[arg(value_parser = sql_text)]
    pub(crate) sql: Option<String>,

    /// File to read the SQL from
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_told_from_options() {
        for sql in [
            "-- lakepilot: ignore wide-row\nSELECT 1",
            "--\tx\nSELECT 1",
            "--x\nSELECT 1",
            "-- a=b\nSELECT 1",
        ] {
            assert!(begins_with_comment(OsStr::new(sql)), "{sql}");
        }
        for option in [
            "--",
            "-",
            "--format",
            "--header=x-name=some words",
            "-v",
            "SELECT 1 -- one",
        ] {
            assert!(!begins_with_comment(OsStr::new(option)), "{option}");
        }
    }
}
