//! Parquet, whose columns are encoded on several threads.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use lakepilot_query::{Error, ErrorKind, Result};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves};
use parquet::basic::{Compression as Codec, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::encoder::Compression;
use crate::size::column_bytes;

/// Rows of a row group: enough to compress well, few enough to hold.
const ROW_GROUP_ROWS: usize = 256 * 1024;

/// Encoded bytes of a row group, all of which are held until it is written: for rows that are wide.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// A row group of less is not worth its metadata, whatever the memory.
const LEAST_ROW_GROUP_BYTES: usize = 512 * 1024;

/// Rows that are encoded at a time: enough that starting threads costs nothing beside it. As many are gathered meanwhile.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;
const LEAST_CHUNK_BYTES: usize = 1024 * 1024;

/// Below this, starting a thread takes longer than it saves.
const LEAST_BYTES_FOR_THREADS: usize = 256 * 1024;

/// More threads find nothing to do, since few columns are large.
const MOST_THREADS: usize = 8;

/// What a writer may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    row_group_bytes: usize,
    chunk_bytes: usize,
    threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            row_group_bytes: ROW_GROUP_BYTES,
            chunk_bytes: CHUNK_BYTES,
            threads: thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS)),
        }
    }
}

impl Limits {
    /// So that a writer holds about this many bytes. Beside the pages that are encoded there is, for each column, one that
    /// is not yet, and the values of its dictionary: half is for these. The rows that wait are apart from it.
    pub(crate) fn within(bytes: usize) -> Self {
        Self {
            row_group_bytes: (bytes / 2).clamp(LEAST_ROW_GROUP_BYTES, ROW_GROUP_BYTES),
            chunk_bytes: (bytes / 4).clamp(LEAST_CHUNK_BYTES, CHUNK_BYTES),
            ..Self::default()
        }
    }

    /// How many bytes of rows are worth a call of [`ParquetWriter::write`].
    pub(crate) fn chunk_bytes(self) -> usize {
        self.chunk_bytes
    }
}

/// Writes record batches as Parquet, dictionary columns kept.
///
/// The columns of a chunk of batches are encoded side by side, the large ones first, without merging the batches; the pages of a row group are held until it is
/// full, and are then written in the order of the columns, as the format wants it.
pub(crate) struct ParquetWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    limits: Limits,
    group: Option<RowGroup>,
    groups: usize,
}

/// The row group that is being filled.
struct RowGroup {
    /// For each column of the schema, a writer for each of its leaves.
    columns: Vec<Vec<ArrowColumnWriter>>,
    rows: usize,
    encoded_bytes: usize,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(crate) fn new(writer: W, schema: &SchemaRef, compression: Compression, limits: Limits) -> Result<Self> {
        let codec = match compression {
            Compression::None => Codec::UNCOMPRESSED,
            Compression::Snappy => Codec::SNAPPY,
            Compression::Lz4 => Codec::LZ4_RAW,
            Compression::Zstd(level) => Codec::ZSTD(ZstdLevel::try_new(level.into()).map_err(parquet_error)?),
        };
        let options = ArrowWriterOptions::new().with_properties(properties(schema, codec));
        let (file, factory) = ArrowWriter::try_new_with_options(writer, Arc::clone(schema), options)
            .and_then(ArrowWriter::into_serialized_writer)
            .map_err(parquet_error)?;
        Ok(Self {
            file,
            factory,
            schema: Arc::clone(schema),
            limits,
            group: None,
            groups: 0,
        })
    }

    /// Encodes the rows of these batches.
    pub(crate) fn write(&mut self, batches: &[RecordBatch]) -> Result<()> {
        let mut waiting: VecDeque<RecordBatch> = batches.iter().filter(|batch| batch.num_rows() > 0).cloned().collect();
        while !waiting.is_empty() {
            let mut group = match self.group.take() {
                Some(group) => group,
                None => self.new_group()?,
            };
            let pieces = first_rows(&mut waiting, group.room(self.limits));
            group.write(&self.schema, &pieces, self.limits.threads)?;
            if group.is_full(self.limits) {
                self.write_group(group)?;
            } else {
                self.group = Some(group);
            }
        }
        Ok(())
    }

    /// The bytes that wait to be written.
    pub(crate) fn held_bytes(&self) -> usize {
        let writers = self.group.iter().flat_map(|group| group.columns.iter().flatten());
        writers.map(ArrowColumnWriter::memory_size).sum()
    }

    /// Writes what is left, and the footer.
    pub(crate) fn finish(mut self) -> Result<W> {
        if let Some(group) = self.group.take() {
            self.write_group(group)?;
        }
        self.file.into_inner().map_err(parquet_error)
    }

    fn new_group(&mut self) -> Result<RowGroup> {
        let writers = self.factory.create_column_writers(self.groups).map_err(parquet_error)?;
        self.groups += 1;
        let mut columns: Vec<Vec<ArrowColumnWriter>> = self.schema.fields().iter().map(|_| Vec::new()).collect();
        let leaves = self.file.schema_descr();
        for (leaf, writer) in writers.into_iter().enumerate() {
            columns
                .get_mut(leaves.get_column_root_idx(leaf))
                .ok_or_else(too_many_leaves)?
                .push(writer);
        }
        Ok(RowGroup {
            columns,
            rows: 0,
            encoded_bytes: 0,
        })
    }

    fn write_group(&mut self, group: RowGroup) -> Result<()> {
        let columns = group.columns.into_iter().enumerate().collect();
        let closed = Mutex::new(Vec::new());
        // The last page of each column is compressed only now.
        side_by_side(
            columns,
            self.limits.threads,
            |(column, writers): (usize, Vec<ArrowColumnWriter>)| {
                for (leaf, writer) in writers.into_iter().enumerate() {
                    let chunk = writer.close().map_err(parquet_error)?;
                    let mut closed = closed.lock().unwrap_or_else(PoisonError::into_inner);
                    closed.push((column, leaf, chunk));
                }
                Ok(())
            },
        )?;
        let mut closed = closed.into_inner().unwrap_or_else(PoisonError::into_inner);
        closed.sort_by_key(|(column, leaf, _)| (*column, *leaf));
        let mut written = self.file.next_row_group().map_err(parquet_error)?;
        for (_, _, chunk) in closed {
            chunk.append_to_row_group(&mut written).map_err(parquet_error)?;
        }
        written.close().map_err(parquet_error)?;
        Ok(())
    }
}

/// How columns are encoded where the default is not the best.
///
/// Times hardly come twice and lie close to each other: their differences are small, where a dictionary of them is only
/// built to be given up. The least and the greatest of binary values, such as properties, select nothing.
fn properties(schema: &SchemaRef, codec: Codec) -> WriterProperties {
    let mut builder = WriterProperties::builder().set_compression(codec);
    for field in schema.fields() {
        let path = ColumnPath::new(vec![field.name().clone()]);
        builder = match field.data_type() {
            DataType::Timestamp(..) => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                builder.set_column_statistics_enabled(path, EnabledStatistics::None)
            }
            _ => builder,
        };
    }
    builder.build()
}

impl RowGroup {
    fn is_full(&self, limits: Limits) -> bool {
        self.rows >= ROW_GROUP_ROWS || self.encoded_bytes >= limits.row_group_bytes
    }

    /// How many more rows fit, at least one, if they are like those that are here.
    fn room(&self, limits: Limits) -> usize {
        let rows = ROW_GROUP_ROWS.saturating_sub(self.rows);
        let left_bytes = limits.row_group_bytes.saturating_sub(self.encoded_bytes);
        let by_bytes = match self.encoded_bytes.checked_div(self.rows) {
            Some(row_bytes) if row_bytes > 0 => left_bytes / row_bytes,
            _ => rows,
        };
        rows.min(by_bytes).max(1)
    }

    fn write(&mut self, schema: &SchemaRef, batches: &[RecordBatch], threads: usize) -> Result<()> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for (number, (field, writers)) in schema.fields().iter().zip(&mut self.columns).enumerate() {
            let pieces: Vec<&ArrayRef> = batches.iter().filter_map(|batch| batch.columns().get(number)).collect();
            let bytes: usize = pieces.iter().map(|column| column_bytes(column)).sum();
            columns.push((bytes, field, pieces, writers));
        }
        let bytes: usize = columns.iter().map(|(bytes, ..)| *bytes).sum();
        columns.sort_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes));
        let threads = if bytes < LEAST_BYTES_FOR_THREADS { 1 } else { threads };
        side_by_side(columns, threads, |(_, field, pieces, writers)| {
            pieces.into_iter().try_for_each(|column| encode(field, column, writers))
        })?;
        self.rows += batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        self.encoded_bytes = self
            .columns
            .iter()
            .flatten()
            .map(ArrowColumnWriter::get_estimated_total_bytes)
            .sum();
        Ok(())
    }
}

/// Takes up to so many rows off the front of the batches.
fn first_rows(waiting: &mut VecDeque<RecordBatch>, mut rows: usize) -> Vec<RecordBatch> {
    let mut pieces = Vec::with_capacity(waiting.len());
    while rows > 0
        && let Some(batch) = waiting.pop_front()
    {
        let taken = batch.num_rows().min(rows);
        if taken < batch.num_rows() {
            waiting.push_front(batch.slice(taken, batch.num_rows() - taken));
        }
        pieces.push(batch.slice(0, taken));
        rows -= taken;
    }
    pieces
}

fn encode(field: &FieldRef, column: &ArrayRef, writers: &mut [ArrowColumnWriter]) -> Result<()> {
    let leaves = compute_leaves(field, column).map_err(parquet_error)?;
    if leaves.len() != writers.len() {
        return Err(too_many_leaves());
    }
    for (leaf, writer) in leaves.iter().zip(writers) {
        writer.write(leaf).map_err(parquet_error)?;
    }
    Ok(())
}

fn too_many_leaves() -> Error {
    Error::new(
        ErrorKind::Internal,
        "a column of the result has other parts than its schema in Parquet",
    )
}

/// Does every piece of work, on so many threads, in the order of the pieces; the first error ends it.
fn side_by_side<T: Send>(work: Vec<T>, threads: usize, each: impl Fn(T) -> Result<()> + Sync) -> Result<()> {
    let threads = threads.min(work.len());
    let waiting = Mutex::new(work.into_iter());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let one_after_the_other = || {
        while let Some(piece) = next() {
            each(piece)?;
        }
        Ok(())
    };
    if threads <= 1 {
        return one_after_the_other();
    }
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(one_after_the_other)).collect();
        let mut outcome = one_after_the_other();
        for other in others {
            let ended_early = |_| Err(Error::new(ErrorKind::Internal, "a thread that encodes ended early"));
            outcome = outcome.and(other.join().unwrap_or_else(ended_early));
        }
        outcome
    })
}

pub(crate) fn parquet_error(error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(io) => Error::from(*io),
            Err(source) => Error::new(ErrorKind::Internal, source.to_string()),
        },
        ParquetError::NYI(message) => Error::new(ErrorKind::Unsupported, message),
        other => Error::new(ErrorKind::Internal, other.to_string()).with_source(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BinaryArray, TimestampNanosecondArray};
    use arrow::array::{DictionaryArray, Int64Array, ListBuilder, StringArray, StringBuilder, StructArray};
    use arrow::compute::concat_batches;
    use arrow::datatypes::{Field, Int32Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    const ROWS: usize = 20_000;

    /// Columns of one leaf and of several, of which some are much larger than others.
    fn batch() -> RecordBatch {
        let numbers = || -> ArrayRef { Arc::new(Int64Array::from_iter_values(0..ROWS as i64)) };
        let text = |row: usize| {
            format!(
                "{:032x}",
                (row as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834)
            )
        };
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(text)));
        let words: DictionaryArray<Int32Type> = (0..ROWS).map(|row| if row % 3 == 0 { "a" } else { "b" }).collect();
        let mut tags = ListBuilder::new(StringBuilder::new());
        for row in 0..ROWS {
            for tag in 0..row % 4 {
                tags.values().append_value(format!("tag {tag}"));
            }
            tags.append(row % 5 != 0);
        }
        let pair = StructArray::from(vec![
            (Arc::new(Field::new("number", DataType::Int64, false)), numbers()),
            (Arc::new(Field::new("text", DataType::Utf8, false)), Arc::clone(&texts)),
        ]);
        RecordBatch::try_from_iter([
            ("number", numbers()),
            ("pair", Arc::new(pair) as ArrayRef),
            ("word", Arc::new(words)),
            ("text", texts),
            ("tags", Arc::new(tags.finish())),
        ])
        .unwrap()
    }

    fn written(limits: Limits) -> (Vec<u8>, usize) {
        let batch = batch();
        let mut writer = ParquetWriter::new(Vec::new(), &batch.schema(), Compression::Zstd(1), limits).unwrap();
        let mut most_held = 0;
        for start in (0..ROWS).step_by(5_000) {
            // Two batches at a time, of which the first is short.
            let chunk = [batch.slice(start, 2_000), batch.slice(start + 2_000, 3_000)];
            writer.write(&chunk).unwrap();
            most_held = most_held.max(writer.held_bytes());
        }
        (writer.finish().unwrap(), most_held)
    }

    #[test]
    fn threads_change_nothing_in_the_file() {
        let one = Limits {
            threads: 1,
            ..Limits::default()
        };
        let four = Limits { threads: 4, ..one };
        let (file, _) = written(four);
        assert_eq!(file, written(one).0);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(file)).unwrap();
        let read: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        assert_eq!(concat_batches(&batch().schema(), &read).unwrap(), batch());
    }

    #[test]
    fn a_row_group_is_no_larger_than_its_share() {
        let limits = Limits::within(1_500_000);
        let (file, most_held) = written(limits);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(file)).unwrap();
        let groups = reader.metadata().row_groups();
        assert!(groups.len() > 1, "everything is in one row group");
        for group in groups {
            // The estimate while it is filled is not exact.
            let bytes = group.compressed_size() as usize;
            assert!(bytes <= limits.row_group_bytes * 3 / 2, "{bytes}");
        }
        assert!(most_held <= 3_000_000, "{most_held}");
        let read: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        assert_eq!(concat_batches(&batch().schema(), &read).unwrap(), batch());
    }

    #[test]
    fn times_are_written_as_differences_and_bytes_without_bounds() {
        let times = TimestampNanosecondArray::from_iter_values((0..ROWS as i64).map(|row| row * 1_000 + row % 7));
        let bytes = BinaryArray::from_iter_values((0..ROWS).map(|row| row.to_le_bytes()));
        let batch = RecordBatch::try_from_iter([
            ("time", Arc::new(times.with_timezone("UTC")) as ArrayRef),
            ("streams.tags", Arc::new(bytes)),
        ])
        .unwrap();
        let mut writer =
            ParquetWriter::new(Vec::new(), &batch.schema(), Compression::Zstd(1), Limits::default()).unwrap();
        writer.write(std::slice::from_ref(&batch)).unwrap();
        let file = bytes::Bytes::from(writer.finish().unwrap());
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let group = reader.metadata().row_group(0).clone();
        let encodings: Vec<_> = group.column(0).encodings().collect();
        assert!(encodings.contains(&Encoding::DELTA_BINARY_PACKED), "{encodings:?}");
        assert!(group.column(0).uncompressed_size() < 4 * ROWS as i64);
        assert!(group.column(0).statistics().is_some());
        assert!(group.column(1).statistics().is_none());
        let read: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        assert_eq!(concat_batches(&batch.schema(), &read).unwrap(), batch);
    }

    #[test]
    fn the_first_error_ends_the_work() {
        for threads in [1, 3] {
            let outcome = side_by_side((0..100).collect(), threads, |piece| match piece {
                50 => Err(Error::new(ErrorKind::Io, "disk full")),
                _ => Ok(()),
            });
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Io);
        }
    }
}
