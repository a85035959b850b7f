//! The lake that a case asks, and what is known of its data.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_admin::{Guards, PartitionAdmin};
use lakepilot_catalog::{Catalog, ColumnReader, ColumnValue, Partition, PartitionFilter, StreamFilter};
use lakepilot_query::{Query, QueryResult, QueryService, QueryServiceExt, Result, TimeRange, quote_literal};

use super::case::Failure;
use super::spell;

/// How long a change may take to be seen after its answer has ended.
const SETTLING: Duration = Duration::from_secs(5);

/// A lake under test. Cases read all that they need to know of its data from here, so that any lake will do which has log
/// entries, measures, and a process with spans.
pub struct Context {
    service: Arc<dyn QueryService>,
    catalog: Catalog,
    /// The times of the first and the last log entry.
    pub(crate) log_range: TimeRange,
    /// A range that holds every event of the lake, and more.
    pub(crate) all_time: TimeRange,
    /// A process with log entries and spans.
    pub(crate) process_id: String,
    /// A stream of that process with spans in it.
    pub(crate) stream_id: String,
}

impl Context {
    /// Looks around in a lake.
    ///
    /// # Errors
    /// Those of the service; a failure that says what the lake lacks.
    pub async fn new(service: Arc<dyn QueryService>) -> Result<Self, Failure> {
        let catalog = Catalog::new(Arc::clone(&service));
        let log_range = range_of_log_entries(&service).await?;
        let day = TimeDelta::days(1);
        let all_time = TimeRange::new(log_range.begin() - day, log_range.end() + day)?;
        let (process_id, stream_id) = process_with_spans(&catalog, all_time).await?;
        Ok(Self {
            service,
            catalog,
            log_range,
            all_time,
            process_id,
            stream_id,
        })
    }

    pub(super) fn service(&self) -> Arc<dyn QueryService> {
        Arc::clone(&self.service)
    }

    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Without guards: the lake was filled a moment ago.
    pub(super) fn admin(&self) -> PartitionAdmin {
        PartitionAdmin::new(self.service()).with_guards(Guards::none())
    }

    /// Runs a query with what goes beside it, and keeps all of the result.
    pub(super) async fn collect(&self, query: &Query) -> Result<QueryResult> {
        self.service.collect(query).await
    }

    /// The rows of a statement, as texts.
    pub(super) async fn rows(&self, sql: &str, range: impl Into<Option<TimeRange>>) -> Result<Vec<String>> {
        spell::rows(&self.collect(&Query::new(sql)?.with_time_range(range)).await?)
    }

    /// The number of rows of a table, a call or a subquery in parentheses.
    pub(super) async fn count(&self, from: &str, range: impl Into<Option<TimeRange>>) -> Result<i64> {
        self.value(&format!("SELECT count(*) AS value FROM {from}"), range)
            .await
    }

    /// The column `value` of the first row.
    pub(super) async fn value<T: ColumnValue>(&self, sql: &str, range: impl Into<Option<TimeRange>>) -> Result<T> {
        first_value(&self.service, sql, "value", range).await
    }

    /// All partitions of an instance, in the order of their insert time.
    pub(super) async fn partitions(&self, view_set: &str, instance: &str) -> Result<Vec<Partition>> {
        let filter = PartitionFilter::all()
            .with_view_sets([view_set])
            .with_instances([instance]);
        self.catalog.partitions(&filter).await
    }

    /// Lists all partitions until the listing is as it should be, or has not been for five seconds; gives the last one.
    ///
    /// The real service ends the answer of a retirement before it commits it, so that a listing right after it may still
    /// show what is about to go.
    pub(super) async fn settled(&self, is_settled: impl Fn(&[Partition]) -> bool) -> Result<Vec<Partition>> {
        let start = Instant::now();
        loop {
            let partitions = self.catalog.partitions(&PartitionFilter::all()).await?;
            if is_settled(&partitions) || start.elapsed() > SETTLING {
                return Ok(partitions);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The call that reads an instance.
    pub(super) fn instance(view_set: &str, instance: &str) -> String {
        format!(
            "view_instance({}, {})",
            quote_literal(view_set),
            quote_literal(instance)
        )
    }

    /// Reads every instance of the process of this context, which makes the service materialise them.
    pub(super) async fn use_instances(&self) -> Result<()> {
        for view_set in ["log_entries", "measures", "async_events"] {
            self.count(&Self::instance(view_set, &self.process_id), self.all_time)
                .await?;
        }
        self.count(&Self::instance("thread_spans", &self.stream_id), self.all_time)
            .await?;
        Ok(())
    }
}

async fn first_value<T: ColumnValue>(
    service: &Arc<dyn QueryService>,
    sql: &str,
    column: &str,
    range: impl Into<Option<TimeRange>>,
) -> Result<T> {
    let batch = service
        .collect(&Query::new(sql)?.with_time_range(range))
        .await?
        .to_batch()?;
    ColumnReader::new(&batch, sql).required::<T>(column)?.value(0)
}

async fn range_of_log_entries(service: &Arc<dyn QueryService>) -> Result<TimeRange, Failure> {
    let sql = "SELECT min(time) AS first, max(time) AS last FROM log_entries";
    let time = async |column| first_value::<DateTime<Utc>>(service, sql, column, None).await;
    match (time("first").await, time("last").await) {
        (Ok(first), Ok(last)) => Ok(TimeRange::new(first, last)?),
        (Err(error), _) | (_, Err(error)) => Err(Failure::new(format!("the lake has no log entries: {error}"))),
    }
}

async fn process_with_spans(catalog: &Catalog, range: TimeRange) -> Result<(String, String), Failure> {
    let streams = catalog.streams(&StreamFilter::all().with_tag("cpu")).await?;
    for stream in streams {
        let Some(process_id) = stream.process_id else { continue };
        let sql = format!(
            "SELECT count(*) AS value FROM {}",
            Context::instance("thread_spans", &stream.stream_id)
        );
        if first_value::<i64>(catalog.service(), &sql, "value", range).await? > 100 {
            return Ok((process_id, stream.stream_id));
        }
    }
    Err(Failure::new("the lake has no stream with spans"))
}
