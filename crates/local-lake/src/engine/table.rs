//! A view instance as a DataFusion table.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::TableProviderFilterPushDown;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::Expr;
use lakepilot_query::{Error, ErrorKind, TimeRange};

use crate::engine::failure::{blocking, external};
use crate::engine::scan::{PartitionFile, ScanRequest};
use crate::engine::session::QueryScope;
use crate::store::{Lake, PartitionFilter, PartitionRecord};
use crate::views::{Instances, ViewSet};

/// The id of the instance that holds the rows of every process.
pub(crate) const GLOBAL: &str = "global";

/// The partitions of a view instance, read at the time of the query that runs.
///
/// The table itself knows no time range: it takes that of the query from the session, so one value serves all queries.
pub(crate) struct InstanceTable {
    lake: Lake,
    view_set: &'static ViewSet,
    instance: String,
}

impl InstanceTable {
    pub(crate) fn new(lake: Lake, view_set: &'static ViewSet, instance: impl Into<String>) -> Self {
        Self {
            lake,
            view_set,
            instance: instance.into(),
        }
    }

    /// Materialises the instance where that happens on first use, and lists its partitions that hold rows of the range.
    async fn files(&self, range: Option<TimeRange>) -> Result<Vec<PartitionFile>> {
        if self.view_set.instances() == Instances::Stream && range.is_none() {
            let message = format!(
                "query range mandatory for {} view",
                self.view_set.name().replace('_', " ")
            );
            return Err(external(Error::new(ErrorKind::Internal, message)));
        }
        let (lake, view_set, instance) = (self.lake.clone(), self.view_set, self.instance.clone());
        blocking(move || {
            if instance != GLOBAL {
                lake.ensure_instance(view_set.name(), &instance, range)?;
            }
            list_files(&lake, view_set, &instance, range)
        })
        .await
    }
}

fn list_files(
    lake: &Lake,
    view_set: &'static ViewSet,
    instance: &str,
    range: Option<TimeRange>,
) -> lakepilot_query::Result<Vec<PartitionFile>> {
    let filter = PartitionFilter {
        event_range: range,
        ..PartitionFilter::instance(view_set.name(), instance)
    };
    let records = lake.partitions(&filter)?;
    Ok(records
        .into_iter()
        .filter(|record| record.file_schema_hash == view_set.schema_hash())
        .filter_map(|record| file_of(lake, record))
        .collect())
}

/// The file of a partition; `None` when the partition is empty.
fn file_of(lake: &Lake, record: PartitionRecord) -> Option<PartitionFile> {
    Some(PartitionFile {
        path: lake.partition_path(&record)?,
        size_bytes: record.file_size_bytes.try_into().ok()?,
        num_rows: record.num_rows.try_into().ok()?,
        updated: record.updated,
        // Rows without a time lie anywhere; a query with a time range is not given them.
        min_event_time: record.min_event_time.unwrap_or(DateTime::<Utc>::MIN_UTC),
        max_event_time: record.max_event_time.unwrap_or(DateTime::<Utc>::MAX_UTC),
        max_sort_key_time: record.max_sort_key_time,
        sort_order: record.sort_order,
    })
}

impl fmt::Debug for InstanceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceTable")
            .field("view_set", &self.view_set.name())
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for InstanceTable {
    fn schema(&self) -> SchemaRef {
        self.view_set.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let time_range = QueryScope::of(state).time_range;
        let files = self.files(time_range).await?;
        ScanRequest {
            view_set: self.view_set,
            state,
            projection,
            filters,
            limit,
            time_range,
        }
        .plan(files)
    }

    /// Filters prune files, row groups and pages; the rows that are left are filtered by the plan above.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
