//! `ineffective-time-filter`

use sqlparser::ast::Expr;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::{Scan, conjuncts, expression_range, push_children};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "ineffective-time-filter",
    severity: Severity::Warning,
    why: "the condition looks like a time filter and bounds nothing: every partition is opened and every row is tested",
    text: "A condition names the time of the rows, and does not bound it: it stands under an OR whose other \
           side has no bound, or wraps the time in a function, or negates. Compare the column itself with \
           an instant, and put the range on the call.",
    bad: "SELECT count(*) FROM log_entries WHERE date_trunc('day', time) = '2026-01-31T00:00:00Z'",
    good: "SELECT count(*) FROM log_entries WHERE time >= '2026-01-31T00:00:00Z' AND time < '2026-02-01T00:00:00Z'",
};

pub(super) struct IneffectiveTimeFilter;

impl Rule for IneffectiveTimeFilter {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        for scan in context.scans_without_range() {
            if scan.is_bounded() {
                continue;
            }
            let Some(conjunct) = ineffective_conjunct(context, scan) else {
                continue;
            };
            let range = expression_range(report.source(), conjunct);
            report
                .add(range, format!("this does not bound the time of '{}'", scan.view.name))
                .help("compare the time column itself with instants, joined by AND, and give the call a time range");
        }
    }
}

/// A condition that names the time of the scan, which has no bound.
pub(super) fn ineffective_conjunct<'a>(context: &RuleContext<'a>, scan: &Scan<'a>) -> Option<&'a Expr> {
    let model = context.model?;
    let selection = model.selects[scan.select].select.selection.as_ref()?;
    let scan_id = model.scans.iter().position(|other| std::ptr::eq(other, scan))?;
    conjuncts(selection).into_iter().find(|conjunct| {
        let mut inside = vec![*conjunct];
        let mut queries = Vec::new();
        while let Some(next) = inside.pop() {
            match next {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                    if model.is_time_of(model.resolve(Some(scan.select), next), scan_id) {
                        return true;
                    }
                }
                _ => push_children(next, &mut inside, &mut queries),
            }
        }
        false
    })
}
