//! Files imported as view instances.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use chrono::{DateTime, Utc};
use lakepilot_local_lake::{
    GenerateOptions, ImportFormat, ImportOptions, ImportReport, Lake, PartitionFilter, generate, import_file,
};
use lakepilot_query::{Error, ErrorKind};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

use crate::engine::fixture::at;
use crate::files::{documents, files, new_lake, numbers, partitions, rows, texts};

const PROCESS: &str = "11111111-0000-4000-8000-000000000001";

struct Importing {
    directory: TempDir,
    lake: Lake,
}

impl Importing {
    fn new() -> Self {
        let (directory, lake) = new_lake();
        Self { directory, lake }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn parquet(&self, rows: &RecordBatch) -> PathBuf {
        let mut content = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut content, rows.schema(), None).unwrap();
        writer.write(rows).unwrap();
        writer.close().unwrap();
        self.file("rows.parquet", content)
    }

    fn import(&self, path: PathBuf, options: &ImportOptions) -> Result<ImportReport, Error> {
        import_file(&self.lake, path, options)
    }

    #[track_caller]
    fn check_refused(&self, path: PathBuf, options: &ImportOptions, kind: ErrorKind, says: &str) {
        let error = self.import(path, options).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(says), "{error}");
        assert!(self.lake.partitions(&PartitionFilter::default()).unwrap().is_empty());
        for below in ["partitions", "source"] {
            assert_eq!(files(self.lake.root(), below), Vec::<PathBuf>::new());
        }
    }
}

fn range() -> (DateTime<Utc>, DateTime<Utc>) {
    (at(0), at(3_600))
}

/// Log entries of the global instance, inserted in the first hour.
fn log_entries() -> ImportOptions {
    ImportOptions {
        insert_range: Some(range()),
        ..ImportOptions::new("log_entries", "global")
    }
}

const CSV: &str = "time,level,target,msg,properties,process_id\n\
    2026-01-01T00:00:02Z,4,net,\"second, with a \"\"quote\"\"\nand a line\",,p1\n\
    2026-01-01T01:00:01.000000001+01:00,2,,first,\"{\"\"a\"\":1}\",p2\n\
    2026-01-01T00:00:03Z,6,net,,,\n";

#[test]
fn csv_becomes_a_partition() {
    let importing = Importing::new();
    let report = importing
        .import(importing.file("rows.csv", CSV), &log_entries())
        .unwrap();
    assert_eq!(report.rows, 3);
    let rows = rows(&importing.lake, "log_entries", "global");
    assert_eq!(
        texts(&rows, "msg"),
        ["first", "second, with a \"quote\"\nand a line", ""]
    );
    assert_eq!(numbers(&rows, "level"), [2, 4, 6]);
    assert_eq!(texts(&rows, "target"), ["", "net", "net"]);
    assert_eq!(texts(&rows, "process_id"), ["p2", "p1", ""]);
    assert_eq!(documents(&rows, "properties"), ["{\"a\":1}", "{}", "{}"]);
    let nanos = |seconds| at(seconds).timestamp_nanos_opt().unwrap();
    assert_eq!(numbers(&rows, "time"), [nanos(1) + 1, nanos(2), nanos(3)]);
    assert_eq!(numbers(&rows, "insert_time"), [nanos(0); 3]);
    let partition = report.partition.unwrap();
    assert_eq!(
        partitions(&importing.lake, "log_entries", "global"),
        std::slice::from_ref(&partition)
    );
    assert_eq!((partition.begin_insert_time, partition.end_insert_time), range());
}

#[test]
fn ndjson_becomes_a_partition() {
    let importing = Importing::new();
    let path = importing.file(
        "rows.NDJSON",
        "{\"process_id\":\"p\",\"exe\":\"game\",\"start_time\":\"2026-01-01T00:00:05Z\",\"insert_time\":\"2026-01-01T00:00:06Z\",\
         \"properties\":{\"b\":[1,\"x\"]},\"tsc_frequency\":3000}\n\n\
         {\"process_id\":\"q\",\"insert_time\":\"2026-01-01T00:00:04.000000999Z\",\"exe\":null}\n",
    );
    let report = importing
        .import(path, &ImportOptions::new("processes", "global"))
        .unwrap();
    let processes = rows(&importing.lake, "processes", "global");
    assert_eq!(texts(&processes, "process_id"), ["q", "p"]);
    assert_eq!(texts(&processes, "exe"), ["", "game"]);
    assert_eq!(processes.column_by_name("properties").unwrap().null_count(), 1);
    assert_eq!(
        numbers(&processes, "last_update_time"),
        numbers(&processes, "insert_time")
    );
    // The range is that of the rows: begin included, end not.
    let partition = report.partition.unwrap();
    assert_eq!(partition.begin_insert_time, at(4));
    assert_eq!(partition.end_insert_time, at(6) + chrono::TimeDelta::microseconds(1));
    // The lake knows the processes now.
    importing.lake.ensure_instance("log_entries", "p", None).unwrap();
}

#[test]
fn tags_and_blocks_of_bytes_are_read_from_text() {
    let importing = Importing::new();
    let path = importing.file(
        "rows.jsonl",
        "{\"stream_id\":\"s\",\"tags\":[\"log\",\"main\"],\"objects_metadata\":\"bytes\",\"format\":\"transit\"}\n",
    );
    importing
        .import(path, &ImportOptions::new("streams", "global"))
        .unwrap();
    let streams = rows(&importing.lake, "streams", "global");
    assert_eq!(texts(&streams, "tags"), ["[log, main]"]);
    assert_eq!(texts(&streams, "objects_metadata"), ["bytes"]);
    importing.lake.ensure_instance("thread_spans", "s", None).unwrap();
}

fn typed_rows(level: i64) -> RecordBatch {
    let times = [5_000, 1_000].map(|millis| at(0).timestamp_millis() + millis);
    RecordBatch::try_from_iter([
        (
            "time",
            Arc::new(TimestampMillisecondArray::from(times.to_vec())) as ArrayRef,
        ),
        ("level", Arc::new(Int64Array::from(vec![3, level]))),
        ("msg", Arc::new(StringArray::from(vec!["later", "sooner"]))),
    ])
    .unwrap()
}

#[test]
fn other_types_are_converted_where_nothing_is_lost() {
    let importing = Importing::new();
    let lossy = importing.parquet(&typed_rows(1 << 40));
    importing.check_refused(
        lossy,
        &log_entries(),
        ErrorKind::InvalidInput,
        "row 2, column level: the value does not fit",
    );
    importing
        .import(importing.parquet(&typed_rows(5)), &log_entries())
        .unwrap();
    let rows = rows(&importing.lake, "log_entries", "global");
    assert_eq!(texts(&rows, "msg"), ["sooner", "later"]);
    assert_eq!(numbers(&rows, "level"), [5, 3]);
    assert_eq!(numbers(&rows, "time")[0], at(1).timestamp_nanos_opt().unwrap());
}

#[test]
fn a_partition_of_one_lake_becomes_one_of_another() {
    let importing = Importing::new();
    let (_directory, source) = new_lake();
    let options = GenerateOptions {
        rows: 3_000,
        days: 1,
        processes: 2,
        ..GenerateOptions::until("2026-03-01T12:00:00Z".parse().unwrap())
    };
    let report = generate(&source, &options, &|_, _| ()).unwrap();
    let process = &report.process_ids[0];
    for (view, instance) in [
        ("log_entries", "global"),
        ("blocks", "global"),
        ("async_events", process),
    ] {
        let from = partitions(&source, view, instance).remove(3);
        let exported = source.partition_path(&from).unwrap();
        let options = ImportOptions {
            insert_range: (instance != "global").then_some((from.begin_insert_time, from.end_insert_time)),
            ..ImportOptions::new(view, instance)
        };
        let made = importing.import(exported, &options).unwrap().partition.unwrap();
        assert_eq!(
            (made.num_rows, made.min_event_time),
            (from.num_rows, from.min_event_time)
        );
        let expected = crate::files::partition_rows(&source, &from);
        assert!(rows(&importing.lake, view, instance) == expected, "{view}");
    }
}

#[test]
fn rows_of_global_survive_a_retirement() {
    let importing = Importing::new();
    importing
        .import(importing.file("rows.csv", CSV), &log_entries())
        .unwrap();
    let before = rows(&importing.lake, "log_entries", "global");
    let partition = partitions(&importing.lake, "log_entries", "global").remove(0);
    importing
        .lake
        .transaction(|changes| changes.retire(&partition))
        .unwrap();
    let (begin, end) = range();
    let step = Duration::from_secs(3_600);
    importing
        .lake
        .materialize("log_entries", begin, end, step, &mut |_| ())
        .unwrap();
    assert!(rows(&importing.lake, "log_entries", "global") == before);
    importing
        .lake
        .materialize("log_stats", begin, end, step, &mut |_| ())
        .unwrap();
    assert_eq!(
        numbers(&rows(&importing.lake, "log_stats", "global"), "count"),
        [1, 1, 1]
    );
}

#[test]
fn rows_of_an_instance_belong_to_it() {
    let importing = Importing::new();
    let csv = "time,level,msg\n2026-01-01T00:00:01Z,4,text\n";
    let options = ImportOptions {
        insert_range: Some(range()),
        ..ImportOptions::new("log_entries", PROCESS)
    };
    let path = importing.file(
        "other.csv",
        "time,level,msg,process_id\n2026-01-01T00:00:01Z,4,text,somebody\n",
    );
    importing.check_refused(
        path,
        &options,
        ErrorKind::InvalidInput,
        "row 1, column process_id: the row is not of",
    );
    importing.import(importing.file("rows.csv", csv), &options).unwrap();
    assert_eq!(
        texts(&rows(&importing.lake, "log_entries", PROCESS), "process_id"),
        [PROCESS]
    );
    importing.lake.ensure_instance("log_entries", PROCESS, None).unwrap();
    assert_eq!(partitions(&importing.lake, "log_entries", PROCESS).len(), 1);
    assert!(partitions(&importing.lake, "log_entries", "global").is_empty());
}

#[test]
fn unknown_columns_are_refused_or_ignored() {
    let importing = Importing::new();
    let csv = "time,level,msg,colour\n2026-01-01T00:00:01Z,4,text,red\n";
    let path = importing.file("rows.csv", csv);
    importing.check_refused(
        path.clone(),
        &log_entries(),
        ErrorKind::InvalidInput,
        "log_entries has no columns colour",
    );
    let options = ImportOptions {
        ignore_unknown_columns: true,
        ..log_entries()
    };
    assert_eq!(importing.import(path, &options).unwrap().rows, 1);
}

#[test]
fn bad_files_leave_nothing_behind() {
    let importing = Importing::new();
    let head = "time,level,msg\n2026-01-01T00:00:01Z,4,text\n";
    for (name, content, says) in [
        (
            "missing.csv",
            "time\n2026-01-01T00:00:01Z\n".to_owned(),
            "needs the columns level, msg",
        ),
        (
            "time.csv",
            format!("{head}2026-01-01 at one,4,text\n"),
            "row 2, column time: '2026-01-01 at one' is not a time",
        ),
        (
            "level.csv",
            format!("{head}2026-01-01T00:00:01Z,high,text\n"),
            "row 2, column level: 'high' is not a whole number",
        ),
        (
            "null.csv",
            format!("{head},4,text\n"),
            "row 2, column time: there has to be a value",
        ),
        (
            "ragged.csv",
            format!("{head}2026-01-01T00:00:01Z,4\n"),
            "the file cannot be read",
        ),
        (
            "line.ndjson",
            "{\"time\":\"2026-01-01T00:00:01Z\",\"level\":4,\"msg\":\"a\"}\n[1]\n".to_owned(),
            "line 2 is not a JSON object",
        ),
        ("bytes.parquet", head.to_owned(), "it is not a Parquet file"),
        (
            "json.csv",
            "time,level,msg,properties\n2026-01-01T00:00:01Z,4,text,{a\n".to_owned(),
            "'{a' is not JSON",
        ),
        (
            "inserted.csv",
            "time,level,msg,insert_time\n2026-01-01T00:00:01Z,4,text,2026-01-01T01:00:00Z\n".to_owned(),
            "row 1, column insert_time: the time is not from 2026-01-01T00:00:00Z up to 2026-01-01T01:00:00Z",
        ),
        ("rows.xlsx", String::new(), "the format of"),
    ] {
        let path = importing.file(name, content);
        importing.check_refused(path.clone(), &log_entries(), ErrorKind::InvalidInput, says);
        importing.check_refused(path, &log_entries(), ErrorKind::InvalidInput, name);
    }
    let absent = importing.directory.path().join("absent.csv");
    importing.check_refused(absent, &log_entries(), ErrorKind::NotFound, "absent.csv");
    // A value that does not fit comes late, after many batches.
    let mut long = "time,level,msg\n".to_owned();
    long.push_str(&"2026-01-01T00:00:01Z,4,text\n".repeat(20_000));
    long.push_str("2026-01-01T00:00:01Z,4.5,text\n");
    importing.check_refused(
        importing.file("long.csv", long),
        &log_entries(),
        ErrorKind::InvalidInput,
        "row 20001",
    );
}

#[test]
fn an_instance_that_cannot_be_is_refused() {
    let importing = Importing::new();
    let path = importing.file("rows.csv", CSV);
    for (view, instance, kind, says) in [
        ("nothing", "global", ErrorKind::NotFound, "there is no view set nothing"),
        (
            "async_events",
            "global",
            ErrorKind::InvalidInput,
            "has no instance global",
        ),
        (
            "blocks",
            PROCESS,
            ErrorKind::InvalidInput,
            "has the instance global only",
        ),
        (
            "log_stats",
            "global",
            ErrorKind::InvalidInput,
            "counted from log_entries",
        ),
    ] {
        importing.check_refused(path.clone(), &ImportOptions::new(view, instance), kind, says);
    }
    let backwards = ImportOptions {
        insert_range: Some((at(1), at(1))),
        ..log_entries()
    };
    importing.check_refused(path, &backwards, ErrorKind::InvalidInput, "before it ends");
}

#[test]
fn a_file_without_rows_makes_no_partition() {
    let importing = Importing::new();
    let path = importing.file("rows.csv", "time,level,msg\n");
    let options = ImportOptions {
        format: Some(ImportFormat::Csv),
        ..log_entries()
    };
    assert_eq!(
        importing.import(path, &options).unwrap(),
        ImportReport {
            rows: 0,
            partition: None
        }
    );
    assert!(files(importing.lake.root(), "source").is_empty());
}
