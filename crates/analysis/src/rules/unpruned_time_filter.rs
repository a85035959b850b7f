//! `unpruned-time-filter`

use lakepilot_query::to_rfc3339;
use sqlparser::ast::Spanned;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "unpruned-time-filter",
    severity: Severity::Warning,
    why: "only the time range of the call prunes: a filter in the SQL is applied after every partition was opened",
    text: "The SQL filters by time, and the call has no time range. The service chooses partitions by the \
           range of the call alone, so it opens all of them and throws most rows away. Give the call the \
           same range; where it can be computed from the filter it is suggested. The filter may stay.",
    bad: "SELECT time, msg FROM log_entries WHERE time >= now() - INTERVAL '1 hour'",
    good: "SELECT time, msg FROM log_entries",
};

pub(super) struct UnprunedTimeFilter;

impl Rule for UnprunedTimeFilter {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let suggestion = context.suggested_range();
        for scan in context.scans_without_range() {
            if !scan.is_bounded() {
                continue;
            }
            let range = report.source().range(scan.name.span());
            let finding = report.add(
                range,
                format!("'{}' is filtered by time in the SQL alone", scan.view.name),
            );
            match suggestion {
                Some(range) => finding
                    .help(match range.end() < context.now {
                        true => format!(
                            "give the call the range: --begin {} --end {}",
                            to_rfc3339(range.begin()),
                            to_rfc3339(range.end())
                        ),
                        // Without an end, a call goes up to now.
                        false => format!("give the call the range: --begin {}", to_rfc3339(range.begin())),
                    })
                    .suggest(range),
                None => finding.help("give the call a time range that holds what the filter lets through"),
            };
        }
    }
}
