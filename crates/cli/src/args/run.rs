//! The arguments of `query` and `run`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use lakepilot_execution::Compression;
use lakepilot_query::parse_duration;

use super::{AttemptArgs, LimitArgs, SqlArgs};
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

    /// Compression of Parquet and Arrow files: zstd, zstd:LEVEL (1 to 22), lz4, snappy or none [default: zstd for Parquet]
    #[arg(long, value_name = "CODEC", value_parser = compression)]
    pub(crate) compression: Option<Compression>,

    /// Most rows that the server returns
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// Most rows that a table shows
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) max_display_rows: usize,

    /// Keep dictionary columns as dictionaries on the wire and in Parquet and Arrow files
    #[arg(long)]
    pub(crate) preserve_dictionary: bool,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) attempts: AttemptArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) sql: SqlArgs,

    /// Take up the run that a directory of parts is of: its query, time range, slices and format
    #[arg(long, value_name = "DIR", group = "SqlArgs", conflicts_with_all = TAKEN_FROM_THE_MANIFEST)]
    pub(crate) resume: Option<PathBuf>,

    /// Check a directory of parts against its manifest, and run nothing
    #[arg(long, value_name = "DIR", group = "SqlArgs", conflicts_with_all = TAKEN_FROM_THE_MANIFEST)]
    pub(crate) verify: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) output: RunOutputArgs,

    #[command(flatten)]
    pub(crate) batches: BatchArgs,

    #[command(flatten)]
    pub(crate) slices: SliceArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) attempts: AttemptArgs,

    #[command(flatten)]
    pub(crate) reports: ReportArgs,
}

/// What `--resume` and `--verify` know from the directory, so that it is not to be said again.
const TAKEN_FROM_THE_MANIFEST: [&str; 6] = [
    "output",
    "output_dir",
    "limit",
    "preserve_dictionary",
    "slices",
    "begin",
];

/// Where the rows of a run go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct RunOutputArgs {
    /// File to write the rows to, or, with a / at its end, a directory of parts; without it, and without --format, rows are
    /// counted and dropped
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,

    /// Directory to write a file a slice to, with a manifest; run again, what is missing is fetched
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    pub(crate) output_dir: Option<PathBuf>,

    /// Format of the rows [default: by the ending of --output; Parquet in a directory]
    #[arg(long, value_enum)]
    pub(crate) format: Option<DataFormat>,

    /// Compression of Parquet and Arrow files: zstd, zstd:LEVEL (1 to 22), lz4, snappy or none [default: zstd for Parquet]
    #[arg(long, value_name = "CODEC", value_parser = compression)]
    pub(crate) compression: Option<Compression>,

    /// Most rows that the server returns
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// Keep dictionary columns as dictionaries on the wire and in Parquet and Arrow files
    #[arg(long)]
    pub(crate) preserve_dictionary: bool,
}

/// How large batches are, and all of them together.
#[derive(Debug, Args)]
#[command(next_help_heading = "Batches and memory")]
pub(crate) struct BatchArgs {
    /// Size of a batch in megabytes (1,000,000 bytes) [default: 100 for Arrow, which keeps batches; else as they
    /// arrive]
    #[arg(long, value_name = "MB")]
    pub(crate) batch_size_mb: Option<f64>,

    /// Most megabytes of rows that are held at one time, over all slices; batches become smaller to fit [default: no limit]
    #[arg(long, value_name = "MB")]
    pub(crate) memory_mb: Option<f64>,
}

/// How a query is cut.
#[derive(Debug, Args)]
#[command(next_help_heading = "Slices")]
pub(crate) struct SliceArgs {
    /// Cut the time range into slices that run at the same time: a number of them, auto (along the partitions), or the length
    /// of each (1h, 1d) [default: none; auto into a directory]
    #[arg(long, value_name = "N|auto|TIME", value_parser = slice_cut)]
    pub(crate) slices: Option<SliceCut>,

    /// Most slices that run at the same time
    #[arg(long, value_name = "N", default_value = "4")]
    pub(crate) parallel: NonZeroUsize,

    /// Rows of earlier slices first, or later first if the query is ordered so [default for a query that is ordered by time]
    #[arg(long, conflicts_with = "unordered")]
    pub(crate) ordered: bool,

    /// Rows of slices as they come [default for other queries]
    #[arg(long)]
    pub(crate) unordered: bool,
}

/// What is told of a run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Progress and statistics")]
pub(crate) struct ReportArgs {
    /// How progress is shown on standard error
    #[arg(long, value_enum, default_value = "auto", value_name = "HOW")]
    pub(crate) progress: ProgressChoice,

    /// Where the expected number of rows comes from
    #[arg(long, value_enum, default_value = "partitions")]
    pub(crate) estimate: EstimateSource,

    /// File to write the statistics to, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
}

/// Into which slices a time range is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SliceCut {
    /// So many of the same length.
    Count(NonZeroUsize),
    /// Along the partitions.
    Auto,
    /// Of this length each.
    Every(Duration),
}

fn slice_cut(text: &str) -> Result<SliceCut, String> {
    if text == "auto" {
        return Ok(SliceCut::Auto);
    }
    if let Ok(count) = text.parse() {
        return Ok(SliceCut::Count(count));
    }
    match parse_duration(text) {
        Ok(length) if !length.is_zero() => Ok(SliceCut::Every(length)),
        _ => Err("write a number of slices from 1, auto, or the length of a slice such as 30m, 1h or 1d".to_owned()),
    }
}

fn compression(text: &str) -> Result<Compression, String> {
    match text.split_once(':') {
        None if text == "zstd" => Ok(Compression::Zstd(ZSTD_LEVEL)),
        None if text == "lz4" => Ok(Compression::Lz4),
        None if text == "snappy" => Ok(Compression::Snappy),
        None if text == "none" => Ok(Compression::None),
        Some(("zstd", level)) => level
            .parse()
            .map(Compression::Zstd)
            .map_err(|_| NO_COMPRESSION.to_owned()),
        _ => Err(NO_COMPRESSION.to_owned()),
    }
}

const NO_COMPRESSION: &str = "write zstd, zstd:LEVEL with a level from 1 to 22, lz4, snappy or none";

/// The quickest, which is also what Parquet has by default.
const ZSTD_LEVEL: u8 = 1;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressChoice {
    /// A line that is redrawn on a terminal, plain lines elsewhere, nothing with --quiet
    Auto,
    /// Lines, every few seconds
    Plain,
    /// JSON objects, one a line, and nothing else on standard error: docs/running.md has their fields
    Json,
    /// Nothing
    None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressions_have_names_and_zstd_levels() {
        for (text, expected) in [
            ("zstd", Compression::Zstd(1)),
            ("zstd:19", Compression::Zstd(19)),
            ("lz4", Compression::Lz4),
            ("snappy", Compression::Snappy),
            ("none", Compression::None),
        ] {
            assert_eq!(compression(text), Ok(expected), "{text}");
        }
        for text in ["", "gzip", "zstd:", "zstd:-1", "zstd:1000", "lz4:3"] {
            assert!(compression(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cuts_are_a_number_a_length_or_auto() {
        assert_eq!(slice_cut("auto"), Ok(SliceCut::Auto));
        assert_eq!(slice_cut("16"), Ok(SliceCut::Count(NonZeroUsize::new(16).unwrap())));
        assert_eq!(slice_cut("6h"), Ok(SliceCut::Every(Duration::from_secs(6 * 3600))));
        for text in ["0", "-1", "", "0h", "Auto ", "1.5", "hour"] {
            assert!(slice_cut(text).is_err(), "{text}");
        }
    }
}
