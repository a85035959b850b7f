//! Views whose partitions repeat a key, merged into one row for each key when they are read.

use std::sync::Arc;

use datafusion::arrow::datatypes::Field;
use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{first_value, max, sum};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::{Expr, cast};

use crate::views::ViewSet;

/// How the rows of one view set are merged: by the key, which a row of the view holds once.
struct Merge {
    key: &'static [&'static str],
    /// Columns of which the largest value is kept.
    latest: &'static [&'static str],
    /// Columns that are added up.
    counted: &'static [&'static str],
}

/// A process and a stream have a row in each partition in which they had a block, and a minute of a log in each in which
/// entries of it arrived. Every other column is the same in all of those rows.
fn merge_of(view_set: &ViewSet) -> Option<Merge> {
    match view_set.name() {
        "processes" => Some(Merge {
            key: &["process_id"],
            latest: &[
                "last_update_time",
                "last_block_end_ticks",
                "last_block_end_time",
                "audience",
            ],
            counted: &[],
        }),
        "streams" => Some(Merge {
            key: &["stream_id"],
            latest: &["last_update_time", "audience"],
            counted: &[],
        }),
        "log_stats" => Some(Merge {
            key: &["time_bin", "process_id", "level", "target", "audience"],
            latest: &[],
            counted: &["count"],
        }),
        _ => None,
    }
}

/// The table of a view set over the table of its partitions.
pub(crate) fn merged_view(view_set: &ViewSet, partitions: Arc<dyn TableProvider>) -> Result<Arc<dyn TableProvider>> {
    let Some(merge) = merge_of(view_set) else {
        return Ok(partitions);
    };
    let schema = view_set.schema();
    let is_key = |field: &Field| merge.key.contains(&field.name().as_str());
    let aggregates = schema
        .fields()
        .iter()
        .filter(|field| !is_key(field))
        .map(|field| merge.aggregate(field).alias(field.name()));
    let columns = schema.fields().iter().map(|field| {
        let value = column(field.name());
        // The largest of a dictionary's values is not in a dictionary.
        if is_key(field) {
            value
        } else {
            cast(value, field.data_type().clone()).alias(field.name())
        }
    });
    let name = format!("__{}__partitions", view_set.name());
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(partitions), None)?
        .aggregate(merge.key.iter().map(|name| column(name)), aggregates)?
        .project(columns)?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

impl Merge {
    fn aggregate(&self, field: &Field) -> Expr {
        let value = column(field.name());
        let is_in = |names: &[&str]| names.contains(&field.name().as_str());
        if is_in(self.latest) {
            max(value)
        } else if is_in(self.counted) {
            sum(value)
        } else {
            first_value(value, Vec::new())
        }
    }
}

/// The column of a name, which may have a dot in it.
fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}
