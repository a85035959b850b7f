//! `naive-timestamp`

use sqlparser::ast::{DataType, Expr, TypedString, Value};

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::known::ColumnType;
use crate::model::{Model, SelectId, parse_timestamp, unnested};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "naive-timestamp",
    severity: Severity::Hint,
    why: "the service takes a time without a zone for UTC, which may not be what was meant",
    text: "A time column is compared with text that names no zone. It is taken for UTC, whatever the zone \
           of whoever wrote it. Say so: end it with Z, or give the offset.",
    bad: "SELECT count(*) FROM log_entries WHERE time >= '2026-01-31 12:00:00'",
    good: "SELECT count(*) FROM log_entries WHERE time >= '2026-01-31 12:00:00Z'",
};

pub(super) struct NaiveTimestamp;

impl Rule for NaiveTimestamp {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for predicate in &model.predicates {
            let (column, values): (&Expr, Vec<&Expr>) = match predicate.expression {
                Expr::BinaryOp { left, right, .. } => {
                    check_value(model, report, predicate.select, right, left);
                    (left, vec![right])
                }
                Expr::Between { expr, low, high, .. } => (expr, vec![low, high]),
                Expr::InList { expr, list, .. } => (expr, list.iter().collect()),
                _ => continue,
            };
            for value in values {
                check_value(model, report, predicate.select, column, value);
            }
        }
    }
}

fn check_value(model: &Model<'_>, report: &mut Report<'_>, select: Option<SelectId>, column: &Expr, value: &Expr) {
    let literal = match unnested(value) {
        Expr::Value(literal) => literal,
        Expr::TypedString(TypedString {
            data_type: DataType::Timestamp(..),
            value,
            ..
        }) => value,
        _ => return,
    };
    let Value::SingleQuotedString(text) = &literal.value else {
        return;
    };
    let Some(timestamp) = parse_timestamp(text).filter(|timestamp| !timestamp.has_zone) else {
        return;
    };
    if model
        .known_column(select, column)
        .is_none_or(|column| column.column_type != ColumnType::Time)
    {
        return;
    }
    let range = report.source().range(literal.span);
    // Only a literal that stands in the text as it is read can be edited in place.
    let is_verbatim = report
        .source()
        .text()
        .get(range.clone())
        .is_some_and(|written| written == format!("'{text}'"));
    let suffix = if timestamp.is_date { "T00:00:00Z" } else { "Z" };
    let at = range.end.saturating_sub(1);
    let finding = report
        .add(range, format!("'{text}' names no time zone"))
        .help(format!("write '{text}{suffix}' if it is UTC, or give the offset"));
    if is_verbatim && !text.ends_with(' ') {
        finding.fix(at..at, suffix);
    }
}
