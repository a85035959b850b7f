//! Sinks: what is read back is what was written, and nothing half-written stays.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, Int32Array, ListArray, ListBuilder, RecordBatch, StringArray,
    StringBuilder, StructArray, TimestampNanosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Int32Type, SchemaRef, TimeUnit};
use arrow::ipc::reader::{FileReader, StreamReader};
use lakepilot_execution::{
    BatchSink, BatchSize, BatchedExecutor, Compression, Encoding, ExecutionOptions, FileFormat, FileSink, NoProgress,
    WriterSink,
};
use lakepilot_query::ErrorKind;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::service::{End, Scripted, batch, query, schema};

/// Long enough for a slow machine, and no test takes it when it passes.
const BOUND: Duration = Duration::from_secs(30);

const FORMATS: [(FileFormat, &str); 6] = [
    (FileFormat::Parquet, "e.parquet"),
    (FileFormat::ArrowFile, "e.arrow"),
    (FileFormat::ArrowStream, "e.arrows"),
    (FileFormat::Csv, "e.csv"),
    (FileFormat::Ndjson, "e.ndjson"),
    (FileFormat::Json, "e.json"),
];

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
    assert_eq!(plain(&read, &read[0].schema()), expected);

    let file = directory.path().join("rows.arrow");
    write(&file, FileFormat::ArrowFile, batches.clone()).await;
    let read: Vec<_> = FileReader::try_new(File::open(&file).unwrap(), None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(plain(&read, &read[0].schema()), expected);

    let stream = directory.path().join("rows.arrows");
    write(&stream, FileFormat::ArrowStream, batches).await;
    let read: Vec<_> = StreamReader::try_new(File::open(&stream).unwrap(), None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(plain(&read, &read[0].schema()), expected);
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
async fn a_null_among_the_values_of_a_dictionary_is_null_in_json() {
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let word: ArrayRef = Arc::new(DictionaryArray::new(
        Int32Array::from(vec![Some(0), Some(1), None]),
        words,
    ));
    let field = Arc::new(Field::new_list_field(word.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([2, 0, 1]);
    let list: ArrayRef = Arc::new(ListArray::new(field, offsets, Arc::clone(&word), None));
    let structs: ArrayRef = Arc::new(StructArray::from(vec![(
        Arc::new(Field::new("word", word.data_type().clone(), true)),
        Arc::clone(&word),
    )]));
    // The keys have no null, so that the column may say that it has none.
    let keys = word.slice(0, 2);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("word", word.slice(0, 2), true),
        ("list", list.slice(0, 2), true),
        ("structs", structs.slice(0, 2), true),
        ("not_null", keys, false),
    ])
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.json");
    let mut sink = FileSink::create(&path, FileFormat::Json).unwrap();
    sink.start(batch.schema()).await.unwrap();
    sink.write(0, batch).await.unwrap();
    sink.finish().await.unwrap();
    let rows: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let expected = serde_json::json!([
        {"word": "a", "list": ["a", null], "structs": {"word": "a"}, "not_null": "a"},
        {"word": null, "list": [], "structs": {"word": null}, "not_null": null},
    ]);
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn an_empty_result_is_a_valid_file_of_every_format() {
    let directory = tempfile::tempdir().unwrap();
    for (format, name) in FORMATS {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.parquet");
    let service = Scripted::new((0..100).map(|n| batch(n * 100, 100)).collect(), End::Never);
    let seen = Arc::clone(&service.seen);
    let mut sink = FileSink::create(&path, FileFormat::Parquet).unwrap();
    let run = tokio::spawn(async move {
        let options = ExecutionOptions::new().with_batch_size(BatchSize::AsReceived);
        BatchedExecutor::new(service, options)
            .execute(&query(), &mut sink, &NoProgress)
            .await
    });
    let until = |done: &'static str, condition: Box<dyn Fn() -> bool + Send>| async move {
        let waiting = async {
            while !condition() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(BOUND, waiting).await.expect(done);
    };
    let taken = Arc::clone(&seen);
    until(
        "rows are written",
        Box::new(move || taken.taken.load(Ordering::SeqCst) > 10),
    )
    .await;
    assert_eq!(names(directory.path()).len(), 1);
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    assert!(seen.dropped.load(Ordering::SeqCst));
    // A write that was under way on another thread may end a moment later.
    let place = directory.path().to_owned();
    until("the file is removed", Box::new(move || names(&place).is_empty())).await;
}

/// Columns as telemetry has them: times, binary dictionaries, lists; each batch with a dictionary of its own.
fn telemetry(from: i64) -> RecordBatch {
    let times = TimestampNanosecondArray::from_iter_values(from..from + 3).with_timezone("UTC");
    let values: ArrayRef = Arc::new(BinaryArray::from_iter_values((from..from + 2).map(|n| n.to_be_bytes())));
    let properties = DictionaryArray::<Int32Type>::try_new(Int32Array::from(vec![0, 1, 0]), values).unwrap();
    let mut tags = ListBuilder::new(StringBuilder::new());
    for tag in ["log", "main"] {
        tags.values().append_value(tag);
    }
    tags.append(true);
    tags.append(false);
    tags.append(true);
    RecordBatch::try_from_iter_with_nullable([
        ("time", Arc::new(times) as ArrayRef, false),
        ("properties", Arc::new(properties) as ArrayRef, false),
        ("tags", Arc::new(tags.finish()) as ArrayRef, true),
    ])
    .unwrap()
}

#[tokio::test]
async fn every_format_holds_telemetry_whose_dictionaries_change() {
    let directory = tempfile::tempdir().unwrap();
    let batches = [telemetry(0), telemetry(10)];
    for (format, name) in FORMATS {
        let mut sink = FileSink::create(directory.path().join(name), format).unwrap();
        sink.start(batches[0].schema()).await.unwrap();
        for (index, batch) in batches.iter().enumerate() {
            let written = sink.write(index as u64, batch.clone()).await;
            written.unwrap_or_else(|error| panic!("{format:?}: {error:?}"));
        }
        sink.finish().await.unwrap();
    }
    let file = |name: &str| File::open(directory.path().join(name)).unwrap();
    let parquet = ParquetRecordBatchReaderBuilder::try_new(file("e.parquet"))
        .unwrap()
        .build()
        .unwrap();
    let arrow_file = FileReader::try_new(file("e.arrow"), None).unwrap();
    let arrow_stream = StreamReader::try_new(file("e.arrows"), None).unwrap();
    let binary: [(&str, Vec<RecordBatch>); 3] = [
        ("parquet", parquet.map(Result::unwrap).collect()),
        ("file", arrow_file.map(Result::unwrap).collect()),
        ("stream", arrow_stream.map(Result::unwrap).collect()),
    ];
    let all = |batches: &[RecordBatch], column: usize| -> Vec<ArrayRef> {
        let plain = [
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            DataType::Binary,
        ];
        let columns = batches.iter().map(|batch| batch.column(column));
        columns
            .map(|values| {
                plain
                    .get(column)
                    .map_or(Arc::clone(values), |plain| cast(values, plain).unwrap())
            })
            .collect()
    };
    for (name, read) in binary {
        for column in 0..3 {
            let joined = |arrays: Vec<ArrayRef>| {
                let arrays: Vec<_> = arrays.iter().map(AsRef::as_ref).collect();
                arrow::compute::concat(&arrays).unwrap()
            };
            assert_eq!(&joined(all(&read, column)), &joined(all(&batches, column)), "{name}");
        }
    }
    let csv = fs::read_to_string(directory.path().join("e.csv")).unwrap();
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(lines[1], "1970-01-01T00:00:00Z,0000000000000000,\"[log, main]\"");
    assert_eq!(lines[5], "1970-01-01T00:00:00.000000011Z,000000000000000b,");
    let json: Vec<serde_json::Value> =
        serde_json::from_str(&fs::read_to_string(directory.path().join("e.json")).unwrap()).unwrap();
    assert_eq!(json[0]["tags"], serde_json::json!(["log", "main"]));
    assert_eq!(json[4]["properties"], "000000000000000b");
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_stays_and_its_file_is_replaced_with_its_permissions() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("private.csv");
    fs::write(&file, "of yesterday").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let link = directory.path().join("latest.csv");
    symlink(&file, &link).unwrap();
    write_over(&link, FileFormat::Csv).await;
    assert!(link.is_symlink());
    assert!(fs::read_to_string(&file).unwrap().starts_with("n,msg,target"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let new = directory.path().join("new.csv");
    write_over(&new, FileFormat::Csv).await;
    assert_ne!(
        fs::metadata(&new).unwrap().permissions().mode() & 0o044,
        0,
        "only its owner can read it"
    );
}

async fn write_over(path: &Path, format: FileFormat) {
    let mut sink = FileSink::create(path, format).unwrap();
    sink.start(schema()).await.unwrap();
    sink.write(0, batch(0, 1)).await.unwrap();
    sink.finish().await.unwrap();
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

#[tokio::test]
async fn a_sink_that_is_dropped_while_a_thread_writes_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.csv");
    let mut sink = FileSink::create(&path, FileFormat::Csv).unwrap();
    sink.start(schema()).await.unwrap();
    // Enough rows that the thread is still at them.
    let writing = sink.write(0, batch(0, 200_000));
    assert!(futures::poll!(std::pin::pin!(writing)).is_pending());
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

#[tokio::test]
async fn compressed_files_read_back_and_are_smaller() {
    let directory = tempfile::tempdir().unwrap();
    let rows = vec![batch(0, 5_000), batch(5_000, 5_000)];
    let size_of = async |format: FileFormat, compression: Compression| {
        let path = directory.path().join("rows");
        let service = Scripted::new(rows.clone(), End::Well);
        let mut sink = FileSink::create(&path, Encoding::new(format, compression).unwrap()).unwrap();
        BatchedExecutor::new(service, ExecutionOptions::new())
            .execute(&query(), &mut sink, &NoProgress)
            .await
            .unwrap();
        let read: usize = match format {
            FileFormat::Parquet => ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap())
                .unwrap()
                .build()
                .unwrap()
                .map(|batch| batch.unwrap().num_rows())
                .sum(),
            FileFormat::ArrowFile => FileReader::try_new(File::open(&path).unwrap(), None)
                .unwrap()
                .map(|batch| batch.unwrap().num_rows())
                .sum(),
            _ => StreamReader::try_new(File::open(&path).unwrap(), None)
                .unwrap()
                .map(|batch| batch.unwrap().num_rows())
                .sum(),
        };
        assert_eq!(read, 10_000, "{format:?} {compression:?}");
        fs::metadata(&path).unwrap().len()
    };
    for format in [FileFormat::Parquet, FileFormat::ArrowFile, FileFormat::ArrowStream] {
        let plain = size_of(format, Compression::None).await;
        for compression in [Compression::Lz4, Compression::Zstd(1), Compression::Zstd(9)] {
            assert!(size_of(format, compression).await < plain, "{format:?} {compression:?}");
        }
    }
    assert!(
        size_of(FileFormat::Parquet, Compression::Snappy).await < size_of(FileFormat::Parquet, Compression::None).await
    );
    for (format, compression) in [
        (FileFormat::Csv, Compression::Lz4),
        (FileFormat::ArrowFile, Compression::Snappy),
        (FileFormat::Parquet, Compression::Zstd(0)),
        (FileFormat::Parquet, Compression::Zstd(23)),
    ] {
        let error = Encoding::new(format, compression).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
