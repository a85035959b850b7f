//! The arguments of `partitions`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use lakepilot_catalog::NamePattern;
use lakepilot_query::parse_duration;

use super::ListingArgs;
use super::limits::byte_size;
use crate::output::ReportFormat;

#[derive(Debug, Subcommand)]
pub(crate) enum PartitionsCommand {
    /// List partitions
    List(ListArgs),
    /// Draw partitions along time: gaps, overlaps, what is large; as lines, an SVG picture or a page
    Map(MapArgs),
    /// Plan a retirement: show what would go and what would stay, and save it to be applied
    PlanRetire(PlanRetireArgs),
    /// Apply a saved plan, list again, and report what is gone
    Apply(ApplyPlanArgs),
    /// Look where the partitions of a saved plan are now; nothing is retired
    Verify(VerifyArgs),
    /// Retire the partitions of one view instance that lie within --begin and --end (insert time)
    Retire(RetireArgs),
    /// Retire the partitions of all non-global view instances, or those within --begin and --end (insert time)
    RetireInstances(RetireInstancesArgs),
    /// Retire the partitions of one process and of its streams
    RetireProcess(RetireProcessArgs),
    /// Retire what a policy file does not keep: made for cron
    Retention {
        #[command(subcommand)]
        command: RetentionCommand,
    },
    /// Tell what was retired and written from this account, by whom, and what came of it
    History(HistoryArgs),
    /// Materialise the partitions of a view set between --begin and --end (insert time)
    Materialize(MaterializeArgs),
    /// Write the partitions of a view set between --begin and --end (insert time) anew
    Regenerate(MaterializeArgs),
}

impl PartitionsCommand {
    /// Whether it may ask for retirements, so that Ctrl-C has to let it finish what is in flight.
    pub(crate) fn retires(&self) -> bool {
        matches!(
            self,
            Self::Apply(_)
                | Self::Retire(_)
                | Self::RetireInstances(_)
                | Self::RetireProcess(_)
                | Self::Retention {
                    command: RetentionCommand::Apply(_)
                }
        )
    }
}

/// Which partitions are meant: all that is given has to hold. A partition lies within --begin and --end when its insert
/// time does with both ends. In a pattern * stands for any text, ? for one character, a backslash before either for
/// itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection (all of it has to hold; --begin and --end belong to it)")]
pub(crate) struct SelectionArgs {
    /// Only view sets of this name; * and ? are wildcards; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) view_set: Vec<NamePattern>,

    /// Only these view instances: global, a process id or a stream id; * and ? are wildcards; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) instance: Vec<NamePattern>,

    /// Only what is not global
    #[arg(long)]
    pub(crate) non_global: bool,

    /// Only the instances of this process and of its streams
    #[arg(long, value_name = "ID")]
    pub(crate) process: Option<String>,

    /// Only what was inserted before this time: RFC 3339, an age (30d) or now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) older_than: Option<String>,

    /// Only what was inserted after this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) newer_than: Option<String>,

    /// Only files of this size or larger: 500kB, 20MB, 2GiB
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    pub(crate) min_size: Option<u64>,

    /// Only files of this size or smaller
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    pub(crate) max_size: Option<u64>,

    /// Only partitions without rows
    #[arg(long)]
    pub(crate) empty: bool,

    /// Only partitions with rows
    #[arg(long, conflicts_with = "empty")]
    pub(crate) not_empty: bool,

    /// Only files of another schema than their view set has now, which queries ignore
    #[arg(long)]
    pub(crate) incompatible: bool,

    /// Only instances of processes that the lake does not know any more
    #[arg(long)]
    pub(crate) orphaned: bool,
}

/// What keeps a plan from taking too much.
#[derive(Debug, Args)]
#[command(next_help_heading = "Guards (and global is never taken unless it is named)")]
pub(crate) struct GuardArgs {
    /// Leave what was inserted less than this long ago; 0s takes it whatever its age
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "24h")]
    pub(crate) min_age: Duration,

    /// Leave the newest partitions of each instance, so many of them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) keep_newest: u64,

    /// Refuse a plan of more partitions than this
    #[arg(long, value_name = "N")]
    pub(crate) max_partitions: Option<u64>,

    /// Refuse a plan of more bytes of files than this: 20GB
    #[arg(long, value_name = "SIZE", value_parser = byte_size)]
    pub(crate) max_bytes: Option<u64>,

    #[command(flatten)]
    pub(crate) protect: ProtectArgs,
}

/// What no plan may touch.
#[derive(Debug, Args)]
pub(crate) struct ProtectArgs {
    /// Leave these view instances alone; * and ? are wildcards; may be repeated. Those of partitions.protect in
    /// lakepilot.toml are left alone as well
    #[arg(long, value_name = "VIEW_SET/INSTANCE")]
    pub(crate) protect: Vec<String>,
}

/// How the server is asked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Applying")]
pub(crate) struct ApplyArgs {
    /// Ask for nothing more after the first failure
    #[arg(long)]
    pub(crate) stop_on_failure: bool,

    /// Go on after a failure (this is the default)
    #[arg(long, conflicts_with = "stop_on_failure")]
    pub(crate) keep_going: bool,

    /// Statements at a time
    #[arg(long, value_name = "N", default_value = "4")]
    pub(crate) concurrency: NonZeroU32,

    /// Most partitions to ask for in a second, on average [default: as fast as the server answers]
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<NonZeroU32>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) listing: ListingArgs,

    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MapArgs {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    /// Mark the partitions of a saved plan
    #[arg(long, value_name = "FILE", help_heading = "Picture")]
    pub(crate) plan: Option<PathBuf>,

    /// What the colour, or the height in a terminal, stands for
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        default_value = "rows",
        help_heading = "Picture"
    )]
    pub(crate) color_by: MapColor,

    /// Which time goes across
    #[arg(
        long,
        value_enum,
        value_name = "TIME",
        default_value = "insert",
        help_heading = "Picture"
    )]
    pub(crate) across: MapTime,

    /// Most instances to draw apart; the others share a line for each view set [default: 40 in a terminal, 2000 in a
    /// file]
    #[arg(long, value_name = "N", help_heading = "Picture")]
    pub(crate) most_instances: Option<usize>,

    /// File to draw into: .svg for a picture, .html for a page to explore; without it, lines in the terminal
    #[arg(short, long, value_name = "FILE", help_heading = "Picture")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MapColor {
    /// How many rows a partition has
    Rows,
    /// How large its file is
    Bytes,
    /// How long ago it was written
    Age,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MapTime {
    /// When the rows reached the lake
    Insert,
    /// When what they tell of happened
    Event,
}

#[derive(Debug, Args)]
pub(crate) struct PlanRetireArgs {
    /// File to save the plan to; without it the plan is only shown
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,

    /// Format in which the plan is shown
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,

    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    #[command(flatten)]
    pub(crate) guards: GuardArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyPlanArgs {
    /// The saved plan
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: PathBuf,

    /// Go on without asking
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,

    /// File that notes what was asked and answered, so that a run that was killed is taken up and nothing is asked twice
    /// [default: the plan's name with .journal]
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,

    /// Where planned partitions are gone or were written anew, leave those out, instead of refusing the plan
    #[arg(long)]
    pub(crate) leave_out_changed: bool,

    #[command(flatten)]
    pub(crate) applying: ApplyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The saved plan
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: PathBuf,

    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RetentionCommand {
    /// Show what a policy does not keep, and save the plan if told
    Plan(RetentionPlanArgs),
    /// Retire what a policy does not keep; says nothing when there is nothing to do
    Apply(RetentionApplyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RetentionPlanArgs {
    /// The policy: rules by view set and instance, how long to keep, exceptions
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,

    /// File to save the plan to; without it the plan is only shown
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,

    /// Format in which the plan is shown
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,

    #[command(flatten)]
    pub(crate) protect: ProtectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetentionApplyArgs {
    /// The policy: rules by view set and instance, how long to keep, exceptions
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,

    /// Go on without asking, as cron has to
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,

    #[command(flatten)]
    pub(crate) protect: ProtectArgs,

    #[command(flatten)]
    pub(crate) applying: ApplyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Most runs to tell, the latest
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,

    /// Format of the history
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,
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

/// What every retirement without a saved plan takes.
#[derive(Debug, Args)]
pub(crate) struct RetirementArgs {
    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,

    #[command(flatten)]
    pub(crate) guards: GuardArgs,

    #[command(flatten)]
    pub(crate) applying: ApplyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// View set, such as log_entries
    pub(crate) view_set: String,

    /// View instance: global, a process id or a stream id
    #[arg(value_name = "VIEW_INSTANCE")]
    pub(crate) instance: String,

    #[command(flatten)]
    pub(crate) retirement: RetirementArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetireInstancesArgs {
    /// Only view sets of this name; * and ? are wildcards; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) view_set: Vec<NamePattern>,

    #[command(flatten)]
    pub(crate) retirement: RetirementArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RetireProcessArgs {
    /// Process id
    pub(crate) process_id: String,

    /// Only partitions that were inserted before this time: RFC 3339, an age (30d) or now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) older_than: Option<String>,

    #[command(flatten)]
    pub(crate) retirement: RetirementArgs,
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
