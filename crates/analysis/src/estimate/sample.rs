//! What a few rows tell: how long text is, and how much filters let through.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use lakepilot_catalog::ColumnReader;
use lakepilot_query::{Query, QueryService, QueryServiceExt, Result, quote_identifier, quote_literal};
use sqlparser::ast::{GroupByExpr, SetExpr, Statement};

use crate::clauses::where_of_select;
use crate::lengths::varying_bytes;
use crate::model::{InstanceRef, SourceColumns};
use crate::source::Source;
use crate::{SizeModel, TimeBounds, model, syntax};

/// The average lengths of text and binary columns, learnt from batches of results.
///
/// Lengths are those of the values, without offsets; nulls count as empty. Of lists, maps and structs, it is all that a
/// value takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextLengths {
    /// For each column, the bytes and the rows that were seen.
    columns: BTreeMap<String, (f64, u64)>,
}

impl TextLengths {
    /// Learns from a batch.
    pub fn observe(&mut self, batch: &RecordBatch) {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if let Some(bytes) = varying_bytes(column) {
                let (all_bytes, rows) = self.columns.entry(field.name().clone()).or_default();
                *all_bytes += bytes;
                *rows += column.len() as u64;
            }
        }
    }

    /// The average length of a column in bytes, if any of its rows were seen.
    pub fn average_bytes(&self, column: &str) -> Option<f64> {
        let (bytes, rows) = self.columns.get(column)?;
        (*rows > 0).then(|| bytes / *rows as f64)
    }

    /// The columns that were seen.
    pub(super) fn columns(&self) -> impl Iterator<Item = &String> {
        self.columns
            .iter()
            .filter(|(_, (_, rows))| *rows > 0)
            .map(|(column, _)| column)
    }

    /// Puts what was learnt into a model of sizes.
    pub fn apply(&self, sizes: &mut SizeModel) {
        for column in self.columns.keys() {
            if let Some(bytes) = self.average_bytes(column) {
                sizes.known_bytes.insert(column.clone(), bytes);
            }
        }
    }
}

/// What a sample of the result told.
pub(super) struct Sample {
    pub(super) lengths: TextLengths,
    /// The rows of the whole result, when the sample took all of it.
    pub(super) all_rows: Option<u64>,
}

/// Reads the first rows of the result.
pub(super) async fn read(service: &dyn QueryService, query: &Query, rows: u64) -> Result<Sample> {
    let limit = query.limit().map_or(rows, |limit| limit.min(rows));
    let mut stream = service.run(&query.clone().with_limit(limit)).await?;
    let mut lengths = TextLengths::default();
    let mut seen = 0;
    while let Some(batch) = stream.try_next().await? {
        lengths.observe(&batch);
        seen += batch.num_rows() as u64;
    }
    Ok(Sample {
        lengths,
        all_rows: (seen < limit).then_some(seen),
    })
}

/// The share of rows that the `WHERE` of a query over one view lets through, measured on the first rows that the view
/// has in the query's time. `None` for other queries.
pub(super) async fn selectivity(service: &dyn QueryService, query: &Query, rows: u64) -> Result<Option<f64>> {
    let Some((sql, bounds)) = selectivity_query(query, rows) else {
        return Ok(None);
    };
    let asked = Query::new(sql)?.with_time_range(bounds.time_range().or(query.time_range()));
    let Some(row) = service.first_row(&asked).await? else {
        return Ok(None);
    };
    let columns = ColumnReader::new(&row, "the sample");
    let all: i64 = columns.required("all_rows")?.value(0)?;
    let kept: i64 = columns.required("kept_rows")?.value(0)?;
    // That none of a few rows passed does not mean that none passes.
    let kept = if kept == 0 { 0.5 } else { kept as f64 };
    Ok((all > 0).then(|| kept / all as f64))
}

fn selectivity_query(query: &Query, rows: u64) -> Option<(String, TimeBounds)> {
    let source = Source::new(query.sql());
    let statements = syntax::parse(&source);
    let [statement] = statements.as_slice() else {
        return None;
    };
    let Ok(Statement::Query(parsed)) = &statement.parsed else {
        return None;
    };
    let model = model::build(parsed, lakepilot_query::Clock::now(&lakepilot_query::SystemClock));
    let (SetExpr::Select(select), [_], [node]) =
        (parsed.body.as_ref(), model.queries.as_slice(), model.selects.as_slice())
    else {
        return None;
    };
    let is_plain = matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty())
        && !model.has_aggregate(Some(0));
    let [only] = node.sources.as_slice() else {
        return None;
    };
    let SourceColumns::Scan(scan) = only.columns else {
        return None;
    };
    if !is_plain || select.selection.is_none() {
        return None;
    }
    let scan = &model.scans[scan];
    let condition = &query.sql()[where_of_select(&source, &statement.tokens, select)?];
    let view = quote_literal(scan.view.name);
    let table = match scan.instance {
        InstanceRef::Global => quote_identifier(scan.view.name),
        InstanceRef::Literal(instance, _) => format!("view_instance({view}, {})", quote_literal(instance)),
        InstanceRef::Dynamic => return None,
    };
    let name = quote_identifier(only.name.as_deref().unwrap_or(scan.view.name));
    let bounds = scan.bounds(query.time_range());
    let sql = format!(
        "SELECT count(*) AS all_rows, count(*) FILTER (WHERE {condition}\n) AS kept_rows \
         FROM (SELECT * FROM {table} LIMIT {rows}) AS {name}"
    );
    let bounds = TimeBounds {
        begin_nanos: bounds.lower,
        end_nanos: bounds.upper,
    };
    Some((sql, bounds))
}
