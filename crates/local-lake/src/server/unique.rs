//! Dictionaries with each value once.
//!
//! Where a query puts batches of several partitions together their dictionaries are put one behind the other, so that a
//! value that several partitions have is in the result as often. Arrow allows that; pandas refuses such a column as a
//! categorical one.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int32Type};
use arrow::error::ArrowError;

/// The batch with every value once in each of its dictionaries. Only dictionaries of text and bytes with keys of 32 bits are
/// looked into, which are all that a lake stores.
///
/// # Errors
/// When Arrow refuses what is made here, which would be a mistake of this function.
pub(crate) fn with_unique_values(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(unique).collect::<Result<Vec<_>, _>>()?;
    if columns
        .iter()
        .zip(batch.columns())
        .all(|(new, old)| Arc::ptr_eq(new, old))
    {
        return Ok(batch);
    }
    RecordBatch::try_new(batch.schema(), columns)
}

/// The same array when there is nothing to do.
fn unique(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() else {
        return Ok(Arc::clone(array));
    };
    let Some(kept) = Kept::of(dictionary.values()) else {
        return Ok(Arc::clone(array));
    };
    // The key of a NULL may be anything.
    let keys: Int32Array = dictionary
        .keys()
        .unary_opt(|key| kept.key_of.get(usize::try_from(key).ok()?).copied());
    let values = take(dictionary.values(), &UInt32Array::from(kept.first), None)?;
    Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
}

/// The places of the values that stay, and for every old key the new one.
struct Kept {
    first: Vec<u32>,
    key_of: Vec<i32>,
}

impl Kept {
    /// `None` when all values stay.
    fn of(values: &ArrayRef) -> Option<Self> {
        let bytes: Vec<Option<&[u8]>> = match values.data_type() {
            DataType::Utf8 => {
                let texts = values.as_string::<i32>().iter();
                texts.map(|text| text.map(str::as_bytes)).collect()
            }
            DataType::Binary => values.as_binary::<i32>().iter().collect(),
            _ => return None,
        };
        let mut kept = Self {
            first: Vec::new(),
            key_of: Vec::with_capacity(bytes.len()),
        };
        let mut seen = HashMap::with_capacity(bytes.len());
        for (place, value) in bytes.iter().enumerate() {
            let key = *seen.entry(value).or_insert_with(|| {
                kept.first.push(place as u32);
                kept.first.len() as i32 - 1
            });
            kept.key_of.push(key);
        }
        (kept.first.len() < bytes.len()).then_some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use arrow::compute::cast;
    use proptest::prelude::*;

    fn dictionary(keys: Vec<Option<i32>>, values: Vec<Option<&str>>) -> ArrayRef {
        let values = Arc::new(StringArray::from(values));
        Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), values).unwrap())
    }

    fn values(array: &ArrayRef) -> Vec<Option<String>> {
        let values = array.as_dictionary::<Int32Type>().values().as_string::<i32>();
        values.iter().map(|value| value.map(str::to_owned)).collect()
    }

    #[test]
    fn a_value_that_is_there_twice_stays_once() {
        let doubled = dictionary(
            vec![Some(3), None, Some(0), Some(2), Some(1)],
            vec![Some("a"), Some("b"), None, Some("a")],
        );
        let result = unique(&doubled).unwrap();
        assert_eq!(values(&result), [Some("a".to_owned()), Some("b".to_owned()), None]);
        let texts = |array| cast(array, &DataType::Utf8).unwrap();
        assert_eq!(&texts(&result), &texts(&doubled));
    }

    #[test]
    fn what_is_unique_is_left_alone() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 1]));
        let names = dictionary(vec![Some(0), Some(1)], vec![Some("a"), Some("b")]);
        let batch = RecordBatch::try_from_iter([("numbers", numbers), ("names", names)]).unwrap();
        let result = with_unique_values(batch.clone()).unwrap();
        assert!(
            batch
                .columns()
                .iter()
                .zip(result.columns())
                .all(|(old, new)| Arc::ptr_eq(old, new))
        );
    }

    proptest! {
        #[test]
        fn rows_stay_what_they_were(keys in prop::collection::vec(prop::option::of(0..8i32), 0..40), names in prop::collection::vec(prop::option::of("[a-c]"), 8)) {
            let names = names.iter().map(Option::as_deref).collect();
            let array = dictionary(keys, names);
            let result = unique(&array).unwrap();
            prop_assert_eq!(&cast(&result, &DataType::Utf8).unwrap(), &cast(&array, &DataType::Utf8).unwrap());
            let mut found = values(&result);
            found.sort();
            found.dedup();
            prop_assert_eq!(found.len(), values(&result).len());
        }
    }
}
