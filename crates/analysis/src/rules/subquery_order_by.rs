//! `subquery-order-by`

use std::ops::Range;

use sqlparser::ast::{Distinct, SetExpr};

use super::clause::{has_limit, order_by_range};
use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::{Model, QueryNode, Role};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "subquery-order-by",
    severity: Severity::Warning,
    why: "the rows of a query within a query have no order: the sort is wasted, and what relies on it breaks",
    text: "An ORDER BY without a LIMIT in a CTE, in a FROM or in an expression orders nothing that anybody \
           sees. Put it on the outermost query.",
    bad: "SELECT time, msg FROM (SELECT time, msg FROM log_entries ORDER BY time) AS l WHERE msg LIKE 'GET %'",
    good: "SELECT time, msg FROM (SELECT time, msg FROM log_entries) AS l WHERE msg LIKE 'GET %' ORDER BY time LIMIT 100",
};

pub(super) struct SubqueryOrderBy;

impl Rule for SubqueryOrderBy {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for node in &model.queries {
            // Brackets around a whole query change nothing.
            if node.role == Role::Top || is_whole_body(model, node) {
                continue;
            }
            let Some(order_by) = &node.query.order_by else { continue };
            if has_limit(node.query) {
                continue;
            }
            let clause = order_by_range(report.source(), context.tokens, order_by);
            let finding = report
                .add(clause.clone(), "ORDER BY in a query within a query")
                .help("move it to the outermost query");
            if is_order_unseen(model) {
                finding.fix(with_space_before(context.source.text(), clause), "");
            }
        }
    }
}

fn is_whole_body(model: &Model<'_>, node: &QueryNode<'_>) -> bool {
    node.role == Role::Operand
        && model.queries.iter().any(|outer| {
            matches!(outer.query.body.as_ref(), SetExpr::Query(inner) if std::ptr::eq(inner.as_ref(), node.query))
        })
}

/// Whether nothing around can tell in which order the rows came: no limit, and no function that looks at it.
fn is_order_unseen(model: &Model<'_>) -> bool {
    let has_limit = model.queries.iter().any(|node| has_limit(node.query));
    let has_order_sensitive = model.calls.iter().any(|call| {
        call.function.over.is_some()
            || matches!(
                call.name.as_ref(),
                "array_agg" | "string_agg" | "first_value" | "last_value" | "nth_value" | "any_value"
            )
    });
    let has_distinct_on = model
        .selects
        .iter()
        .any(|node| matches!(node.select.distinct, Some(Distinct::On(_))));
    !has_limit && !has_order_sensitive && !has_distinct_on
}

/// The clause with the space before it, where that is a space and not a line that a comment ends.
fn with_space_before(text: &str, clause: Range<usize>) -> Range<usize> {
    match text[..clause.start].strip_suffix(' ') {
        Some(before) => before.len()..clause.end,
        None => clause,
    }
}
