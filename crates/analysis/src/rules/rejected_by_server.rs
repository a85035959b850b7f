//! `rejected-by-server`

use std::ops::Range;

use lakepilot_query::Error;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;
use crate::syntax::word_at;

static INFO: RuleInfo = RuleInfo {
    name: "rejected-by-server",
    severity: Severity::Error,
    why: "the service was asked to plan the query and refused it",
    text: "Only when a service is asked: it was given the statement to plan, not to run, and this is what \
           it answered. Where the answer names a line and a column, the finding is there. An unknown view, \
           column or function is reported by the rule of that name.",
    bad: "SELECT sum(msg) FROM log_entries",
    good: "SELECT count(msg) FROM log_entries",
};

pub(super) struct RejectedByServer;

impl Rule for RejectedByServer {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(rejection) = context.rejection else { return };
        let known = ["unknown-view", "unknown-column", "unknown-function", "syntax-error"];
        // The same complaint at the same place is said once.
        if report.has_any(&known) {
            return;
        }
        let range = rejection_range(context, report, rejection);
        // Services lay their messages out for a terminal of their own.
        let words: Vec<&str> = rejection.message().split_whitespace().collect();
        report.add(range, words.join(" "));
    }
}

/// Where the service says that the mistake is, in the text that was given.
fn rejection_range(context: &RuleContext<'_>, report: &Report<'_>, rejection: &Error) -> Range<usize> {
    let Some(position) = rejection.position() else {
        return context.range.clone();
    };
    let source = report.source();
    // The service counts within the statement that it was sent.
    let start = source.span(context.range.clone()).start;
    let (line, column) = (position.line as usize, position.column as usize);
    let column = if line <= 1 {
        start.column + column.saturating_sub(1)
    } else {
        column
    };
    let offset = source.offset_at(start.line + line.saturating_sub(1), column);
    word_at(source.text(), offset.min(context.range.end))
}
