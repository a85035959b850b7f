//! `multiple-statements`

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "multiple-statements",
    severity: Severity::Warning,
    why: "the service takes one statement a call, and refuses two",
    text: "A call carries one statement. Run them one after the other, or write one query of them with WITH \
           or UNION ALL. A semicolon at the end is fine.",
    bad: "SELECT count(*) FROM processes; SELECT count(*) FROM streams",
    good: "SELECT count(*) FROM processes UNION ALL SELECT count(*) FROM streams",
};

pub(super) struct MultipleStatements;

impl Rule for MultipleStatements {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        if context.index == 1 {
            report
                .add(
                    context.first_word.clone(),
                    "this is a second statement in the same text",
                )
                .help("send each statement by itself");
        }
    }
}
