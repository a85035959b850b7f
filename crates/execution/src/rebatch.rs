//! Batches of about a size in bytes, from batches of any size.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use lakepilot_query::{Error, ErrorKind, Result};

use crate::size::{Dictionary, Identity, batch_bytes, dictionaries, row_bits, to_bytes};

/// Merges and splits record batches towards a size.
///
/// Rows keep their order and none is lost or repeated. A batch that comes out is at most as large as the target (see
/// [`batch_bytes`](crate::batch_bytes)), unless it is a single row that is wider, or its dictionaries alone take more than
/// half of the target: no slice can get rid of these, so its rows then have the other half. A batch is merged from several
/// only as long as the next row fits, and those that come out, but for the last, have at least half of the target.
///
/// Splitting shares the buffers of what came in, and is done as batches are taken out. Merging copies each row once, and
/// only rows of batches that are smaller than half of the target, or that fill one up to it.
#[derive(Debug)]
pub struct Rebatcher {
    schema: SchemaRef,
    target_bits: u64,
    inputs: VecDeque<Input>,
    pending: Pending,
    /// Batches that could not be merged.
    ready: VecDeque<RecordBatch>,
}

/// A batch of which rows are still to be taken.
#[derive(Debug)]
struct Input {
    batch: RecordBatch,
    /// The first row that was not taken.
    start: usize,
    /// The size of the rows that were not taken.
    row_bits: u64,
    dictionaries: Vec<Dictionary>,
}

impl Input {
    fn new(batch: RecordBatch) -> Self {
        Self {
            row_bits: row_bits(&batch, 0, batch.num_rows()),
            dictionaries: dictionaries(&batch),
            start: 0,
            batch,
        }
    }

    fn left(&self) -> usize {
        self.batch.num_rows() - self.start
    }

    fn bits(&self) -> u64 {
        self.row_bits + self.dictionaries.iter().map(|dictionary| dictionary.bits).sum::<u64>()
    }

    /// How many of the next rows take at most `room` bits, and how many they take.
    fn fitting_rows(&self, room: u64) -> (usize, u64) {
        if self.row_bits <= room {
            return (self.left(), self.row_bits);
        }
        fitting_rows(&self.batch, self.start, room)
    }

    fn take(&mut self, rows: usize, bits: u64) -> RecordBatch {
        let piece = self.batch.slice(self.start, rows);
        self.start += rows;
        self.row_bits -= bits;
        piece
    }
}

/// What waits to be merged.
#[derive(Debug, Default)]
struct Pending {
    batches: Vec<RecordBatch>,
    row_bits: u64,
    dictionary_bits: u64,
    dictionaries: HashSet<Identity>,
    /// For each dictionary column, how many values the merged one may get.
    values: Vec<usize>,
    /// Nothing is to be added: it goes out as it is.
    is_complete: bool,
}

impl Pending {
    fn bits(&self) -> u64 {
        self.row_bits + self.dictionary_bits
    }

    /// The bits of the dictionaries that are not here yet.
    fn new_dictionary_bits(&self, dictionaries: &[Dictionary]) -> u64 {
        let mut new: Vec<Identity> = Vec::new();
        let mut bits = 0;
        for dictionary in dictionaries {
            if !self.dictionaries.contains(&dictionary.identity) && !new.contains(&dictionary.identity) {
                new.push(dictionary.identity);
                bits += dictionary.bits;
            }
        }
        bits
    }

    /// Whether the keys could not tell the values of all dictionaries apart, if these were merged with them.
    fn overflows_keys(&self, dictionaries: &[Dictionary]) -> bool {
        dictionaries.iter().zip(&self.values).any(|(dictionary, values)| {
            !self.dictionaries.contains(&dictionary.identity) && values + dictionary.values > dictionary.most_values
        })
    }

    /// The bits that rows may take beside what waits, if they come with these dictionaries.
    fn room(&self, target_bits: u64, dictionaries: &[Dictionary]) -> u64 {
        let all_dictionaries = self.dictionary_bits + self.new_dictionary_bits(dictionaries);
        let beside_dictionaries = target_bits.saturating_sub(all_dictionaries);
        // Alone, large dictionaries leave half of the target to rows. Two of them are not put together.
        let for_rows = if self.batches.is_empty() || self.dictionary_bits == all_dictionaries {
            beside_dictionaries.max(target_bits / 2)
        } else {
            beside_dictionaries
        };
        for_rows.saturating_sub(self.row_bits)
    }

    fn add(&mut self, piece: RecordBatch, row_bits: u64, dictionaries: &[Dictionary]) {
        self.dictionary_bits += self.new_dictionary_bits(dictionaries);
        self.values.resize(dictionaries.len(), 0);
        for (dictionary, values) in dictionaries.iter().zip(&mut self.values) {
            if self.batches.is_empty() || !self.dictionaries.contains(&dictionary.identity) {
                *values += dictionary.values;
            }
        }
        self.dictionaries
            .extend(dictionaries.iter().map(|dictionary| dictionary.identity));
        self.row_bits += row_bits;
        self.batches.push(piece);
    }
}

impl Rebatcher {
    /// A rebatcher towards `target_bytes`, of which zero counts as one.
    pub fn new(schema: SchemaRef, target_bytes: usize) -> Self {
        Self {
            schema,
            target_bits: (target_bytes.max(1) as u64).saturating_mul(8),
            inputs: VecDeque::new(),
            pending: Pending::default(),
            ready: VecDeque::new(),
        }
    }

    /// Takes a batch in. Batches without rows are dropped.
    ///
    /// # Errors
    /// `Protocol` when the batch does not have the columns of the schema.
    pub fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let batch = self.conforming(batch)?;
        if batch.num_rows() > 0 {
            self.inputs.push_back(Input::new(batch));
        }
        Ok(())
    }

    /// The next batch that is large enough.
    pub fn pop(&mut self) -> Option<RecordBatch> {
        if let Some(batch) = self.ready.pop_front() {
            return Some(batch);
        }
        self.fill();
        if self.pending.is_complete { self.flush() } else { None }
    }

    /// Whether [`pop`](Self::pop) has a batch. Unlike it, this merges nothing and so takes no memory.
    pub fn is_ready(&mut self) -> bool {
        if self.ready.is_empty() {
            self.fill();
        }
        !self.ready.is_empty() || self.pending.is_complete
    }

    /// Moves rows to what waits to be merged, until that is enough.
    fn fill(&mut self) {
        while let Some(input) = self.inputs.front_mut() {
            if self.pending.is_complete {
                return;
            }
            let left = input.left();
            let (rows, bits) = input.fitting_rows(self.pending.room(self.target_bits, &input.dictionaries));
            let begun = !self.pending.batches.is_empty();
            // What is large enough goes out as it is, rather than be filled up by copying; and what has no room must.
            let enough = self.pending.bits() >= self.target_bits / 2;
            if begun && (rows < left && (enough || rows == 0) || self.pending.overflows_keys(&input.dictionaries)) {
                self.pending.is_complete = true;
                return;
            }
            let (rows, bits) = match rows {
                0 => (1, row_bits(&input.batch, input.start, 1)),
                rows => (rows, bits),
            };
            let piece = input.take(rows, bits);
            self.pending.add(piece, bits, &input.dictionaries);
            if rows == left {
                self.inputs.pop_front();
            }
            self.pending.is_complete = rows < left || self.pending.bits() >= self.target_bits;
        }
    }

    /// What is left when no more comes in: to be called until it returns `None`.
    pub fn finish(&mut self) -> Option<RecordBatch> {
        self.pop().or_else(|| self.flush())
    }

    /// How many bytes the next batch takes beside those that wait, since it is merged from several.
    pub(crate) fn merging_bytes(&self) -> usize {
        if self.ready.is_empty() && self.pending.batches.len() > 1 {
            to_bytes(self.pending.bits())
        } else {
            0
        }
    }

    /// How many bytes wait in the rebatcher.
    pub fn buffered_bytes(&self) -> usize {
        let inputs: u64 = self.inputs.iter().map(Input::bits).sum();
        to_bytes(self.pending.bits() + inputs) + self.ready.iter().map(batch_bytes).sum::<usize>()
    }

    /// The batch with the schema of the stream: servers differ in metadata and nullability between batches.
    fn conforming(&self, batch: RecordBatch) -> Result<RecordBatch> {
        if batch.schema_ref() == &self.schema {
            return Ok(batch);
        }
        let columns = batch.columns().to_vec();
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| {
            Error::new(
                ErrorKind::Protocol,
                "a batch of the stream does not have the schema of the stream",
            )
            .with_source(error)
        })
    }

    fn flush(&mut self) -> Option<RecordBatch> {
        let mut pending = std::mem::take(&mut self.pending).batches;
        if pending.len() < 2 {
            return pending.pop();
        }
        concat_batches(&self.schema, &pending).ok().or_else(|| {
            // More text than 32-bit offsets can tell apart, in a target of gigabytes: they pass as they are.
            self.ready.extend(pending);
            self.ready.pop_front()
        })
    }
}

/// How many rows from `start` take at most `room` bits, and how many they take.
///
/// Steps double and then halve, and each measures new rows only: no row is measured more than a few times, also where
/// measuring takes a look at each.
fn fitting_rows(batch: &RecordBatch, start: usize, room: u64) -> (usize, u64) {
    let left = batch.num_rows() - start;
    let (mut rows, mut bits, mut step, mut growing) = (0, 0, 1, true);
    while rows < left && step > 0 {
        let tried = step.min(left - rows);
        let more = row_bits(batch, start + rows, tried);
        if bits + more <= room {
            rows += tried;
            bits += more;
        } else {
            growing = false;
        }
        step = if growing { step * 2 } else { tried / 2 };
    }
    (rows, bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        Array, ArrayRef, DictionaryArray, Int8Array, Int32Array, Int64Array, ListBuilder, StringArray, StringBuilder,
    };
    use arrow::datatypes::{Int8Type, Int32Type};
    use proptest::prelude::*;

    fn tags(texts: &[String]) -> ArrayRef {
        let mut builder = ListBuilder::new(StringBuilder::new());
        for text in texts {
            for letter in text.chars().take(5) {
                builder.values().append_value(letter.to_string());
            }
            builder.append(true);
        }
        Arc::new(builder.finish())
    }

    fn batch(texts: &[String]) -> RecordBatch {
        let length: ArrayRef = Arc::new(Int64Array::from_iter(texts.iter().map(|text| Some(text.len() as i64))));
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        RecordBatch::try_from_iter([("length", length), ("text", text), ("tags", tags(texts))]).unwrap()
    }

    fn rebatch(batches: &[RecordBatch], target: usize) -> Vec<RecordBatch> {
        let mut rebatcher = Rebatcher::new(batches[0].schema(), target);
        let mut out = Vec::new();
        for batch in batches {
            rebatcher.push(batch.clone()).unwrap();
            out.extend(std::iter::from_fn(|| rebatcher.pop()));
        }
        out.extend(std::iter::from_fn(|| rebatcher.finish()));
        assert_eq!(rebatcher.buffered_bytes(), 0);
        out
    }

    proptest! {
        #[test]
        fn rows_keep_their_order_and_batches_their_size(
            input in proptest::collection::vec(proptest::collection::vec("[a-z]{0,40}", 0..60), 1..12),
            target in 1usize..4000,
        ) {
            let batches: Vec<_> = input.iter().map(|texts| batch(texts)).collect();
            let out = rebatch(&batches, target);
            let schema = batches[0].schema();
            prop_assert_eq!(concat_batches(&schema, &out).unwrap(), concat_batches(&schema, &batches).unwrap());
            for batch in &out {
                prop_assert!(batch.num_rows() > 0);
                prop_assert!(batch.num_rows() == 1 || batch_bytes(batch) <= target);
            }
            for pair in out.windows(2) {
                let size = batch_bytes(&pair[0]);
                let next_row = batch_bytes(&pair[1].slice(0, 1));
                prop_assert!(2 * size + 2 >= target || size + next_row > target, "{size} and {next_row} of {target}");
            }
        }

        #[test]
        fn dictionaries_are_merged_and_split_to_the_same_rows(
            input in proptest::collection::vec(proptest::collection::vec(proptest::option::of("[a-d]{0,20}"), 1..80), 1..12),
            target in 1usize..2000,
        ) {
            let of = |texts: &Vec<Option<String>>| -> RecordBatch {
                let keys: DictionaryArray<Int8Type> = texts.iter().map(Option::as_deref).collect();
                RecordBatch::try_from_iter_with_nullable([("d", Arc::new(keys) as ArrayRef, true)]).unwrap()
            };
            let batches: Vec<_> = input.iter().map(of).collect();
            let texts = |batch: &RecordBatch| -> Vec<Option<String>> {
                let plain = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
                let plain = plain.as_any().downcast_ref::<StringArray>().unwrap();
                plain.iter().map(|text| text.map(str::to_owned)).collect()
            };
            let out: Vec<_> = rebatch(&batches, target).iter().flat_map(texts).collect();
            prop_assert_eq!(out, input.concat());
        }
    }

    #[test]
    fn splitting_copies_nothing() {
        let big = batch(&vec!["x".repeat(100); 1000]);
        let text_of = |batch: &RecordBatch| batch.column(1).to_data().buffers()[1].clone();
        let out = rebatch(std::slice::from_ref(&big), 10_000);
        assert!(out.len() > 10);
        let copied = |piece: &&RecordBatch| text_of(piece).data_ptr() != text_of(&big).data_ptr();
        assert_eq!(out.iter().filter(copied).count(), 0);
    }

    #[test]
    fn batches_of_more_than_half_the_target_pass_as_they_are() {
        let batches: Vec<_> = (0..5).map(|_| batch(&vec!["x".repeat(60); 100])).collect();
        let size = batch_bytes(&batches[0]);
        let out = rebatch(&batches, size * 3 / 2);
        assert_eq!(out, batches);
        assert_eq!(
            out[0].column(1).to_data().buffers()[1].as_ptr(),
            batches[0].column(1).to_data().buffers()[1].as_ptr()
        );
    }

    fn dictionary_batch(values: impl Iterator<Item = String>, keys: Vec<i32>) -> RecordBatch {
        let values: ArrayRef = Arc::new(StringArray::from_iter_values(values));
        let column = DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), values).unwrap();
        RecordBatch::try_from_iter([("d", Arc::new(column) as ArrayRef)]).unwrap()
    }

    #[test]
    fn the_values_of_a_dictionary_do_not_make_rows_wide() {
        let batch = dictionary_batch(
            (0..100).map(|_| "x".repeat(1_000)),
            (0..10_000).map(|row| row % 100).collect(),
        );
        let sizes: Vec<_> = rebatch(&[batch], 20_000).iter().map(RecordBatch::num_rows).collect();
        // The dictionary has 100 kB, so the rows have half of the target: 10 kB of keys.
        assert_eq!(sizes, [2_500; 4]);
    }

    #[test]
    fn batches_of_one_dictionary_are_merged_without_copying_it() {
        let batch = dictionary_batch(
            (0..10).map(|_| "x".repeat(1_000)),
            (0..1_000).map(|row| row % 10).collect(),
        );
        let pieces: Vec<_> = (0..10).map(|piece| batch.slice(piece * 100, 100)).collect();
        let out = rebatch(&pieces, 1_000_000);
        assert_eq!(out.len(), 1);
        assert_eq!(batch_bytes(&out[0]), batch_bytes(&batch));
    }

    #[test]
    fn large_dictionaries_are_not_heaped_up() {
        let batches: Vec<_> = (0..10)
            .map(|n| dictionary_batch((0..10).map(|_| n.to_string().repeat(1_000)), vec![1; 10]))
            .collect();
        for batch in rebatch(&batches, 25_000) {
            assert!(batch_bytes(&batch) <= 25_000);
        }
    }

    #[test]
    fn keys_too_small_for_all_values_keep_batches_apart() {
        let of = |n: usize| -> RecordBatch {
            let values: ArrayRef = Arc::new(StringArray::from_iter_values((0..100).map(|v| format!("{n}-{v}"))));
            let keys = Int8Array::from_iter_values(0..100);
            let column = DictionaryArray::<Int8Type>::try_new(keys, values).unwrap();
            RecordBatch::try_from_iter([("d", Arc::new(column) as ArrayRef)]).unwrap()
        };
        let out = rebatch(&[of(1), of(2)], 1_000_000);
        assert_eq!(out, [of(1), of(2)]);
    }

    #[test]
    fn a_batch_of_other_columns_is_refused() {
        let mut rebatcher = Rebatcher::new(batch(&[]).schema(), 100);
        let other: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let error = rebatcher
            .push(RecordBatch::try_from_iter([("n", other)]).unwrap())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
}
