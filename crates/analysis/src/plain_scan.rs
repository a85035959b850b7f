//! Queries whose number of rows is that of what they read.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, GroupByExpr, ObjectName, Query, Select, SelectItem, SetExpr, Statement,
    TableFactor, Value,
};

use crate::source::Source;
use crate::syntax;

/// A view instance that a query reads whole: every row of it in the time range is a row of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainScan {
    /// The view set.
    pub view_set: String,
    /// The view instance: `global`, a process id or a stream id.
    pub instance: String,
}

/// The view instance that a query reads row by row with no filter, or `None` for any other query.
///
/// This is a whitelist: one statement, one table, a projection of columns, literals and casts. `ORDER BY` is allowed, since
/// it changes no row count.
pub fn plain_scan(sql: &str) -> Option<PlainScan> {
    let statements = syntax::parse(&Source::new(sql));
    match statements.as_slice() {
        [only] => match &only.parsed {
            Ok(Statement::Query(query)) => of_query(query),
            _ => None,
        },
        _ => None,
    }
}

fn of_query(query: &Query) -> Option<PlainScan> {
    let bare = query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    match query.body.as_ref() {
        SetExpr::Select(select) if bare && keeps_rows(select) => of_table(select),
        _ => None,
    }
}

fn keeps_rows(select: &Select) -> bool {
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(keys, modifiers) if keys.is_empty() && modifiers.is_empty());
    ungrouped
        && select.distinct.is_none()
        && select.top.is_none()
        && select.selection.is_none()
        && select.having.is_none()
        && select.qualify.is_none()
        && select.lateral_views.is_empty()
        && select.projection.iter().all(|item| match item {
            SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => {
                is_plain(expression)
            }
            SelectItem::Wildcard(_) => true,
            _ => false,
        })
}

fn is_plain(expression: &Expr) -> bool {
    match expression {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => true,
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_plain(expr),
        _ => false,
    }
}

fn of_table(select: &Select) -> Option<PlainScan> {
    let [table] = select.from.as_slice() else { return None };
    if !table.joins.is_empty() {
        return None;
    }
    let TableFactor::Table { name, args, sample, .. } = &table.relation else {
        return None;
    };
    if sample.is_some() {
        return None;
    }
    let name = single_name(name)?;
    match args {
        None => Some(PlainScan {
            view_set: name,
            instance: "global".to_owned(),
        }),
        Some(arguments) if name == "view_instance" => match arguments.args.as_slice() {
            [view_set, instance] => Some(PlainScan {
                view_set: text(view_set)?,
                instance: text(instance)?,
            }),
            _ => None,
        },
        Some(_) => None,
    }
}

fn single_name(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => {
            let identifier = part.as_ident()?;
            Some(match identifier.quote_style {
                None => identifier.value.to_lowercase(),
                Some(_) => identifier.value.clone(),
            })
        }
        _ => None,
    }
}

fn text(argument: &FunctionArg) -> Option<String> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: Option<(&str, &str)>) {
        let found = plain_scan(sql);
        let found = found
            .as_ref()
            .map(|scan| (scan.view_set.as_str(), scan.instance.as_str()));
        assert_eq!(found, expected, "{sql}");
    }

    #[test]
    fn scans_are_told_from_what_changes_the_number_of_rows() {
        let global = Some(("log_entries", "global"));
        check("SELECT * FROM log_entries", global);
        check(
            "select time, msg AS text, CAST(level AS BIGINT) from LOG_ENTRIES order by time -- LIMIT 5",
            global,
        );
        check(
            "SELECT msg FROM view_instance('log_entries', 'it''s')",
            Some(("log_entries", "it's")),
        );
        for sql in [
            "SELECT count(*) FROM log_entries",
            "SELECT DISTINCT level FROM log_entries",
            "SELECT level FROM log_entries GROUP BY level",
            "SELECT msg FROM log_entries WHERE level < 3",
            "SELECT msg FROM log_entries LIMIT 5",
            "SELECT unnest(tags) FROM streams",
            "SELECT a.msg FROM log_entries a, log_entries b",
            "SELECT msg FROM log_entries UNION ALL SELECT msg FROM log_entries",
            "SELECT msg FROM list_partitions()",
            "SELECT msg FROM log_entries; SELECT 1",
            "SELECT",
            "",
        ] {
            check(sql, None);
        }
    }
}
