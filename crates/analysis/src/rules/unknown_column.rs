//! `unknown-column`

use sqlparser::ast::Expr;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::{Model, Resolution, SelectId, expression_range, normalized};
use crate::nearest::nearest;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "unknown-column",
    severity: Severity::Error,
    why: "the service has no such column and refuses the query",
    text: "All that the query reads is known, and none of it has a column of that name. Names are in lower \
           case unless they are quoted; text is in single quotes, and what is in double quotes is a name. \
           An alias of the SELECT can be used in GROUP BY, HAVING and ORDER BY, but not in WHERE.",
    bad: r#"SELECT time, message FROM log_entries WHERE level = "2""#,
    good: "SELECT time, msg FROM log_entries WHERE level = 2",
};

pub(super) struct UnknownColumn;

impl Rule for UnknownColumn {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for column in &model.columns {
            if !matches!(column.resolution, Resolution::Missing) {
                continue;
            }
            let name = match column.expression {
                Expr::Identifier(name) => normalized(name),
                Expr::CompoundIdentifier(parts) => match parts.last() {
                    Some(name) => normalized(name),
                    None => continue,
                },
                _ => continue,
            };
            let help = help(model, column.select, column.expression, &name);
            let range = expression_range(report.source(), column.expression);
            report.add(range, format!("there is no column '{name}'")).help(help);
        }
    }
}

fn help(model: &Model<'_>, select: Option<SelectId>, expression: &Expr, name: &str) -> String {
    let Some(id) = select else {
        return "columns need a FROM".to_owned();
    };
    let names = model.column_names(id);
    let near = nearest(name, names.iter().map(AsRef::as_ref));
    if !near.is_empty() {
        return format!("did you mean {}?", near.join(" or "));
    }
    if matches!(expression, Expr::Identifier(ident) if ident.quote_style == Some('"')) {
        return format!("text goes in single quotes: '{name}'");
    }
    if names.is_empty() {
        return "the SELECT has no FROM".to_owned();
    }
    const MOST: usize = 20;
    let mut list = names
        .iter()
        .take(MOST)
        .map(AsRef::as_ref)
        .collect::<Vec<&str>>()
        .join(", ");
    if names.len() > MOST {
        list.push_str(", ...");
    }
    format!("the columns are {list}")
}
