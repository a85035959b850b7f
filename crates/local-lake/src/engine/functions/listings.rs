//! `list_partitions()` and `list_view_sets()`: the catalogue as tables.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampNanosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::Expr;

use crate::engine::failure::blocking;
use crate::store::{Lake, PartitionFilter, PartitionRecord};
use crate::views::{Instances, ViewSet, tags, timestamp, view_sets};

/// Which list a function gives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Listing {
    Partitions,
    ViewSets,
}

/// A table function without arguments that lists the catalogue as it is when the table is read.
#[derive(Clone)]
pub(crate) struct ListingFunction {
    lake: Lake,
    listing: Listing,
}

impl ListingFunction {
    pub(crate) fn new(lake: Lake, listing: Listing) -> Self {
        Self { lake, listing }
    }
}

impl fmt::Debug for ListingFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ListingFunction").field(&self.listing).finish()
    }
}

impl TableFunctionImpl for ListingFunction {
    fn call_with_args(&self, _args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl TableProvider for ListingFunction {
    fn schema(&self) -> SchemaRef {
        match self.listing {
            Listing::Partitions => partitions_schema(),
            Listing::ViewSets => view_sets_schema(),
        }
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let batch = match self.listing {
            Listing::Partitions => {
                let lake = self.lake.clone();
                let records = blocking(move || lake.partitions(&PartitionFilter::default())).await?;
                partitions_batch(&records)?
            }
            Listing::ViewSets => view_sets_batch()?,
        };
        let source = MemorySourceConfig::try_new(&[vec![batch]], self.schema(), projection.cloned())?;
        Ok(DataSourceExec::from_data_source(source))
    }
}

fn partitions_schema() -> SchemaRef {
    let required = |name, data_type| Field::new(name, data_type, false);
    let optional = |name, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        required("view_set_name", DataType::Utf8),
        required("view_instance_id", DataType::Utf8),
        required("begin_insert_time", timestamp()),
        required("end_insert_time", timestamp()),
        optional("min_event_time", timestamp()),
        optional("max_event_time", timestamp()),
        required("updated", timestamp()),
        optional("file_path", DataType::Utf8),
        required("file_size", DataType::Int64),
        required("file_schema_hash", DataType::Binary),
        required("source_data_hash", DataType::Binary),
        required("num_rows", DataType::Int64),
        required("partition_format_version", DataType::Int32),
        optional("sort_order", tags()),
        optional("max_sort_key_time", timestamp()),
    ]))
}

fn partitions_batch(records: &[PartitionRecord]) -> Result<RecordBatch> {
    let texts = |value: fn(&PartitionRecord) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(records.iter().map(value)))
    };
    let times = |value: fn(&PartitionRecord) -> Option<chrono::DateTime<chrono::Utc>>| -> ArrayRef {
        let nanos = |record| value(record).and_then(|time| time.timestamp_nanos_opt());
        let times: TimestampNanosecondArray = records.iter().map(nanos).collect();
        Arc::new(times.with_timezone("+00:00"))
    };
    let bytes = |value: fn(&PartitionRecord) -> &[u8]| -> ArrayRef {
        Arc::new(BinaryArray::from_iter_values(records.iter().map(value)))
    };
    let numbers = |value: fn(&PartitionRecord) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(records.iter().map(value)))
    };
    let columns = vec![
        texts(|record| &record.view_set_name),
        texts(|record| &record.view_instance_id),
        times(|record| Some(record.begin_insert_time)),
        times(|record| Some(record.end_insert_time)),
        times(|record| record.min_event_time),
        times(|record| record.max_event_time),
        times(|record| Some(record.updated)),
        Arc::new(
            records
                .iter()
                .map(|record| record.file_path.as_deref())
                .collect::<StringArray>(),
        ),
        numbers(|record| record.file_size_bytes),
        bytes(|record| &record.file_schema_hash),
        bytes(|record| &record.source_data_hash),
        numbers(|record| record.num_rows),
        Arc::new(Int32Array::from_iter_values(
            records.iter().map(|record| record.partition_format_version),
        )),
        sort_orders(records),
        times(|record| record.max_sort_key_time),
    ];
    Ok(RecordBatch::try_new(partitions_schema(), columns)?)
}

/// The columns by which a partition is sorted; NULL where nothing is known.
fn sort_orders(records: &[PartitionRecord]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Field::new("tag", DataType::Utf8, false));
    for record in records {
        for column in &record.sort_order {
            lists.values().append_value(column);
        }
        lists.append(!record.sort_order.is_empty());
    }
    Arc::new(lists.finish())
}

fn view_sets_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("view_set_name", DataType::Utf8, false),
        Field::new("current_schema_hash", DataType::Binary, false),
        Field::new("schema", DataType::Utf8, false),
        Field::new("has_view_maker", DataType::Boolean, false),
        Field::new("global_instance_available", DataType::Boolean, false),
    ]))
}

fn view_sets_batch() -> Result<RecordBatch> {
    let flags = |value: fn(&ViewSet) -> bool| -> ArrayRef {
        Arc::new(
            view_sets()
                .iter()
                .map(|view_set| Some(value(view_set)))
                .collect::<BooleanArray>(),
        )
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(view_sets().iter().map(ViewSet::name))),
        Arc::new(BinaryArray::from_iter_values(
            view_sets().iter().map(ViewSet::schema_hash),
        )),
        Arc::new(StringArray::from_iter_values(
            view_sets().iter().map(|view_set| format!("{:?}", view_set.schema())),
        )),
        flags(|view_set| view_set.instances() != Instances::Global),
        flags(|view_set| view_set.instances().has_global()),
    ];
    Ok(RecordBatch::try_new(view_sets_schema(), columns)?)
}
