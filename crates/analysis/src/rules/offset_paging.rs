//! `offset-paging`

use sqlparser::ast::{Expr, LimitClause, Value};

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::expression_range;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "offset-paging",
    severity: Severity::Warning,
    why: "the rows before the offset are found, sorted and thrown away for every page",
    text: "The service keeps no result between calls, so each page costs as much as all pages before it, \
           and rows that arrive meanwhile shift the pages. Continue from the last time that was seen: WHERE \
           time < it, with the same LIMIT. Or read the whole result as one stream.",
    bad: "SELECT time, msg FROM log_entries ORDER BY time DESC LIMIT 100 OFFSET 10000",
    good: "SELECT time, msg FROM log_entries WHERE time < '2026-01-31T12:00:00Z' ORDER BY time DESC LIMIT 100",
};

pub(super) struct OffsetPaging;

impl Rule for OffsetPaging {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for node in &model.queries {
            let offset = match &node.query.limit_clause {
                Some(LimitClause::LimitOffset {
                    offset: Some(offset), ..
                }) => &offset.value,
                Some(LimitClause::OffsetCommaLimit { offset, .. }) => offset,
                _ => continue,
            };
            let is_zero = matches!(offset, Expr::Value(value) if matches!(&value.value, Value::Number(digits, _) if digits == "0"));
            if !is_zero {
                let range = expression_range(report.source(), offset);
                report
                    .add(range, "OFFSET reads the rows before it and throws them away")
                    .help("continue from the last time that was seen, or read one stream");
            }
        }
    }
}
