//! Slices whose edges are where they hurt: at the times of rows, and within spans.

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_analysis::{Analyzer, SliceOrder as OrderOfQuery};
use lakepilot_catalog::{ColumnReader, GLOBAL_INSTANCE};
use lakepilot_execution::{
    BatchedExecutor, CallbackSink, ExecutionOptions, NoProgress, ScanPredicate, SliceOrder, SliceRule, Slicing,
    auto_slices,
};
use lakepilot_query::{ErrorKind, Query, QueryResult, Result, TimeRange};

use crate::suite::case::{Failure, Observations, Outcome, ensure, ensure_equal};
use crate::suite::{Context, spell};

/// Cuts of one query, at most.
const MOST_CUTS: usize = 8;

pub(super) async fn exactly_once(context: &Context) -> Outcome {
    let spans = Context::instance("thread_spans", &context.stream_id);
    let process = Context::instance("log_entries", &context.process_id);
    let points = [
        "SELECT time, level, msg FROM log_entries".to_owned(),
        "SELECT name, value FROM measures WHERE value > 0 OR value <= 0".to_owned(),
        "SELECT time, msg FROM log_entries ORDER BY time DESC".to_owned(),
        format!("SELECT time, msg FROM {process} WHERE level <= 4 ORDER BY time"),
    ];
    let times = times(
        context,
        "SELECT DISTINCT time AS t FROM log_entries ORDER BY t",
        context.log_range,
    )
    .await?;
    for sql in &points {
        same_rows(context, sql, context.log_range, at(context.log_range, &times)?).await?;
    }

    // Within the stream's own time, so that spans cross the cuts: each is at, right before or right after an end of one.
    let all = context.all_time;
    let begins = self::times(context, &format!("SELECT \"begin\" AS t FROM {spans} ORDER BY t"), all).await?;
    let ends = self::times(context, &format!("SELECT \"end\" AS t FROM {spans} ORDER BY t"), all).await?;
    let (Some(first), Some(last)) = (begins.get(begins.len() / 10), ends.get(ends.len() * 9 / 10)) else {
        return Err(Failure::new("the stream has no spans"));
    };
    let range = TimeRange::new(*first, *last)?;
    for sql in [
        // The time by which they are cut is not in the output.
        format!("SELECT id, name FROM {spans}"),
        format!("SELECT id, \"begin\", \"end\" FROM {spans} WHERE duration > 0 OR depth = 0 ORDER BY \"begin\""),
    ] {
        for edges in [&begins, &ends] {
            same_rows(context, &sql, range, at(range, edges)?).await?;
        }
        ensure_crossed(context, &spans, range, &begins).await?;
    }

    for (view_set, instance, sql, range) in [
        ("log_entries", GLOBAL_INSTANCE, points[0].as_str(), context.log_range),
        (
            "thread_spans",
            context.stream_id.as_str(),
            &format!("SELECT id, name FROM {spans}"),
            range,
        ),
    ] {
        let slices = auto_slices(context.service(), view_set, instance, range, 3).await?;
        same_rows(context, sql, range, slices).await?;
    }
    Ok(Observations::default())
}

/// The times in the column `t`.
async fn times(context: &Context, sql: &str, range: TimeRange) -> Result<Vec<DateTime<Utc>>> {
    let batch = context
        .collect(&Query::new(sql)?.with_time_range(range))
        .await?
        .to_batch()?;
    let column = ColumnReader::new(&batch, sql).required::<DateTime<Utc>>("t")?;
    (0..batch.num_rows()).map(|row| column.value(row)).collect()
}

/// Slices of the range that begin at some of the times, and a nanosecond before and after some.
fn at(range: TimeRange, times: &[DateTime<Utc>]) -> Result<Vec<TimeRange>> {
    let step = (times.len() / MOST_CUTS).max(1);
    let mut cuts: Vec<DateTime<Utc>> = times
        .iter()
        .step_by(step)
        .enumerate()
        .map(|(number, time)| *time + TimeDelta::nanoseconds(number as i64 % 3 - 1))
        .filter(|cut| *cut > range.begin() && *cut <= range.end())
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let begins = std::iter::once(range.begin()).chain(cuts.iter().copied());
    let ends = cuts
        .iter()
        .map(|cut| *cut - TimeDelta::nanoseconds(1))
        .chain([range.end()]);
    begins
        .zip(ends)
        .map(|(begin, end)| TimeRange::new(begin, end))
        .collect()
}

/// Fails unless spans cross an edge of the slices, without which the case proves nothing.
async fn ensure_crossed(
    context: &Context,
    spans: &str,
    range: TimeRange,
    edges: &[DateTime<Utc>],
) -> Result<(), Failure> {
    let mut crossing = 0;
    for slice in at(range, edges)?.iter().skip(1) {
        let edge = TimeRange::new(slice.begin(), slice.begin())?;
        crossing += context.count(spans, edge).await?;
    }
    ensure(crossing > 0, || "no span crosses an edge of the slices".to_owned())
}

/// Runs a query whole and in slices, as the analyser says that it is cut, and compares the rows.
async fn same_rows(context: &Context, sql: &str, range: TimeRange, slices: Vec<TimeRange>) -> Result<(), Failure> {
    let query = Query::new(sql)?.with_time_range(range);
    let analysis = Analyzer::default().check(sql, range);
    let shape = analysis
        .statements
        .first()
        .and_then(|statement| statement.shape.as_ref());
    let verdict = shape
        .and_then(|shape| shape.sliceable.slicing())
        .ok_or_else(|| Failure::new(format!("{sql} is not cut")))?;
    let rule = match verdict.around_condition(sql)? {
        None => SliceRule::Points,
        Some((before, after)) => SliceRule::Intervals(ScanPredicate::new(before, verdict.column.as_str(), after)),
    };
    let order = match verdict.order {
        OrderOfQuery::Any => SliceOrder::Unordered,
        OrderOfQuery::Ascending => SliceOrder::Ascending,
        OrderOfQuery::Descending => SliceOrder::Descending,
    };
    let count = slices.len();
    let slicing = Slicing::new(rule, slices)?.with_order(order).with_parallel(3);

    let whole = context.collect(&query).await?;
    let mut batches = Vec::new();
    let mut sink = CallbackSink::new(|_, batch| {
        batches.push(batch);
        Ok(())
    });
    BatchedExecutor::new(context.service(), ExecutionOptions::new())
        .execute_sliced(&query, &slicing, &mut sink, &NoProgress)
        .await?;
    let sliced = QueryResult {
        schema: whole.schema.clone(),
        batches,
    };
    let told = format!("rows of {sql} in {count} slices");
    ensure(whole.num_rows() > 0, || format!("there are no {told}"))?;
    ensure_equal(&told, sliced.num_rows(), whole.num_rows())?;
    if order != SliceOrder::Unordered {
        let (sliced, whole) = (keys(&sliced, &verdict.column)?, keys(&whole, &verdict.column)?);
        ensure(sliced == whole, || format!("{told}: their order is another"))?;
    }
    let (mut sliced, mut whole) = (spell::rows(&sliced)?, spell::rows(&whole)?);
    sliced.sort_unstable();
    whole.sort_unstable();
    ensure(sliced == whole, || format!("{told}: they are others"))
}

/// The values of the column that the rows are ordered by: rows of the same time may come in any order.
fn keys(result: &QueryResult, column: &str) -> Result<Vec<String>> {
    let project = |batch: &arrow::array::RecordBatch| {
        let index = batch.schema().index_of(column)?;
        Ok(batch.project(&[index])?)
    };
    let batches = result.batches.iter().map(project).collect::<Result<Vec<_>>>()?;
    let schema = batches
        .first()
        .map(|batch| batch.schema())
        .ok_or_else(|| lakepilot_query::Error::new(ErrorKind::Internal, "there is no batch to take a column of"))?;
    spell::rows(&QueryResult { schema, batches })
}
