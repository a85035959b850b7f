//! Learns from the batches of one result.

use arrow::array::RecordBatch;
use lakepilot_query::Query;

use super::LearntLengths;
use super::keys::ColumnKeys;
use crate::lengths::varying_bytes;

/// Learns the lengths of a query's columns from the batches of its result.
///
/// Text costs nothing but a look at two offsets; a dictionary that is kept costs a look at each key.
pub struct LengthObserver {
    keys: ColumnKeys,
    /// The key of each column of the batches, once one has been seen.
    by_column: Option<Vec<String>>,
    lengths: LearntLengths,
}

impl LengthObserver {
    /// An observer of the result of a query.
    pub fn new(query: &Query) -> Self {
        Self {
            keys: ColumnKeys::of(query),
            by_column: None,
            lengths: LearntLengths::default(),
        }
    }

    /// Learns from a batch. All batches of a result have one schema.
    pub fn observe(&mut self, batch: &RecordBatch) {
        let keys = self
            .by_column
            .get_or_insert_with(|| self.keys.for_schema(batch.schema_ref()));
        for (key, column) in keys.iter().zip(batch.columns()) {
            if let Some(bytes) = varying_bytes(column) {
                self.lengths.add(key, column.len() as f64, bytes);
            }
        }
    }

    /// What was learnt, to be recorded in a [`LengthStore`](super::LengthStore).
    pub fn into_lengths(self) -> LearntLengths {
        self.lengths
    }
}
