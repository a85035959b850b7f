//! How large rows are in memory.
//!
//! Arrow's own measures count the buffers that a slice shares with its parent, or the whole child of a sliced list. A
//! target in bytes needs the size of the rows that a batch *shows*, for any range of its rows, and a measure that adds up:
//! the size of two ranges is the size of the range that they make together. So sizes are in bits in here.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ByteViewType, DataType};

/// Strings of a view column that are longer than this are kept outside of the view itself.
const LONGEST_INLINE_VIEW: u32 = 12;

/// The size of a batch in memory, in bytes: of the rows that it shows, not of the buffers that it shares with others.
///
/// The values of a dictionary count once for the batch, whole.
///
/// ```
/// use std::sync::Arc;
///
/// use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use lakepilot_execution::batch_bytes;
///
/// let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
/// let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
/// assert_eq!(batch_bytes(&batch), 8_000);
/// assert_eq!(batch_bytes(&batch.slice(500, 10)), 80);
/// ```
pub fn batch_bytes(batch: &RecordBatch) -> usize {
    let mut bits = row_bits(batch, 0, batch.num_rows());
    let mut seen = Vec::new();
    for dictionary in dictionaries(batch) {
        if !seen.contains(&dictionary.identity) {
            bits += dictionary.bits;
            seen.push(dictionary.identity);
        }
    }
    to_bytes(bits)
}

pub(crate) fn to_bytes(bits: u64) -> usize {
    usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX)
}

/// Measures the batches of one stream, whose dictionaries often are those of the batch before: these count once.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    known: Vec<Identity>,
}

impl Meter {
    /// The bytes that this batch adds to those before it.
    pub(crate) fn added_bytes(&mut self, batch: &RecordBatch) -> usize {
        let mut bits = row_bits(batch, 0, batch.num_rows());
        let mut identities = Vec::new();
        for dictionary in dictionaries(batch) {
            if !self.known.contains(&dictionary.identity) && !identities.contains(&dictionary.identity) {
                bits += dictionary.bits;
            }
            identities.push(dictionary.identity);
        }
        self.known = identities;
        to_bytes(bits)
    }
}

/// Which values a dictionary has: two arrays of the same identity share them.
///
/// Decoders rebuild the array around the same buffer for each batch, so the buffer tells, not the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    buffer: usize,
    length: usize,
}

/// The values of one dictionary column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dictionary {
    pub(crate) identity: Identity,
    /// The size of all values.
    pub(crate) bits: u64,
    /// How many values there are.
    pub(crate) values: usize,
    /// How many values the keys can tell apart.
    pub(crate) most_values: usize,
}

/// The dictionaries of a batch, in the order of the columns, those in lists and structs too.
pub(crate) fn dictionaries(batch: &RecordBatch) -> Vec<Dictionary> {
    let mut found = Vec::new();
    for column in batch.columns() {
        find_dictionaries(column, &mut found);
    }
    found
}

fn find_dictionaries(array: &ArrayRef, found: &mut Vec<Dictionary>) {
    match array.data_type() {
        DataType::Dictionary(key, _) => {
            let values = array.as_any_dictionary().values();
            found.push(Dictionary {
                identity: identity(values),
                bits: bits(values, 0, values.len()),
                values: values.len(),
                most_values: most_values(key),
            });
        }
        DataType::List(_) => find_dictionaries(array.as_list::<i32>().values(), found),
        DataType::LargeList(_) => find_dictionaries(array.as_list::<i64>().values(), found),
        DataType::FixedSizeList(..) => find_dictionaries(array.as_fixed_size_list().values(), found),
        DataType::Struct(_) => {
            for column in array.as_struct().columns() {
                find_dictionaries(column, found);
            }
        }
        DataType::Map(..) => {
            for column in array.as_map().entries().columns() {
                find_dictionaries(column, found);
            }
        }
        _ => {}
    }
}

fn identity(values: &ArrayRef) -> Identity {
    let data = values.to_data();
    Identity {
        // The last buffer is the one of the values, where there are offsets or views before it.
        buffer: data.buffers().last().map_or(0, |buffer| buffer.as_ptr() as usize),
        length: values.len(),
    }
}

/// Signed keys have half of their range; unsigned ones are held to that too.
fn most_values(key: &DataType) -> usize {
    let bits = key.primitive_width().map_or(0, |width| 8 * width as u32 - 1);
    2usize.checked_pow(bits).unwrap_or(usize::MAX)
}

/// The size of a column, without the values of dictionaries, in bytes.
pub(crate) fn column_bytes(column: &ArrayRef) -> usize {
    to_bytes(bits(column, 0, column.len()))
}

/// The size of a range of rows, in bits, without the values of dictionaries.
pub(crate) fn row_bits(batch: &RecordBatch, start: usize, rows: usize) -> u64 {
    batch.columns().iter().map(|column| bits(column, start, rows)).sum()
}

fn bits(array: &dyn Array, start: usize, length: usize) -> u64 {
    if length == 0 {
        return 0;
    }
    let validity = if array.nulls().is_some() { length as u64 } else { 0 };
    validity + value_bits(array, start, length)
}

fn value_bits(array: &dyn Array, start: usize, length: usize) -> u64 {
    let each = |bits: usize| (bits * length) as u64;
    match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => length as u64,
        DataType::FixedSizeBinary(width) => each(8 * usize::try_from(*width).unwrap_or(0)),
        DataType::Utf8 => each(32) + 8 * span(array.as_string::<i32>().offsets(), start, length),
        DataType::LargeUtf8 => each(64) + 8 * span(array.as_string::<i64>().offsets(), start, length),
        DataType::Binary => each(32) + 8 * span(array.as_binary::<i32>().offsets(), start, length),
        DataType::LargeBinary => each(64) + 8 * span(array.as_binary::<i64>().offsets(), start, length),
        DataType::Utf8View => each(128) + view_bits(array.as_string_view(), start, length),
        DataType::BinaryView => each(128) + view_bits(array.as_binary_view(), start, length),
        DataType::Dictionary(key, _) => each(8 * key.primitive_width().unwrap_or(0)),
        DataType::List(_) => each(32) + list_bits(array.as_list::<i32>(), start, length),
        DataType::LargeList(_) => each(64) + list_bits(array.as_list::<i64>(), start, length),
        DataType::Map(..) => {
            let map = array.as_map();
            let (first, items) = range(map.offsets(), start, length);
            each(32) + bits(map.entries(), first, items)
        }
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            bits(array.as_fixed_size_list().values(), start * size, length * size)
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns();
            columns.iter().map(|column| bits(column, start, length)).sum()
        }
        other => match other.primitive_width() {
            Some(width) => each(8 * width),
            // Run-end encoded values, unions and list views: their share of the whole.
            None => share(array, length),
        },
    }
}

fn list_bits<O: OffsetSizeTrait>(list: &arrow::array::GenericListArray<O>, start: usize, length: usize) -> u64 {
    let (first, items) = range(list.offsets(), start, length);
    bits(list.values(), first, items)
}

fn view_bits<T: ByteViewType + ?Sized>(
    views: &arrow::array::GenericByteViewArray<T>,
    start: usize,
    length: usize,
) -> u64 {
    let views: &ScalarBuffer<u128> = views.views();
    // The lower half of the lower half of a view is the length of its value.
    let lengths = views[start..start + length].iter().map(|view| *view as u32);
    8 * lengths
        .filter(|length| *length > LONGEST_INLINE_VIEW)
        .map(u64::from)
        .sum::<u64>()
}

/// The first item and the number of items of a range of lists.
fn range<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, start: usize, length: usize) -> (usize, usize) {
    let first = offsets[start].as_usize();
    (first, offsets[start + length].as_usize() - first)
}

fn span<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, start: usize, length: usize) -> u64 {
    range(offsets, start, length).1 as u64
}

fn share(array: &dyn Array, length: usize) -> u64 {
    let whole = array.get_array_memory_size() as u128 * 8;
    u64::try_from(whole * length as u128 / array.len().max(1) as u128).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{
        BooleanArray, DictionaryArray, Int32Array, Int64Array, ListBuilder, StringArray, StringBuilder,
        StringViewArray, StructArray,
    };
    use arrow::datatypes::{Field, Int32Type};
    use proptest::prelude::*;

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        RecordBatch::try_from_iter(
            columns
                .into_iter()
                .enumerate()
                .map(|(n, column)| (n.to_string(), column)),
        )
        .unwrap()
    }

    fn lists(texts: &[Option<String>]) -> ArrayRef {
        let mut builder = ListBuilder::new(StringBuilder::new());
        for text in texts {
            for letter in text.iter().flat_map(|text| text.chars()) {
                builder.values().append_value(letter.to_string());
            }
            builder.append(text.is_some());
        }
        Arc::new(builder.finish())
    }

    /// Columns of every shape over the same texts.
    fn every_shape(texts: &[Option<String>]) -> RecordBatch {
        let plain: ArrayRef = Arc::new(StringArray::from_iter(texts.iter()));
        let lengths: ArrayRef = Arc::new(Int64Array::from_iter(
            texts.iter().map(|t| t.as_ref().map(|t| t.len() as i64)),
        ));
        let nested = StructArray::from(vec![
            (Arc::new(Field::new("a", DataType::Utf8, true)), Arc::clone(&plain)),
            (Arc::new(Field::new("b", DataType::Int64, true)), Arc::clone(&lengths)),
        ]);
        batch(vec![
            Arc::new(StringViewArray::from_iter(texts.iter())),
            Arc::new(BooleanArray::from_iter(texts.iter().map(|text| Some(text.is_some())))),
            Arc::new(DictionaryArray::<Int32Type>::from_iter(
                texts.iter().map(Option::as_deref),
            )),
            lists(texts),
            Arc::new(nested),
            plain,
            lengths,
        ])
    }

    proptest! {
        #[test]
        fn sizes_add_up_and_a_slice_is_as_large_as_its_range(
            texts in proptest::collection::vec(proptest::option::of("[a-z]{0,30}"), 1..60),
            cut in any::<proptest::sample::Index>(),
        ) {
            let batch = every_shape(&texts);
            let cut = cut.index(texts.len());
            let rest = texts.len() - cut;
            let whole = row_bits(&batch, 0, texts.len());
            prop_assert_eq!(row_bits(&batch, 0, cut) + row_bits(&batch, cut, rest), whole);
            prop_assert_eq!(row_bits(&batch.slice(cut, rest), 0, rest), row_bits(&batch, cut, rest));
        }
    }

    #[test]
    fn a_slice_of_lists_counts_its_own_items() {
        let texts: Vec<_> = (0..1_000).map(|_| Some("x".repeat(100))).collect();
        let whole = batch(vec![lists(&texts)]);
        // A list of 100 texts of one byte: offset, and for each text an offset and the byte.
        assert_eq!(batch_bytes(&whole.slice(0, 1)), 4 + 100 * 5);
        assert_eq!(batch_bytes(&whole), 1_000 * (4 + 100 * 5));
    }

    #[test]
    fn short_views_are_inline() {
        let short: ArrayRef = Arc::new(StringViewArray::from_iter_values(["twelve bytes"]));
        let long: ArrayRef = Arc::new(StringViewArray::from_iter_values(["thirteen byte"]));
        assert_eq!(batch_bytes(&batch(vec![short])), 16);
        assert_eq!(batch_bytes(&batch(vec![long])), 16 + 13);
    }

    #[test]
    fn the_values_of_a_dictionary_count_once() {
        let values: ArrayRef = Arc::new(StringArray::from_iter_values(["x".repeat(1_000)]));
        let keys = Int32Array::from(vec![0; 100]);
        let column: ArrayRef = Arc::new(DictionaryArray::try_new(keys, values).unwrap());
        let two = batch(vec![Arc::clone(&column), column]);
        assert_eq!(batch_bytes(&two), 2 * 400 + 1_004);
        let mut meter = Meter::default();
        assert_eq!(meter.added_bytes(&two.slice(0, 10)), 2 * 40 + 1_004);
        assert_eq!(meter.added_bytes(&two.slice(10, 10)), 2 * 40);
    }

    #[test]
    fn keys_tell_so_many_values_apart() {
        assert_eq!(most_values(&DataType::Int8), 128);
        assert_eq!(most_values(&DataType::Int32), 1 << 31);
        assert_eq!(most_values(&DataType::UInt64), 1 << 63);
    }
}
