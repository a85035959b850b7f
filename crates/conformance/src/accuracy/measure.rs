//! Estimates and truths of one lake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, Schema};
use async_trait::async_trait;
use futures::TryStreamExt;
use lakepilot_analysis::{EstimateBasis, EstimateOptions, LearntLengths, LengthObserver, estimate_result};
use lakepilot_execution::batch_bytes;
use lakepilot_query::{PreparedQuery, Query, QueryService, RecordBatchStream, Result};

use super::{AccuracyQuery, Facts, Group, accuracy_queries};
use crate::suite::Failure;

/// How many rows the sample of a query reads.
const SAMPLE_ROWS: u64 = 1_000;

/// What was said of a query, and what it returned.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What kind of query it is.
    pub group: Group,
    /// Its text, with words in curly brackets for what differs from lake to lake.
    pub template: &'static str,
    /// The rows that it returned.
    pub rows: u64,
    /// The size of a row that it returned; `None` when it returned none.
    pub row_bytes: Option<f64>,
    /// The size of a row, as estimated.
    pub sizes: Sizes,
    /// The rows to expect, without a sample.
    pub expected_rows: f64,
    /// What that stands on.
    pub basis: EstimateBasis,
    /// Whether the true number lies in the interval.
    pub is_in_interval: bool,
    /// Whether the interval has an upper end.
    pub is_bounded: bool,
    /// The rows to expect, with a sample.
    pub sampled_rows: f64,
    /// How many queries the estimate without a sample ran.
    pub queries_run: u64,
    /// How long that estimate took.
    pub estimate_time: Duration,
    /// How long the first batch of the query took, without an estimate.
    pub first_batch_time: Duration,
}

/// Estimates of the size of a row, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// By the constants of the guide.
    pub guide: f64,
    /// With nothing known but the schema.
    pub schema: f64,
    /// With lengths that all the other queries taught.
    pub learnt: f64,
    /// With a sample of the result.
    pub sampled: f64,
}

/// What was measured on one lake.
#[derive(Clone, Debug)]
pub struct LakeAccuracy {
    /// What the lake is called.
    pub lake: String,
    /// How many log entries it has.
    pub log_entries: u64,
    /// The queries.
    pub queries: Vec<Measured>,
}

/// Estimates every query of the collection, then runs it.
///
/// # Errors
/// A failure that says which query the lake does not answer, or what the lake lacks.
pub async fn measure_accuracy(lake: &str, service: Arc<dyn QueryService>) -> Result<LakeAccuracy, Failure> {
    let facts = Facts::of(&service).await?;
    let queries = accuracy_queries(&facts)?;
    let mut measured = Vec::with_capacity(queries.len());
    let mut taught: Vec<LearntLengths> = Vec::with_capacity(queries.len());
    for query in &queries {
        let (of_query, lengths) = measure(&service, query)
            .await
            .map_err(|error| Failure::new(format!("{error}, in {}", query.query.sql())))?;
        measured.push(of_query);
        taught.push(lengths);
    }
    for (index, query) in queries.iter().enumerate() {
        // What a query taught itself would be no estimate.
        let mut others = LearntLengths::default();
        let except = taught.iter().enumerate().filter(|(other, _)| *other != index);
        except.for_each(|(_, lengths)| others.extend(lengths));
        let options = EstimateOptions::default().with_learnt(others);
        let estimate = estimate_result(service.as_ref(), &query.query, &options).await?;
        measured[index].sizes.learnt = estimate.schema.estimated_row_bytes;
    }
    Ok(LakeAccuracy {
        lake: lake.to_owned(),
        // The first query returns all of them.
        log_entries: measured.first().map_or(0, |query| query.rows),
        queries: measured,
    })
}

async fn measure(service: &Arc<dyn QueryService>, query: &AccuracyQuery) -> Result<(Measured, LearntLengths)> {
    let AccuracyQuery { group, template, query } = query;
    let counting = CountingService {
        service: Arc::clone(service),
        runs: AtomicU64::new(0),
    };
    let start = Instant::now();
    let plain = estimate_result(&counting, query, &EstimateOptions::default()).await?;
    let estimate_time = start.elapsed();
    let sampling = EstimateOptions::default().with_sample_rows(SAMPLE_ROWS);
    let sampled = estimate_result(service.as_ref(), query, &sampling).await?;
    let schema = service.prepare(query).await?.schema();

    let start = Instant::now();
    let mut stream = service.run(query).await?;
    let mut observer = LengthObserver::new(query);
    let (mut rows, mut bytes) = (0, 0);
    let mut first_batch_time = None;
    while let Some(batch) = stream.try_next().await? {
        first_batch_time.get_or_insert_with(|| start.elapsed());
        observer.observe(&batch);
        rows += batch.num_rows() as u64;
        bytes += batch_bytes(&batch);
    }
    let high = plain.rows.high;
    let of_query = Measured {
        group: *group,
        template,
        rows,
        row_bytes: (rows > 0).then(|| bytes as f64 / rows as f64),
        sizes: Sizes {
            guide: guide_row_bytes(&schema),
            schema: plain.schema.estimated_row_bytes,
            learnt: plain.schema.estimated_row_bytes,
            sampled: sampled.schema.estimated_row_bytes,
        },
        expected_rows: plain.rows.expected,
        basis: plain.rows.basis,
        is_in_interval: plain.rows.low <= rows && high.is_none_or(|high| rows <= high),
        is_bounded: high.is_some(),
        sampled_rows: sampled.rows.expected,
        queries_run: counting.runs.into_inner(),
        estimate_time,
        first_batch_time: first_batch_time.unwrap_or_else(|| start.elapsed()),
    };
    Ok((of_query, observer.into_lengths()))
}

/// The guide's `analyze_query_schema`: constants by what is found in the name of the type.
fn guide_row_bytes(schema: &Schema) -> f64 {
    let bytes = |data_type: &DataType| match python_name(data_type) {
        name if name.contains("string") => 50.0,
        name if name.contains("int64") => 8.0,
        name if name.contains("int32") => 4.0,
        name if name.contains("timestamp") => 8.0,
        _ => 16.0,
    };
    schema.fields().iter().map(|field| bytes(field.data_type())).sum()
}

/// What Python calls a type, as far as the guide looks at it.
fn python_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "string".to_owned(),
        DataType::LargeUtf8 => "large_string".to_owned(),
        DataType::Utf8View => "string_view".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Dictionary(index, value) => {
            format!(
                "dictionary<values={}, indices={}>",
                python_name(value),
                python_name(index)
            )
        }
        DataType::List(item) => format!("list<item: {}>", python_name(item.data_type())),
        other => format!("{other}").to_lowercase(),
    }
}

/// Counts the queries that are run.
struct CountingService {
    service: Arc<dyn QueryService>,
    runs: AtomicU64,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl QueryService for CountingService {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.service.run(query).await
    }

    async fn prepare(&self, query: &Query) -> Result<PreparedQuery> {
        self.service.prepare(query).await
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, TimeUnit};

    use super::*;

    #[test]
    fn the_guide_counts_as_its_python_does() {
        let dictionary = |value| DataType::Dictionary(Box::new(DataType::Int32), Box::new(value));
        let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
        for (data_type, expected) in [
            (dictionary(DataType::Utf8), 50.0),
            (dictionary(DataType::Binary), 4.0),
            (list, 50.0),
            (DataType::UInt32, 4.0),
            (DataType::Int64, 8.0),
            (DataType::Float64, 16.0),
            (DataType::Binary, 16.0),
            (DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), 8.0),
        ] {
            let schema = Schema::new(vec![Field::new("x", data_type.clone(), true)]);
            assert_eq!(guide_row_bytes(&schema), expected, "{data_type}");
        }
    }
}
