//! `order-by-without-limit`

use sqlparser::ast::{LimitClause, Spanned};

use super::{Documentation, Rule};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

pub(super) struct OrderByWithoutLimit;

impl Rule for OrderByWithoutLimit {
    fn name(&self) -> &'static str {
        "order-by-without-limit"
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn why(&self) -> &'static str {
        "the server sorts every row before it sends the first"
    }

    fn documentation(&self) -> Documentation {
        Documentation {
            text: "The whole result is sorted, in the server's memory, before the first row is sent. With a LIMIT only \
                   the rows that are kept have to be held.",
            bad: "SELECT time, msg FROM log_entries ORDER BY time DESC",
            good: "SELECT time, msg FROM log_entries ORDER BY time DESC LIMIT 100",
        }
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(query) = context.query() else { return };
        let Some(order_by) = &query.order_by else { return };
        let has_limit = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, .. }) => limit.is_some(),
            Some(LimitClause::OffsetCommaLimit { .. }) => true,
            None => false,
        };
        if has_limit || query.fetch.is_some() {
            return;
        }
        report
            .add(
                report.source().range(order_by.span()),
                "ORDER BY without LIMIT sorts the whole result",
            )
            .help("add a LIMIT, or leave out ORDER BY if the order does not matter");
    }
}
