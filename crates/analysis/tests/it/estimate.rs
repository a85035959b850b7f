//! Estimates from a catalogue that the test writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use lakepilot_analysis::{
    EstimateBasis, EstimateOptions, FileLengthStore, LearningService, LengthObserver, LengthStore, ResultEstimate,
    SizeBasis, SizeModel, estimate_result,
};
use lakepilot_query::{
    ErrorKind, PreparedQuery, Query, QueryService, QueryServiceExt, RecordBatchStream, Result, TimeRange,
};

const HOUR: i64 = 3_600_000_000_000;

/// A lake of ten partitions of an hour each from midnight, with a thousand rows each, whose queries return the level
/// and a message of twenty bytes.
#[derive(Default)]
struct HourlyLake {
    catalogue_queries: AtomicUsize,
    other_queries: AtomicUsize,
}

fn midnight() -> i64 {
    time("2026-01-01T00:00:00Z").timestamp_nanos_opt().unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn listing(view_set: &str) -> RecordBatch {
    let hours: Vec<i64> = (0..10).collect();
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; 10])) };
    let times = |shift: i64| -> ArrayRef {
        let times: Vec<i64> = hours.iter().map(|hour| midnight() + hour * HOUR + shift).collect();
        Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC"))
    };
    RecordBatch::try_from_iter([
        ("view_set_name", text(view_set)),
        ("view_instance_id", text("global")),
        ("min_event_time", times(0)),
        ("max_event_time", times(HOUR - 1)),
        ("has_file", Arc::new(BooleanArray::from(vec![true; 10])) as ArrayRef),
        ("file_size", Arc::new(Int64Array::from(vec![50_000; 10])) as ArrayRef),
        ("num_rows", Arc::new(Int64Array::from(vec![1_000; 10])) as ArrayRef),
    ])
    .unwrap()
}

fn result_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("level", DataType::Int32, false),
        Field::new("msg", DataType::Utf8, false),
    ]))
}

fn counts(pairs: &[(&str, i64)]) -> RecordBatch {
    let columns = pairs
        .iter()
        .map(|(name, count)| (*name, Arc::new(Int64Array::from(vec![*count])) as ArrayRef));
    RecordBatch::try_from_iter(columns).unwrap()
}

#[async_trait]
impl QueryService for HourlyLake {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let sql = query.sql();
        let batch = if sql.contains("list_partitions()") {
            self.catalogue_queries.fetch_add(1, Ordering::Relaxed);
            listing("log_entries")
        } else {
            self.other_queries.fetch_add(1, Ordering::Relaxed);
            if sql.contains("row_count") {
                counts(&[("row_count", 4_242)])
            } else if sql.contains("kept_rows") {
                counts(&[("all_rows", 100), ("kept_rows", 25)])
            } else {
                let rows = query.limit().unwrap() as usize;
                let levels: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![2; rows]));
                let messages: ArrayRef = Arc::new(StringArray::from(vec!["a message of 20 byte"; rows]));
                RecordBatch::try_new(result_schema(), vec![levels, messages]).unwrap()
            }
        };
        Ok(RecordBatchStream::from_batches(batch.schema(), vec![batch]))
    }

    async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
        Ok(PreparedQuery::new(result_schema()))
    }
}

fn hours(begin: &str, end: &str) -> TimeRange {
    let at = |clock: &str| time(&format!("2026-01-01T{clock}Z"));
    TimeRange::new(at(begin), at(end)).unwrap()
}

async fn estimate_with(sql: &str, range: Option<TimeRange>, options: EstimateOptions) -> ResultEstimate {
    let lake = HourlyLake::default();
    let query = Query::new(sql).unwrap().with_time_range(range);
    let estimate = estimate_result(&lake, &query, &options).await.unwrap();
    assert!(lake.catalogue_queries.load(Ordering::Relaxed) <= 1);
    if options == EstimateOptions::default() {
        assert_eq!(lake.other_queries.load(Ordering::Relaxed), 0);
    }
    estimate
}

#[track_caller]
fn rows(estimate: &ResultEstimate) -> (u64, u64, Option<u64>, EstimateBasis) {
    let rows = estimate.rows;
    (rows.low, rows.expected.round() as u64, rows.high, rows.basis)
}

#[tokio::test]
async fn rows_are_those_of_partitions_clipped_to_the_range() {
    use EstimateBasis::{Exact, PartitionMetadata, Unknown};
    let morning = hours("02:00:00", "04:29:59.999999999");
    let scan = "SELECT level, msg FROM log_entries";
    let lookup = "SELECT l.level, p.exe FROM log_entries l JOIN processes p ON l.process_id = p.process_id";
    for (sql, expected) in [
        (scan.to_owned(), (2_000, 2_500, Some(3_000), PartitionMetadata)),
        (
            format!("{scan} ORDER BY time"),
            (2_000, 2_500, Some(3_000), PartitionMetadata),
        ),
        (format!("{scan} LIMIT 100"), (100, 100, Some(100), Exact)),
        (
            format!("{scan} LIMIT 2800 OFFSET 500"),
            (1_500, 2_000, Some(2_500), PartitionMetadata),
        ),
        (
            format!("{scan} WHERE time >= '2026-01-01T03:00:00Z'"),
            (1_000, 1_500, Some(2_000), PartitionMetadata),
        ),
        // What is guessed is that errors are rare, that names are many, and that what cannot be null is not.
        (format!("{scan} WHERE level = 2"), (0, 48, Some(3_000), Unknown)),
        (format!("{scan} WHERE level <= 3"), (0, 250, Some(3_000), Unknown)),
        (
            format!("{scan} WHERE NOT (level > 3 OR level = 2)"),
            (0, 245, Some(3_000), Unknown),
        ),
        (format!("{scan} WHERE target = 'x'"), (0, 250, Some(3_000), Unknown)),
        (
            format!("{scan} WHERE msg IS NOT NULL"),
            (0, 2_500, Some(3_000), Unknown),
        ),
        (
            format!("{scan} UNION ALL {scan}"),
            (4_000, 5_000, Some(6_000), PartitionMetadata),
        ),
        (
            format!("SELECT msg FROM ({scan}) AS l"),
            (2_000, 2_500, Some(3_000), PartitionMetadata),
        ),
        ("SELECT count(*) FROM log_entries".to_owned(), (1, 1, Some(1), Exact)),
        (
            "SELECT level, count(*) FROM log_entries GROUP BY level".to_owned(),
            (1, 6, Some(3_000), Unknown),
        ),
        (
            "SELECT DISTINCT level FROM log_entries".to_owned(),
            (1, 6, Some(3_000), Unknown),
        ),
        (
            "SELECT msg, count(*) FROM log_entries GROUP BY msg".to_owned(),
            (1, 50, Some(3_000), Unknown),
        ),
        (
            // Two hours and a half have 151 minutes, of which the first and the last are parts.
            "SELECT date_trunc('minute', time) AS minute, count(*) FROM log_entries GROUP BY minute".to_owned(),
            (1, 151, Some(3_000), Unknown),
        ),
        (
            "SELECT date_bin(INTERVAL '5 minutes', time), level FROM log_entries GROUP BY 1, 2".to_owned(),
            (1, 186, Some(3_000), Unknown),
        ),
        (lookup.to_owned(), (0, 2_500, Some(3_000), PartitionMetadata)),
        ("SELECT 1".to_owned(), (1, 1, Some(1), Exact)),
        (
            "SELECT x FROM (VALUES (1), (2)) AS t(x)".to_owned(),
            (2, 2, Some(2), Exact),
        ),
        (
            "SELECT msg FROM view_instance('log_entries', 'p')".to_owned(),
            (0, 0, None, Unknown),
        ),
    ] {
        let estimate = estimate_with(&sql, Some(morning), EstimateOptions::default()).await;
        assert_eq!(rows(&estimate), expected, "{sql}");
    }
}

#[tokio::test]
async fn what_is_read_is_what_the_range_of_the_call_leaves_open() {
    let estimate = estimate_with(
        "SELECT level, msg FROM log_entries WHERE time < '2026-01-01T03:30:00Z'",
        Some(hours("02:00:00", "04:30:00")),
        EstimateOptions::default(),
    )
    .await;
    let scan = &estimate.scans[0];
    // The filter in the SQL keeps no partition closed.
    assert_eq!((scan.partitions_touched, scan.partitions_pruned, scan.files), (3, 7, 3));
    assert_eq!(scan.file_bytes, 150_000);
    assert!(
        scan.read_bytes > 0.0 && scan.read_bytes < 75_000.0,
        "{}",
        scan.read_bytes
    );
    assert_eq!(estimate.schema.estimated_row_bytes, 4.0 + 84.0);
    assert_eq!(estimate.estimated_bytes, estimate.rows.expected * 88.0);
}

#[tokio::test]
async fn a_sample_tells_lengths_and_what_filters_let_through() {
    let options = EstimateOptions::default().with_sample_rows(50);
    let sql = "SELECT level, msg FROM log_entries WHERE level = 2 -- é";
    let estimate = estimate_with(sql, Some(hours("00:00:00", "09:59:59.999999999")), options).await;
    assert_eq!(estimate.schema.estimated_row_bytes, 4.0 + 24.0);
    assert_eq!(
        rows(&estimate),
        (0, 2_500, Some(10_000), EstimateBasis::SampledSelectivity)
    );
}

#[tokio::test]
async fn a_count_is_made_only_when_it_is_asked_for() {
    let options = EstimateOptions::default().with_count(true);
    let estimate = estimate_with("SELECT level, msg FROM log_entries; ", None, options).await;
    assert_eq!(rows(&estimate), (4_242, 4_242, Some(4_242), EstimateBasis::Exact));
}

#[tokio::test]
async fn the_guard_refuses_what_is_too_large() {
    let estimate = estimate_with("SELECT level, msg FROM log_entries", None, EstimateOptions::default()).await;
    assert!(estimate.ensure_within(Some(10_000), Some(880_000)).is_ok());
    assert!(estimate.ensure_within(None, None).is_ok());
    for (rows, bytes) in [(Some(9_999), None), (None, Some(879_999))] {
        assert_eq!(
            estimate.ensure_within(rows, bytes).unwrap_err().kind(),
            ErrorKind::ResourceExhausted
        );
    }
}

#[tokio::test]
async fn learnt_lengths_fill_in_what_neither_the_caller_nor_a_sample_tells() {
    let lake: Arc<HourlyLake> = Arc::default();
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(FileLengthStore::new(directory.path(), "grpc://lake:50051"));
    let learning = LearningService::new(lake.clone(), store.clone());
    let earlier = Query::new("SELECT level, msg FROM log_entries").unwrap().with_limit(7);
    learning.collect(&earlier).await.unwrap();
    learning.save().unwrap();

    let learnt = EstimateOptions::default().with_learnt(store.load().lengths);
    let query = Query::new("SELECT level, msg AS text FROM log_entries").unwrap();
    let unknown = Query::new("SELECT level, json_get_str(properties, 'x') FROM log_entries").unwrap();
    let plain = estimate_result(lake.as_ref(), &unknown, &EstimateOptions::default()).await;
    assert_eq!(plain.unwrap().schema.columns[1].basis, SizeBasis::Assumed);
    let columns = |estimate: ResultEstimate| -> Vec<(f64, SizeBasis)> {
        let columns = estimate.schema.columns.into_iter();
        columns.map(|column| (column.estimated_bytes, column.basis)).collect()
    };
    let level = (4.0, SizeBasis::Type);
    let given = SizeModel::default().with_text_bytes("msg", 30.0);
    for (options, msg) in [
        (EstimateOptions::default(), (84.0, SizeBasis::Typical)),
        (learnt.clone(), (24.0, SizeBasis::Learnt)),
        (learnt.clone().with_sample_rows(5), (24.0, SizeBasis::Sampled)),
        (learnt.with_sizes(given), (34.0, SizeBasis::Given)),
    ] {
        let estimate = estimate_result(lake.as_ref(), &query, &options).await.unwrap();
        assert_eq!(columns(estimate), [level, msg], "{options:?}");
    }
}

#[tokio::test]
async fn what_an_expression_makes_is_as_long_as_its_parts() {
    let lake = HourlyLake::default();
    let mut learnt = LengthObserver::new(&Query::new("SELECT msg FROM log_entries").unwrap());
    let messages: ArrayRef = Arc::new(StringArray::from(vec!["thirty bytes, all in one string"]));
    learnt.observe(&RecordBatch::try_from_iter([("msg", messages)]).unwrap());
    let options = EstimateOptions::default().with_learnt(learnt.into_lengths());
    for (expression, length) in [
        ("upper(msg)", 31.0),
        ("concat(process_id, ': ', msg)", 36.0 + 2.0 + 31.0),
        ("concat_ws(', ', msg, msg, msg)", 3.0 * 31.0 + 2.0 * 2.0),
        ("exe || '/' || target", 40.0 + 1.0 + 16.0),
        ("substr(msg, 1, 20)", 20.0),
        ("left(msg, 100)", 31.0),
        ("substring(msg FROM 2 FOR 5)", 5.0),
        ("CAST(level AS VARCHAR)", 3.0),
        ("msg::text", 31.0),
        ("CASE WHEN level < 3 THEN 'error' ELSE 'all right' END", 7.0),
        ("coalesce(msg, '')", 31.0),
        ("md5(msg)", 32.0),
        ("max(msg)", 31.0),
        ("lpad(msg, 64, ' ')", 64.0),
    ] {
        let query = Query::new(format!("SELECT level, {expression} AS made FROM log_entries")).unwrap();
        let estimate = estimate_result(&lake, &query, &options).await.unwrap();
        let made = &estimate.schema.columns[1];
        assert_eq!(
            (made.estimated_bytes, made.basis),
            (4.0 + length, SizeBasis::Computed),
            "{expression}"
        );
    }
    let options = EstimateOptions::default();
    let deep = format!(
        "SELECT level, {}msg{} AS made FROM log_entries",
        "upper(".repeat(45),
        ")".repeat(45)
    );
    let estimate = estimate_result(&lake, &Query::new(deep).unwrap(), &options)
        .await
        .unwrap();
    assert_eq!(estimate.schema.columns[1].basis, SizeBasis::Assumed);
}

/// A lake that has listed partitions of `processes` and of the global logs, but none of one process.
struct OnDemandLake;

#[async_trait]
impl QueryService for OnDemandLake {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        assert!(query.sql().contains("list_partitions()"));
        let logs = listing("log_entries");
        let mut processes = listing("processes").columns().to_vec();
        processes[6] = Arc::new(Int64Array::from(vec![4; 10]));
        let processes = RecordBatch::try_new(logs.schema(), processes)?;
        Ok(RecordBatchStream::from_batches(logs.schema(), vec![logs, processes]))
    }

    async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
        Ok(PreparedQuery::new(result_schema()))
    }
}

#[tokio::test]
async fn the_catalogue_tells_of_processes() {
    let estimate = async |sql: &str| {
        let query = Query::new(sql).unwrap();
        let options = EstimateOptions::default();
        rows(&estimate_result(&OnDemandLake, &query, &options).await.unwrap())
    };
    // Ten partitions have the same four processes, or four others each: between four and forty, at even odds.
    let processes = estimate("SELECT exe FROM processes").await;
    assert_eq!(processes, (4, 13, Some(40), EstimateBasis::PartitionMetadata));
    // What is not there yet is a process's share of what is.
    let one = estimate("SELECT msg FROM view_instance('log_entries', 'p')").await;
    assert_eq!(one, (0, 791, None, EstimateBasis::Unknown));
    let filtered = estimate("SELECT msg FROM log_entries WHERE process_id = 'p'").await;
    assert_eq!(filtered, (0, 791, Some(10_000), EstimateBasis::Unknown));
    let grouped = estimate("SELECT process_id, count(*) FROM log_entries GROUP BY process_id").await;
    assert_eq!(grouped, (1, 13, Some(10_000), EstimateBasis::Unknown));
    // A stream of logs is of one process, and a process of one program.
    let streams = estimate("SELECT DISTINCT process_id, stream_id, exe FROM log_entries").await;
    assert_eq!(streams, (1, 13, Some(10_000), EstimateBasis::Unknown));
}
