//! `unused-ignore`

use super::{Rule, RuleInfo, find};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "unused-ignore",
    severity: Severity::Hint,
    why: "a comment that suppresses nothing hides the next finding of that rule",
    text: "A comment of the form `-- lakepilot: ignore rule-a, rule-b` silences rules in the statement that \
           it stands in or before. This one names a rule that found nothing there, or that does not exist.",
    bad: "SELECT count(*) FROM processes -- lakepilot: ignore wide-row",
    good: "SELECT count(*) FROM processes",
};

pub(super) struct UnusedIgnore;

impl Rule for UnusedIgnore {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        for ignore in context.ignores {
            if report.is_used(ignore) {
                continue;
            }
            let message = match find(&ignore.rule) {
                Some(_) => format!("'{}' finds nothing here to ignore", ignore.rule),
                None => format!("there is no rule '{}' to ignore", ignore.rule),
            };
            let finding = report
                .add(ignore.range.clone(), message)
                .help("remove it from the comment");
            if let Some(comment) = &ignore.comment {
                finding.fix(comment.clone(), "");
            }
        }
    }
}
