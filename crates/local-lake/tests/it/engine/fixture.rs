//! A small lake: two processes, three hours of log entries, spans of two threads.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Int64Array, ListArray, RecordBatch, StringArray, TimestampNanosecondArray,
    new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_local_lake::{Lake, LakeService, PartitionFilter, PartitionRecord, ServiceOptions, view_set};
use lakepilot_query::{Query, QueryResult, QueryServiceExt, Result, TimeRange};
use tempfile::TempDir;

/// The processes; the second has no spans.
pub(crate) const PROCESSES: [&str; 2] = [
    "11111111-0000-4000-8000-000000000001",
    "11111111-0000-4000-8000-000000000002",
];
/// Two threads of the first process. The spans of the first thread reach over the edges of its segments.
pub(crate) const THREADS: [&str; 2] = [
    "22222222-0000-4000-8000-000000000001",
    "22222222-0000-4000-8000-000000000002",
];
pub(crate) const HOURS: i64 = 3;
pub(crate) const ENTRIES_AN_HOUR: usize = 6;

pub(crate) struct Fixture {
    pub(crate) service: LakeService,
    _directory: TempDir,
}

/// A time in the fixture: midnight and so many seconds.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    let midnight: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    midnight + TimeDelta::seconds(seconds)
}

pub(crate) fn nanos(time: DateTime<Utc>) -> i64 {
    time.timestamp_nanos_opt().unwrap()
}

pub(crate) fn hour(hour: i64) -> (DateTime<Utc>, DateTime<Utc>) {
    (at(hour * 3600), at((hour + 1) * 3600))
}

pub(crate) fn range(begin: DateTime<Utc>, end: DateTime<Utc>) -> TimeRange {
    TimeRange::new(begin, end).unwrap()
}

/// All of the fixture's time.
pub(crate) fn whole() -> TimeRange {
    range(at(-7200), at(86_400))
}

pub(crate) fn times(times: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("+00:00"))
}

pub(crate) fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(texts))
}

pub(crate) fn jsonb(json: &str) -> Vec<u8> {
    jsonb::parse_value(json.as_bytes()).unwrap().to_vec()
}

/// Source rows of a view set: the given columns, and something in every other one.
pub(crate) fn source_rows(view: &str, columns: &[(&str, ArrayRef)]) -> RecordBatch {
    let view = view_set(view).unwrap();
    let schema = view.schema();
    let added = [("process_id", DataType::Utf8), ("stream_id", DataType::Utf8)].map(|(name, text)| {
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(text));
        Field::new(name, text, false)
    });
    let insert_time = Field::new(
        "insert_time",
        DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, Some("+00:00".into())),
        false,
    );
    let added = added
        .into_iter()
        .filter(|field| view.instances().key_column() == Some(field.name()))
        .chain([insert_time])
        .filter(|field| schema.index_of(field.name()).is_err());
    let fields: Vec<Field> = added
        .chain(schema.fields().iter().map(|field| field.as_ref().clone()))
        .collect();
    let rows = columns[0].1.len();
    let arrays = fields
        .iter()
        .map(|field| match columns.iter().find(|(name, _)| name == field.name()) {
            Some((_, array)) => cast(array, field.data_type()).unwrap(),
            None => filler(field, rows),
        })
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn filler(field: &Field, rows: usize) -> ArrayRef {
    let array: ArrayRef = match field.data_type() {
        _ if field.is_nullable() => return new_null_array(field.data_type(), rows),
        DataType::Utf8 => texts(vec![field.name(); rows]),
        DataType::Binary => Arc::new(BinaryArray::from_iter_values(vec![b"x"; rows])),
        DataType::Timestamp(..) => times(vec![nanos(at(0)); rows]),
        DataType::Dictionary(_, values) if **values == DataType::Utf8 => texts(vec![field.name(); rows]),
        DataType::Dictionary(..) => {
            let document = jsonb(r#"{"Color":"red","size":7,"deep":{"list":[1,2,3]}}"#);
            Arc::new(BinaryArray::from_iter_values(vec![document; rows]))
        }
        DataType::List(item) => Arc::new(ListArray::new(
            Arc::clone(item),
            OffsetBuffer::from_repeated_length(1, rows),
            texts(vec!["log"; rows]),
            None,
        )),
        _ => Arc::new(Int64Array::from(vec![0; rows])),
    };
    cast(&array, field.data_type()).unwrap()
}

/// Every column has a value, as blocks need of their stream and process.
fn add_catalogue_rows(lake: &Lake) {
    let day = (at(0), at(86_400));
    let first = || times([nanos(at(0)); 2]);
    let same = |text: &str| texts([text; 2]);
    let ends = [nanos(at(10_800)), nanos(at(3600))];
    let numbers = || -> ArrayRef { Arc::new(Int64Array::from(vec![1_000_000; 2])) };
    let bytes = || -> ArrayRef { Arc::new(BinaryArray::from_iter_values([b"x"; 2])) };
    let properties = || -> ArrayRef { Arc::new(BinaryArray::from_iter_values(vec![jsonb("{}"); 2])) };
    let processes = source_rows(
        "processes",
        &[
            ("process_id", texts(PROCESSES)),
            ("exe", texts(["server", "client"])),
            ("username", same("user")),
            ("realname", same("User")),
            ("computer", same("host")),
            ("distro", same("linux")),
            ("cpu_brand", same("cpu")),
            ("tsc_frequency", numbers()),
            ("start_time", first()),
            ("start_ticks", numbers()),
            ("insert_time", first()),
            ("properties", properties()),
            ("last_update_time", times(ends)),
            ("audience", same("all")),
        ],
    );
    let streams = source_rows(
        "streams",
        &[
            ("stream_id", texts(THREADS)),
            ("process_id", same(PROCESSES[0])),
            ("dependencies_metadata", bytes()),
            ("objects_metadata", bytes()),
            ("properties", properties()),
            ("insert_time", first()),
            ("format", same("transit")),
            ("last_update_time", times([ends[0], ends[0]])),
        ],
    );
    for (view, rows) in [("processes", processes), ("streams", streams)] {
        lake.append_source(view_set(view).unwrap(), day, &[rows]).unwrap();
        lake.materialize(view, day.0, day.1, Duration::from_secs(86_400), &mut |_| ())
            .unwrap();
    }
}

/// Every ten minutes an entry, by the processes in turn; its level is its number in the hour.
pub(crate) fn log_rows(hour: i64) -> RecordBatch {
    let rows = 0..ENTRIES_AN_HOUR as i64;
    let seconds = |row: i64| hour * 3600 + row * 600;
    source_rows(
        "log_entries",
        &[
            ("time", times(rows.clone().map(|row| nanos(at(seconds(row)))))),
            (
                "insert_time",
                times(rows.clone().map(|row| nanos(at(seconds(row) + 1)))),
            ),
            ("process_id", texts(rows.clone().map(|row| PROCESSES[row as usize % 2]))),
            ("level", Arc::new(Int64Array::from_iter_values(rows.clone()))),
            ("target", texts(rows.clone().map(|row| format!("target{row}")))),
            ("msg", texts(rows.map(|row| format!("hour {hour} entry {row}")))),
        ],
    )
}

/// Every ten minutes a span; those of the first thread last for a quarter of an hour, so they overlap, and the last of an
/// hour reaches into the next.
fn span_rows(hour: i64) -> RecordBatch {
    let spans: Vec<(usize, i64, i64)> = (0..6)
        .flat_map(|row| [(0, hour * 3600 + row * 600, 900), (1, hour * 3600 + row * 600, 60)])
        .collect();
    source_rows(
        "thread_spans",
        &[
            ("begin", times(spans.iter().map(|span| nanos(at(span.1))))),
            ("end", times(spans.iter().map(|span| nanos(at(span.1 + span.2))))),
            ("stream_id", texts(spans.iter().map(|span| THREADS[span.0]))),
            ("insert_time", times(spans.iter().map(|span| nanos(at(span.1))))),
            (
                "id",
                Arc::new(Int64Array::from_iter_values(spans.iter().map(|span| span.1 / 600))),
            ),
        ],
    )
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_options(ServiceOptions::default())
    }

    pub(crate) fn with_options(options: ServiceOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lake = Lake::create(directory.path().join("lake")).unwrap();
        add_catalogue_rows(&lake);
        for number in 0..HOURS {
            let (begin, end) = hour(number);
            lake.append_source(view_set("log_entries").unwrap(), (begin, end), &[log_rows(number)])
                .unwrap();
            lake.append_source(view_set("thread_spans").unwrap(), (begin, end), &[span_rows(number)])
                .unwrap();
            for view in ["log_entries", "log_stats"] {
                lake.materialize(view, begin, end, Duration::from_secs(3600), &mut |_| ())
                    .unwrap();
            }
        }
        Self {
            service: LakeService::with_options(lake, options).unwrap(),
            _directory: directory,
        }
    }

    pub(crate) fn lake(&self) -> &Lake {
        self.service.lake()
    }

    pub(crate) async fn collect(&self, query: Query) -> Result<QueryResult> {
        self.service.collect(&query).await
    }

    /// The rows of a query, each as its values with bars between them.
    pub(crate) async fn rows(&self, sql: &str, range: impl Into<Option<TimeRange>>) -> Vec<String> {
        let query = Query::new(sql).unwrap().with_time_range(range);
        rows_of(
            &self
                .collect(query)
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error}")),
        )
    }

    pub(crate) async fn failure(&self, sql: &str, range: impl Into<Option<TimeRange>>) -> lakepilot_query::Error {
        let query = Query::new(sql).unwrap().with_time_range(range);
        match self.collect(query).await {
            Ok(result) => panic!("{sql} answered {:?}", rows_of(&result)),
            Err(error) => error,
        }
    }

    /// The first value of a query, as a number.
    pub(crate) async fn count(&self, sql: &str, range: impl Into<Option<TimeRange>>) -> i64 {
        self.rows(sql, range).await[0].parse().unwrap()
    }

    pub(crate) fn partitions(&self, view: &str, instance: &str) -> Vec<PartitionRecord> {
        self.lake()
            .partitions(&PartitionFilter::instance(view, instance))
            .unwrap()
    }
}

pub(crate) fn rows_of(result: &QueryResult) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in &result.batches {
        let columns: Vec<ArrayRef> = batch.columns().iter().map(|column| as_text(column)).collect();
        for row in 0..batch.num_rows() {
            let values = columns
                .iter()
                .map(|column| column.as_string::<i32>())
                .map(|column| if column.is_null(row) { "NULL" } else { column.value(row) });
            rows.push(values.collect::<Vec<_>>().join("|"));
        }
    }
    rows
}

fn as_text(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Binary => texts(column.as_binary::<i32>().iter().map(|bytes| format!("{bytes:?}"))),
        _ => cast(column, &DataType::Utf8).unwrap(),
    }
}
