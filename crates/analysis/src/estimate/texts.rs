//! How long the texts of a result are, as far as the query itself tells: what its columns pass on, and what its
//! expressions make of them.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, Schema};
use sqlparser::ast::{BinaryOperator, DataType as SqlType, Expr, Function, SelectItem, SetExpr, Value};

use crate::known::{KnownColumn, printed_bytes, typical_bytes};
use crate::learnt::key;
use crate::model::{Model, Resolution, call_arguments, last_part, string_literal, unnested};
use crate::{LearntLengths, SizeBasis, SizeModel};

/// How deep expressions are looked into.
const DEEPEST: usize = 40;

/// The length of a UUID as text.
const UUID_BYTES: f64 = 36.0;

/// Puts into a model of sizes what the query tells of its columns, where the model knows nothing; gives what each stands on.
pub(super) fn apply(
    model: &Model<'_>,
    learnt: &LearntLengths,
    schema: &Schema,
    sizes: &mut SizeModel,
) -> BTreeMap<String, SizeBasis> {
    let mut bases = BTreeMap::new();
    let outputs = model.top().and_then(|top| top.output()).unwrap_or_default();
    if outputs.len() != schema.fields().len() {
        return bases;
    }
    let texts = Texts { model, learnt };
    let expressions = projection(model).filter(|items| items.len() == outputs.len());
    for (index, (field, output)) in schema.fields().iter().zip(outputs).enumerate() {
        if sizes.known_bytes.contains_key(field.name()) || sizes.basis_of(field) != SizeBasis::Assumed {
            continue;
        }
        let known = match model.base_column(output.origin) {
            Some((scan, column)) => learnt
                .by_key(&key(Some(model.scans[scan].view.name), column.name))
                .map(|bytes| (bytes, SizeBasis::Learnt))
                .or_else(|| Some((typical_bytes(column)?, SizeBasis::Typical))),
            None if is_text(field) => expressions
                .as_ref()
                .and_then(|items| texts.length(items[index], DEEPEST))
                .map(|bytes| (bytes, SizeBasis::Computed)),
            None => None,
        };
        if let Some((bytes, basis)) = known {
            sizes.known_bytes.insert(field.name().clone(), bytes);
            bases.insert(field.name().clone(), basis);
        }
    }
    bases
}

fn is_text(field: &Field) -> bool {
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match field.data_type() {
        DataType::Dictionary(_, value) => is_text(value),
        other => is_text(other),
    }
}

/// The expressions of the result, when they are written out and belong to one `SELECT`.
fn projection<'a>(model: &Model<'a>) -> Option<Vec<&'a Expr>> {
    let SetExpr::Select(select) = model.top()?.query.body.as_ref() else {
        return None;
    };
    select
        .projection
        .iter()
        .map(|item| match item {
            SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => {
                Some(expression)
            }
            _ => None,
        })
        .collect()
}

struct Texts<'m, 'a> {
    model: &'m Model<'a>,
    learnt: &'m LearntLengths,
}

impl Texts<'_, '_> {
    /// The average length of the text that an expression makes, in bytes; `None` when it is not known.
    fn length(&self, expression: &Expr, depth: usize) -> Option<f64> {
        let next = depth.checked_sub(1)?;
        match unnested(expression) {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text.len() as f64),
                Value::Null => Some(0.0),
                _ => None,
            },
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.of_column(expression),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::StringConcat,
                right,
            } => Some(self.printed(left, next)? + self.printed(right, next)?),
            Expr::Cast { expr, data_type, .. } if is_text_type(data_type) => self.printed(expr, next),
            Expr::Substring {
                expr, substring_for, ..
            } => self.cut(expr, substring_for.as_deref(), next),
            Expr::Trim { expr, .. } => self.length(expr, next),
            Expr::Case {
                conditions,
                else_result,
                ..
            } => {
                let results = conditions.iter().map(|condition| &condition.result);
                let lengths: Vec<f64> = results
                    .chain(else_result.as_deref())
                    .map(|result| self.length(result, next))
                    .collect::<Option<_>>()?;
                Some(lengths.iter().sum::<f64>() / lengths.len().max(1) as f64)
            }
            Expr::Function(function) => self.of_call(function, next),
            _ => None,
        }
    }

    /// The length of an expression as text, of a number too.
    fn printed(&self, expression: &Expr, depth: usize) -> Option<f64> {
        let number = || printed_bytes(self.column(expression)?);
        self.length(expression, depth).or_else(number)
    }

    fn column(&self, expression: &Expr) -> Option<&'static KnownColumn> {
        // In a query without one SELECT at its top, names are looked up in none.
        let (_, column) = self.model.base_column(self.resolve(expression))?;
        Some(column)
    }

    fn resolve(&self, expression: &Expr) -> Resolution {
        let top = self.model.selects.iter().position(|select| select.query == 0);
        self.model.resolve(top, expression)
    }

    fn of_column(&self, expression: &Expr) -> Option<f64> {
        let (scan, column) = self.model.base_column(self.resolve(expression))?;
        let view = self.model.scans[scan].view.name;
        let is_uuid = matches!(
            column.name,
            "process_id" | "stream_id" | "block_id" | "parent_process_id"
        );
        self.learnt
            .by_key(&key(Some(view), column.name))
            .or_else(|| is_uuid.then_some(UUID_BYTES))
            .or_else(|| typical_bytes(column))
    }

    fn of_call(&self, function: &Function, depth: usize) -> Option<f64> {
        let name = last_part(&function.name)?.to_ascii_lowercase();
        let arguments = call_arguments(&function.args)?;
        let first = *arguments.first()?;
        let all = |arguments: &[&Expr]| -> Option<f64> {
            arguments.iter().map(|argument| self.printed(argument, depth)).sum()
        };
        match name.as_str() {
            "upper" | "lower" | "trim" | "btrim" | "ltrim" | "rtrim" | "initcap" | "reverse" | "replace" | "min"
            | "max" | "first_value" | "last_value" | "nth_value" | "lag" | "lead" | "coalesce" | "nvl" | "nullif"
            | "arrow_cast" => self.length(first, depth),
            "concat" => all(&arguments),
            "concat_ws" => {
                let rest = arguments.get(1..)?;
                Some(all(rest)? + self.length(first, depth)? * rest.len().saturating_sub(1) as f64)
            }
            "left" | "right" => self.cut(first, arguments.get(1).copied(), depth),
            "substr" | "substring" => self.cut(first, arguments.get(2).copied(), depth),
            "lpad" | "rpad" => number(arguments.get(1)?),
            "md5" => Some(32.0),
            _ => None,
        }
    }

    /// The first so many characters of a text, or what there is of it.
    fn cut(&self, text: &Expr, most: Option<&Expr>, depth: usize) -> Option<f64> {
        let whole = self.length(text, depth);
        match (whole, most.and_then(number)) {
            (Some(whole), Some(most)) => Some(whole.min(most)),
            (one, other) => one.or(other),
        }
    }
}

fn number(expression: &Expr) -> Option<f64> {
    match unnested(expression) {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => string_literal(expression)?.parse().ok(),
    }
}

fn is_text_type(data_type: &SqlType) -> bool {
    matches!(
        data_type,
        SqlType::Varchar(_) | SqlType::Text | SqlType::String(_) | SqlType::Char(_) | SqlType::CharacterVarying(_)
    )
}
