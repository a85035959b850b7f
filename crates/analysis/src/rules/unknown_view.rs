//! `unknown-view`

use std::ops::Range;

use sqlparser::ast::Spanned;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::known::known_view;
use crate::model::{expression_range, last_part, plain_arguments, string_literal};
use crate::nearest::nearest;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "unknown-view",
    severity: Severity::Error,
    why: "the service has no table of that name and refuses the query",
    text: "The name is not one of the views that every lake has, and is very like one of them. An operator \
           may have added others: those are known only when a service is asked, and a name that is like \
           none is left to it.",
    bad: "SELECT time, msg FROM log_entry",
    good: "SELECT time, msg FROM log_entries",
};

pub(super) struct UnknownView;

impl Rule for UnknownView {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for table in &model.tables {
            let Some(name) = last_part(table.name) else { continue };
            check_name(context, report, &name, report.source().range(table.name.span()));
        }
        for call in &model.table_calls {
            if call.lowercase != "view_instance" {
                continue;
            }
            let first = plain_arguments(call.arguments).and_then(|arguments| arguments.first().copied());
            let Some((first, name)) = first.and_then(|first| Some((first, string_literal(first)?))) else {
                continue;
            };
            if known_view(name).is_none() {
                check_name(context, report, name, expression_range(report.source(), first));
            }
        }
    }
}

fn check_name(context: &RuleContext<'_>, report: &mut Report<'_>, name: &str, range: Range<usize>) {
    let near = nearest(name, context.view_names());
    if near.is_empty() && !context.is_not_found(name) {
        return;
    }
    let finding = report.add(range, format!("there is no view '{name}'"));
    if !near.is_empty() {
        finding.help(format!("did you mean {}?", near.join(" or ")));
    }
}
