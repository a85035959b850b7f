//! What a server offers beside queries: the list of tables, and bulk ingestion, by which rows that a client sends become
//! source rows and a partition.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, DurationRound, SubsecRound, TimeDelta, Utc};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch, StructArray, TimestampNanosecondArray, new_null_array,
};
use datafusion::arrow::compute::{
    CastOptions, cast, cast_with_options, concat_batches, max, min, sort_to_indices, take_record_batch,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimestampNanosecondType};
use datafusion::catalog::information_schema::{
    INFORMATION_SCHEMA, INFORMATION_SCHEMA_TABLES, InformationSchemaProvider,
};
use datafusion::catalog::{MemoryCatalogProviderList, SchemaProvider};
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use futures::{FutureExt, TryStreamExt};
use lakepilot_query::{Error, ErrorKind, Query, RecordBatchStream, Result};

use crate::engine::failure::blocking;
use crate::engine::service::LakeService;
use crate::engine::session::QueryScope;
use crate::engine::table::GLOBAL;
use crate::server::{ServedLake, ServedTable};
use crate::store::{Lake, PreparedSegment};
use crate::views::{ViewSet, view_set, view_sets};

/// The catalog that holds everything.
const CATALOG: &str = "datafusion";
const INSERT_TIME: &str = "insert_time";
const LAST_UPDATE_TIME: &str = "last_update_time";
/// The first column of a block that its stream and process tell.
const JOINED: &str = "streams.format";
const JOIN: &str = r#"SELECT i.*,
    s.dependencies_metadata AS "streams.dependencies_metadata", s.objects_metadata AS "streams.objects_metadata",
    s.tags AS "streams.tags", s.properties AS "streams.properties", s.insert_time AS "streams.insert_time",
    s.format AS "streams.format", p.start_time AS "processes.start_time", p.start_ticks AS "processes.start_ticks",
    p.tsc_frequency AS "processes.tsc_frequency", p.exe AS "processes.exe", p.username AS "processes.username",
    p.realname AS "processes.realname", p.computer AS "processes.computer", p.distro AS "processes.distro",
    p.cpu_brand AS "processes.cpu_brand", p.insert_time AS "processes.insert_time",
    p.parent_process_id AS "processes.parent_process_id", p.properties AS "processes.properties"
FROM ingested i LEFT JOIN streams s ON i.stream_id = s.stream_id LEFT JOIN processes p ON i.process_id = p.process_id"#;

#[async_trait]
impl ServedLake for LakeService {
    async fn result_schema(&self, query: &Query) -> Result<SchemaRef> {
        self.delivered_schema(query).await
    }

    /// The global instances of the view sets, and the information schema.
    fn tables(&self) -> Result<Vec<ServedTable>> {
        let table = |schema: &str, name: &str, columns| ServedTable {
            catalog: CATALOG.to_owned(),
            schema: schema.to_owned(),
            name: name.to_owned(),
            columns,
        };
        let views = view_sets().iter().filter(|view_set| view_set.instances().has_global());
        let views = views.map(|view_set| table("public", view_set.name(), view_set.schema()));
        let information = InformationSchemaProvider::new(Arc::new(MemoryCatalogProviderList::new()));
        // The columns of the information schema are known at once, whatever is in it.
        let described = INFORMATION_SCHEMA_TABLES.iter().filter_map(|name| {
            let provider = information.table(name).now_or_never()?.ok()??;
            Some(table(INFORMATION_SCHEMA, name, provider.schema()))
        });
        Ok(views.chain(described).collect())
    }

    /// Adds rows to a view set. They become source rows, from which every instance can be materialised, and one partition
    /// of the global instance where the view set has one.
    ///
    /// Columns are matched by name and cast to the view's types; a column that the view does not have is left out, and one
    /// that is missing is NULL where that is allowed. A missing `insert_time` is now; a missing `last_update_time` is the
    /// `insert_time`; the columns of a block that its stream and its process tell are looked up. All rows are held in memory.
    async fn ingest(&self, table: &str, rows: RecordBatchStream) -> Result<u64> {
        if !self.options().administration {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                "ingestion is for administrators, and this service has none",
            ));
        }
        let view_set = ingestible(table)?;
        let schema = rows.schema();
        let batches: Vec<RecordBatch> = rows.try_collect().await?;
        let mut rows = concat_batches(&schema, &batches)?;
        if rows.num_rows() == 0 {
            return Ok(0);
        }
        if view_set.name() == "blocks" && rows.column_by_name(JOINED).is_none() {
            rows = self.join_blocks(rows).await.map_err(|error| {
                Error::new(
                    ErrorKind::InvalidInput,
                    format!("the streams of the blocks cannot be looked up: {error}"),
                )
            })?;
        }
        let lake = self.lake().clone();
        let written = blocking(move || write(&lake, view_set, &rows)).await;
        written.map_err(|error| match error {
            DataFusionError::External(source) => match source.downcast::<Error>() {
                Ok(error) => *error,
                Err(source) => Error::new(ErrorKind::Internal, source.to_string()),
            },
            other => Error::new(ErrorKind::Internal, other.to_string()),
        })
    }
}

impl LakeService {
    async fn join_blocks(&self, rows: RecordBatch) -> Result<RecordBatch, DataFusionError> {
        let context = self.session(QueryScope::default())?;
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
        context.register_table("ingested", Arc::new(table))?;
        let frame = context.sql(JOIN).await?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        Ok(concat_batches(&schema, &frame.collect().await?)?)
    }
}

/// The view set that a table stands for.
fn ingestible(table: &str) -> Result<&'static ViewSet> {
    let refused = |why: &str| {
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("{table} cannot be ingested: {why}"),
        ))
    };
    match (table, view_set(table)) {
        ("payloads", _) => refused("this lake keeps rows, not blocks of raw telemetry"),
        ("log_stats", _) => refused("it is counted from log_entries; materialize it"),
        (_, Some(view_set)) => Ok(view_set),
        (_, None) => refused("there is no such view set"),
    }
}

fn write(lake: &Lake, view_set: &'static ViewSet, rows: &RecordBatch) -> Result<u64> {
    let rows = fitted(rows, &view_set.source_schema(), Utc::now())?;
    let order = sort_to_indices(named(&rows, view_set.sort_column())?, None, None)?;
    let rows = take_record_batch(&rows, &order)?;
    let insert_range = insert_range(&rows)?;
    let schema = view_set.schema();
    let columns = schema.fields().iter().map(|field| named(&rows, field.name()).cloned());
    let partition = RecordBatch::try_new(Arc::clone(&schema), columns.collect::<Result<_>>()?)?;
    let segment = PreparedSegment::write(lake.root(), view_set, insert_range, std::slice::from_ref(&rows))?;
    lake.transaction(|changes| {
        if let Some(segment) = segment {
            changes.add_segment(segment)?;
        }
        if view_set.instances().has_global() {
            changes.add(view_set, GLOBAL, insert_range, &[partition])?;
        }
        Ok(rows.num_rows() as u64)
    })
}

fn named<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    rows.column_by_name(name)
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, format!("the rows have no column {name}")))
}

/// The range of insert time of the rows, begin included and end not, in the catalogue's microseconds.
fn insert_range(rows: &RecordBatch) -> Result<(DateTime<Utc>, DateTime<Utc>)> {
    let times = named(rows, INSERT_TIME)?.as_primitive_opt::<TimestampNanosecondType>();
    let (Some(first), Some(last)) = (times.and_then(min), times.and_then(max)) else {
        return Err(Error::new(ErrorKind::InvalidInput, "no row has an insert_time"));
    };
    let first = DateTime::from_timestamp_nanos(first);
    let last = DateTime::from_timestamp_nanos(last);
    let microsecond = TimeDelta::microseconds(1);
    let first = first
        .duration_trunc(microsecond)
        .unwrap_or_else(|_| first.trunc_subsecs(6));
    let last = last
        .duration_trunc(microsecond)
        .unwrap_or_else(|_| last.trunc_subsecs(6));
    Ok((first, last + microsecond))
}

/// The rows with the columns of a schema.
fn fitted(rows: &RecordBatch, schema: &SchemaRef, now: DateTime<Utc>) -> Result<RecordBatch> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| fitted_column(rows, field, now))
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn fitted_column(rows: &RecordBatch, field: &Field, now: DateTime<Utc>) -> Result<ArrayRef> {
    let invalid = |what: String| Error::new(ErrorKind::InvalidInput, format!("the column {} {what}", field.name()));
    let column = match rows.column_by_name(field.name()) {
        Some(column) if is_property_list(column.data_type()) => properties_to_jsonb(column)?,
        Some(column) => Arc::clone(column),
        None if field.name() == LAST_UPDATE_TIME || field.name() == INSERT_TIME => {
            let nanos = now.timestamp_nanos_opt().unwrap_or_default();
            rows.column_by_name(INSERT_TIME).cloned().unwrap_or_else(|| {
                Arc::new(TimestampNanosecondArray::from_value(nanos, rows.num_rows()).with_timezone("+00:00"))
            })
        }
        None if field.is_nullable() => new_null_array(field.data_type(), rows.num_rows()),
        None => return Err(invalid("is missing".to_owned())),
    };
    // A value that does not fit is refused, not made NULL.
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let column = cast_with_options(&column, field.data_type(), &strict)
        .map_err(|error| invalid(format!("cannot become {}: {error}", field.data_type())))?;
    if !field.is_nullable() && column.logical_null_count() > 0 {
        return Err(invalid("has NULL in a row and may not".to_owned()));
    }
    Ok(column)
}

/// Whether a column is a list of keys and values, as clients of older services send properties.
fn is_property_list(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => match item.data_type() {
            DataType::Struct(fields) => fields.find("key").is_some() && fields.find("value").is_some(),
            _ => false,
        },
        DataType::Dictionary(_, values) => is_property_list(values),
        _ => false,
    }
}

fn properties_to_jsonb(column: &ArrayRef) -> Result<ArrayRef> {
    let column = match column.data_type() {
        DataType::Dictionary(_, values) => cast(column, values)?,
        _ => Arc::clone(column),
    };
    let mut documents = BinaryBuilder::new();
    for list in column.as_list::<i32>().iter() {
        match list {
            Some(list) => documents.append_value(document(list.as_struct())?),
            None => documents.append_null(),
        }
    }
    Ok(Arc::new(documents.finish()))
}

fn document(properties: &StructArray) -> Result<Vec<u8>> {
    let text = |name: &str| -> Result<ArrayRef> {
        let column = properties.column_by_name(name);
        let column = column.ok_or_else(|| Error::new(ErrorKind::InvalidInput, format!("a property has no {name}")))?;
        Ok(cast(column, &DataType::Utf8)?)
    };
    let (keys, values) = (text("key")?, text("value")?);
    let pairs = keys.as_string::<i32>().iter().zip(values.as_string::<i32>().iter());
    let object: BTreeMap<String, jsonb::Value<'_>> = pairs
        .filter_map(|(key, value)| Some((key?.to_owned(), jsonb::Value::String(Cow::Borrowed(value?)))))
        .collect();
    Ok(jsonb::Value::Object(object).to_vec())
}
