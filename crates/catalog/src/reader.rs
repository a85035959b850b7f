//! Reading typed values out of record batches, whatever spelling of a type the server chose.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DataType, Field, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt64Type,
};
use chrono::{DateTime, Utc};
use lakepilot_query::{Error, ErrorKind, Result};

/// The columns of a record batch by name, as values of the types that a lake's catalogue is made of.
///
/// A server may send the same column as plain values, views, large arrays or dictionaries, and its times in any unit;
/// all of those read alike. A column that is required and is not there, or is of another kind, is a `Protocol` error
/// that says what the server sent.
///
/// ```
/// use std::sync::Arc;
///
/// use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringViewArray};
/// use lakepilot_catalog::ColumnReader;
///
/// # fn main() -> lakepilot_query::Result<()> {
/// let level: ArrayRef = Arc::new(Int32Array::from(vec![2]));
/// let message: ArrayRef = Arc::new(StringViewArray::from(vec!["disk full"]));
/// let batch = RecordBatch::try_from_iter([("level", level), ("msg", message)])?;
/// let columns = ColumnReader::new(&batch, "the log");
/// assert_eq!(columns.required::<i64>("level")?.value(0)?, 2);
/// assert_eq!(columns.required::<String>("msg")?.value(0)?, "disk full");
/// assert_eq!(columns.optional::<String>("target")?.get(0)?, None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ColumnReader<'a> {
    batch: &'a RecordBatch,
    of: &'a str,
}

impl<'a> ColumnReader<'a> {
    /// A reader of one batch; `of` is what the batch is, for error messages: `"list_partitions()"`.
    pub fn new(batch: &'a RecordBatch, of: &'a str) -> Self {
        Self { batch, of }
    }

    /// How many rows the batch has.
    pub fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// A column that has to be there.
    ///
    /// # Errors
    /// `Protocol` when there is no such column, or when its type does not hold such values.
    pub fn required<T: ColumnValue>(&self, name: &str) -> Result<Column<T>> {
        let array = self.batch.column_by_name(name).ok_or_else(|| {
            self.error(format!(
                "has no column '{name}'; the server sent {}",
                column_names(&self.batch.schema())
            ))
        })?;
        let array = T::canonical(array).ok_or_else(|| {
            self.error(format!(
                "has a column '{name}' of type {} where {} was expected",
                array.data_type(),
                T::KIND
            ))
        })?;
        Ok(Column::new(name, self.of, Some(array)))
    }

    /// A column that older servers do not send: where it is missing, every row reads as null.
    ///
    /// # Errors
    /// `Protocol` when the column is there and its type does not hold such values.
    pub fn optional<T: ColumnValue>(&self, name: &str) -> Result<Column<T>> {
        match self.batch.column_by_name(name) {
            Some(_) => self.required(name),
            None => Ok(Column::new(name, self.of, None)),
        }
    }

    /// A column of which servers send more than one kind: where it is missing or of another kind, every row reads as
    /// null.
    pub fn if_readable<T: ColumnValue>(&self, name: &str) -> Column<T> {
        self.required(name).unwrap_or_else(|_| Column::new(name, self.of, None))
    }

    fn error(&self, what: String) -> Error {
        Error::new(ErrorKind::Protocol, format!("{} {what}", self.of))
    }
}

fn column_names(schema: &SchemaRef) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    if names.is_empty() {
        "no columns".to_owned()
    } else {
        names.join(", ")
    }
}

/// One column of a batch, read through a [`ColumnReader`].
#[derive(Debug)]
pub struct Column<T> {
    name: String,
    of: String,
    array: Option<ArrayRef>,
    values: PhantomData<T>,
}

impl<T: ColumnValue> Column<T> {
    fn new(name: &str, of: &str, array: Option<ArrayRef>) -> Self {
        Self {
            name: name.to_owned(),
            of: of.to_owned(),
            array,
            values: PhantomData,
        }
    }

    /// The value in a row; `None` where it is null or the column is missing, and past the last row.
    ///
    /// # Errors
    /// `Protocol` when the value does not fit: a time before the year -262143, a negative size.
    pub fn get(&self, row: usize) -> Result<Option<T>> {
        match &self.array {
            Some(array) if row < array.len() && array.is_valid(row) => T::at(array, row)
                .map(Some)
                .ok_or_else(|| self.error(row, "is out of range")),
            _ => Ok(None),
        }
    }

    /// The value in a row, which may not be null.
    ///
    /// # Errors
    /// `Protocol` when it is null or does not fit.
    pub fn value(&self, row: usize) -> Result<T> {
        self.get(row)?.ok_or_else(|| self.error(row, "is null"))
    }

    fn error(&self, row: usize, what: &str) -> Error {
        Error::new(
            ErrorKind::Protocol,
            format!(
                "{} has a column '{}' whose value in row {row} {what}",
                self.of, self.name
            ),
        )
    }
}

/// A type that columns are read as: `String`, `i64`, `u64`, `bool`, `Vec<u8>` (bytes), `DateTime<Utc>` and
/// `Vec<String>` (a list of texts).
pub trait ColumnValue: sealed::Sealed + Sized {}

impl<T: sealed::Sealed> ColumnValue for T {}

mod sealed {
    use arrow::array::ArrayRef;

    /// How a type is read; `canonical` turns all spellings of a column into the one that `at` knows.
    pub trait Sealed: Sized {
        /// What the type holds, for error messages.
        const KIND: &'static str;
        /// The column in the one spelling that `at` reads; `None` when the type is of another kind.
        fn canonical(array: &ArrayRef) -> Option<ArrayRef>;
        /// The value in a row that is not null; `None` when it does not fit.
        fn at(array: &ArrayRef, row: usize) -> Option<Self>;
    }
}

/// The values of a dictionary; anything else as it is.
fn unpacked(array: &ArrayRef) -> Option<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(_, values) => cast(array, values).ok(),
        _ => Some(Arc::clone(array)),
    }
}

/// The array as `to`, if `accepts` agrees with its type; a column of nulls agrees with everything.
fn canonical(array: &ArrayRef, accepts: impl Fn(&DataType) -> bool, to: &DataType) -> Option<ArrayRef> {
    let array = unpacked(array)?;
    if !accepts(array.data_type()) && array.data_type() != &DataType::Null {
        return None;
    }
    // What does not fit is an error, not a null.
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(&array, to, &options).ok()
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

impl sealed::Sealed for String {
    const KIND: &'static str = "text";

    fn canonical(array: &ArrayRef) -> Option<ArrayRef> {
        canonical(array, is_text, &DataType::Utf8)
    }

    fn at(array: &ArrayRef, row: usize) -> Option<Self> {
        Some(array.as_string::<i32>().value(row).to_owned())
    }
}

impl sealed::Sealed for i64 {
    const KIND: &'static str = "an integer";

    fn canonical(array: &ArrayRef) -> Option<ArrayRef> {
        let array = unpacked(array)?;
        // A value that only fits without a sign is refused where it is read, not with the whole column.
        let to = match array.data_type() {
            DataType::UInt64 => DataType::UInt64,
            _ => DataType::Int64,
        };
        canonical(&array, DataType::is_integer, &to)
    }

    fn at(array: &ArrayRef, row: usize) -> Option<Self> {
        match array.as_primitive_opt::<UInt64Type>() {
            Some(unsigned) => unsigned.value(row).try_into().ok(),
            None => Some(array.as_primitive::<Int64Type>().value(row)),
        }
    }
}

impl sealed::Sealed for u64 {
    const KIND: &'static str = "an integer";

    fn canonical(array: &ArrayRef) -> Option<ArrayRef> {
        <i64 as sealed::Sealed>::canonical(array)
    }

    fn at(array: &ArrayRef, row: usize) -> Option<Self> {
        match array.as_primitive_opt::<UInt64Type>() {
            Some(unsigned) => Some(unsigned.value(row)),
            None => array.as_primitive::<Int64Type>().value(row).try_into().ok(),
        }
    }
}

impl sealed::Sealed for bool {
    const KIND: &'static str = "a boolean";

    fn canonical(array: &ArrayRef) -> Option<ArrayRef> {
        canonical(array, |data_type| data_type == &DataType::Boolean, &DataType::Boolean)
    }

    fn at(array: &ArrayRef, row: usize) -> Option<Self> {
        Some(array.as_boolean().value(row))
    }
}

impl sealed::Sealed for Vec<u8> {
    const KIND: &'static str = "bytes";

    fn canonical(array: &ArrayRef) -> Option<ArrayRef> {
        let is_bytes = |data_type: &DataType| {
            matches!(
                data_type,
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
            )
        };
        canonical(array, is_bytes, &DataType::Binary)
    }

    fn at(array: &ArrayRef, row: usize) -> Option<Self> {
        Some(array.as_binary::<i32>().value(row).to_owned())
    }
}

impl sealed::Sealed for DateTime<Utc> {
    const KIND: &'static str = "a time";

    /// Each unit stays as it is: nanoseconds hold fewer years than the others, and the others fewer digits. An instant
    /// is the same in every zone; without a zone it is taken as UTC, in which a lake keeps its times.
    fn canonical(array: &ArrayRef) -> Option<ArrayRef> {
        let array = unpacked(array)?;
        match array.data_type() {
            DataType::Timestamp(..) => Some(array),
            DataType::Null => cast(&array, &DataType::Timestamp(TimeUnit::Nanosecond, None)).ok(),
            _ => None,
        }
    }

    fn at(array: &ArrayRef, row: usize) -> Option<Self> {
        match array.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => {
                DateTime::from_timestamp(array.as_primitive::<TimestampSecondType>().value(row), 0)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                DateTime::from_timestamp_millis(array.as_primitive::<TimestampMillisecondType>().value(row))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                DateTime::from_timestamp_micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(DateTime::from_timestamp_nanos(
                array.as_primitive::<TimestampNanosecondType>().value(row),
            )),
            _ => None,
        }
    }
}

impl sealed::Sealed for Vec<String> {
    const KIND: &'static str = "a list of texts";

    fn canonical(array: &ArrayRef) -> Option<ArrayRef> {
        let is_text_list = |data_type: &DataType| match data_type {
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _) => match item.data_type() {
                DataType::Dictionary(_, values) => is_text(values),
                DataType::Null => true,
                other => is_text(other),
            },
            _ => false,
        };
        let item = Field::new_list_field(DataType::Utf8, true);
        canonical(array, is_text_list, &DataType::List(Arc::new(item)))
    }

    /// A null in the list is left out.
    fn at(array: &ArrayRef, row: usize) -> Option<Self> {
        let items = array.as_list::<i32>().value(row);
        Some(items.as_string::<i32>().iter().flatten().map(str::to_owned).collect())
    }
}
