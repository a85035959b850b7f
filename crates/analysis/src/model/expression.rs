//! Looking into expressions without recursion, so that no expression is too deep.

use std::borrow::Cow;
use std::ops::Range;

use sqlparser::ast::{
    AccessExpr, CeilFloorKind, Expr, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident,
    ObjectName, OrderByExpr, Query, Spanned, Subscript, Value, WindowSpec, WindowType,
};
use sqlparser::tokenizer::Location;

use crate::source::Source;

/// A name as DataFusion understands it: in lower case unless it is quoted.
pub(crate) fn normalized(ident: &Ident) -> Cow<'_, str> {
    if ident.quote_style.is_some() || !ident.value.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Borrowed(&ident.value)
    } else {
        Cow::Owned(ident.value.to_ascii_lowercase())
    }
}

/// The last part of a name with dots, as [`normalized`] has it.
pub(crate) fn last_part(name: &ObjectName) -> Option<Cow<'_, str>> {
    name.0.last().and_then(|part| part.as_ident()).map(normalized)
}

/// The expression inside brackets.
pub(crate) fn unnested(mut expression: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expression {
        expression = inner;
    }
    expression
}

/// The text of a string literal.
pub(crate) fn string_literal(expression: &Expr) -> Option<&str> {
    match unnested(expression) {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// The arguments of a function that are plain expressions, in order; `None` when one is something else.
pub(crate) fn plain_arguments(arguments: &[FunctionArg]) -> Option<Vec<&Expr>> {
    arguments
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
            _ => None,
        })
        .collect()
}

/// The arguments of a call in an expression, where all are plain expressions.
pub(crate) fn call_arguments(arguments: &FunctionArguments) -> Option<Vec<&Expr>> {
    match arguments {
        FunctionArguments::List(list) => plain_arguments(&list.args),
        FunctionArguments::None => Some(Vec::new()),
        FunctionArguments::Subquery(_) => None,
    }
}

/// Where an expression begins, without the brackets around it, as the parser counts.
pub(crate) fn first_place(expression: &Expr) -> Location {
    let mut first = expression;
    while let Some(left) = left_operand(first) {
        first = left;
    }
    first.span().start
}

/// The byte range of an expression, without the brackets around it. The parser keeps no place for some; those are
/// empty and at the beginning of the text.
pub(crate) fn expression_range(source: &Source<'_>, expression: &Expr) -> Range<usize> {
    // The parser's own span recurses along chains of operators, which may be thousands long.
    let mut first = expression;
    let mut last = expression;
    while let Some(left) = left_operand(first) {
        first = left;
    }
    while let Expr::BinaryOp { right, .. } = last {
        last = right;
    }
    if std::ptr::eq(first, expression) {
        return source.range(expression.span());
    }
    let last = if left_operand(last).is_some() {
        own_end(last)
    } else {
        last.span()
    };
    source.offset(first.span().start)..source.offset(last.end)
}

/// The span of what stands to the right of a chain that ends in a postfix operator.
fn own_end(expression: &Expr) -> sqlparser::tokenizer::Span {
    match expression {
        Expr::Between { high, .. } => high.span(),
        Expr::Like { pattern, .. } | Expr::ILike { pattern, .. } | Expr::SimilarTo { pattern, .. } => pattern.span(),
        Expr::InList { list, .. } => list
            .last()
            .map_or_else(sqlparser::tokenizer::Span::empty, Spanned::span),
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => right.span(),
        Expr::InSubquery { subquery, .. } => subquery.span(),
        other => {
            let mut inner = other;
            while let Some(left) = left_operand(inner) {
                inner = left;
            }
            inner.span()
        }
    }
}

/// What stands to the left of an operator, for those that chain.
fn left_operand(expression: &Expr) -> Option<&Expr> {
    match expression {
        Expr::BinaryOp { left, .. } | Expr::AnyOp { left, .. } | Expr::AllOp { left, .. } => Some(left),
        Expr::Between { expr, .. }
        | Expr::Like { expr, .. }
        | Expr::ILike { expr, .. }
        | Expr::SimilarTo { expr, .. }
        | Expr::RLike { expr, .. }
        | Expr::InList { expr, .. }
        | Expr::InSubquery { expr, .. }
        | Expr::InUnnest { expr, .. }
        | Expr::IsNull(expr)
        | Expr::IsNotNull(expr)
        | Expr::IsTrue(expr)
        | Expr::IsNotTrue(expr)
        | Expr::IsFalse(expr)
        | Expr::IsNotFalse(expr)
        | Expr::IsUnknown(expr)
        | Expr::IsNotUnknown(expr)
        | Expr::IsDistinctFrom(expr, _)
        | Expr::IsNotDistinctFrom(expr, _)
        | Expr::Collate { expr, .. }
        | Expr::AtTimeZone { timestamp: expr, .. } => Some(expr),
        // A cast in front, `CAST(x AS t)`, has its operand within.
        Expr::Cast { expr, .. } => Some(expr),
        _ => None,
    }
}

/// What lies directly within an expression: put in the order of the text onto the two lists.
pub(crate) fn push_children<'a>(expression: &'a Expr, inside: &mut Vec<&'a Expr>, queries: &mut Vec<&'a Query>) {
    match expression {
        Expr::BinaryOp { left, right, .. }
        | Expr::AnyOp { left, right, .. }
        | Expr::AllOp { left, right, .. }
        | Expr::IsDistinctFrom(left, right)
        | Expr::IsNotDistinctFrom(left, right) => inside.extend([left.as_ref(), right.as_ref()]),
        Expr::Between { expr, low, high, .. } => inside.extend([expr.as_ref(), low.as_ref(), high.as_ref()]),
        Expr::Like { expr, pattern, .. }
        | Expr::ILike { expr, pattern, .. }
        | Expr::SimilarTo { expr, pattern, .. }
        | Expr::RLike { expr, pattern, .. } => inside.extend([expr.as_ref(), pattern.as_ref()]),
        Expr::InList { expr, list, .. } => {
            inside.push(expr);
            inside.extend(list);
        }
        Expr::InSubquery { expr, subquery, .. } => {
            inside.push(expr);
            queries.push(subquery);
        }
        Expr::Exists { subquery, .. } | Expr::Subquery(subquery) => queries.push(subquery),
        Expr::Function(function) => push_call(function, inside, queries),
        Expr::Case {
            operand,
            conditions,
            else_result,
            ..
        } => {
            inside.extend(operand.as_deref());
            inside.extend(conditions.iter().flat_map(|when| [&when.condition, &when.result]));
            inside.extend(else_result.as_deref());
        }
        Expr::Substring {
            expr,
            substring_from,
            substring_for,
            ..
        } => {
            inside.push(expr);
            inside.extend(substring_from.as_deref());
            inside.extend(substring_for.as_deref());
        }
        Expr::Trim {
            expr,
            trim_what,
            trim_characters,
            ..
        } => {
            inside.push(expr);
            inside.extend(trim_what.as_deref());
            inside.extend(trim_characters.iter().flatten());
        }
        Expr::Overlay {
            expr,
            overlay_what,
            overlay_from,
            overlay_for,
        } => {
            inside.extend([expr.as_ref(), overlay_what.as_ref(), overlay_from.as_ref()]);
            inside.extend(overlay_for.as_deref());
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            inside.push(root);
            access_chain.iter().for_each(|access| push_access(access, inside));
        }
        other => push_wrapped(other, inside),
    }
}

/// The rest of [`push_children`]: what wraps one expression, or a plain list of them.
fn push_wrapped<'a>(expression: &'a Expr, inside: &mut Vec<&'a Expr>) {
    match expression {
        Expr::Nested(expr)
        | Expr::IsFalse(expr)
        | Expr::IsNotFalse(expr)
        | Expr::IsTrue(expr)
        | Expr::IsNotTrue(expr)
        | Expr::IsNull(expr)
        | Expr::IsNotNull(expr)
        | Expr::IsUnknown(expr)
        | Expr::IsNotUnknown(expr)
        | Expr::IsNormalized { expr, .. }
        | Expr::UnaryOp { expr, .. }
        | Expr::Cast { expr, .. }
        | Expr::Convert { expr, .. }
        | Expr::Extract { expr, .. }
        | Expr::Collate { expr, .. }
        | Expr::Named { expr, .. }
        | Expr::OuterJoin(expr)
        | Expr::Prior(expr)
        | Expr::Prefixed { value: expr, .. }
        | Expr::JsonAccess { value: expr, .. } => inside.push(expr),
        Expr::Ceil { expr, field } | Expr::Floor { expr, field } => {
            inside.push(expr);
            debug_assert!(matches!(
                field,
                CeilFloorKind::DateTimeField(_) | CeilFloorKind::Scale(_)
            ));
        }
        Expr::AtTimeZone { timestamp, time_zone } => inside.extend([timestamp.as_ref(), time_zone.as_ref()]),
        Expr::Position { expr, r#in } => inside.extend([expr.as_ref(), r#in.as_ref()]),
        Expr::InUnnest { expr, array_expr, .. } => inside.extend([expr.as_ref(), array_expr.as_ref()]),
        Expr::MemberOf(member) => inside.extend([member.value.as_ref(), member.array.as_ref()]),
        Expr::Interval(interval) => inside.push(&interval.value),
        Expr::Tuple(list) => inside.extend(list),
        Expr::Array(array) => inside.extend(&array.elem),
        Expr::Struct { values, .. } => inside.extend(values),
        Expr::GroupingSets(lists) | Expr::Cube(lists) | Expr::Rollup(lists) => inside.extend(lists.iter().flatten()),
        Expr::Dictionary(fields) => inside.extend(fields.iter().map(|field| field.value.as_ref())),
        Expr::Map(map) => inside.extend(
            map.entries
                .iter()
                .flat_map(|entry| [entry.key.as_ref(), entry.value.as_ref()]),
        ),
        // Names and literals have nothing in them, and the names in a lambda are its own.
        _ => {}
    }
}

fn push_access<'a>(access: &'a AccessExpr, inside: &mut Vec<&'a Expr>) {
    match access {
        // A field by its name is not a column.
        AccessExpr::Dot(_) => {}
        AccessExpr::Subscript(Subscript::Index { index }) => inside.push(index),
        AccessExpr::Subscript(Subscript::Slice {
            lower_bound,
            upper_bound,
            stride,
        }) => inside.extend([lower_bound, upper_bound, stride].into_iter().flatten()),
    }
}

fn push_call<'a>(function: &'a sqlparser::ast::Function, inside: &mut Vec<&'a Expr>, queries: &mut Vec<&'a Query>) {
    match &function.args {
        FunctionArguments::None => {}
        FunctionArguments::Subquery(query) => queries.push(query),
        FunctionArguments::List(list) => {
            for argument in &list.args {
                let (FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg)) =
                    argument;
                if let FunctionArgExpr::Expr(expression) = arg {
                    inside.push(expression);
                }
            }
            for clause in &list.clauses {
                if let FunctionArgumentClause::OrderBy(order) = clause {
                    push_order(order, inside);
                }
            }
        }
    }
    push_order(&function.within_group, inside);
    inside.extend(function.filter.as_deref());
    if let Some(WindowType::WindowSpec(window)) = &function.over {
        push_window(window, inside);
    }
}

pub(crate) fn push_window<'a>(window: &'a WindowSpec, inside: &mut Vec<&'a Expr>) {
    inside.extend(&window.partition_by);
    push_order(&window.order_by, inside);
}

fn push_order<'a>(order: &'a [OrderByExpr], inside: &mut Vec<&'a Expr>) {
    inside.extend(order.iter().map(|item| &item.expr));
}
