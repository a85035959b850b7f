//! Sorting rows that may not fit into memory: sorted runs on the disk, merged.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{concat_batches, interleave_record_batch, sort_to_indices, take_record_batch};
use arrow::datatypes::TimestampNanosecondType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use lakepilot_query::{Error, ErrorKind, Result};

/// Rows are sorted and put aside when there are so many of them, or so many bytes.
const RUN_ROWS: usize = 512 * 1024;
const RUN_BYTES: usize = 128 << 20;
const BATCH_ROWS: usize = 8_192;

/// Takes rows in any order and gives them back in that of a column of times.
pub(super) struct Sorter<'a> {
    /// Where the runs are put aside, in files without a name.
    directory: &'a Path,
    sort_column: &'static str,
    rows: Vec<RecordBatch>,
    row_count: usize,
    bytes: usize,
    run_rows: usize,
    runs: Vec<File>,
}

impl<'a> Sorter<'a> {
    pub(super) fn new(directory: &'a Path, sort_column: &'static str) -> Self {
        Self {
            directory,
            sort_column,
            rows: Vec::new(),
            row_count: 0,
            bytes: 0,
            run_rows: RUN_ROWS,
            runs: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, rows: RecordBatch) -> Result<()> {
        self.row_count += rows.num_rows();
        self.bytes += rows.get_array_memory_size();
        self.rows.push(rows);
        if self.row_count >= self.run_rows || self.bytes >= RUN_BYTES {
            let run = self.take_sorted()?;
            self.put_aside(&run)?;
        }
        Ok(())
    }

    /// Gives the rows to `write` in order.
    pub(super) fn finish(mut self, mut write: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        let last = self.take_sorted()?;
        if self.runs.is_empty() {
            return last.as_slice().iter().try_for_each(write);
        }
        self.put_aside(&last)?;
        let mut runs = Vec::with_capacity(self.runs.len());
        for file in self.runs {
            runs.extend(Run::open(file, self.sort_column)?);
        }
        merge(runs, &mut write)
    }

    /// The rows so far in order, none or one batch; afterwards there are none.
    fn take_sorted(&mut self) -> Result<Vec<RecordBatch>> {
        let rows = std::mem::take(&mut self.rows);
        (self.row_count, self.bytes) = (0, 0);
        let Some(first) = rows.first() else {
            return Ok(Vec::new());
        };
        let rows = concat_batches(&first.schema(), &rows)?;
        let order = sort_to_indices(key_column(&rows, self.sort_column)?, None, None)?;
        Ok(vec![take_record_batch(&rows, &order)?])
    }

    fn put_aside(&mut self, run: &[RecordBatch]) -> Result<()> {
        let Some(rows) = run.first() else { return Ok(()) };
        let file = tempfile::tempfile_in(self.directory)?;
        let mut writer = StreamWriter::try_new(BufWriter::new(file), &rows.schema())?;
        for first in (0..rows.num_rows()).step_by(BATCH_ROWS) {
            writer.write(&rows.slice(first, BATCH_ROWS.min(rows.num_rows() - first)))?;
        }
        writer.finish()?;
        let buffered = writer.into_inner()?;
        let mut file = buffered.into_inner().map_err(|error| Error::from(error.into_error()))?;
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }
}

fn key_column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a dyn Array> {
    rows.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            format!("the rows have no column {name} to sort by"),
        )
    })
}

/// A sorted run, of which one batch is in memory.
struct Run {
    batches: StreamReader<BufReader<File>>,
    batch: RecordBatch,
    keys: Vec<i64>,
    row: usize,
    sort_column: &'static str,
}

impl Run {
    fn open(file: File, sort_column: &'static str) -> Result<Option<Self>> {
        let mut batches = StreamReader::try_new(BufReader::new(file), None)?;
        let Some(batch) = batches.next().transpose()? else {
            return Ok(None);
        };
        Ok(Some(Self {
            keys: keys(&batch, sort_column)?,
            batches,
            batch,
            row: 0,
            sort_column,
        }))
    }

    fn key(&self) -> Option<i64> {
        self.keys.get(self.row).copied()
    }

    /// Goes to the next batch; `false` when there is none.
    fn advance(&mut self) -> Result<bool> {
        match self.batches.next().transpose()? {
            Some(batch) => {
                self.keys = keys(&batch, self.sort_column)?;
                self.batch = batch;
                self.row = 0;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

fn keys(batch: &RecordBatch, sort_column: &str) -> Result<Vec<i64>> {
    let column = key_column(batch, sort_column)?;
    let times = column.as_primitive_opt::<TimestampNanosecondType>();
    let times = times.ok_or_else(|| Error::new(ErrorKind::Internal, "rows are not sorted by a time".to_owned()))?;
    // NULL is first, as in a sorted run.
    Ok(times.iter().map(|time| time.unwrap_or(i64::MIN)).collect())
}

fn merge(mut runs: Vec<Run>, write: &mut impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
    while !runs.is_empty() {
        let mut picked: Vec<(usize, usize)> = Vec::with_capacity(BATCH_ROWS);
        // Until a batch is used up: then its rows have to be written before the next takes its place.
        let used_up = loop {
            let least = runs
                .iter()
                .enumerate()
                .filter_map(|(number, run)| run.key().map(|key| (key, number)))
                .min();
            let Some((_, number)) = least else { break None };
            let run = &mut runs[number];
            picked.push((number, run.row));
            run.row += 1;
            if run.row == run.keys.len() {
                break Some(number);
            }
        };
        let batches: Vec<&RecordBatch> = runs.iter().map(|run| &run.batch).collect();
        write(&interleave_record_batch(&batches, &picked)?)?;
        match used_up {
            Some(number) => {
                if !runs[number].advance()? {
                    runs.remove(number);
                }
            }
            None => return Ok(()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{Int64Array, TimestampNanosecondArray};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_are_merged_in_order_and_no_row_is_lost(
            batches in prop::collection::vec(prop::collection::vec(-50i64..50, 0..40), 0..12),
            run_rows in 1usize..60,
        ) {
            let directory = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(directory.path(), "time");
            sorter.run_rows = run_rows;
            let mut expected = Vec::new();
            for times in &batches {
                let rows: Vec<i64> = (0..times.len() as i64).map(|row| row + expected.len() as i64).collect();
                expected.extend(times.iter().copied().zip(rows.iter().copied()));
                let batch = RecordBatch::try_from_iter([
                    ("time", Arc::new(TimestampNanosecondArray::from(times.clone())) as Arc<dyn Array>),
                    ("row", Arc::new(Int64Array::from(rows))),
                ]);
                sorter.add(batch.unwrap()).unwrap();
            }
            let mut found = Vec::new();
            sorter.finish(|batch| {
                let times = batch.column(0).as_primitive::<TimestampNanosecondType>();
                let rows = batch.column(1).as_primitive::<arrow::datatypes::Int64Type>();
                found.extend(times.values().iter().copied().zip(rows.values().iter().copied()));
                Ok(())
            }).unwrap();
            prop_assert!(found.is_sorted_by_key(|(time, _)| *time));
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
