//! `level-compared-with-text`

use std::ops::Range;

use sqlparser::ast::{BinaryOperator, Expr};

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::known::ColumnType;
use crate::model::{expression_range, string_literal};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "level-compared-with-text",
    severity: Severity::Error,
    why: "levels are numbers: a comparison with text finds nothing, or fails while it runs",
    text: "The level of a log entry is a number, and lower is worse: 1 fatal, 2 error, 3 warning, 4 info, 5 \
           debug, 6 trace.",
    bad: "SELECT time, msg FROM log_entries WHERE level = 'ERROR'",
    good: "SELECT time, msg FROM log_entries WHERE level = 2",
};

pub(super) struct LevelComparedWithText;

impl Rule for LevelComparedWithText {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for predicate in &model.predicates {
            let pairs: Vec<(&Expr, &Expr)> = match predicate.expression {
                Expr::BinaryOp { left, right, .. } => vec![(left, right), (right, left)],
                Expr::Between { expr, low, high, .. } => vec![(expr, low), (expr, high)],
                Expr::InList { expr, list, .. } => list.iter().map(|item| (expr.as_ref(), item)).collect(),
                Expr::Like { expr, pattern, .. } | Expr::ILike { expr, pattern, .. } => vec![(expr, pattern)],
                _ => continue,
            };
            for (column, value) in pairs {
                let Some(text) = string_literal(value) else { continue };
                let column = model.known_column(predicate.select, column);
                if column.is_none_or(|column| column.name != "level" || column.column_type != ColumnType::Int32) {
                    continue;
                }
                let range = expression_range(report.source(), value);
                let is_equality = matches!(
                    predicate.expression,
                    Expr::BinaryOp {
                        op: BinaryOperator::Eq | BinaryOperator::NotEq,
                        ..
                    }
                );
                let is_digit = matches!(text.as_bytes(), [b'0'..=b'9']);
                let help = match number_of(text) {
                    Some(number) => format!("write {number}"),
                    None => "1 fatal, 2 error, 3 warning, 4 info, 5 debug, 6 trace".to_owned(),
                };
                let finding = report
                    .add(range.clone(), "the level is a number, and is compared with text")
                    .help(help);
                if is_equality && is_digit && report_text_is(text, &range) {
                    finding.fix(range, text);
                }
            }
        }
    }
}

/// Whether the literal is the quoted text and nothing more, so that it can be replaced as a whole.
fn report_text_is(text: &str, range: &Range<usize>) -> bool {
    range.len() == text.len() + 2
}

fn number_of(text: &str) -> Option<u8> {
    let names: [&[&str]; 6] = [
        &["fatal", "critical"],
        &["error", "err"],
        &["warning", "warn"],
        &["info", "information"],
        &["debug"],
        &["trace", "verbose"],
    ];
    let text = text.trim().to_ascii_lowercase();
    if let Ok(number @ 1..=6) = text.parse() {
        return Some(number);
    }
    (1..)
        .zip(names)
        .find(|(_, names)| names.contains(&text.as_str()))
        .map(|(number, _)| number)
}
