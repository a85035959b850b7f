//! `long-time-range`

use sqlparser::ast::Spanned;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "long-time-range",
    severity: Severity::Hint,
    why: "all partitions in the range are opened and all of their rows are read",
    text: "The query reads more than `max-time-range` (31 days unless configured) of telemetry. That may be \
           what is wanted; if not, a shorter range is faster, and a long result is best read in slices.",
    bad: "SELECT count(*) FROM log_entries WHERE time >= '2020-01-01T00:00:00Z' AND time < '2026-01-01T00:00:00Z'",
    good: "SELECT count(*) FROM log_entries WHERE time >= '2026-01-01T00:00:00Z' AND time < '2026-01-08T00:00:00Z'",
};

pub(super) struct LongTimeRange;

impl Rule for LongTimeRange {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        let most = context.config.max_time_range.as_nanos();
        for scan in model.scans.iter().filter(|scan| scan.view.is_timed()) {
            let call = context.call_interval().unwrap_or_default();
            let interval = scan.own.and(call);
            let (Some(lower), Some(upper)) = (interval.lower, interval.upper) else {
                continue;
            };
            if upper > lower && u128::from(upper.abs_diff(lower)) > most {
                let days = upper.abs_diff(lower) / 86_400_000_000_000;
                report
                    .add(
                        report.source().range(scan.name.span()),
                        format!("'{}' is read over {days} days", scan.view.name),
                    )
                    .help("narrow the time range if you can");
                return;
            }
        }
    }
}
