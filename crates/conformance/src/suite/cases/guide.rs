//! What the guide does before and while a query runs.

use std::sync::Arc;

use lakepilot_analysis::{Config, analyze_schema, validate};
use lakepilot_execution::{
    BatchSize, BatchedExecutor, CallbackSink, CountEstimator, ExecutionOptions, NoProgress, ScanPredicate, SliceRule,
    Slicing, batch_bytes,
};
use lakepilot_query::{Query, QueryResult};

use crate::suite::case::{Failure, Observations, Outcome, ensure, ensure_equal};
use crate::suite::{Context, spell};

pub(super) async fn schema_analysis(context: &Context) -> Outcome {
    let mut seen = Observations::default();
    for sql in [
        "SELECT time, process_id, level, msg FROM log_entries",
        "SELECT * FROM measures",
        "SELECT count(*) AS entries, max(time) AS last FROM log_entries GROUP BY level",
    ] {
        let analysis = analyze_schema(&*context.service(), &Query::new(sql)?).await?;
        let mut columns = Vec::new();
        let mut sum = 0.0;
        for column in &analysis.columns {
            // What the guide counts for fixed widths; a bitmap of nulls may come on top.
            let least = match column.data_type.as_str() {
                "Int64" | "Float64" => 8.0,
                time if time.starts_with("Timestamp") => 8.0,
                "Int32" => 4.0,
                _ => 1.0,
            };
            ensure(column.estimated_bytes >= least, || {
                format!("{} is estimated at {} bytes", column.name, column.estimated_bytes)
            })?;
            sum += column.estimated_bytes;
            let nullable = if column.nullable { "?" } else { "" };
            columns.push(format!("{} {}{nullable}", column.name, column.data_type));
        }
        ensure((sum - analysis.estimated_row_bytes).abs() < 1e-6, || {
            format!("a row of {} bytes has columns of {sum}", analysis.estimated_row_bytes)
        })?;
        seen.note(sql, columns.join(", "));
    }
    Ok(seen)
}

/// The rules that may find something in a query that nothing is wrong with.
const HARMLESS: &[&str] = &["limit-without-order-by"];

pub(super) async fn validation(context: &Context) -> Outcome {
    let bad = "SELECT time, process_id, level, target, msg, properties FROM log_entries ORDER BY time DESC";
    for (sql, with_range, rules) in [
        (
            "SELECT time, msg FROM log_entries WHERE level <= 3 LIMIT 10",
            true,
            &[][..],
        ),
        (bad, false, &["missing-time-range", "order-by-without-limit"]),
        (bad, true, &["order-by-without-limit"]),
        ("SELECT nope FROM log_entries LIMIT 10", true, &["unknown-column"]),
        ("SELECT time FROM nope LIMIT 10", true, &["unknown-view"]),
        ("SELECT time FROM log_entries WHERE", true, &["syntax-error"]),
    ] {
        let query = Query::new(sql)?.with_time_range(with_range.then_some(context.log_range));
        let analysis = validate(&*context.service(), &query, &Config::default()).await?;
        let mut found: Vec<_> = analysis
            .findings()
            .map(|finding| finding.rule)
            .filter(|rule| !HARMLESS.contains(rule))
            .collect();
        found.sort_unstable();
        ensure_equal(sql, found.as_slice(), rules)?;
    }
    Ok(Observations::default())
}

pub(super) async fn batched_execution(context: &Context) -> Outcome {
    const TARGET_BYTES: usize = 200_000;
    let query = Query::new("SELECT time, level, target, msg FROM log_entries WHERE level <= 4")?
        .with_time_range(context.log_range);
    let expected = context.count("log_entries WHERE level <= 4", context.log_range).await?;
    let options = ExecutionOptions::new().with_batch_size(BatchSize::Bytes(TARGET_BYTES));
    let executor = BatchedExecutor::new(context.service(), options)
        .with_estimator(Arc::new(CountEstimator::new(context.service())));
    let mut batches = Vec::new();
    let mut sink = CallbackSink::new(|index, batch| {
        batches.push((index, batch));
        Ok(())
    });
    let statistics = executor.execute(&query, &mut sink, &NoProgress).await?;

    ensure_equal("rows", statistics.rows_processed as i64, expected)?;
    ensure_equal(
        "batches in the statistics",
        statistics.batches_processed,
        batches.len() as u64,
    )?;
    ensure(batches.len() > 1, || {
        "everything came in one batch; the lake is too small".to_owned()
    })?;
    for (number, (index, batch)) in batches.iter().enumerate() {
        ensure_equal("the number of a batch", *index, number as u64)?;
        let bytes = batch_bytes(batch);
        let is_last = number + 1 == batches.len();
        ensure(
            bytes <= 2 * TARGET_BYTES && (is_last || bytes >= TARGET_BYTES / 4),
            || format!("batch {number} has {bytes} bytes, and {TARGET_BYTES} were asked for"),
        )?;
    }
    if let Some(report) = &statistics.estimate {
        ensure_equal(
            "the count that was asked beside it",
            report.estimate.rows as i64,
            expected,
        )?;
    }
    Ok(Observations::default())
}

pub(super) async fn sliced_execution(context: &Context) -> Outcome {
    let spans = Context::instance("thread_spans", &context.stream_id);
    let points = "SELECT time, level, msg FROM log_entries".to_owned();
    let intervals = format!("SELECT id, name, \"begin\", \"end\" FROM {spans}");
    let predicate = ScanPredicate::new(format!("{intervals} WHERE "), "begin", "");
    for (name, sql, rule) in [
        ("points", points, SliceRule::Points),
        ("spans", intervals, SliceRule::Intervals(predicate)),
    ] {
        let query = Query::new(sql)?.with_time_range(context.log_range);
        let whole = sorted(&context.collect(&query).await?)?;
        ensure(!whole.is_empty(), || format!("there are no {name} to slice"))?;
        let slicing = Slicing::new(rule, context.log_range.split(6))?;
        let mut batches = Vec::new();
        let mut sink = CallbackSink::new(|_, batch| {
            batches.push(batch);
            Ok(())
        });
        BatchedExecutor::new(context.service(), ExecutionOptions::new())
            .execute_sliced(&query, &slicing, &mut sink, &NoProgress)
            .await?;
        let schema = batches
            .first()
            .map(arrow::array::RecordBatch::schema)
            .ok_or_else(|| Failure::new(format!("no batch of {name} arrived in slices")))?;
        let sliced = sorted(&QueryResult { schema, batches })?;
        ensure_equal(&format!("rows of {name} in slices"), sliced.len(), whole.len())?;
        ensure(sliced == whole, || {
            format!("the {name} in slices are others than those of the whole query")
        })?;
    }
    Ok(Observations::default())
}

fn sorted(result: &QueryResult) -> lakepilot_query::Result<Vec<String>> {
    let mut rows = spell::rows(result)?;
    rows.sort_unstable();
    Ok(rows)
}
