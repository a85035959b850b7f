//! The plan that reads the partitions of a view instance.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, Statistics, internal_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::object_store::{ObjectMeta, path::Path};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, OrderingRequirements, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::output_requirements::OutputRequirementExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{Distribution, ExecutionPlan};
use datafusion::prelude::{Expr, lit};
use datafusion::scalar::ScalarValue;
use lakepilot_query::TimeRange;

use crate::views::{Instances, TimeColumns, ViewSet};

/// A partition that has rows.
#[derive(Clone, Debug)]
pub(crate) struct PartitionFile {
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    pub(crate) num_rows: usize,
    pub(crate) updated: DateTime<Utc>,
    pub(crate) min_event_time: DateTime<Utc>,
    pub(crate) max_event_time: DateTime<Utc>,
    /// The latest value of the first column of `sort_order`.
    pub(crate) max_sort_key_time: Option<DateTime<Utc>>,
    /// The columns by which the rows are sorted.
    pub(crate) sort_order: Vec<String>,
}

impl PartitionFile {
    /// Whether the range of the rows' times lies in another one.
    fn lies_in(&self, range: TimeRange) -> bool {
        range.contains(self.min_event_time) && range.contains(self.max_event_time)
    }
}

/// What DataFusion asks of a scan, and where.
pub(crate) struct ScanRequest<'a> {
    pub(crate) view_set: &'static ViewSet,
    pub(crate) state: &'a dyn Session,
    pub(crate) projection: Option<&'a Vec<usize>>,
    pub(crate) filters: &'a [Expr],
    pub(crate) limit: Option<usize>,
    pub(crate) time_range: Option<TimeRange>,
}

impl ScanRequest<'_> {
    /// The plan over the partitions: rows outside the time range are filtered out, the other filters only prune.
    pub(crate) fn plan(&self, files: Vec<PartitionFile>) -> Result<Arc<dyn ExecutionPlan>> {
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(self.projected_schema()?)));
        }
        match self.view_set.instances() {
            Instances::Stream => self.ordered(files),
            _ => self.unordered(files),
        }
    }

    fn projected_schema(&self) -> Result<SchemaRef> {
        let schema = self.view_set.schema();
        Ok(match self.projection {
            Some(projection) => Arc::new(schema.project(projection)?),
            None => schema,
        })
    }

    /// Partitions in parallel, in no order. Those that lie inside the range whole are not filtered: their time column is
    /// not even read unless the query wants it, and their rows can be counted from the catalogue.
    fn unordered(&self, files: Vec<PartitionFile>) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(range) = self.time_range else {
            return self.scan(self.parallel_groups(files)?, None);
        };
        let (inside, edge): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|file| self.has_exact_event_range() && file.lies_in(range));
        let mut parts = Vec::new();
        if !edge.is_empty() {
            parts.push(self.scan(self.parallel_groups(edge)?, Some(range))?);
        }
        if !inside.is_empty() {
            parts.push(self.scan(self.parallel_groups(inside)?, None)?);
        }
        match parts.len() {
            1 => Ok(parts.remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }

    /// Whether "the partition lies in the range" means "all of its rows do". It does not for intervals, whose begin may
    /// come after their end in damaged data, nor where a time can be NULL.
    fn has_exact_event_range(&self) -> bool {
        match self.view_set.time() {
            TimeColumns::Point(column) => self
                .view_set
                .schema()
                .field_with_name(column)
                .is_ok_and(|field| !field.is_nullable()),
            TimeColumns::Interval { .. } => false,
        }
    }

    /// One sequence of rows sorted by the view's sort column.
    fn ordered(&self, mut files: Vec<PartitionFile>) -> Result<Arc<dyn ExecutionPlan>> {
        files.sort_by(|a, b| (a.min_event_time, &a.path).cmp(&(b.min_event_time, &b.path)));
        let sort_column = self.view_set.sort_column();
        let sorted = files
            .iter()
            .all(|file| file.sort_order.first().is_some_and(|column| column == sort_column));
        let groups = if sorted {
            self.consecutive_groups(&files)?
        } else {
            self.parallel_groups(files)?
        };
        let builder = self.builder(groups, self.time_range, self.wide_projection(self.time_range)?)?;
        let builder = if sorted {
            builder
                .with_output_ordering(vec![self.ordering(&self.view_set.schema())?])
                .with_preserve_order(true)
        } else {
            builder
        };
        let plan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(builder.build());
        let plan = self.filtered(plan, self.time_range, false)?;
        // A requirement and not a merge, because the optimiser takes a merge away that no `ORDER BY` asks for. It puts the
        // sort and the merge that the order needs below the requirement, and removes that.
        let ordering = OrderingRequirements::from(self.ordering(&plan.schema())?);
        let plan = OutputRequirementExec::new(plan, Some(ordering), Distribution::SinglePartition, None);
        self.narrowed(Arc::new(plan))
    }

    /// Files, ordered by their begin, in as few groups as there can be of files that follow one another without overlap.
    /// The groups are merged, each with one of its files open.
    fn consecutive_groups(&self, files: &[PartitionFile]) -> Result<Vec<FileGroup>> {
        let mut groups: Vec<(DateTime<Utc>, Vec<PartitionedFile>)> = Vec::new();
        for file in files {
            let last = file.max_sort_key_time.unwrap_or(file.max_event_time);
            let entry = self.ordered_file(file)?;
            match groups.iter_mut().find(|(end, _)| *end <= file.min_event_time) {
                Some((end, group)) => {
                    *end = last;
                    group.push(entry);
                }
                None => groups.push((last, vec![entry])),
            }
        }
        Ok(groups.into_iter().map(|(_, files)| FileGroup::new(files)).collect())
    }

    fn ordering(&self, schema: &SchemaRef) -> Result<LexOrdering> {
        let column = Column::new_with_schema(self.view_set.sort_column(), schema)?;
        let ascending = SortOptions {
            descending: false,
            nulls_first: false,
        };
        LexOrdering::new([PhysicalSortExpr::new(Arc::new(column), ascending)])
            .ok_or_else(|| internal_datafusion_err!("a view has no column to sort by"))
    }

    /// A file with the range of its sort column, without which DataFusion does not believe the order of a group.
    fn ordered_file(&self, file: &PartitionFile) -> Result<PartitionedFile> {
        let schema = self.view_set.schema();
        let mut statistics = Statistics::new_unknown(&schema);
        statistics.num_rows = Precision::Exact(file.num_rows);
        let time = |time: DateTime<Utc>| Precision::Inexact(timestamp(nanos(time)));
        statistics.column_statistics[schema.index_of(self.view_set.sort_column())?] = ColumnStatistics::new_unknown()
            .with_min_value(time(file.min_event_time))
            .with_max_value(time(file.max_sort_key_time.unwrap_or(file.max_event_time)));
        Ok(partitioned_file(file)?.with_statistics(Arc::new(statistics)))
    }

    /// Files spread over as many groups as parts of a query run at the same time.
    fn parallel_groups(&self, files: Vec<PartitionFile>) -> Result<Vec<FileGroup>> {
        let schema = self.view_set.schema();
        let files = files
            .iter()
            .map(|file| {
                let mut statistics = Statistics::new_unknown(&schema);
                statistics.num_rows = Precision::Exact(file.num_rows);
                Ok(partitioned_file(file)?.with_statistics(Arc::new(statistics)))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(FileGroup::new(files).split_files(self.state.config().target_partitions().max(1)))
    }

    /// A scan in no order, filtered by time where a range is given, of the columns that were asked for.
    fn scan(&self, groups: Vec<FileGroup>, range: Option<TimeRange>) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = groups
            .iter()
            .flat_map(FileGroup::iter)
            .filter_map(|file| file.statistics.as_ref()?.num_rows.get_value().copied())
            .sum();
        let mut statistics = Statistics::new_unknown(&self.view_set.schema());
        statistics.num_rows = Precision::Exact(rows);
        let projection = match range {
            Some(_) => self.wide_projection(range)?,
            None => self.projection.cloned(),
        };
        let config = self
            .builder(groups, range, projection)?
            .with_statistics(statistics)
            .build();
        let plan = DataSourceExec::from_data_source(self.balanced(config)?);
        self.filtered(plan, range, true)
    }

    /// The same scan with large files cut between row groups, where that spreads the work better.
    fn balanced(&self, config: FileScanConfig) -> Result<FileScanConfig> {
        let options = self.state.config_options();
        let target = self.state.config().target_partitions();
        let split =
            config
                .file_source()
                .repartitioned(target, options.optimizer.repartition_file_min_size, None, &config)?;
        Ok(split.unwrap_or(config))
    }

    fn builder(
        &self,
        groups: Vec<FileGroup>,
        range: Option<TimeRange>,
        projection: Option<Vec<usize>>,
    ) -> Result<FileScanConfigBuilder> {
        let runtime = self.state.runtime_env();
        let url = ObjectStoreUrl::local_filesystem();
        let reader = CachedParquetFileReaderFactory::new(
            runtime.object_store(&url)?,
            runtime.cache_manager.get_file_metadata_cache(),
        );
        let mut source = ParquetSource::new(self.view_set.schema())
            .with_table_parquet_options(self.state.default_table_options().parquet)
            .with_parquet_file_reader_factory(Arc::new(reader));
        let filters = self
            .filters
            .iter()
            .cloned()
            .chain(range.map(|range| self.time_filter(range)));
        if let Some(predicate) = conjunction(filters) {
            source = source.with_predicate(self.physical(predicate, &self.view_set.schema())?);
        }
        // A limit counts the rows that are left after the filter by time.
        let limit = if range.is_none() { self.limit } else { None };
        FileScanConfigBuilder::new(url, Arc::new(source))
            .with_limit(limit)
            .with_file_groups(groups)
            .with_projection_indices(projection)
    }

    /// The rows are those whose instant lies in the range, or whose interval touches it: both ends are inclusive.
    fn time_filter(&self, range: TimeRange) -> Expr {
        let column = |name: &str| Expr::Column(datafusion::common::Column::new_unqualified(name));
        let time = self.view_set.time();
        column(time.begin())
            .lt_eq(lit(timestamp(range.end_nanos())))
            .and(column(time.end()).gt_eq(lit(timestamp(range.begin_nanos()))))
    }

    fn physical(&self, expression: Expr, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
        let schema = DFSchema::try_from(Arc::clone(schema))?;
        self.state.create_physical_expr(expression, &schema)
    }

    /// The columns that were asked for, and after them those that the filter by time and the order need.
    fn wide_projection(&self, range: Option<TimeRange>) -> Result<Option<Vec<usize>>> {
        let Some(projection) = self.projection else {
            return Ok(None);
        };
        let time = self.view_set.time();
        let mut needed = Vec::new();
        if range.is_some() {
            needed.extend([time.begin(), time.end()]);
        }
        if self.view_set.instances() == Instances::Stream {
            needed.push(self.view_set.sort_column());
        }
        let mut wide = projection.clone();
        for column in needed {
            let index = self.view_set.schema().index_of(column)?;
            if !wide.contains(&index) {
                wide.push(index);
            }
        }
        Ok(Some(wide))
    }

    /// The plan with the filter by time on top, and only the columns that were asked for if `narrow`.
    fn filtered(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        range: Option<TimeRange>,
        narrow: bool,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(range) = range else { return Ok(plan) };
        let predicate = self.physical(self.time_filter(range), &plan.schema())?;
        let mut filter =
            FilterExecBuilder::new(predicate, Arc::clone(&plan)).with_batch_size(self.state.config().batch_size());
        if narrow && let Some(projection) = self.projection {
            filter = filter.apply_projection(Some((0..projection.len()).collect()))?;
        }
        Ok(Arc::new(filter.build()?))
    }

    /// The plan without the columns that only its order needed.
    fn narrowed(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(projection) = self
            .projection
            .filter(|projection| projection.len() < plan.schema().fields().len())
        else {
            return Ok(plan);
        };
        let schema = plan.schema();
        let columns = (0..projection.len()).map(|index| {
            let name = schema.field(index).name();
            ProjectionExpr::new(Arc::new(Column::new(name, index)), name)
        });
        Ok(Arc::new(ProjectionExec::try_new(columns, Arc::clone(&plan))?))
    }
}

fn partitioned_file(file: &PartitionFile) -> Result<PartitionedFile> {
    Ok(PartitionedFile::new_from_meta(ObjectMeta {
        location: Path::from_absolute_path(&file.path)?,
        last_modified: file.updated,
        size: file.size_bytes,
        e_tag: None,
        version: None,
    }))
}

fn nanos(time: DateTime<Utc>) -> i64 {
    time.timestamp_nanos_opt().unwrap_or_else(|| {
        if time < DateTime::UNIX_EPOCH {
            i64::MIN
        } else {
            i64::MAX
        }
    })
}

fn timestamp(nanos: i64) -> ScalarValue {
    ScalarValue::TimestampNanosecond(Some(nanos), Some("+00:00".into()))
}
