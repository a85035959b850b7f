//! How long the values of a column are, measured in a result.

use arrow::array::{Array, ArrayRef, AsArray, GenericByteViewArray, GenericListArray, OffsetSizeTrait};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{ArrowDictionaryKeyType, ByteViewType, DataType};
use arrow::downcast_dictionary_array;

/// The longest text that a view holds by itself.
const LONGEST_INLINE_VIEW: usize = 12;

/// Whether what is known of a column of this type is the size of whole values, and not the length of a text.
pub(crate) fn is_measured_whole(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::Map(..)
            | DataType::Struct(_)
    )
}

/// The bytes of all values of a column whose type does not tell its size, each row's as if dictionaries were flattened.
///
/// For text and binary values they are those of the values alone, without offsets; nulls count as empty. For lists, maps
/// and structs they are all that the values take ([`is_measured_whole`]). `None` for types of a fixed width, and for those
/// that results of queries do not have.
pub(crate) fn varying_bytes(column: &ArrayRef) -> Option<f64> {
    if is_measured_whole(column.data_type()) {
        return whole_bytes(column);
    }
    text_bytes(column).map(|bytes| bytes as f64)
}

fn text_bytes(column: &dyn Array) -> Option<u64> {
    Some(match column.data_type() {
        DataType::Utf8 => span(column.as_string::<i32>().offsets()),
        DataType::LargeUtf8 => span(column.as_string::<i64>().offsets()),
        DataType::Binary => span(column.as_binary::<i32>().offsets()),
        DataType::LargeBinary => span(column.as_binary::<i64>().offsets()),
        DataType::Utf8View => view_lengths(column.as_string_view()).sum(),
        DataType::BinaryView => view_lengths(column.as_binary_view()).sum(),
        DataType::Dictionary(..) => downcast_dictionary_array!(
            column => return dictionary_bytes(column),
            _ => return None
        ),
        _ => return None,
    })
}

fn span<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> u64 {
    let (first, last) = ends(offsets);
    (last - first) as u64
}

fn ends<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (usize, usize) {
    let end = |offset: Option<&O>| offset.map_or(0, |offset| offset.as_usize());
    (end(offsets.first()), end(offsets.last()))
}

/// The length of each value; nulls are empty.
fn view_lengths<T: ByteViewType + ?Sized>(column: &GenericByteViewArray<T>) -> impl Iterator<Item = u64> {
    let nulls = column.nulls();
    column.views().iter().enumerate().map(move |(index, view)| {
        // The lowest four bytes of a view are the length of its value.
        let is_null = nulls.is_some_and(|nulls| nulls.is_null(index));
        if is_null { 0 } else { u64::from(*view as u32) }
    })
}

fn dictionary_bytes<K: ArrowDictionaryKeyType>(column: &arrow::array::DictionaryArray<K>) -> Option<u64> {
    let lengths = value_lengths(column.values())?;
    let keys = column.keys_iter().flatten();
    Some(keys.filter_map(|key| lengths.get(key)).sum())
}

/// The length of each value of a dictionary.
fn value_lengths(values: &dyn Array) -> Option<Vec<u64>> {
    fn of<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> Vec<u64> {
        offsets.lengths().map(|length| length as u64).collect()
    }
    Some(match values.data_type() {
        DataType::Utf8 => of(values.as_string::<i32>().offsets()),
        DataType::LargeUtf8 => of(values.as_string::<i64>().offsets()),
        DataType::Binary => of(values.as_binary::<i32>().offsets()),
        DataType::LargeBinary => of(values.as_binary::<i64>().offsets()),
        DataType::Utf8View => view_lengths(values.as_string_view()).collect(),
        DataType::BinaryView => view_lengths(values.as_binary_view()).collect(),
        _ => return None,
    })
}

/// All that the values of a column take, but for its own validity bits.
fn whole_bytes(column: &dyn Array) -> Option<f64> {
    let rows = column.len() as f64;
    Some(match column.data_type() {
        DataType::Boolean => rows / 8.0,
        DataType::FixedSizeBinary(width) => rows * f64::from(*width),
        DataType::Utf8 | DataType::Binary => 4.0 * rows + text_bytes(column)? as f64,
        DataType::LargeUtf8 | DataType::LargeBinary => 8.0 * rows + text_bytes(column)? as f64,
        DataType::Utf8View => 16.0 * rows + long_views(column.as_string_view()),
        DataType::BinaryView => 16.0 * rows + long_views(column.as_binary_view()),
        DataType::Dictionary(..) => 4.0 * rows + text_bytes(column)? as f64,
        DataType::List(_) => 4.0 * rows + item_bytes(column.as_list::<i32>())?,
        DataType::LargeList(_) => 8.0 * rows + item_bytes(column.as_list::<i64>())?,
        DataType::Map(..) => {
            let map = column.as_map();
            let (first, last) = ends(map.offsets());
            4.0 * rows + item_of(&map.entries().slice(first, last - first))?
        }
        DataType::FixedSizeList(_, size) => {
            let list = column.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap_or(0);
            let items = list.values().slice(list.value_offset(0) as usize, size * list.len());
            item_of(&items)?
        }
        DataType::Struct(_) => {
            let fields = column.as_struct().columns();
            fields.iter().map(|field| item_of(field)).sum::<Option<f64>>()?
        }
        DataType::Null => 0.0,
        other => other.primitive_width()? as f64 * rows,
    })
}

fn long_views<T: ByteViewType + ?Sized>(column: &GenericByteViewArray<T>) -> f64 {
    let long = view_lengths(column).filter(|length| *length > LONGEST_INLINE_VIEW as u64);
    long.sum::<u64>() as f64
}

fn item_bytes<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> Option<f64> {
    let (first, last) = ends(list.offsets());
    item_of(&list.values().slice(first, last - first))
}

/// All that the items take, validity bits included where there are any.
fn item_of(items: &dyn Array) -> Option<f64> {
    let validity = if items.nulls().is_some() {
        items.len() as f64 / 8.0
    } else {
        0.0
    };
    Some(validity + whole_bytes(items)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, DictionaryArray, Int32Array, Int64Array, LargeStringArray, ListBuilder, StringArray,
        StringBuilder, StringViewArray, StructArray,
    };
    use arrow::datatypes::{Field, Int8Type, UInt32Type};

    use super::*;

    fn tags(rows: &[&[&str]]) -> ArrayRef {
        let mut builder = ListBuilder::new(StringBuilder::new());
        for row in rows {
            for tag in *row {
                builder.values().append_value(tag);
            }
            builder.append(true);
        }
        Arc::new(builder.finish())
    }

    #[test]
    fn texts_are_measured_by_their_values_whatever_holds_them() {
        let texts = [Some("four"), None, Some("a text of twenty byt"), Some("")];
        let all: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter(texts)),
            Arc::new(LargeStringArray::from_iter(texts)),
            Arc::new(StringViewArray::from_iter(texts)),
            Arc::new(BinaryArray::from_iter(texts)),
            Arc::new(DictionaryArray::<Int8Type>::from_iter(texts)),
            Arc::new(DictionaryArray::<UInt32Type>::from_iter(texts)),
        ];
        for column in all {
            assert_eq!(varying_bytes(&column), Some(24.0), "{}", column.data_type());
            // A slice counts its own rows only.
            assert_eq!(varying_bytes(&column.slice(1, 3)), Some(20.0), "{}", column.data_type());
            assert_eq!(varying_bytes(&column.slice(0, 0)), Some(0.0), "{}", column.data_type());
        }
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        assert_eq!(varying_bytes(&numbers), None);
    }

    #[test]
    fn a_key_of_a_dictionary_counts_as_often_as_it_is_used() {
        let keys = Int32Array::from(vec![Some(1), Some(1), None, Some(0)]);
        let values: ArrayRef = Arc::new(StringArray::from(vec!["a", "three"]));
        let column: ArrayRef = Arc::new(DictionaryArray::try_new(keys, values).unwrap());
        assert_eq!(varying_bytes(&column), Some(11.0));
    }

    #[test]
    fn lists_and_structs_are_measured_whole() {
        let lists = tags(&[&["a", "bcd"], &[], &["ef"]]);
        // Three offsets of the lists, three of the texts, and six bytes.
        assert_eq!(varying_bytes(&lists), Some(4.0 * 3.0 + 4.0 * 3.0 + 6.0));
        assert_eq!(varying_bytes(&lists.slice(1, 2)), Some(4.0 * 2.0 + 4.0 + 2.0));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let pairs: ArrayRef = Arc::new(StructArray::from(vec![
            (Arc::new(Field::new("tags", lists.data_type().clone(), true)), lists),
            (Arc::new(Field::new("n", DataType::Int64, true)), numbers),
        ]));
        assert_eq!(varying_bytes(&pairs), Some(30.0 + 24.0 + 3.0 / 8.0));
    }
}
