//! `unknown-function`

use std::ops::Range;

use sqlparser::ast::Spanned;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::known::{function_names, is_table_function, table_function_names};
use crate::nearest::nearest;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "unknown-function",
    severity: Severity::Error,
    why: "the service has no such function and refuses the query",
    text: "The name is neither a function of DataFusion nor one that the service adds. Administrative \
           functions exist for administrators only: others are told that there is none of that name.",
    bad: "SELECT strftime(time, '%H') FROM log_entries",
    good: "SELECT to_char(time, '%H') FROM log_entries",
};

pub(super) struct UnknownFunction;

impl Rule for UnknownFunction {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for call in &model.calls {
            if call.kind.is_none() {
                let range = report.source().range(call.function.name.span());
                let near = nearest(&call.name, function_names());
                say(report, range, &call.name, &near);
            }
        }
        for call in &model.table_calls {
            if !is_table_function(&call.lowercase) {
                let range = report.source().range(call.name.span());
                let near = nearest(&call.lowercase, table_function_names());
                say(report, range, &call.lowercase, &near);
            }
        }
    }
}

fn say(report: &mut Report<'_>, range: Range<usize>, name: &str, near: &[&str]) {
    let finding = report.add(range, format!("there is no function '{name}'"));
    if !near.is_empty() {
        finding.help(format!("did you mean {}?", near.join(" or ")));
    }
}
