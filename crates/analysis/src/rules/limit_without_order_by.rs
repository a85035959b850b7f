//! `limit-without-order-by`

use sqlparser::ast::{Expr, GroupByExpr, LimitClause, Value};

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::expression_range;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "limit-without-order-by",
    severity: Severity::Hint,
    why: "which rows come is chance, and differs from call to call",
    text: "LIMIT without ORDER BY returns whichever rows come first. That is fine for a look at the data. \
           Where it matters which rows come, order them.",
    bad: "SELECT time, msg FROM log_entries WHERE level <= 2 LIMIT 100",
    good: "SELECT time, msg FROM log_entries WHERE level <= 2 ORDER BY time DESC LIMIT 100",
};

pub(super) struct LimitWithoutOrderBy;

impl Rule for LimitWithoutOrderBy {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let (Some(model), Some(query)) = (context.model, context.query()) else {
            return;
        };
        if query.order_by.is_some() || !model.scans.iter().any(|scan| scan.view.is_timed()) {
            return;
        }
        let limit = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit: Some(limit), .. } | LimitClause::OffsetCommaLimit { limit, .. }) => {
                limit
            }
            _ => return,
        };
        // One row of an aggregate is the whole of it, and no rows are no matter which.
        let is_whole = model.top().and_then(|top| top.only_select()).is_some_and(|select| {
            let is_ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
            is_ungrouped && model.has_aggregate(Some(0))
        });
        let is_zero =
            matches!(limit, Expr::Value(value) if matches!(&value.value, Value::Number(digits, _) if digits == "0"));
        if !is_whole && !is_zero {
            let range = expression_range(report.source(), limit);
            report
                .add(range, "LIMIT without ORDER BY takes whichever rows come first")
                .help("add ORDER BY, such as by time");
        }
    }
}
