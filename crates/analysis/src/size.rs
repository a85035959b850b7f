//! How many bytes a row takes, from its Arrow types.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, UnionMode};
use lakepilot_query::{Dictionaries, Query};
use serde::Serialize;

use crate::lengths::is_measured_whole;

/// One validity bit.
const BIT: f64 = 1.0 / 8.0;

/// A view of text or binary: its length, and either twelve bytes of it or where it lies.
const VIEW_BYTES: f64 = 16.0;

/// The longest text that a view holds by itself.
const INLINE_VIEW_BYTES: f64 = 12.0;

/// The columns of every lake whose text is a UUID.
const UUID_COLUMNS: &[&str] = &["process_id", "stream_id", "block_id", "parent_process_id"];

/// The length of a UUID as text.
const UUID_BYTES: f64 = 36.0;

/// What the size of a column stands on, from the firmest to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SizeBasis {
    /// The Arrow type has a fixed width.
    Type,
    /// It is the id of a process, a stream or a block, which is a UUID.
    Uuid,
    /// Its length was given by the caller.
    Given,
    /// A sample of the result was measured.
    Sampled,
    /// Results of earlier queries were measured.
    Learnt,
    /// An expression that makes the text of other columns, whose lengths are known or typical.
    Computed,
    /// What is typical of a column that every lake has: a message, a name, a path.
    Typical,
    /// Nothing that is known: the documented default for values of unknown length.
    Assumed,
}

impl SizeBasis {
    /// The basis as a few words for a person.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Uuid => "UUID",
            Self::Given => "given",
            Self::Sampled => "sample",
            Self::Learnt => "earlier results",
            Self::Computed => "computed",
            Self::Typical => "typical",
            Self::Assumed => "assumed",
        }
    }
}

/// What a row size is computed from where the type alone does not tell it.
///
/// Sizes are those of the Arrow buffers, which is what travels and what a client holds: values, offsets and validity
/// bits, without padding and without the headers of messages.
///
/// ```
/// use arrow::datatypes::{DataType, Field};
/// use lakepilot_analysis::SizeModel;
///
/// let level = Field::new("level", DataType::Int32, false);
/// assert_eq!(SizeModel::default().field_bytes(&level), 4.0);
/// // The text itself and one offset of 32 bits.
/// let msg = Field::new("msg", DataType::Utf8, false);
/// assert_eq!(SizeModel::default().field_bytes(&msg), 54.0);
/// assert_eq!(SizeModel::default().with_text_bytes("msg", 120.0).field_bytes(&msg), 124.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SizeModel {
    /// The average length of text of unknown length, in bytes. 50, as in the guide.
    pub text_bytes: f64,
    /// The average length of binary values of unknown length, in bytes. 50.
    pub binary_bytes: f64,
    /// The average number of items of a list, and of entries of a map. 4.
    pub list_items: f64,
    /// How many rows share one value of a dictionary that is kept, and one run of a run-end encoded column. 100.
    pub rows_per_value: f64,
    /// Whether dictionary columns arrive as dictionaries or flattened to their values, as the query asks for it.
    pub dictionaries: Dictionaries,
    /// Average lengths of text and binary columns, where they are known, by the name of the column in the result; of lists,
    /// maps and structs, all that a value takes. The ids of processes, streams and blocks need not be here: they are UUIDs,
    /// of 36 bytes.
    pub known_bytes: BTreeMap<String, f64>,
}

impl Default for SizeModel {
    fn default() -> Self {
        Self {
            text_bytes: 50.0,
            binary_bytes: 50.0,
            list_items: 4.0,
            rows_per_value: 100.0,
            dictionaries: Dictionaries::Flattened,
            known_bytes: BTreeMap::new(),
        }
    }
}

impl SizeModel {
    /// The default assumptions, with dictionaries as the query asks for them.
    pub fn for_query(query: &Query) -> Self {
        Self {
            dictionaries: query.dictionaries(),
            ..Self::default()
        }
    }

    /// The same model with the average length of a text or binary column, in bytes.
    #[must_use]
    pub fn with_text_bytes(mut self, column: impl Into<String>, bytes: f64) -> Self {
        self.known_bytes.insert(column.into(), bytes);
        self
    }

    /// The bytes that one row of the schema takes on average.
    pub fn row_bytes(&self, schema: &Schema) -> f64 {
        schema.fields().iter().map(|field| self.field_bytes(field)).sum()
    }

    /// The bytes that one value of the field takes on average, with its share of offsets, dictionary and validity.
    pub fn field_bytes(&self, field: &Field) -> f64 {
        let learnt = self.known_bytes.get(field.name()).copied();
        match learnt.filter(|_| is_measured_whole(field.data_type())) {
            Some(whole) => validity_bytes(field) + whole,
            None => self.bytes(field, learnt.or(uuid_bytes(field))),
        }
    }

    /// What the size of a field stands on, when its length is not among those that the model knows.
    pub(crate) fn basis_of(&self, field: &Field) -> SizeBasis {
        if self.is_told_by(field.data_type()) {
            SizeBasis::Type
        } else if uuid_bytes(field).is_some() && self.is_told_by_length(field.data_type()) {
            SizeBasis::Uuid
        } else {
            SizeBasis::Assumed
        }
    }

    /// Whether a type tells the size of its values.
    fn is_told_by(&self, data_type: &DataType) -> bool {
        match data_type {
            DataType::Null | DataType::Boolean | DataType::FixedSizeBinary(_) => true,
            DataType::FixedSizeList(item, _) => self.is_told_by(item.data_type()),
            DataType::Struct(fields) => fields.iter().all(|field| self.is_told_by(field.data_type())),
            DataType::Dictionary(_, value) => self.dictionaries == Dictionaries::Flattened && self.is_told_by(value),
            other => other.primitive_width().is_some(),
        }
    }

    /// Whether a type and the length of a text tell the size of its values.
    fn is_told_by_length(&self, data_type: &DataType) -> bool {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
            DataType::Dictionary(_, value) => {
                self.dictionaries == Dictionaries::Flattened && self.is_told_by_length(value)
            }
            _ => false,
        }
    }

    fn bytes(&self, field: &Field, known: Option<f64>) -> f64 {
        validity_bytes(field) + self.type_bytes(field.data_type(), known)
    }

    fn type_bytes(&self, data_type: &DataType, known: Option<f64>) -> f64 {
        let text = known.unwrap_or(self.text_bytes);
        let binary = known.unwrap_or(self.binary_bytes);
        match data_type {
            DataType::Null => 0.0,
            DataType::Boolean => BIT,
            DataType::Int8 | DataType::UInt8 => 1.0,
            DataType::Int16 | DataType::UInt16 | DataType::Float16 => 2.0,
            DataType::Int32
            | DataType::UInt32
            | DataType::Float32
            | DataType::Date32
            | DataType::Time32(_)
            | DataType::Decimal32(..) => 4.0,
            DataType::Int64
            | DataType::UInt64
            | DataType::Float64
            | DataType::Date64
            | DataType::Time64(_)
            | DataType::Timestamp(..)
            | DataType::Duration(_)
            | DataType::Decimal64(..) => 8.0,
            DataType::Decimal128(..) => 16.0,
            DataType::Decimal256(..) => 32.0,
            DataType::Interval(IntervalUnit::YearMonth) => 4.0,
            DataType::Interval(IntervalUnit::DayTime) => 8.0,
            DataType::Interval(IntervalUnit::MonthDayNano) => 16.0,
            DataType::FixedSizeBinary(width) => f64::from(*width),
            DataType::Utf8 => 4.0 + text,
            DataType::LargeUtf8 => 8.0 + text,
            DataType::Utf8View => view_bytes(text),
            DataType::Binary => 4.0 + binary,
            DataType::LargeBinary => 8.0 + binary,
            DataType::BinaryView => view_bytes(binary),
            DataType::List(item) => 4.0 + self.list_items * self.bytes(item, known),
            DataType::LargeList(item) => 8.0 + self.list_items * self.bytes(item, known),
            DataType::ListView(item) => 8.0 + self.list_items * self.bytes(item, known),
            DataType::LargeListView(item) => 16.0 + self.list_items * self.bytes(item, known),
            DataType::FixedSizeList(item, length) => f64::from(*length) * self.bytes(item, known),
            DataType::Map(entries, _) => 4.0 + self.list_items * self.bytes(entries, None),
            DataType::Struct(fields) => fields.iter().map(|field| self.field_bytes(field)).sum(),
            DataType::Union(fields, mode) => self.union_bytes(fields.iter().map(|(_, field)| field.as_ref()), *mode),
            DataType::Dictionary(index, value) => self.dictionary_bytes(index, value, known),
            DataType::RunEndEncoded(run_ends, values) => {
                (self.bytes(run_ends, None) + self.bytes(values, known)) / self.rows_per_value.max(1.0)
            }
        }
    }

    fn dictionary_bytes(&self, index: &DataType, value: &DataType, known: Option<f64>) -> f64 {
        let value = self.type_bytes(value, known);
        match self.dictionaries {
            Dictionaries::Flattened => value,
            Dictionaries::Preserved => self.type_bytes(index, None) + value / self.rows_per_value.max(1.0),
        }
    }

    /// A sparse union keeps a slot of every child for each row; a dense one keeps one slot and an offset.
    fn union_bytes<'a>(&self, fields: impl Iterator<Item = &'a Field>, mode: UnionMode) -> f64 {
        let sizes: Vec<f64> = fields.map(|field| self.field_bytes(field)).collect();
        let all: f64 = sizes.iter().sum();
        match mode {
            UnionMode::Sparse => 1.0 + all,
            UnionMode::Dense => 1.0 + 4.0 + all / sizes.len().max(1) as f64,
        }
    }
}

fn validity_bytes(field: &Field) -> f64 {
    let has_validity = match field.data_type() {
        DataType::Null | DataType::Union(..) | DataType::RunEndEncoded(..) => false,
        _ => field.is_nullable(),
    };
    if has_validity { BIT } else { 0.0 }
}

fn uuid_bytes(field: &Field) -> Option<f64> {
    UUID_COLUMNS.contains(&field.name().as_str()).then_some(UUID_BYTES)
}

fn view_bytes(length: f64) -> f64 {
    if length <= INLINE_VIEW_BYTES {
        VIEW_BYTES
    } else {
        VIEW_BYTES + length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Fields, TimeUnit, UnionFields};
    use std::sync::Arc;

    fn bytes(data_type: DataType) -> f64 {
        SizeModel::default().field_bytes(&Field::new("x", data_type, false))
    }

    fn item(data_type: DataType) -> Arc<Field> {
        Arc::new(Field::new("item", data_type, false))
    }

    #[test]
    fn fixed_widths_are_what_arrow_says() {
        for data_type in [
            DataType::Int8,
            DataType::UInt16,
            DataType::Float16,
            DataType::Int32,
            DataType::Float64,
            DataType::Date32,
            DataType::Date64,
            DataType::Time32(TimeUnit::Second),
            DataType::Time64(TimeUnit::Nanosecond),
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            DataType::Duration(TimeUnit::Second),
            DataType::Interval(IntervalUnit::YearMonth),
            DataType::Interval(IntervalUnit::DayTime),
            DataType::Interval(IntervalUnit::MonthDayNano),
            DataType::Decimal32(5, 2),
            DataType::Decimal64(12, 2),
            DataType::Decimal128(30, 2),
            DataType::Decimal256(60, 2),
        ] {
            let width = data_type.primitive_width().expect("the type has a fixed width") as f64;
            assert_eq!(bytes(data_type.clone()), width, "{data_type}");
        }
    }

    #[test]
    fn everything_else_counts_its_buffers() {
        let pair = Fields::from(vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", DataType::Int32, true),
        ]);
        let union = UnionFields::from_fields([
            Field::new("a", DataType::Int64, false),
            Field::new("b", DataType::Int32, false),
        ]);
        let string_dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        for (data_type, expected) in [
            (DataType::Null, 0.0),
            (DataType::Boolean, 0.125),
            (DataType::FixedSizeBinary(16), 16.0),
            (DataType::Utf8, 54.0),
            (DataType::LargeUtf8, 58.0),
            (DataType::Utf8View, 66.0),
            (DataType::Binary, 54.0),
            (DataType::LargeBinary, 58.0),
            (DataType::BinaryView, 66.0),
            (DataType::List(item(DataType::Int64)), 36.0),
            (DataType::LargeList(item(DataType::Int64)), 40.0),
            (DataType::ListView(item(DataType::Int64)), 40.0),
            (DataType::LargeListView(item(DataType::Int64)), 48.0),
            (DataType::FixedSizeList(item(DataType::Int32), 3), 12.0),
            (DataType::Struct(pair.clone()), 58.125),
            (DataType::Map(item(DataType::Struct(pair)), false), 4.0 + 4.0 * 58.125),
            (DataType::Union(union.clone(), UnionMode::Sparse), 13.0),
            (DataType::Union(union, UnionMode::Dense), 11.0),
            (string_dictionary, 54.0),
            (
                DataType::RunEndEncoded(item(DataType::Int32), item(DataType::Int64)),
                0.12,
            ),
        ] {
            assert!((bytes(data_type.clone()) - expected).abs() < 1e-9, "{data_type}");
        }
    }

    #[test]
    fn a_kept_dictionary_shares_its_values() {
        let model = SizeModel {
            dictionaries: Dictionaries::Preserved,
            ..SizeModel::default()
        };
        let field = Field::new(
            "exe",
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            true,
        );
        assert_eq!(model.field_bytes(&field), 0.125 + 4.0 + 54.0 / 100.0);
    }

    #[test]
    fn a_known_length_is_that_of_a_text_or_of_a_whole_list() {
        let model = SizeModel::default().with_text_bytes("tags", 3.0);
        let list = Field::new("tags", DataType::List(item(DataType::Utf8)), true);
        assert_eq!(model.field_bytes(&list), 0.125 + 3.0);
        let view = Field::new("tags", DataType::Utf8View, false);
        assert_eq!(model.field_bytes(&view), 16.0);
    }

    #[test]
    fn a_size_says_what_it_stands_on() {
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        let kept = SizeModel {
            dictionaries: Dictionaries::Preserved,
            ..SizeModel::default()
        };
        let plain = SizeModel::default();
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let id = Field::new("process_id", dictionary, false);
        for (model, field, expected) in [
            (&plain, Field::new("level", DataType::Int32, false), SizeBasis::Type),
            (&plain, text("stream_id"), SizeBasis::Uuid),
            (&plain, id.clone(), SizeBasis::Uuid),
            (&kept, id, SizeBasis::Assumed),
            (&plain, text("msg"), SizeBasis::Assumed),
            (
                &plain,
                Field::new("process_id", DataType::Binary, false),
                SizeBasis::Assumed,
            ),
            (
                &plain,
                Field::new("tags", DataType::List(item(DataType::Int64)), false),
                SizeBasis::Assumed,
            ),
            (
                &plain,
                Field::new("pair", DataType::FixedSizeList(item(DataType::Int64), 2), false),
                SizeBasis::Type,
            ),
        ] {
            assert_eq!(model.basis_of(&field), expected, "{field}");
        }
    }
}
