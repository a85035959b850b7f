//! `order-by-without-limit`

use sqlparser::ast::{Expr, GroupByExpr, LimitClause, OrderBy, OrderByKind, Query, Value};

use super::clause::{has_limit, order_by_range};
use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::{Model, SelectId, SourceColumns};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "order-by-without-limit",
    severity: Severity::Warning,
    why: "the service sorts every row before it sends the first",
    text: "The whole result is sorted, in the server's memory, before the first row is sent. With a LIMIT \
           only the rows that are kept have to be held. Grouped results are small and are not meant, nor \
           are spans ordered by begin, which come in that order.",
    bad: "SELECT time, msg FROM log_entries ORDER BY time DESC",
    good: "SELECT time, msg FROM log_entries ORDER BY time DESC LIMIT 100",
};

pub(super) struct OrderByWithoutLimit;

impl Rule for OrderByWithoutLimit {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let (Some(model), Some(query)) = (context.model, context.query()) else {
            return;
        };
        let Some(order_by) = &query.order_by else { return };
        if has_limit(query) || is_small(model) || is_in_order_already(model, order_by) {
            return;
        }
        let range = order_by_range(report.source(), context.tokens, order_by);
        report
            .add(range, "ORDER BY without LIMIT sorts the whole result")
            .help("add a LIMIT, or leave out ORDER BY if the order does not matter");
    }
}

/// Whether the result is of groups, or of metadata alone.
fn is_small(model: &Model<'_>) -> bool {
    let reads_telemetry = model.scans.iter().any(|scan| scan.view.is_timed());
    if !reads_telemetry && model.tables.is_empty() {
        return true;
    }
    let mut open: Vec<SelectId> = (0..model.selects.len())
        .filter(|&id| model.selects[id].query == 0)
        .collect();
    while let Some(id) = open.pop() {
        let node = &model.selects[id];
        let is_grouped = !matches!(&node.select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
        if is_grouped || node.select.distinct.is_some() || model.has_aggregate(Some(id)) {
            continue;
        }
        for source in &node.sources {
            match source.columns {
                SourceColumns::Scan(scan) if model.scans[scan].view.is_timed() => return false,
                SourceColumns::Unknown => return false,
                SourceColumns::Query(query) if !is_limited_to_few(model.queries[query].query) => {
                    open.extend((0..model.selects.len()).filter(|&inner| model.selects[inner].query == query));
                }
                _ => {}
            }
        }
    }
    true
}

/// Whether a query returns at most a thousand rows by its own limit.
fn is_limited_to_few(query: &Query) -> bool {
    let Some(LimitClause::LimitOffset {
        limit: Some(Expr::Value(value)),
        ..
    }) = &query.limit_clause
    else {
        return false;
    };
    matches!(&value.value, Value::Number(digits, _) if digits.parse::<u32>().is_ok_and(|rows| rows <= 1_000))
}

/// Scans of `thread_spans` come ordered by `begin`.
fn is_in_order_already(model: &Model<'_>, order_by: &OrderBy) -> bool {
    let OrderByKind::Expressions(keys) = &order_by.kind else {
        return false;
    };
    let [key] = keys.as_slice() else { return false };
    let [scan] = model.scans.as_slice() else { return false };
    let is_ascending = key.options.asc != Some(false);
    scan.view.name == "thread_spans"
        && is_ascending
        && model.selects.len() == 1
        && model
            .known_column(Some(0), &key.expr)
            .is_some_and(|column| column.name == "begin")
}
