//! Building columns: dictionaries that all batches share, and batches in the order of a schema.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::SchemaRef;
use lakepilot_query::{Error, ErrorKind, Result};

/// A text for each member of a list, as a dictionary in which each text is once.
#[derive(Debug)]
pub(super) struct Names {
    values: ArrayRef,
    key_of: Vec<i32>,
}

impl Names {
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut places: HashMap<&str, i32> = HashMap::new();
        let mut values = Vec::new();
        let key_of = names
            .map(|name| {
                *places.entry(name).or_insert_with(|| {
                    values.push(name);
                    values.len() as i32 - 1
                })
            })
            .collect();
        Self {
            values: Arc::new(StringArray::from(values)),
            key_of,
        }
    }

    /// The texts of the members of these numbers.
    pub(super) fn of(&self, members: &Int32Array) -> ArrayRef {
        let keys = members.values().iter().map(|member| self.key_of[*member as usize]);
        keyed(Int32Array::new(ScalarBuffer::from_iter(keys), None), &self.values)
    }
}

/// A dictionary of these keys, each of which is the place of a value.
pub(super) fn keyed(keys: Int32Array, values: &ArrayRef) -> ArrayRef {
    Arc::new(DictionaryArray::new(keys, Arc::clone(values)))
}

pub(super) fn texts<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub(super) fn binaries(values: &[Vec<u8>]) -> ArrayRef {
    Arc::new(BinaryArray::from_iter_values(values))
}

pub(super) fn times(nanos: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::new(nanos.into(), None).with_timezone("+00:00"))
}

/// A batch of a schema from columns in any order.
pub(super) fn batch(schema: SchemaRef, columns: Vec<(&'static str, ArrayRef)>) -> Result<RecordBatch> {
    let mut by_name: HashMap<&str, ArrayRef> = columns.into_iter().collect();
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            by_name.remove(field.name().as_str()).ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    format!("the generator makes no column {}", field.name()),
                )
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}
