//! `syntax-error`

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "syntax-error",
    severity: Severity::Error,
    why: "the service cannot parse the statement and refuses it",
    text: "The text is not a statement in the service's dialect of SQL. It is parsed with the parser that \
           the service uses, so what is refused here is refused there. An empty text is refused too, and so \
           is one that nests or chains so deeply that the service's parser would give up.",
    bad: "SELECT time, msg FROM log_entries WHERE level <",
    good: "SELECT time, msg FROM log_entries WHERE level < 3",
};

pub(super) struct SyntaxErrorRule;

impl Rule for SyntaxErrorRule {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        if let Err(error) = context.parsed {
            report.add(error.range.clone(), error.message.clone());
        }
    }
}
