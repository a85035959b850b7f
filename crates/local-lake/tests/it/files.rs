//! Reading what a lake holds past its engine: the rows of partitions, and the files of the directory.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int64Type, TimestampNanosecondType};
use lakepilot_local_lake::{Lake, PartitionFilter, PartitionRecord, view_set};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

pub(crate) fn new_lake() -> (TempDir, Lake) {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::create(directory.path().join("lake")).unwrap();
    (directory, lake)
}

/// All files below a directory of a lake, relative to it, in order.
pub(crate) fn files(lake: &Path, below: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![lake.join(below)];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = std::fs::read_dir(directory) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push(path.strip_prefix(lake).unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

pub(crate) fn read_file(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

pub(crate) fn partitions(lake: &Lake, view: &str, instance: &str) -> Vec<PartitionRecord> {
    lake.partitions(&PartitionFilter::instance(view, instance)).unwrap()
}

pub(crate) fn partition_rows(lake: &Lake, partition: &PartitionRecord) -> RecordBatch {
    let schema = view_set(&partition.view_set_name).unwrap().schema();
    let batches = lake
        .partition_path(partition)
        .map(|path| read_file(&path))
        .unwrap_or_default();
    concat_batches(&schema, &batches).unwrap()
}

/// The rows of an instance, partition after partition.
pub(crate) fn rows(lake: &Lake, view: &str, instance: &str) -> RecordBatch {
    let schema = view_set(view).unwrap().schema();
    let batches: Vec<RecordBatch> = partitions(lake, view, instance)
        .iter()
        .map(|partition| partition_rows(lake, partition))
        .collect();
    concat_batches(&schema, &batches).unwrap()
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    rows.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"))
}

/// A column as texts; NULL is an empty one.
pub(crate) fn texts(rows: &RecordBatch, name: &str) -> Vec<String> {
    let column = cast(column(rows, name), &DataType::Utf8).unwrap();
    let texts = column.as_string::<i32>();
    texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect()
}

/// A column of whole numbers or times.
pub(crate) fn numbers(rows: &RecordBatch, name: &str) -> Vec<i64> {
    let column = column(rows, name);
    assert_eq!(column.null_count(), 0, "{name}");
    match column.data_type() {
        DataType::Timestamp(..) => column.as_primitive::<TimestampNanosecondType>().values().to_vec(),
        _ => cast(column, &DataType::Int64)
            .unwrap()
            .as_primitive::<Int64Type>()
            .values()
            .to_vec(),
    }
}

/// A column of JSONB documents, as JSON.
pub(crate) fn documents(rows: &RecordBatch, name: &str) -> Vec<String> {
    let column = cast(column(rows, name), &DataType::Binary).unwrap();
    let documents = column.as_binary::<i32>().iter().map(Option::unwrap);
    documents
        .map(|document| jsonb::from_slice(document).unwrap().to_string())
        .collect()
}
