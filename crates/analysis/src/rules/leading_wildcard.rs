//! `leading-wildcard`

use sqlparser::ast::Expr;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::{Clause, expression_range, string_literal};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "leading-wildcard",
    severity: Severity::Hint,
    why: "a pattern that begins with a wildcard skips nothing: every row is tested",
    text: "A pattern with a fixed beginning can skip parts of a file by their smallest and largest values. \
           One that begins with % or _ tests every row that the time range leaves. Where only a part of the \
           text matters that is what it takes: then keep the time range short, and put cheap conditions \
           such as level and target beside it.",
    bad: "SELECT time, msg FROM log_entries WHERE target LIKE '%http'",
    good: "SELECT time, msg FROM log_entries WHERE target LIKE 'http%'",
};

pub(super) struct LeadingWildcard;

impl Rule for LeadingWildcard {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for predicate in &model.predicates {
            let (Expr::Like { pattern, .. } | Expr::ILike { pattern, .. }) = predicate.expression else {
                continue;
            };
            if !matches!(predicate.clause, Clause::Where | Clause::From) {
                continue;
            }
            if string_literal(pattern).is_some_and(|text| text.len() > 1 && text.starts_with(['%', '_'])) {
                let range = expression_range(report.source(), pattern);
                report
                    .add(range, "the pattern begins with a wildcard")
                    .help("begin it with fixed text if you can, and keep the time range short");
            }
        }
    }
}
