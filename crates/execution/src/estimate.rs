//! How many rows to expect, asked while the query already runs.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use lakepilot_catalog::{Catalog, ColumnReader, Partition, PartitionFilter};
use lakepilot_query::{Error, ErrorKind, Query, QueryService, QueryServiceExt, Result, TimeRange};
use serde::Serialize;

use crate::statement::count_sql;

/// An expected number of rows, and what it stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// The rows to expect.
    pub rows: u64,
    /// What the number stands on.
    pub basis: EstimateBasis,
}

/// What an estimate stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EstimateBasis {
    /// The query was counted.
    Count,
    /// The row counts of partitions, clipped to the time range.
    PartitionMetadata,
    /// The form of the query says it: an aggregate over everything has one row.
    Exact,
    /// The row counts of partitions, and the share of a sample of rows that the filters let through.
    Sample,
}

impl fmt::Display for EstimateBasis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "count",
            Self::PartitionMetadata => "partition metadata",
            Self::Exact => "the form of the query",
            Self::Sample => "a sample",
        })
    }
}

/// Tells how many rows a query may return.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait RowEstimator: Send + Sync {
    /// The estimate, or `None` when nothing can be said.
    ///
    /// # Errors
    /// Those of what is asked; a run goes on without an estimate.
    async fn estimate(&self, query: &Query) -> Result<Option<Estimate>>;
}

/// Counts the rows by running the query inside a `COUNT(*)`: right, and as dear as the query itself.
pub struct CountEstimator {
    service: Arc<dyn QueryService>,
}

impl CountEstimator {
    /// An estimator that asks the service.
    pub fn new(service: Arc<dyn QueryService>) -> Self {
        Self { service }
    }
}

#[async_trait]
impl RowEstimator for CountEstimator {
    async fn estimate(&self, query: &Query) -> Result<Option<Estimate>> {
        let counted = query.clone().with_limit(None).with_sql(count_sql(query.sql()))?;
        let row = self.service.first_row(&counted).await?.ok_or_else(no_count)?;
        let rows: i64 = ColumnReader::new(&row, "COUNT(*)").required("row_count")?.value(0)?;
        let rows = u64::try_from(rows).unwrap_or(0);
        Ok(Some(Estimate {
            rows: query.limit().map_or(rows, |limit| rows.min(limit)),
            basis: EstimateBasis::Count,
        }))
    }
}

fn no_count() -> Error {
    Error::new(ErrorKind::Protocol, "the server answered a COUNT(*) with no number")
}

/// Adds up the rows of the partitions of one view instance, each as far as its event time lies in the time range.
///
/// That is the number of rows of a query with no filter but time. Whoever makes one knows that the query is such.
/// Partitions of another schema than the view set's current one do not count, since queries ignore them.
pub struct PartitionEstimator {
    catalog: Catalog,
    view_set: String,
    instance: String,
}

impl PartitionEstimator {
    /// An estimator for queries on one view instance.
    pub fn new(service: Arc<dyn QueryService>, view_set: impl Into<String>, instance: impl Into<String>) -> Self {
        Self {
            catalog: Catalog::new(service),
            view_set: view_set.into(),
            instance: instance.into(),
        }
    }
}

#[async_trait]
impl RowEstimator for PartitionEstimator {
    async fn estimate(&self, query: &Query) -> Result<Option<Estimate>> {
        let filter = PartitionFilter::all()
            .with_view_sets([self.view_set.as_str()])
            .with_instances([self.instance.as_str()]);
        let (partitions, view_sets) =
            futures::future::try_join(self.catalog.partitions(&filter), self.catalog.view_sets()).await?;
        let current = view_sets.iter().find(|view_set| view_set.name == self.view_set);
        let is_read = |partition: &&Partition| {
            current.is_none_or(|view_set| view_set.current_schema_hash == partition.file_schema_hash)
        };
        let rows: f64 = partitions
            .iter()
            .filter(is_read)
            .map(|partition| rows_within(partition, query.time_range()))
            .sum();
        let rows = rows.round() as u64;
        Ok(Some(Estimate {
            rows: query.limit().map_or(rows, |limit| rows.min(limit)),
            basis: EstimateBasis::PartitionMetadata,
        }))
    }
}

/// The rows of a partition in a time range, as if they were spread evenly over its event time.
fn rows_within(partition: &Partition, range: Option<TimeRange>) -> f64 {
    let rows = partition.num_rows as f64;
    let (Some(range), Some(least), Some(most)) = (range, partition.min_event_time, partition.max_event_time) else {
        return rows;
    };
    let begin = least.max(range.begin());
    let end = most.min(range.end());
    if begin > end {
        return 0.0;
    }
    let length = |delta: TimeDelta| delta.num_microseconds().unwrap_or(i64::MAX) as f64;
    let whole = length(most - least);
    if whole <= 0.0 {
        rows
    } else {
        rows * length(end - begin) / whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn time(second: i64) -> DateTime<chrono::Utc> {
        DateTime::from_timestamp_nanos(second * 1_000_000_000)
    }

    fn partition(event_time: Option<(i64, i64)>) -> Partition {
        Partition {
            view_set_name: "log_entries".to_owned(),
            view_instance_id: "global".to_owned(),
            begin_insert_time: time(0),
            end_insert_time: time(100),
            min_event_time: event_time.map(|(least, _)| time(least)),
            max_event_time: event_time.map(|(_, most)| time(most)),
            updated: time(200),
            file_path: None,
            file_size_bytes: 0,
            file_schema_hash: vec![4],
            source_data_hash: vec![],
            num_rows: 1_000,
            partition_format_version: 2,
            sort_order: None,
            max_sort_key_time: None,
        }
    }

    #[test]
    fn rows_count_as_far_as_their_partition_lies_in_the_range() {
        let range = |begin, end| Some(TimeRange::new(time(begin), time(end)).unwrap());
        for (event_time, range, expected) in [
            (Some((0, 100)), None, 1_000.0),
            (Some((0, 100)), range(-50, 200), 1_000.0),
            (Some((0, 100)), range(0, 25), 250.0),
            (Some((0, 100)), range(90, 200), 100.0),
            (Some((0, 100)), range(101, 200), 0.0),
            (Some((50, 50)), range(0, 100), 1_000.0),
            (None, range(0, 1), 1_000.0),
        ] {
            assert_eq!(
                rows_within(&partition(event_time), range),
                expected,
                "{event_time:?} {range:?}"
            );
        }
    }
}
