//! Batches of a file, with the columns that it has: those of CSV and NDJSON are text.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, StringBuilder};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema};
use lakepilot_query::{Error, ErrorKind, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::ImportFormat;

const BATCH_ROWS: usize = 8_192;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>>>;

pub(super) fn batches(file: File, format: ImportFormat) -> Result<Batches> {
    match format {
        ImportFormat::Parquet => parquet(file),
        ImportFormat::Csv => csv(file),
        ImportFormat::NdJson => Ok(Box::new(NdJson {
            lines: BufReader::new(file),
            line: 0,
            is_over: false,
        })),
    }
}

fn parquet(file: File) -> Result<Batches> {
    let told = |error: parquet::errors::ParquetError| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("it is not a Parquet file that can be read: {error}"),
        )
        .with_source(error)
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(BATCH_ROWS).build())
        .map_err(told)?;
    Ok(Box::new(reader.map(|batch| batch.map_err(|error| damaged(&error)))))
}

fn csv(mut file: File) -> Result<Batches> {
    let format = Format::default().with_header(true);
    // No rows are looked at: every column is read as text, and converted to what the view has.
    let (header, _) = format
        .infer_schema(BufReader::new(&file), Some(0))
        .map_err(|error| damaged(&error))?;
    file.rewind()?;
    let fields: Vec<Field> = header
        .fields()
        .iter()
        .map(|field| Field::new(field.name().trim_start_matches('\u{feff}'), DataType::Utf8, true))
        .collect();
    let reader = ReaderBuilder::new(Arc::new(Schema::new(fields)))
        .with_format(format)
        .with_batch_size(BATCH_ROWS)
        .build(file)
        .map_err(|error| damaged(&error))?;
    Ok(Box::new(reader.map(|batch| batch.map_err(|error| damaged(&error)))))
}

fn damaged(error: &arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the file cannot be read: {error}"))
}

/// Objects, each on a line of its own. Their values are made text: that of a list or an object is its JSON.
struct NdJson {
    lines: BufReader<File>,
    line: u64,
    is_over: bool,
}

impl NdJson {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut columns: BTreeMap<String, StringBuilder> = BTreeMap::new();
        let mut rows = 0;
        let mut text = String::new();
        while rows < BATCH_ROWS {
            text.clear();
            let read = self.lines.read_line(&mut text);
            self.line += 1;
            if read.map_err(|error| Error::from(error).context(format!("line {}", self.line)))? == 0 {
                break;
            }
            if text.trim().is_empty() {
                continue;
            }
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).map_err(|error| {
                let what = format!("line {} is not a JSON object: {error}", self.line);
                Error::new(ErrorKind::InvalidInput, what).with_source(error)
            })?;
            add(&mut columns, rows, object);
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays = columns.into_iter().map(|(name, mut column)| {
            let array: StringArray = completed(&mut column, rows).finish();
            (name, Arc::new(array) as ArrayRef, true)
        });
        Ok(Some(RecordBatch::try_from_iter_with_nullable(arrays)?))
    }
}

fn add(columns: &mut BTreeMap<String, StringBuilder>, rows: usize, object: serde_json::Map<String, serde_json::Value>) {
    for (name, value) in object {
        let column = completed(columns.entry(name).or_default(), rows);
        match value {
            serde_json::Value::Null => column.append_null(),
            serde_json::Value::String(text) => column.append_value(text),
            other => column.append_value(other.to_string()),
        }
    }
}

/// The column with NULL for the rows that did not have it.
fn completed(column: &mut StringBuilder, rows: usize) -> &mut StringBuilder {
    use arrow::array::ArrayBuilder;
    while column.len() < rows {
        column.append_null();
    }
    column
}

impl Iterator for NdJson {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let batch = self.next_batch().transpose();
        self.is_over = !matches!(batch, Some(Ok(_)));
        batch
    }
}
