//! `syntax-error`

use super::{Documentation, Rule};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

pub(super) struct SyntaxErrorRule;

impl Rule for SyntaxErrorRule {
    fn name(&self) -> &'static str {
        "syntax-error"
    }

    fn severity(&self) -> Severity {
        Severity::Error
    }

    fn why(&self) -> &'static str {
        "the service cannot parse the statement and refuses it"
    }

    fn documentation(&self) -> Documentation {
        Documentation {
            text: "The text is not a statement in the service's dialect of SQL. It is parsed with the parser that the \
                   service uses, so what is refused here is refused there. An empty text is refused too, and so is one \
                   that nests or chains so deeply that the service's parser would give up.",
            bad: "SELECT time, msg FROM log_entries WHERE level <",
            good: "SELECT time, msg FROM log_entries WHERE level < 3",
        }
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        if let Err(error) = context.parsed {
            report.add(error.range.clone(), error.message.clone());
        }
    }
}
