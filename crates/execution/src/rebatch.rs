//! Batches of about a size in bytes, from batches of any size.

use std::collections::VecDeque;

use arrow::array::{Array, ArrayData, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use lakepilot_query::Result;

/// The size of a batch in memory, in bytes: of the rows that it shows, not of the buffers that it shares with others.
///
/// The values of a dictionary are counted once for the batch, whole.
pub fn batch_bytes(batch: &RecordBatch) -> usize {
    let (rows, shared) = measure(batch);
    rows + shared
}

/// Bytes that grow with the rows, and bytes of dictionary values that slices share.
fn measure(batch: &RecordBatch) -> (usize, usize) {
    batch.columns().iter().fold((0, 0), |(rows, shared), column| {
        let (column_rows, column_shared) = measure_data(&column.to_data());
        (rows + column_rows, shared + column_shared)
    })
}

fn measure_data(data: &ArrayData) -> (usize, usize) {
    let validity = data.nulls().map_or(0, |nulls| nulls.len().div_ceil(8));
    if let DataType::Dictionary(key, _) = data.data_type() {
        let keys = data.len() * key.primitive_width().unwrap_or(0) + validity;
        let values = data.child_data().iter().map(slice_bytes).sum();
        return (keys, values);
    }
    (slice_bytes(data), 0)
}

fn slice_bytes(data: &ArrayData) -> usize {
    // Of types whose slices cannot be told apart the whole is the honest answer.
    data.get_slice_memory_size()
        .unwrap_or_else(|_| data.get_array_memory_size())
}

/// Merges and splits record batches towards a size.
///
/// Rows keep their order and none is lost or repeated. A batch that comes out is at most as large as the target (dictionary
/// values apart), unless it is a single row that is wider. Splitting shares the buffers of what came in; merging copies.
#[derive(Debug)]
pub struct Rebatcher {
    schema: SchemaRef,
    target_bytes: usize,
    pending: Vec<RecordBatch>,
    pending_bytes: usize,
    ready: VecDeque<RecordBatch>,
}

impl Rebatcher {
    /// A rebatcher towards `target_bytes`, of which zero counts as one.
    pub fn new(schema: SchemaRef, target_bytes: usize) -> Self {
        Self {
            schema,
            target_bytes: target_bytes.max(1),
            pending: Vec::new(),
            pending_bytes: 0,
            ready: VecDeque::new(),
        }
    }

    /// Takes a batch in. Batches without rows are dropped.
    ///
    /// # Errors
    /// `Internal` when batches of different schemas cannot be merged.
    pub fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let mut rest = batch;
        while rest.num_rows() > 0 {
            let room = self.target_bytes.saturating_sub(self.pending_bytes);
            let fitting = fitting_rows(&rest, room);
            let taken = match (fitting, self.pending.is_empty()) {
                // Not even one row fits beside what waits: that goes out first.
                (0, false) => {
                    self.flush()?;
                    continue;
                }
                (0, true) => 1,
                (rows, _) => rows,
            };
            let piece = rest.slice(0, taken);
            self.pending_bytes += measure(&piece).0;
            self.pending.push(piece);
            rest = rest.slice(taken, rest.num_rows() - taken);
            if self.pending_bytes >= self.target_bytes {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// The next batch that is large enough.
    pub fn pop(&mut self) -> Option<RecordBatch> {
        self.ready.pop_front()
    }

    /// What is left when no more comes in: to be called until it returns `None`.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(&mut self) -> Result<Option<RecordBatch>> {
        self.flush()?;
        Ok(self.ready.pop_front())
    }

    /// How many bytes wait in the rebatcher.
    pub fn buffered_bytes(&self) -> usize {
        self.pending_bytes + self.ready.iter().map(batch_bytes).sum::<usize>()
    }

    fn flush(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        match pending.len() {
            0 => {}
            1 => self.ready.extend(pending),
            _ => self.ready.push_back(concat_batches(&self.schema, &pending)?),
        }
        Ok(())
    }
}

/// How many of the first rows take at most `room` bytes.
fn fitting_rows(batch: &RecordBatch, room: usize) -> usize {
    let fits = |rows: usize| measure(&batch.slice(0, rows)).0 <= room;
    if fits(batch.num_rows()) {
        return batch.num_rows();
    }
    let (mut fitting, mut too_many) = (0, batch.num_rows());
    while too_many - fitting > 1 {
        let middle = fitting + (too_many - fitting) / 2;
        if fits(middle) {
            fitting = middle;
        } else {
            too_many = middle;
        }
    }
    fitting
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{ArrayRef, DictionaryArray, Int64Array, StringArray};
    use arrow::datatypes::Int32Type;
    use proptest::prelude::*;

    fn batch(texts: &[String]) -> RecordBatch {
        let length: Int64Array = texts.iter().map(|text| Some(text.len() as i64)).collect();
        let text: StringArray = texts.iter().map(Some).collect();
        RecordBatch::try_from_iter([("length", Arc::new(length) as ArrayRef), ("text", Arc::new(text))]).unwrap()
    }

    fn rebatch(batches: &[RecordBatch], target: usize) -> Vec<RecordBatch> {
        let mut rebatcher = Rebatcher::new(batch(&[]).schema(), target);
        let mut out = Vec::new();
        for batch in batches {
            rebatcher.push(batch.clone()).unwrap();
            out.extend(std::iter::from_fn(|| rebatcher.pop()));
        }
        while let Some(batch) = rebatcher.finish().unwrap() {
            out.push(batch);
        }
        assert_eq!(rebatcher.buffered_bytes(), 0);
        out
    }

    proptest! {
        #[test]
        fn rows_keep_their_order_and_batches_their_size(
            input in proptest::collection::vec(proptest::collection::vec("[a-z]{0,40}", 0..60), 0..12),
            target in 1usize..4000,
        ) {
            let batches: Vec<_> = input.iter().map(|texts| batch(texts)).collect();
            let out = rebatch(&batches, target);
            let schema = batch(&[]).schema();
            prop_assert_eq!(concat_batches(&schema, &out).unwrap(), concat_batches(&schema, &batches).unwrap());
            for batch in &out {
                prop_assert!(batch.num_rows() > 0);
                prop_assert!(batch.num_rows() == 1 || batch_bytes(batch) <= target);
            }
            for pair in out.windows(2) {
                // Nothing that would have fitted was left for the next one.
                let with_next = batch_bytes(&pair[0]) + batch_bytes(&pair[1].slice(0, 1));
                prop_assert!(with_next + 16 > target, "{with_next} of {target}");
            }
        }
    }

    #[test]
    fn splitting_copies_nothing() {
        let big = batch(&vec!["x".repeat(100); 1000]);
        let out = rebatch(std::slice::from_ref(&big), 10_000);
        assert!(out.len() > 10);
        let start = big.column(1).to_data().buffers()[1].as_ptr();
        let whole = big.column(1).to_data().buffers()[1].len();
        for piece in &out {
            let data = piece.column(1).to_data();
            let offset = data.buffers()[1].as_ptr() as usize - start as usize;
            assert!(offset <= whole);
        }
    }

    #[test]
    fn the_values_of_a_dictionary_do_not_make_rows_wide() {
        let values = StringArray::from_iter_values((0..100).map(|n| format!("{n}{}", "x".repeat(1000))));
        let keys = arrow::array::Int32Array::from_iter_values((0..10_000).map(|row| row % 100));
        let column = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values)).unwrap();
        let batch = RecordBatch::try_from_iter([("d", Arc::new(column) as ArrayRef)]).unwrap();
        let mut rebatcher = Rebatcher::new(batch.schema(), 20_000);
        rebatcher.push(batch).unwrap();
        let mut sizes = Vec::new();
        while let Some(piece) = rebatcher.finish().unwrap() {
            sizes.push(piece.num_rows());
        }
        assert_eq!(sizes, [5_000, 5_000]);
    }
}
