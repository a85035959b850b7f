//! `missing-time-range`

use sqlparser::ast::Spanned;

use super::ineffective_time_filter::ineffective_conjunct;
use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "missing-time-range",
    severity: Severity::Warning,
    why: "without a time range the service opens every partition of the view",
    text: "The query reads telemetry and nothing bounds it in time, so every partition of the view is \
           opened. Put a time range on the call: it decides which partitions are opened, and filters their \
           rows. Queries of metadata (processes, streams, blocks, list_partitions()) need none. \
           thread_spans without a range is refused.",
    bad: "SELECT count(*) FROM log_entries WHERE level <= 2",
    good: "SELECT count(*) FROM log_entries WHERE level <= 2 AND time >= now() - INTERVAL '1 hour'",
};

pub(super) struct MissingTimeRange;

impl Rule for MissingTimeRange {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        for scan in context.scans_without_range() {
            if !scan.is_bounded() && ineffective_conjunct(context, scan).is_none() {
                let range = report.source().range(scan.name.span());
                report
                    .add(range, format!("'{}' is read without a time range", scan.view.name))
                    .help("give the call a time range, such as --begin 1h");
            }
        }
    }
}
