//! `rejected-by-server`

use super::{Documentation, Rule};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;
use crate::syntax::word_at;

pub(super) struct RejectedByServer;

impl Rule for RejectedByServer {
    fn name(&self) -> &'static str {
        "rejected-by-server"
    }

    fn severity(&self) -> Severity {
        Severity::Error
    }

    fn why(&self) -> &'static str {
        "the service was asked to plan the query and refused it"
    }

    fn documentation(&self) -> Documentation {
        Documentation {
            text: "Only when a service is asked: it was given the statement to plan, not to run, and this is what it \
                   answered. Where the answer names a line and a column, the finding is there.",
            bad: "SELECT nonesuch FROM log_entries",
            good: "SELECT msg FROM log_entries",
        }
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(error) = context.rejection else { return };
        let range = match error.position() {
            // The service counts within the statement that it was sent.
            Some(position) => {
                let source = report.source();
                let start = source.span(context.range.clone()).start;
                let line = start.line + (position.line as usize).saturating_sub(1);
                let column = match position.line {
                    0 | 1 => start.column + (position.column as usize).saturating_sub(1),
                    _ => position.column as usize,
                };
                let offset = source.offset_at(line, column).min(context.range.end);
                word_at(source.text(), offset)
            }
            None => context.range.clone(),
        };
        report.add(range, error.message());
    }
}
