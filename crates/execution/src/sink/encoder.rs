//! The formats of files, as encoders over any writer.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::csv;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::json::writer::{JsonArray, LineDelimited, Writer as JsonWriter, WriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use lakepilot_query::{Error, ErrorKind, Result};

use super::parquet::{Limits, ParquetWriter};

/// The format of a file of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileFormat {
    /// Apache Parquet, dictionary columns kept.
    Parquet,
    /// Arrow IPC, the file format with a footer. Dictionary columns are written as plain ones: this format knows one
    /// dictionary for the whole file, and batches come with one each.
    ArrowFile,
    /// Arrow IPC, the stream format, for pipes.
    ArrowStream,
    /// Comma-separated values with a header line. Nested columns are written as text.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// One JSON array of objects.
    Json,
}

impl FileFormat {
    /// Every format.
    pub(crate) const ALL: [Self; 6] = [
        Self::Parquet,
        Self::ArrowFile,
        Self::ArrowStream,
        Self::Csv,
        Self::Ndjson,
        Self::Json,
    ];

    /// Whether the batches that are written show in the file.
    pub(crate) fn keeps_batches(self) -> bool {
        matches!(self, Self::ArrowFile | Self::ArrowStream)
    }

    /// The ending of the names of such files, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::ArrowFile => "arrow",
            Self::ArrowStream => "arrows",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Json => "json",
        }
    }
}

/// How the contents of a file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy, for Parquet: quick, and read by everything.
    Snappy,
    /// LZ4, for Parquet and Arrow: the quickest.
    Lz4,
    /// Zstandard, for Parquet and Arrow, at a level from 1 (quick) to 22 (small).
    Zstd(u8),
}

/// A format, and how it is compressed. A [`FileFormat`] alone is one: Parquet then with zstd at level 1, and the others not
/// compressed.
///
/// ```
/// use lakepilot_execution::{Compression, Encoding, FileFormat};
/// # fn main() -> lakepilot_query::Result<()> {
/// let small = Encoding::new(FileFormat::Parquet, Compression::Zstd(12))?;
/// assert_eq!(small.format(), FileFormat::Parquet);
/// assert!(Encoding::new(FileFormat::Csv, Compression::Snappy).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encoding {
    format: FileFormat,
    compression: Compression,
}

impl Encoding {
    /// A format with a compression.
    ///
    /// # Errors
    /// `InvalidInput` when the format does not have that compression, or it does not have that level.
    pub fn new(format: FileFormat, compression: Compression) -> Result<Self> {
        let fits = match (format, compression) {
            (_, Compression::None) => true,
            (FileFormat::Parquet | FileFormat::ArrowFile | FileFormat::ArrowStream, Compression::Zstd(level)) => {
                ZSTD_LEVELS.contains(&level)
            }
            (FileFormat::Parquet | FileFormat::ArrowFile | FileFormat::ArrowStream, Compression::Lz4) => true,
            (FileFormat::Parquet, Compression::Snappy) => true,
            _ => false,
        };
        if fits {
            return Ok(Self { format, compression });
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "{} files are not compressed so: Parquet takes zstd (levels 1 to 22), lz4, snappy and none, Arrow zstd, lz4 and \
                 none, the others none",
                format.extension()
            ),
        ))
    }

    /// The format.
    pub fn format(self) -> FileFormat {
        self.format
    }

    /// The compression.
    pub fn compression(self) -> Compression {
        self.compression
    }
}

impl From<FileFormat> for Encoding {
    fn from(format: FileFormat) -> Self {
        let compression = match format {
            FileFormat::Parquet => Compression::Zstd(1),
            _ => Compression::None,
        };
        Self { format, compression }
    }
}

const ZSTD_LEVELS: std::ops::RangeInclusive<u8> = 1..=22;

/// The last failure of a writer. Some encoders keep its text only, and lose what kind of failure it was.
type Failure = Arc<Mutex<Option<io::Error>>>;

/// Counts what goes through it, and remembers a failure.
pub(crate) struct Watched<W> {
    inner: W,
    bytes: u64,
    failure: Failure,
}

impl<W> Watched<W> {
    fn remember<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            let copy = io::Error::new(error.kind(), error.to_string());
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
        })
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(buffer);
        let written = self.remember(result)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.inner.flush();
        self.remember(result)
    }
}

/// An encoder of one format over a writer.
pub(crate) struct Encoder<W: Write + Send> {
    format: Format<W>,
    failure: Failure,
}

enum Format<W: Write + Send> {
    Parquet(Box<ParquetWriter<Watched<W>>>),
    ArrowFile(Box<FileWriter<Watched<W>>>, SchemaRef),
    ArrowStream(Box<StreamWriter<Watched<W>>>),
    Csv(Box<csv::Writer<Watched<W>>>, SchemaRef),
    Ndjson(Box<JsonWriter<Watched<W>, LineDelimited>>),
    Json(Box<JsonWriter<Watched<W>, JsonArray>>),
}

impl<W: Write + Send> Encoder<W> {
    pub(crate) fn new(encoding: Encoding, schema: &SchemaRef, writer: W, limits: Limits) -> Result<Self> {
        let failure = Failure::default();
        let writer = Watched {
            inner: writer,
            bytes: 0,
            failure: Arc::clone(&failure),
        };
        let format = Format::new(encoding, schema, writer, limits).map_err(|error| real_failure(&failure, error))?;
        Ok(Self { format, failure })
    }

    pub(crate) fn write(&mut self, batches: &[RecordBatch]) -> Result<()> {
        self.format
            .write_all(batches)
            .map_err(|error| real_failure(&self.failure, error))
    }

    /// The bytes of rows that wait in the encoder to be written.
    pub(crate) fn held_bytes(&self) -> usize {
        match &self.format {
            Format::Parquet(parquet) => parquet.held_bytes(),
            _ => 0,
        }
    }

    /// Writes the end of the format; returns the writer and how many bytes went into it.
    pub(crate) fn finish(self) -> Result<(W, u64)> {
        let watched = self
            .format
            .finish()
            .map_err(|error| real_failure(&self.failure, error))?;
        Ok((watched.inner, watched.bytes))
    }
}

/// The failure of the writer, where there was one, in the place of what an encoder made of it.
fn real_failure(failure: &Failure, error: Error) -> Error {
    match failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(io) => Error::from(io),
        None => error,
    }
}

impl<W: Write + Send> Format<W> {
    fn new(encoding: Encoding, schema: &SchemaRef, writer: Watched<W>, limits: Limits) -> Result<Self> {
        let compression = encoding.compression();
        Ok(match encoding.format() {
            FileFormat::Parquet => Self::Parquet(Box::new(ParquetWriter::new(writer, schema, compression, limits)?)),
            FileFormat::ArrowFile => {
                let schema = Arc::new(plain_schema(schema));
                let options = ipc_options(compression)?;
                let file = FileWriter::try_new_with_options(writer, &schema, options)?;
                Self::ArrowFile(Box::new(file), schema)
            }
            FileFormat::ArrowStream => {
                let options = ipc_options(compression)?;
                let stream = StreamWriter::try_new_with_options(writer, schema, options)?;
                Self::ArrowStream(Box::new(stream))
            }
            FileFormat::Csv => {
                let schema = Arc::new(csv_schema(schema));
                let mut csv = csv::WriterBuilder::new().with_header(true).build(writer);
                // A result of no rows still has its header line.
                csv.write(&RecordBatch::new_empty(Arc::clone(&schema)))?;
                Self::Csv(Box::new(csv), schema)
            }
            FileFormat::Ndjson => Self::Ndjson(Box::new(WriterBuilder::new().with_explicit_nulls(true).build(writer))),
            FileFormat::Json => Self::Json(Box::new(WriterBuilder::new().with_explicit_nulls(true).build(writer))),
        })
    }

    fn write_all(&mut self, batches: &[RecordBatch]) -> Result<()> {
        match self {
            Self::Parquet(parquet) => parquet.write(batches),
            other => batches.iter().try_for_each(|batch| other.write(batch)),
        }
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(parquet) => parquet.write(std::slice::from_ref(batch)),
            Self::ArrowFile(file, schema) => Ok(file.write(&plain_batch(batch, schema)?)?),
            Self::ArrowStream(stream) => {
                stream.write(batch)?;
                // Whoever reads a pipe wants the batch now.
                Ok(stream.get_mut().flush()?)
            }
            Self::Csv(csv, schema) => Ok(csv.write(&csv_batch(batch, schema)?)?),
            Self::Ndjson(json) => Ok(json.write(without_hidden_nulls(batch)?.as_ref())?),
            Self::Json(json) => Ok(json.write(without_hidden_nulls(batch)?.as_ref())?),
        }
    }

    fn finish(self) -> Result<Watched<W>> {
        let mut writer = match self {
            Self::Parquet(parquet) => parquet.finish()?,
            Self::ArrowFile(file, _) => file.into_inner()?,
            Self::ArrowStream(stream) => stream.into_inner()?,
            Self::Csv(csv, _) => csv.into_inner(),
            Self::Ndjson(mut json) => {
                json.finish()?;
                json.into_inner()
            }
            Self::Json(mut json) => {
                json.finish()?;
                let mut writer = json.into_inner();
                writer.write_all(b"\n")?;
                writer
            }
        };
        writer.flush()?;
        Ok(writer)
    }
}

fn ipc_options(compression: Compression) -> Result<IpcWriteOptions> {
    let (codec, level) = match compression {
        Compression::Lz4 => (Some(CompressionType::LZ4_FRAME), None),
        Compression::Zstd(level) => (Some(CompressionType::ZSTD), Some(i32::from(level))),
        Compression::None | Compression::Snappy => (None, None),
    };
    let options = IpcWriteOptions::default().try_with_compression(codec)?;
    Ok(options.try_with_compression_level(level)?)
}

/// The schema without dictionaries.
fn plain_schema(schema: &Schema) -> Schema {
    let fields: Vec<FieldRef> = schema.fields().iter().map(plain_field).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn plain_field(field: &FieldRef) -> FieldRef {
    let plain = plain_type(field.data_type());
    if plain == *field.data_type() {
        return Arc::clone(field);
    }
    Arc::new(field.as_ref().clone().with_data_type(plain))
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(item) => DataType::List(plain_field(item)),
        DataType::LargeList(item) => DataType::LargeList(plain_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain_field(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        other => other.clone(),
    }
}

fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| cast(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// The batch without dictionaries that have a null among their values: Arrow's JSON looks for nulls among the keys alone,
/// and would write an empty text for one.
fn without_hidden_nulls(batch: &RecordBatch) -> Result<Cow<'_, RecordBatch>> {
    if batch.columns().iter().any(hides_nulls) {
        // Nulls that were hidden until now may be in a column that says that it has none.
        let fields: Vec<Field> = plain_schema(&batch.schema())
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        return Ok(Cow::Owned(plain_batch(batch, &schema)?));
    }
    Ok(Cow::Borrowed(batch))
}

fn hides_nulls(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Dictionary(..) => {
            let values = column.as_any_dictionary().values();
            values.logical_null_count() > 0 || hides_nulls(values)
        }
        DataType::List(_) => hides_nulls(column.as_list::<i32>().values()),
        DataType::LargeList(_) => hides_nulls(column.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => hides_nulls(column.as_fixed_size_list().values()),
        DataType::Struct(_) => column.as_struct().columns().iter().any(hides_nulls),
        _ => false,
    }
}

fn is_nested(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_nested(values),
        other => other.is_nested(),
    }
}

/// The schema with text in the place of nested columns, which CSV does not have.
fn csv_schema(schema: &Schema) -> Schema {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            if is_nested(field.data_type()) {
                Field::new(field.name(), DataType::Utf8, true)
            } else {
                field.as_ref().clone()
            }
        })
        .collect();
    Schema::new(fields)
}

fn csv_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .map(|column| {
            if is_nested(column.data_type()) {
                as_text(column)
            } else {
                Ok(Arc::clone(column))
            }
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn as_text(column: &ArrayRef) -> Result<ArrayRef> {
    let formatter = ArrayFormatter::try_new(column.as_ref(), &FormatOptions::new())?;
    let text: StringArray = (0..column.len())
        .map(|row| (!column.is_null(row)).then(|| formatter.value(row).to_string()))
        .collect();
    Ok(Arc::new(text))
}
