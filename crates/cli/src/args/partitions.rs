//! The arguments of `partitions`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ListingArgs;
use crate::output::ReportFormat;

#[derive(Debug, Subcommand)]
pub(crate) enum PartitionsCommand {
    /// List partitions; --begin and --end select by insert time
    List(ListArgs),
    /// Draw partitions along time: gaps, overlaps, what is large; as lines, an SVG picture or a page
    Map(MapArgs),
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

/// Which partitions are meant. All that is given has to hold; --begin and --end belong to it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct SelectionArgs {
    /// View set
    #[arg(long, value_name = "NAME")]
    pub(crate) view_set: Option<String>,

    /// View instance: global, a process id or a stream id
    #[arg(long, value_name = "ID")]
    pub(crate) instance: Option<String>,

    /// Non-global view instances only
    #[arg(long, conflicts_with = "instance")]
    pub(crate) non_global: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    #[command(flatten)]
    pub(crate) listing: ListingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MapArgs {
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

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
