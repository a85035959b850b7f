//! Importing a file as a view instance.
//!
//! A file is read batch by batch: its columns are matched to those of the view set by name (`fit.rs`), the rows sorted in
//! runs that are merged from the disk when there are several (`sort.rs`), and nothing is visible before all of them are
//! written.

mod fit;
mod read;
mod sort;

use std::fs::File;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::TimestampNanosecondType;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use lakepilot_query::{Error, ErrorKind, Result, to_rfc3339};

use self::fit::Fitting;
use self::sort::Sorter;
use crate::store::{Lake, PartitionRecord, PreparedSegment};
use crate::views::{ViewSet, view_set};

const GLOBAL: &str = "global";

/// The format of a file of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportFormat {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values; the first line names the columns.
    Csv,
    /// A JSON object a line.
    NdJson,
}

impl ImportFormat {
    /// The format that the extension of a file tells: `.parquet`, `.csv`, `.ndjson` or `.jsonl`.
    ///
    /// # Errors
    /// `InvalidInput` for another extension, or none.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        match extension.as_ref().and_then(|extension| extension.to_str()) {
            Some("parquet") => Ok(Self::Parquet),
            Some("csv") => Ok(Self::Csv),
            Some("ndjson" | "jsonl") => Ok(Self::NdJson),
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the format of {} is not known by its name; name it .parquet, .csv, .ndjson or .jsonl",
                    path.display()
                ),
            )),
        }
    }
}

/// What is imported as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportOptions {
    /// The view set, whose columns the file has.
    pub view_set: String,
    /// The view instance: `global`, a process id or a stream id.
    pub instance: String,
    /// The format; by the extension of the file when it is `None`.
    pub format: Option<ImportFormat>,
    /// The range of insert time of the partition, begin included and end not. When it is `None`, it is that of the
    /// `insert_time` column, and now for a file that has none.
    pub insert_range: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Whether columns that the view set does not have are left out; otherwise they are an error.
    pub ignore_unknown_columns: bool,
}

impl ImportOptions {
    /// A file of the format of its extension, as an instance of a view set, with unknown columns refused.
    pub fn new(view_set: impl Into<String>, instance: impl Into<String>) -> Self {
        Self {
            view_set: view_set.into(),
            instance: instance.into(),
            format: None,
            insert_range: None,
            ignore_unknown_columns: false,
        }
    }
}

/// What was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportReport {
    /// How many rows there are.
    pub rows: u64,
    /// The partition of them; `None` for a file without rows.
    pub partition: Option<PartitionRecord>,
}

/// Imports a Parquet, CSV or NDJSON file as one partition of a view instance; all of it, or nothing.
///
/// Columns are matched by name. What is missing is NULL where the view allows that, an empty text or an empty object where
/// the column is a dictionary; `insert_time` is the begin of the range of insert time, `last_update_time` the
/// `insert_time`. Values are converted where nothing is lost: other widths of numbers and units of time, text that is a
/// number, RFC 3339 text to a time, JSON text to properties. Rows of `global` become source rows too, so that they are
/// materialised again after a retirement; rows of another instance do not, and tell their process or stream by the name of
/// the instance.
///
/// # Errors
/// `NotFound` when there is no such file or view set; `InvalidInput` when the view set has no such instance, a column is
/// missing or unknown, or a value does not fit (the message names the file and the row); `Io` when a file cannot be read
/// or written.
pub fn import_file(lake: &Lake, path: impl AsRef<Path>, options: &ImportOptions) -> Result<ImportReport> {
    let path = path.as_ref();
    let view_set = importable(options)?;
    let format = options.format.map_or_else(|| ImportFormat::of(path), Ok)?;
    import(lake, path, view_set, format, options)
        .map_err(|error| error.context(format!("cannot import {}", path.display())))
}

fn importable(options: &ImportOptions) -> Result<&'static ViewSet> {
    let ImportOptions {
        view_set: name,
        instance,
        ..
    } = options;
    let invalid = |what: String| Err(Error::new(ErrorKind::InvalidInput, what));
    let view_set = view_set(name).ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("there is no view set {name} to import into"),
        )
    })?;
    let instances = view_set.instances();
    if name == "log_stats" {
        return invalid("log_stats is counted from log_entries; import those and materialise it".to_owned());
    }
    if instance == GLOBAL && !instances.has_global() {
        return invalid(format!("{name} has no instance global; name a process or a stream"));
    }
    if instance != GLOBAL && instances.key_column().is_none() {
        return invalid(format!("{name} has the instance global only"));
    }
    if let Some((begin, end)) = options.insert_range.filter(|(begin, end)| begin >= end) {
        return invalid(format!(
            "the range of insert time has to begin ({}) before it ends ({})",
            to_rfc3339(begin),
            to_rfc3339(end)
        ));
    }
    Ok(view_set)
}

fn import(
    lake: &Lake,
    path: &Path,
    view_set: &'static ViewSet,
    format: ImportFormat,
    options: &ImportOptions,
) -> Result<ImportReport> {
    let fitting = Fitting {
        view_set,
        instance: (options.instance != GLOBAL).then_some(options.instance.as_str()),
        insert_range: options.insert_range,
        now: options.insert_range.map_or_else(Utc::now, |(begin, _)| begin),
        ignore_unknown_columns: options.ignore_unknown_columns,
    };
    let mut rows = 0;
    let mut inserted: Option<(i64, i64)> = None;
    let mut sorter = Sorter::new(lake.root(), view_set.sort_column());
    for batch in read::batches(File::open(path)?, format)? {
        let batch = fitting.fit(&batch?, rows)?;
        rows += batch.num_rows() as u64;
        inserted = wider(inserted, &batch);
        sorter.add(batch)?;
    }
    let Some(inserted) = inserted else {
        return Ok(ImportReport {
            rows: 0,
            partition: None,
        });
    };
    let insert_range = options.insert_range.unwrap_or_else(|| whole_microseconds(inserted));
    let partition = write(lake, view_set, &options.instance, insert_range, sorter)?;
    Ok(ImportReport {
        rows,
        partition: Some(partition),
    })
}

fn write(
    lake: &Lake,
    view_set: &'static ViewSet,
    instance: &str,
    insert_range: (DateTime<Utc>, DateTime<Utc>),
    sorter: Sorter<'_>,
) -> Result<PartitionRecord> {
    let is_global = instance == GLOBAL;
    let mut writer = if is_global {
        lake.stage_segment(view_set)
    } else {
        lake.stage_partition(view_set, instance)
    };
    sorter.finish(|rows| writer.write(rows))?;
    let staged = writer.finish()?;
    lake.transaction(|changes| match staged {
        Some(staged) if is_global => {
            let segment = changes.add_segment(PreparedSegment {
                view_set,
                insert_range,
                staged,
            })?;
            changes.add_linked(view_set, instance, &segment)
        }
        staged => {
            if let Some(key_column) = view_set.instances().key_column() {
                changes.add_key(key_column, instance)?;
            }
            changes.add_staged(view_set, instance, insert_range, staged)
        }
    })
}

/// The range of insert time with that of a batch.
fn wider(known: Option<(i64, i64)>, rows: &RecordBatch) -> Option<(i64, i64)> {
    let times = rows
        .column_by_name("insert_time")?
        .as_primitive_opt::<TimestampNanosecondType>()?;
    let (least, most) = (min(times)?, max(times)?);
    Some(known.map_or((least, most), |(begin, end)| (begin.min(least), end.max(most))))
}

/// The begin included, the end not, in the catalogue's microseconds.
fn whole_microseconds((least, most): (i64, i64)) -> (DateTime<Utc>, DateTime<Utc>) {
    let microsecond = TimeDelta::microseconds(1);
    let truncated = |nanos: i64| {
        let time = DateTime::from_timestamp_nanos(nanos);
        time.duration_trunc(microsecond).unwrap_or(time)
    };
    (truncated(least), truncated(most) + microsecond)
}
