//! Statements as a server understands them.

use std::ops::ControlFlow;

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_query::Result;
use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Select, SelectItem, SetExpr,
    Statement as Sql, TableFactor, Value, visit_expressions,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use super::invalid;

/// A statement that the lake knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// A select from a table, or from a table function with its arguments; with the literals of its conditions.
    Table {
        name: String,
        arguments: Vec<String>,
        literals: Vec<String>,
    },
    ByFile {
        rows: Vec<Vec<String>>,
    },
    ByMetadata {
        /// How many arguments the function is called with.
        arguments: usize,
        rows: Vec<Vec<String>>,
        /// Whether only what is listed is asked for.
        joined: bool,
    },
}

/// # Errors
/// `InvalidQuery` when the lake does not know such statements.
pub(super) fn understood(sql: &str) -> Result<Statement> {
    let unknown = || invalid(format!("a fake lake does not understand {sql}"));
    let parsed = Parser::parse_sql(&GenericDialect {}, sql).map_err(|error| invalid(format!("{sql}: {error}")))?;
    let [Sql::Query(query)] = parsed.as_slice() else {
        return Err(unknown());
    };
    let SetExpr::Select(select) = query.body.as_ref() else {
        return Err(unknown());
    };
    if query.limit_clause.is_some() && sql.contains("retire") {
        return Err(invalid(format!("{sql} would be rolled back")));
    }
    if let Some(function) = called(select) {
        return by_name(select, function).ok_or_else(unknown);
    }
    let [from] = select.from.as_slice() else {
        return Err(unknown());
    };
    let TableFactor::Table { name, args, .. } = &from.relation else {
        return Err(unknown());
    };
    let arguments = args.iter().flat_map(|args| &args.args).map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => literal(expression),
        _ => None,
    });
    Ok(Statement::Table {
        name: name.to_string(),
        arguments: arguments.collect::<Option<_>>().ok_or_else(unknown)?,
        literals: literals(select),
    })
}

/// The function that the only column is.
fn called(select: &Select) -> Option<&Function> {
    match select.projection.as_slice() {
        [
            SelectItem::UnnamedExpr(Expr::Function(function))
            | SelectItem::ExprWithAlias {
                expr: Expr::Function(function),
                ..
            },
        ] => Some(function),
        _ => None,
    }
}

fn by_name(select: &Select, function: &Function) -> Option<Statement> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let factors = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    let rows = factors.clone().find_map(values).unwrap_or_default();
    let joined = factors
        .clone()
        .any(|factor| matches!(factor, TableFactor::Table { .. }));
    match function.name.to_string().as_str() {
        "retire_partition_by_file" => Some(Statement::ByFile { rows }),
        "retire_partition_by_metadata" => Some(Statement::ByMetadata {
            arguments: list.args.len(),
            rows,
            joined,
        }),
        _ => None,
    }
}

/// The rows of `(VALUES ...)`, also within a subquery.
fn values(factor: &TableFactor) -> Option<Vec<Vec<String>>> {
    let TableFactor::Derived { subquery, .. } = factor else {
        return None;
    };
    match subquery.body.as_ref() {
        SetExpr::Values(values) => {
            let rows = values.rows.iter().map(|row| row.iter().map(literal).collect());
            rows.collect()
        }
        SetExpr::Select(select) => select.from.iter().find_map(|from| self::values(&from.relation)),
        _ => None,
    }
}

fn literals(select: &Select) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(selection) = &select.selection {
        let _ = visit_expressions(selection, |expression| {
            if let Expr::BinaryOp { op, right, .. } = expression
                && *op == BinaryOperator::Eq
            {
                found.extend(literal(right));
            }
            ControlFlow::<()>::Continue(())
        });
    }
    found
}

/// A text or a number.
fn literal(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            Value::Number(number, _) => Some(number.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// As the service reads a time: without a zone it fails, and it keeps microseconds.
pub(super) fn parse_time(text: &str) -> Result<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text)
        .map_err(|error| invalid(format!("{text}: {error}")))?
        .with_timezone(&Utc);
    Ok(time - TimeDelta::nanoseconds(i64::from(time.timestamp_subsec_nanos() % 1_000)))
}
