//! Source segments: the rows from which partitions are materialised, and materialised again after a retirement.
//!
//! They are the embedded lake's counterpart of the payload blocks of the real service. A segment holds the rows of one
//! view set, of all processes, for one range of insert time (begin included, end not), sorted by the view's sort column.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches, filter_record_batch, sort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Schema, SchemaRef, TimestampNanosecondType};
use chrono::{DateTime, Utc};
use lakepilot_query::{Error, ErrorKind, Result, TimeRange};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter};
use rusqlite::Connection;

use super::catalogue::{catalogue_error, micros};
use super::files;
use crate::views::ViewSet;

/// One file of source rows.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) id: i64,
    pub(crate) begin_insert: DateTime<Utc>,
    pub(crate) end_insert: DateTime<Utc>,
    pub(crate) num_rows: i64,
    pub(crate) file_path: String,
    /// The earliest and the latest event time, in nanoseconds.
    pub(crate) event_range: (i64, i64),
}

/// The segments of a view set whose range of insert time overlaps `[begin, end)`, in order of insert time.
pub(crate) fn by_insert_time(
    connection: &Connection,
    view_set: &str,
    begin: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Result<Vec<Segment>> {
    let read = || -> rusqlite::Result<Vec<Segment>> {
        connection
            .prepare_cached(
                "SELECT id, begin_insert, end_insert, num_rows, file_path, min_event, max_event FROM segments \
                 WHERE view_set = ? AND begin_insert < ? AND end_insert > ? ORDER BY begin_insert, id",
            )?
            .query_map((view_set, end.timestamp_micros(), begin.timestamp_micros()), segment)?
            .collect()
    };
    read().map_err(|error| catalogue_error("read the source segments", error))
}

/// The segments with events in a range of event time (all of them without one) from which an instance has not been
/// extracted yet.
pub(crate) fn not_extracted(
    connection: &Connection,
    view_set: &str,
    instance: &str,
    range: Option<TimeRange>,
) -> Result<Vec<Segment>> {
    let (begin, end) = range.map_or((i64::MIN, i64::MAX), |range| (range.begin_nanos(), range.end_nanos()));
    let read = || -> rusqlite::Result<Vec<Segment>> {
        connection
            .prepare_cached(
                "SELECT id, begin_insert, end_insert, num_rows, file_path, min_event, max_event FROM segments \
                 WHERE view_set = ?1 AND min_event <= ?4 AND max_event >= ?3 AND NOT EXISTS \
                 (SELECT 1 FROM extracted WHERE view_set = ?1 AND instance = ?2 AND segment = segments.id) \
                 ORDER BY begin_insert, id",
            )?
            .query_map((view_set, instance, begin, end), segment)?
            .collect()
    };
    read().map_err(|error| catalogue_error("read the source segments", error))
}

fn segment(row: &rusqlite::Row<'_>) -> rusqlite::Result<Segment> {
    Ok(Segment {
        id: row.get(0)?,
        begin_insert: micros(row.get(1)?),
        end_insert: micros(row.get(2)?),
        num_rows: row.get(3)?,
        file_path: row.get(4)?,
        event_range: (row.get(5)?, row.get(6)?),
    })
}

/// Which source rows are read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rows<'a> {
    /// Those of `[begin, end)` of insert time.
    pub(crate) insert_range: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Those of one instance.
    pub(crate) instance: Option<&'a str>,
    /// These columns of the view, where not all are needed.
    pub(crate) columns: Option<&'a [&'a str]>,
}

/// Source rows in the view's schema (or its part) and in the order of its sort column.
pub(crate) fn read_rows(root: &Path, view_set: &ViewSet, segments: &[Segment], rows: Rows<'_>) -> Result<RecordBatch> {
    let schema = match rows.columns {
        None => view_set.schema(),
        Some(columns) => part_of(&view_set.schema(), columns)?,
    };
    let key = rows.instance.zip(view_set.instances().key_column());
    let mut batches = Vec::new();
    for segment in segments {
        // A segment within the range is taken whole: the row of a process or a stream tells of its last block, and keeps
        // the insert time of its first.
        let cut = rows
            .insert_range
            .filter(|(begin, end)| segment.begin_insert < *begin || segment.end_insert > *end);
        for batch in open(
            root,
            &segment.file_path,
            key.map(|(instance, column)| (column, instance)),
            rows.columns,
        )? {
            let mut batch = batch?;
            if let Some((begin, end)) = cut {
                batch = keep_inserted(&batch, begin, end)?;
            }
            if batch.num_rows() > 0 {
                batches.push(to_schema(&batch, &schema)?);
            }
        }
    }
    sorted(&concat_batches(&schema, &batches)?, view_set.sort_column())
}

fn part_of(schema: &Schema, columns: &[&str]) -> Result<SchemaRef> {
    let indices = columns
        .iter()
        .map(|column| schema.index_of(column))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(schema.project(&indices)?))
}

/// The batches of a Parquet file of the lake: the rows in which a text column has a value, or all; some columns (and
/// `insert_time`), or all. Other columns of rows that are left out are not decoded.
fn open(
    root: &Path,
    file_path: &str,
    key: Option<(&str, &str)>,
    columns: Option<&[&str]>,
) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
    let path = root.join(file_path);
    let told = |error| files::parquet_error(error).context(format!("cannot read {}", path.display()));
    let file =
        File::open(&path).map_err(|error| Error::from(error).context(format!("cannot open {}", path.display())))?;
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(told)?
        .with_batch_size(8192);
    if let Some(columns) = columns {
        let wanted = columns.iter().copied().chain(["insert_time"]);
        let mask = ProjectionMask::columns(builder.parquet_schema(), wanted);
        builder = builder.with_projection(mask);
    }
    if let Some((column, value)) = key {
        let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
        let wanted = StringArray::new_scalar(value);
        let keep = ArrowPredicateFn::new(mask, move |batch| {
            arrow::compute::kernels::cmp::eq(batch.column(0), &wanted)
        });
        builder = builder.with_row_filter(RowFilter::new(vec![Box::new(keep)]));
    }
    let reader = builder.build().map_err(told)?;
    Ok(reader
        .map(move |batch| batch.map_err(|error| Error::from(error).context(format!("cannot read {}", path.display())))))
}

fn keep_inserted(batch: &RecordBatch, begin: DateTime<Utc>, end: DateTime<Utc>) -> Result<RecordBatch> {
    let times = column(batch, "insert_time")?
        .as_primitive_opt::<TimestampNanosecondType>()
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                "the insert_time of a source segment is not a timestamp in nanoseconds",
            )
        })?;
    // Compared in the microseconds of the catalogue, so that an edge means the same for a row and for a partition.
    let (begin, end) = (begin.timestamp_micros(), end.timestamp_micros());
    let kept: BooleanArray = times
        .iter()
        .map(|time| time.map(|time| (begin..end).contains(&time.div_euclid(1_000))))
        .collect();
    Ok(filter_record_batch(batch, &kept)?)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch
        .column_by_name(name)
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, format!("the rows have no column {name}")))
}

/// The columns of a schema, in its order, from a batch that has at least those.
pub(crate) fn to_schema(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let found = column(batch, field.name())?;
            if found.data_type() == field.data_type() {
                Ok(ArrayRef::clone(found))
            } else {
                Ok(cast(found, field.data_type())?)
            }
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(SchemaRef::clone(schema), columns)?)
}

/// The rows in the order of a column; rows that are in order already are not copied.
pub(crate) fn sorted(batch: &RecordBatch, sort_column: &str) -> Result<RecordBatch> {
    let key = column(batch, sort_column)?;
    if let Some(times) = key.as_primitive_opt::<TimestampNanosecondType>()
        && times.null_count() == 0
        && times.values().is_sorted()
    {
        return Ok(batch.clone());
    }
    let indices = sort_to_indices(key, None, None)?;
    Ok(take_record_batch(batch, &indices)?)
}

/// The earliest and latest time of the rows, by the time columns of the view.
pub(crate) fn event_range(view_set: &ViewSet, batches: &[RecordBatch]) -> Result<Option<(i64, i64)>> {
    let time = view_set.time();
    let mut range: Option<(i64, i64)> = None;
    for batch in batches {
        let least = extreme(batch, time.begin(), arrow::compute::min)?;
        let most = extreme(batch, time.end(), arrow::compute::max)?;
        if let (Some(least), Some(most)) = (least, most) {
            range = Some(range.map_or((least, most), |(begin, end)| (begin.min(least), end.max(most))));
        }
    }
    Ok(range)
}

fn extreme(
    batch: &RecordBatch,
    name: &str,
    pick: fn(&arrow::array::TimestampNanosecondArray) -> Option<i64>,
) -> Result<Option<i64>> {
    let times = column(batch, name)?
        .as_primitive_opt::<TimestampNanosecondType>()
        .ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("the column {name} is not a timestamp in nanoseconds"),
            )
        })?;
    Ok(pick(times))
}

/// The distinct values of a text column.
pub(crate) fn distinct(batches: &[RecordBatch], name: &str) -> Result<BTreeSet<String>> {
    let mut values = BTreeSet::new();
    for batch in batches {
        let texts = cast(column(batch, name)?, &DataType::Utf8)?;
        values.extend(texts.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    Ok(values)
}

/// The schema of batches that are to become source rows.
pub(crate) fn check_schema(batches: &[RecordBatch], schema: &Schema) -> Result<()> {
    for batch in batches {
        for field in schema.fields() {
            let found = column(batch, field.name())?;
            if found.data_type() != field.data_type() {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!(
                        "the column {} is {} and has to be {}",
                        field.name(),
                        found.data_type(),
                        field.data_type()
                    ),
                ));
            }
        }
    }
    Ok(())
}
