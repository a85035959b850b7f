//! `invalid-time-range`

use lakepilot_query::to_rfc3339;
use sqlparser::ast::Spanned;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::known::TimeColumns;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "invalid-time-range",
    severity: Severity::Error,
    why: "no row can lie in the range, or the service ignores it",
    text: "The time range begins after it ends, or has one end only (the service then ignores it), or the \
           conditions of the query contradict each other or the range. The service answers such a query \
           with no rows and no error.",
    bad: "SELECT count(*) FROM log_entries WHERE time >= '2026-02-01T00:00:00Z' AND time < '2026-01-01T00:00:00Z'",
    good: "SELECT count(*) FROM log_entries WHERE time >= '2026-01-01T00:00:00Z' AND time < '2026-02-01T00:00:00Z'",
};

pub(super) struct InvalidTimeRange;

impl Rule for InvalidTimeRange {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        match (context.call.begin, context.call.end) {
            (Some(begin), Some(end)) if begin > end => {
                report
                    .add(
                        context.first_word.clone(),
                        format!(
                            "the time range begins ({}) after it ends ({})",
                            to_rfc3339(begin),
                            to_rfc3339(end)
                        ),
                    )
                    .help("swap them or correct one");
            }
            (Some(_), None) | (None, Some(_)) => {
                let missing = if context.call.begin.is_none() { "begin" } else { "end" };
                report
                    .add(context.first_word.clone(), format!("the time range has no {missing}"))
                    .help("give both ends: the service ignores one alone");
            }
            _ => {}
        }
        let Some(model) = context.model else { return };
        for scan in &model.scans {
            // A row that lasts may begin before an instant and end after it.
            if !matches!(scan.view.time, TimeColumns::Point(_)) {
                continue;
            }
            let sql = scan.own;
            let with_call = context.call_interval().map_or(sql, |call| sql.and(call));
            let message = if sql.is_empty() {
                "the conditions on time contradict each other: no row can satisfy them"
            } else if with_call.is_empty() && context.call_interval().is_some_and(|call| !call.is_empty()) {
                "the conditions on time lie outside the time range of the call: no row can satisfy both"
            } else {
                continue;
            };
            report
                .add(report.source().range(scan.name.span()), message)
                .help("correct one of the bounds");
        }
    }
}
