//! The arguments of `schema`, `check`, `rules` and `estimate`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use lakepilot_analysis::Level;
use lakepilot_query::parse_duration;

use super::{LimitArgs, SqlArgs, byte_size, sql_parser};
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
#[command(
    after_help = "Asks the server of --url or MICROMEGAS_ANALYTICS_URI to plan each query, and goes on without it when \
it cannot be reached. Only a server knows the columns of every result, which too-many-columns and wide-row need."
)]
pub(crate) struct CheckArgs {
    /// SQL text; - for standard input; or .sql and .md files, directories of them, and patterns (queries/**/*.sql)
    #[arg(value_name = "SQL|PATH", required_unless_present = "files", value_parser = sql_parser())]
    pub(crate) sql: Vec<OsString>,

    /// File to check, whatever its name looks like; may be repeated
    #[arg(short, long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Do not ask a server
    #[arg(long, conflicts_with = "online")]
    pub(crate) offline: bool,

    /// Fail when the server cannot be asked
    #[arg(long)]
    pub(crate) online: bool,

    /// Apply the fixes that are safe: rewrite files, print text
    #[arg(long, conflicts_with = "diff")]
    pub(crate) fix: bool,

    /// Show what --fix would change, and change nothing
    #[arg(long)]
    pub(crate) diff: bool,

    /// Least severity that makes the exit code 12
    #[arg(long, value_enum, default_value = "error", value_name = "SEVERITY")]
    pub(crate) fail_on: FailOn,

    /// Format of the findings
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: FindingsFormat,

    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}

/// What `lakepilot.toml` sets too; the command line goes before it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingArgs {
    /// Take settings from this file [default: the nearest lakepilot.toml in or above the folder of what is checked]
    #[arg(long, value_name = "FILE", conflicts_with = "no_config")]
    pub(crate) config: Option<PathBuf>,

    /// Look for no lakepilot.toml
    #[arg(long)]
    pub(crate) no_config: bool,

    /// Switch a rule to off, hint, warning or error; may be repeated
    #[arg(long = "rule", value_name = "NAME=LEVEL", value_delimiter = ',', value_parser = rule_level)]
    pub(crate) rules: Vec<(String, Level)>,

    /// Check these rules only
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) select: Vec<String>,

    /// Do not check these rules
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,

    /// Most columns before too-many-columns speaks [default: 50]
    #[arg(long, value_name = "N")]
    pub(crate) max_columns: Option<usize>,

    /// Most estimated bytes of a row before wide-row speaks [default: 1000]
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    pub(crate) max_row_bytes: Option<u64>,

    /// Longest time range before long-time-range speaks [default: 31d]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) max_time_range: Option<Duration>,

    /// Most items of an IN list before large-in-list speaks [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) max_in_list: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Error,
    Warning,
    Hint,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FindingsFormat {
    /// The source with each place marked, for people
    #[value(alias = "table")]
    Text,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
    /// Annotations of a workflow on GitHub
    Github,
}

#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    /// Rules to tell in full [default: a list of all]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Format of the rules
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: RulesFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RulesFormat {
    /// Text for people
    Table,
    /// One JSON document
    Json,
    /// Markdown, as in docs/rules.md
    Markdown,
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

fn rule_level(text: &str) -> Result<(String, Level), String> {
    let (name, level) = text
        .split_once('=')
        .ok_or("write it as NAME=LEVEL, such as select-star=off")?;
    let level = match level {
        "off" => Level::Off,
        "hint" => Level::Hint,
        "warning" => Level::Warning,
        "error" => Level::Error,
        other => return Err(format!("'{other}' is not a level: off, hint, warning or error")),
    };
    Ok((name.to_owned(), level))
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}
