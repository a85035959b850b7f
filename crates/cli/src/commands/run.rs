//! `lakepilot run`: a large query in batches, with progress and statistics.

use std::sync::Arc;
use std::time::Duration;

use lakepilot_analysis::plain_scan;
use lakepilot_execution::{
    BatchSink, BatchSize, BatchedExecutor, CountEstimator, DiscardSink, ExecutionOptions, PartitionEstimator,
    RowEstimator, Statistics,
};
use lakepilot_query::{Error, ErrorKind, QueryService, Result};

use super::query::dictionaries;
use crate::args::{EstimateSource, RunArgs};
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::{self, DataFormat, RowsOptions, text};
use crate::progress::RunProgress;

const BYTES_PER_MB: f64 = 1e6;

pub(crate) async fn run(args: RunArgs, context: &Context) -> Result<Outcome> {
    let batch_size = BatchSize::Bytes(batch_bytes(args.batch_size_mb)?);
    let query = context
        .query(&args.sql)?
        .with_limit(args.limit)
        .with_dictionaries(dictionaries(args.preserve_dictionary));
    let mut sink = sink(&args)?;
    let service = context.service().await?;
    let mut executor = BatchedExecutor::new(
        Arc::clone(&service),
        ExecutionOptions::new().with_batch_size(batch_size),
    );
    if let Some(estimator) = estimator(args.estimate, &service, query.sql()) {
        executor = executor.with_estimator(estimator);
    }
    let progress = RunProgress::new(context.messages);
    let statistics = executor.execute(&query, sink.as_mut(), &progress).await?;
    if let Some(path) = &args.stats {
        let json = serde_json::to_vec_pretty(&statistics)
            .map_err(|error| Error::new(ErrorKind::Internal, "write the statistics as JSON").with_source(error))?;
        output::write_file(path, &json)?;
    }
    context.messages.tell(describe(&statistics));
    context.tell_written(args.output.as_deref());
    Ok(Outcome::Done)
}

fn batch_bytes(megabytes: f64) -> Result<usize> {
    let bytes = megabytes * BYTES_PER_MB;
    if bytes >= 1.0 && bytes <= usize::MAX as f64 {
        return Ok(bytes as usize);
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("--batch-size-mb {megabytes} is not a size: use a number above zero, such as 100"),
    ))
}

fn sink(args: &RunArgs) -> Result<Box<dyn BatchSink>> {
    if args.format.is_none() && args.output.is_none() {
        return Ok(Box::new(DiscardSink));
    }
    output::sink(&RowsOptions {
        format: DataFormat::choose(args.format, args.output.as_deref())?,
        output: args.output.clone(),
        max_display_rows: usize::MAX,
    })
}

/// The estimator that was chosen. Partitions tell the rows of a query only when it is a scan of one view instance with no
/// filter but time; of any other nothing is claimed.
fn estimator(source: EstimateSource, service: &Arc<dyn QueryService>, sql: &str) -> Option<Arc<dyn RowEstimator>> {
    match source {
        EstimateSource::None => None,
        EstimateSource::Count => Some(Arc::new(CountEstimator::new(Arc::clone(service)))),
        EstimateSource::Partitions => {
            let scan = plain_scan(sql)?;
            Some(Arc::new(PartitionEstimator::new(
                Arc::clone(service),
                scan.view_set,
                scan.instance,
            )))
        }
    }
}

/// The closing statistics, a line for each thing that one asks afterwards.
pub(crate) fn describe(statistics: &Statistics) -> String {
    let seconds = |seconds: f64| text::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    let latency = statistics.batch_latency;
    let mut told = format!(
        "completed: {} in {} ({} rows/s)\n",
        text::counted(statistics.rows_processed, "row"),
        seconds(statistics.total_time),
        text::count(statistics.rows_per_second() as u64),
    );
    let wire = statistics
        .wire_bytes
        .map_or_else(String::new, |bytes| format!("{} received, ", text::bytes(bytes as f64)));
    told.push_str(&format!(
        "  data        {wire}{} decoded, {}/s, at most {} held at once\n",
        text::bytes(statistics.decoded_bytes as f64),
        text::bytes(statistics.bytes_per_second()),
        text::bytes(statistics.peak_in_flight_bytes as f64),
    ));
    told.push_str(&format!(
        "  batches     {}; consumer took {} each on average, p50 {}, p95 {}, max {}\n",
        text::count(statistics.batches_processed),
        seconds(statistics.avg_batch_time),
        seconds(latency.p50),
        seconds(latency.p95),
        seconds(latency.max),
    ));
    told.push_str(&format!(
        "  time        {} planning, {} to the first batch, {} waiting, {} decoding, {} in the consumer",
        seconds(statistics.planning_time),
        statistics
            .time_to_first_batch
            .map_or_else(|| "none".to_owned(), seconds),
        seconds(statistics.waiting_time),
        seconds(statistics.decode_time),
        seconds(statistics.consumer_time),
    ));
    if let Some(report) = &statistics.estimate {
        told.push_str(&format!(
            "\n  estimate    {} from {}, off by a factor of {:.2}",
            text::counted(report.estimate.rows, "row"),
            report.estimate.basis,
            report.q_error,
        ));
    }
    told
}
