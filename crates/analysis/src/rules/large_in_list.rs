//! `large-in-list`

use sqlparser::ast::Expr;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::expression_range;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "large-in-list",
    severity: Severity::Warning,
    why: "the list is sent, parsed and planned with every call, and compared with every row",
    text: "An IN list has more than `max-in-list` items (1,000 unless configured). Join with the query that \
           the ids came from, or ask for a range of them.",
    bad: "SELECT count(*) FROM log_entries WHERE process_id IN ('1', '2', '3', 'and a thousand more')",
    good: "SELECT count(*) FROM log_entries WHERE process_id IN (SELECT process_id FROM processes WHERE exe = 'server')",
};

pub(super) struct LargeInList;

impl Rule for LargeInList {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        let most = context.config.max_in_list;
        for predicate in &model.predicates {
            let Expr::InList { expr, list, .. } = predicate.expression else {
                continue;
            };
            if list.len() > most {
                let start = expression_range(report.source(), expr).start;
                let end = list
                    .first()
                    .map_or(start, |item| expression_range(report.source(), item).end);
                report
                    .add(
                        start..end,
                        format!("the IN list has {} items, more than {most}", list.len()),
                    )
                    .help("join with the query that the values come from");
            }
        }
    }
}
