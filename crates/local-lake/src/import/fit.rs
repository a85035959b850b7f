//! Making the columns of a view set from those of a file.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, Float64Array, Int32Array, Int64Array, ListBuilder,
    RecordBatch, StringArray, StringBuilder, TimestampNanosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::cast;
use arrow::compute::is_not_null;
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::{DataType, Field, TimestampNanosecondType};
use chrono::{DateTime, Utc};
use lakepilot_query::{Error, ErrorKind, Result, to_rfc3339};

use crate::views::ViewSet;

const INSERT_TIME: &str = "insert_time";
const LAST_UPDATE_TIME: &str = "last_update_time";

/// How a batch of a file becomes source rows of a view set.
pub(super) struct Fitting<'a> {
    pub(super) view_set: &'static ViewSet,
    /// The process or stream of all rows, unless the instance is `global`.
    pub(super) instance: Option<&'a str>,
    pub(super) insert_range: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The insert time of rows that have none.
    pub(super) now: DateTime<Utc>,
    pub(super) ignore_unknown_columns: bool,
}

/// A column of the view, and where in the file its values are.
struct Place<'a> {
    field: &'a Field,
    /// The number of rows of the file before the batch.
    rows_before: u64,
}

impl Place<'_> {
    fn wrong(&self, row: usize, what: &str) -> Error {
        let row = self.rows_before + row as u64 + 1;
        Error::new(
            ErrorKind::InvalidInput,
            format!("row {row}, column {}: {what}", self.field.name()),
        )
    }
}

impl Fitting<'_> {
    /// The rows with the columns of the source schema.
    pub(super) fn fit(&self, rows: &RecordBatch, rows_before: u64) -> Result<RecordBatch> {
        let schema = self.view_set.source_schema();
        if !self.ignore_unknown_columns {
            self.refuse_unknown(rows)?;
        }
        let missing: Vec<&str> = schema
            .fields()
            .iter()
            .filter(|field| rows.column_by_name(field.name()).is_none() && !self.can_be_missing(field))
            .map(|field| field.name().as_str())
            .collect();
        if !missing.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "{} needs the columns {}, which the file does not have",
                    self.view_set.name(),
                    missing.join(", ")
                ),
            ));
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let place = Place { field, rows_before };
            columns.push(self.column(rows, &place)?);
        }
        self.check(&RecordBatch::try_new(schema, columns)?, rows_before)
    }

    fn refuse_unknown(&self, rows: &RecordBatch) -> Result<()> {
        let known = self.view_set.source_schema();
        let schema = rows.schema();
        let unknown: Vec<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .filter(|name| known.index_of(name).is_err())
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "{} has no columns {}; leave them out of the file, or have them ignored",
                self.view_set.name(),
                unknown.join(", ")
            ),
        ))
    }

    fn can_be_missing(&self, field: &Field) -> bool {
        field.is_nullable() || field.name() == INSERT_TIME || matches!(field.data_type(), DataType::Dictionary(..))
    }

    fn column(&self, rows: &RecordBatch, place: &Place<'_>) -> Result<ArrayRef> {
        let field = place.field;
        let plain = match field.data_type() {
            DataType::Dictionary(_, values) => values,
            other => other,
        };
        let column = match rows.column_by_name(field.name()) {
            Some(column) => converted(column, plain, place)?,
            None => new_null_array(plain, rows.num_rows()),
        };
        let column = match field.name().as_str() {
            INSERT_TIME => filled(column, &time(self.now))?,
            LAST_UPDATE_TIME => match rows.column_by_name(INSERT_TIME) {
                Some(inserted) => {
                    let inserted = converted(inserted, plain, place)?;
                    filled(zip(&is_not_null(&column)?, &column, &inserted)?, &time(self.now))?
                }
                None => filled(column, &time(self.now))?,
            },
            _ => column,
        };
        let column = match (field.data_type(), plain) {
            _ if field.is_nullable() => column,
            (DataType::Dictionary(..), DataType::Utf8) => {
                let is_key = self.view_set.instances().key_column() == Some(field.name());
                let usual = self.instance.filter(|_| is_key).unwrap_or_default();
                filled(column, &StringArray::from(vec![usual]))?
            }
            (DataType::Dictionary(..), _) => {
                let nothing = jsonb::Value::Object(jsonb::Object::new()).to_vec();
                filled(column, &BinaryArray::from_iter_values([nothing]))?
            }
            // An empty cell of a CSV file reads as NULL, and a message may be empty.
            (DataType::Utf8, _) if field.name() == "msg" => filled(column, &StringArray::from(vec![""]))?,
            _ => column,
        };
        if !field.is_nullable()
            && let Some(row) = (0..column.len()).find(|row| column.is_null(*row))
        {
            return Err(place.wrong(row, "there has to be a value"));
        }
        Ok(cast(&column, field.data_type())?)
    }

    /// Refuses rows of another instance, and such as were inserted outside of the range.
    fn check(&self, rows: &RecordBatch, rows_before: u64) -> Result<RecordBatch> {
        let schema = rows.schema();
        for (field, column) in schema.fields().iter().zip(rows.columns()) {
            let place = Place { field, rows_before };
            if let Some(instance) = self.instance
                && self.view_set.instances().key_column() == Some(field.name())
            {
                let other = distinct(column, &StringArray::new_scalar(instance))?;
                if let Some(row) = other.values().set_indices().next() {
                    return Err(place.wrong(row, &format!("the row is not of the instance {instance}")));
                }
            }
            if let (Some((begin, end)), INSERT_TIME) = (self.insert_range, field.name().as_str()) {
                let times = column.as_primitive::<TimestampNanosecondType>();
                let range = begin.timestamp_micros()..end.timestamp_micros();
                let outside = |time: &i64| !range.contains(&time.div_euclid(1_000));
                if let Some(row) = times.values().iter().position(outside) {
                    let what = format!("the time is not from {} up to {}", to_rfc3339(begin), to_rfc3339(end));
                    return Err(place.wrong(row, &what));
                }
            }
        }
        Ok(rows.clone())
    }
}

fn time(time: DateTime<Utc>) -> TimestampNanosecondArray {
    let nanos = time.timestamp_nanos_opt().unwrap_or_default();
    TimestampNanosecondArray::from(vec![nanos]).with_timezone("+00:00")
}

/// The column with a value in place of NULL.
fn filled(column: ArrayRef, value: &dyn Array) -> Result<ArrayRef> {
    if column.null_count() == 0 {
        return Ok(column);
    }
    let repeated = arrow::compute::take(value, &arrow::array::UInt32Array::from_value(0, column.len()), None)?;
    Ok(zip(&is_not_null(&column)?, &column, &repeated)?)
}

/// The values as another type, where nothing is lost.
fn converted(column: &ArrayRef, target: &DataType, place: &Place<'_>) -> Result<ArrayRef> {
    let column = match column.data_type() {
        DataType::Dictionary(_, values) => cast(column, values)?,
        _ => Arc::clone(column),
    };
    let source = column.data_type().clone();
    if source == *target {
        return Ok(column);
    }
    let is_binary = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
        )
    };
    match (&source, target) {
        (DataType::Null, _) => Ok(new_null_array(target, column.len())),
        (DataType::Utf8, _) => from_text(column.as_string(), target, place),
        (DataType::LargeUtf8 | DataType::Utf8View, _) => {
            let texts = cast(&column, &DataType::Utf8)?;
            from_text(texts.as_string(), target, place)
        }
        (from, DataType::Binary) if is_binary(from) => Ok(cast(&column, target)?),
        (DataType::Timestamp(..), DataType::Timestamp(..)) => cast_exactly(&column, target, place),
        (DataType::List(_) | DataType::LargeList(_), DataType::List(_)) => cast_exactly(&column, target, place),
        (from, to) if from.is_numeric() && to.is_numeric() => cast_exactly(&column, target, place),
        (from, to) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "the column {} is {from}, which cannot become {to} without a loss",
                place.field.name()
            ),
        )),
    }
}

/// Casts forth and back: a value that does not come back the same does not fit.
fn cast_exactly(column: &ArrayRef, target: &DataType, place: &Place<'_>) -> Result<ArrayRef> {
    let there = cast(column, target)?;
    let is_lost = |row: usize| there.is_null(row) && !column.is_null(row);
    let lost = (0..column.len()).find(|row| is_lost(*row));
    let changed = if column.data_type().is_numeric() {
        let back = cast(&there, column.data_type())?;
        distinct(column, &back)?.values().set_indices().next()
    } else {
        None
    };
    match lost.or(changed) {
        Some(row) => Err(place.wrong(row, &format!("the value does not fit into {target}"))),
        None => Ok(there),
    }
}

fn from_text(texts: &StringArray, target: &DataType, place: &Place<'_>) -> Result<ArrayRef> {
    let refused =
        |row: usize, what: &str| place.wrong(row, &format!("'{}' is not {what}", shortened(texts.value(row))));
    match target {
        DataType::Utf8 => Ok(Arc::new(texts.clone())),
        DataType::Int32 => Ok(Arc::new(parsed::<i32, Int32Array>(texts, |row| {
            refused(row, "a whole number")
        })?)),
        DataType::Int64 => Ok(Arc::new(parsed::<i64, Int64Array>(texts, |row| {
            refused(row, "a whole number")
        })?)),
        DataType::UInt32 => Ok(Arc::new(parsed::<u32, UInt32Array>(texts, |row| {
            refused(row, "a whole number that is not negative")
        })?)),
        DataType::Float64 => Ok(Arc::new(parsed::<f64, Float64Array>(texts, |row| {
            refused(row, "a number")
        })?)),
        DataType::Timestamp(..) => {
            let times = each(texts, |row, text| {
                DateTime::parse_from_rfc3339(text.trim())
                    .ok()
                    .and_then(|time| time.timestamp_nanos_opt())
                    .ok_or_else(|| refused(row, "a time in RFC 3339, such as 2026-01-31T12:00:00Z"))
            })?;
            Ok(Arc::new(TimestampNanosecondArray::from(times).with_timezone("+00:00")))
        }
        // The only plain binaries are opaque to the lake; the others are the properties.
        DataType::Binary if matches!(place.field.data_type(), DataType::Binary) => Ok(cast(texts, target)?),
        DataType::Binary => {
            let mut documents = BinaryBuilder::new();
            for document in each(texts, |row, text| {
                jsonb::parse_owned_jsonb_standard_mode(text.as_bytes()).map_err(|_| refused(row, "JSON"))
            })? {
                documents.append_option(document.map(jsonb::OwnedJsonb::to_vec));
            }
            Ok(Arc::new(documents.finish()))
        }
        DataType::List(item) => {
            let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item));
            for list in each(texts, |row, text| {
                serde_json::from_str::<Vec<String>>(text).map_err(|_| refused(row, "a JSON list of texts"))
            })? {
                lists.append_option(list.map(|list| list.into_iter().map(Some)));
            }
            Ok(Arc::new(lists.finish()))
        }
        other => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the column {} is text, which cannot become {other}", place.field.name()),
        )),
    }
}

fn each<T>(texts: &StringArray, read: impl Fn(usize, &str) -> Result<T>) -> Result<Vec<Option<T>>> {
    texts
        .iter()
        .enumerate()
        .map(|(row, text)| text.map(|text| read(row, text)).transpose())
        .collect()
}

fn parsed<T: std::str::FromStr, A: FromIterator<Option<T>>>(
    texts: &StringArray,
    refused: impl Fn(usize) -> Error,
) -> Result<A> {
    let values = each(texts, |row, text| text.trim().parse::<T>().map_err(|_| refused(row)))?;
    Ok(values.into_iter().collect())
}

/// Enough of a text to recognise it in a message.
fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
