//! Sinks: what is read back is what was written, and nothing half-written stays.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::reader::{FileReader, StreamReader};
use lakepilot_execution::{
    BatchSink, BatchSize, BatchedExecutor, ExecutionOptions, FileFormat, FileSink, NoProgress, WriterSink,
};
use lakepilot_query::ErrorKind;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::service::{End, Scripted, batch, query, schema};

fn plain(batches: &[RecordBatch], schema: &SchemaRef) -> RecordBatch {
    let whole = concat_batches(schema, batches).unwrap();
    let target = cast(whole.column(2), &DataType::Utf8).unwrap();
    RecordBatch::try_from_iter([
        ("n", Arc::clone(whole.column(0))),
        ("msg", Arc::clone(whole.column(1))),
        ("target", target),
    ])
    .unwrap()
}

async fn write(path: &Path, format: FileFormat, batches: Vec<RecordBatch>) -> u64 {
    let mut sink = FileSink::create(path, format).unwrap();
    sink.start(schema()).await.unwrap();
    for (index, batch) in batches.into_iter().enumerate() {
        assert!(!path.exists(), "the file is there before it is whole");
        sink.write(index as u64, batch).await.unwrap();
    }
    sink.finish().await.unwrap().bytes_written
}

fn names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn binary_formats_read_back_as_they_were_dictionaries_too() {
    let directory = tempfile::tempdir().unwrap();
    let batches = vec![batch(0, 100), batch(100, 7)];
    let expected = plain(&batches, &schema());

    let parquet = directory.path().join("rows.parquet");
    let bytes = write(&parquet, FileFormat::Parquet, batches.clone()).await;
    assert_eq!(bytes, fs::metadata(&parquet).unwrap().len());
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&parquet).unwrap()).unwrap();
    assert_eq!(reader.schema().field(2).data_type(), schema().field(2).data_type());
    let read: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    assert_eq!(plain(&read, &schema()), expected);

    let file = directory.path().join("rows.arrow");
    write(&file, FileFormat::ArrowFile, batches.clone()).await;
    let read: Vec<_> = FileReader::try_new(File::open(&file).unwrap(), None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(plain(&read, &schema()), expected);

    let stream = directory.path().join("rows.arrows");
    write(&stream, FileFormat::ArrowStream, batches).await;
    let read: Vec<_> = StreamReader::try_new(File::open(&stream).unwrap(), None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(plain(&read, &schema()), expected);
}

#[tokio::test]
async fn text_formats_hold_every_row() {
    let directory = tempfile::tempdir().unwrap();
    let batches = vec![batch(0, 2), batch(2, 1)];

    let csv = directory.path().join("rows.csv");
    write(&csv, FileFormat::Csv, batches.clone()).await;
    let text = fs::read_to_string(&csv).unwrap();
    assert!(
        text.starts_with("n,msg,target\n0,\"message 0, \"\"quoted\"\"\nand broken\",even\n"),
        "{text}"
    );

    let ndjson = directory.path().join("rows.ndjson");
    write(&ndjson, FileFormat::Ndjson, batches.clone()).await;
    let lines: Vec<serde_json::Value> = fs::read_to_string(&ndjson)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2]["target"], "even");

    let json = directory.path().join("rows.json");
    write(&json, FileFormat::Json, batches).await;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(rows, lines);
}

#[tokio::test]
async fn an_empty_result_is_a_valid_file_of_every_format() {
    let directory = tempfile::tempdir().unwrap();
    for (format, name) in [
        (FileFormat::Parquet, "e.parquet"),
        (FileFormat::ArrowFile, "e.arrow"),
        (FileFormat::ArrowStream, "e.arrows"),
        (FileFormat::Csv, "e.csv"),
        (FileFormat::Ndjson, "e.ndjson"),
        (FileFormat::Json, "e.json"),
    ] {
        write(&directory.path().join(name), format, vec![]).await;
    }
    let text = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    assert_eq!(text("e.csv"), "n,msg,target\n");
    assert_eq!(text("e.ndjson"), "");
    assert_eq!(text("e.json"), "[]\n");
    let parquet =
        ParquetRecordBatchReaderBuilder::try_new(File::open(directory.path().join("e.parquet")).unwrap()).unwrap();
    assert_eq!(parquet.schema().fields().len(), 3);
}

#[tokio::test]
async fn a_failed_run_leaves_the_file_that_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.csv");
    fs::write(&path, "of yesterday").unwrap();
    let service = Scripted::new(vec![batch(0, 10)], End::WithError);
    let options = ExecutionOptions::new().with_batch_size(BatchSize::AsReceived);
    let mut sink = FileSink::create(&path, FileFormat::Csv).unwrap();
    BatchedExecutor::new(service, options)
        .execute(&query(), &mut sink, &NoProgress)
        .await
        .unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "of yesterday");
    assert_eq!(names(directory.path()), ["rows.csv"]);
}

#[tokio::test]
async fn a_dropped_sink_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.parquet");
    let mut sink = FileSink::create(&path, FileFormat::Parquet).unwrap();
    sink.start(schema()).await.unwrap();
    sink.write(0, batch(0, 10)).await.unwrap();
    drop(sink);
    assert!(names(directory.path()).is_empty());
}

#[test]
fn places_that_cannot_be_written_are_told_before_the_query_runs() {
    let directory = tempfile::tempdir().unwrap();
    let error = FileSink::create(directory.path(), FileFormat::Csv).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("is a directory"), "{error}");
    let error = FileSink::create(directory.path().join("nowhere/rows.csv"), FileFormat::Csv)
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("nowhere"), "{error}");
}

/// A disk that is full after some bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.len() > self.0 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.0 -= buffer.len();
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_full_disk_ends_the_run_and_names_the_sink() {
    for format in [
        FileFormat::Parquet,
        FileFormat::ArrowStream,
        FileFormat::Csv,
        FileFormat::Ndjson,
    ] {
        let service = Scripted::new(vec![batch(0, 1000), batch(1000, 1000)], End::Well);
        let options = ExecutionOptions::new().with_batch_size(BatchSize::AsReceived);
        let mut sink = WriterSink::new(Full(2_000), format, "the tape");
        let error = BatchedExecutor::new(service, options)
            .execute(&query(), &mut sink, &NoProgress)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("cannot write the tape"),
            "{format:?}: {error}"
        );
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{format:?}: {error:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_device_is_written_and_not_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let null = Path::new("/dev/null");
    let mut sink = FileSink::create(null, FileFormat::Csv).unwrap();
    sink.start(schema()).await.unwrap();
    sink.write(0, batch(0, 10)).await.unwrap();
    sink.finish().await.unwrap();
    assert!(fs::metadata(null).unwrap().file_type().is_char_device());
}
