//! The part of the walk that reads a `FROM`.

use std::borrow::Cow;

use sqlparser::ast::{
    FunctionArg, FunctionArgExpr, Join, JoinConstraint, JoinOperator, ObjectName, TableFactor, TableWithJoins,
};

use super::build::Builder;
use super::expression::{last_part, normalized, plain_arguments, string_literal};
use super::{Clause, InstanceRef, Interval, Role, Scan, SelectId, SourceColumns, SourceNode, TableCall, UnknownTable};
use crate::known::{known_table_function, known_view};

impl<'a> Builder<'a> {
    pub(super) fn table_with_joins(&mut self, table: &'a TableWithJoins, select: SelectId, item: usize) {
        self.factor(&table.relation, select, item, None);
        for join in &table.joins {
            self.factor(&join.relation, select, item, Some(join));
            if let Some(JoinConstraint::On(condition)) = join_constraint(&join.join_operator) {
                self.expression(condition, Some(select), Clause::From);
            }
        }
    }

    fn factor(&mut self, factor: &'a TableFactor, select: SelectId, item: usize, join: Option<&'a Join>) {
        let (columns, alias, own_name) = match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => (self.table(name, select), alias, last_part(name)),
            TableFactor::Table {
                name,
                alias,
                args: Some(args),
                ..
            } => (self.table_call(name, &args.args, select), alias, last_part(name)),
            TableFactor::Function { name, alias, args, .. } => {
                (self.table_call(name, args, select), alias, last_part(name))
            }
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                ..
            } => {
                let parent = if *lateral {
                    Some(select)
                } else {
                    self.model.selects[select].parent
                };
                let query = self.query(subquery, Role::Derived, parent);
                if let Some(alias) = alias.as_ref().filter(|alias| !alias.columns.is_empty()) {
                    self.rename(query, alias);
                }
                (SourceColumns::Query(query), alias, None)
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => {
                self.table_with_joins(table_with_joins, select, item);
                // The join that brings the whole belongs to its first part; what matters is that there is one.
                return;
            }
            TableFactor::UNNEST { alias, array_exprs, .. } => {
                for expression in array_exprs {
                    self.expression(expression, Some(select), Clause::From);
                }
                (SourceColumns::Unknown, alias, None)
            }
            TableFactor::TableFunction { alias, .. }
            | TableFactor::NestedJoin { alias, .. }
            | TableFactor::Pivot { alias, .. }
            | TableFactor::Unpivot { alias, .. } => (SourceColumns::Unknown, alias, None),
            _ => (SourceColumns::Unknown, &None, None),
        };
        let renames = alias.as_ref().is_some_and(|alias| !alias.columns.is_empty());
        let columns = match columns {
            SourceColumns::Scan(_) | SourceColumns::TableFunction(_) if renames => SourceColumns::Unknown,
            other => other,
        };
        self.model.selects[select].sources.push(SourceNode {
            name: alias.as_ref().map(|alias| normalized(&alias.name)).or(own_name),
            columns,
            join,
            item,
        });
    }

    fn table(&mut self, name: &'a ObjectName, select: SelectId) -> SourceColumns {
        let Some(last) = last_part(name) else {
            return SourceColumns::Unknown;
        };
        if name.0.len() == 1
            && let Some((_, query)) = self.ctes.iter().rev().find(|(cte, _)| *cte == last)
        {
            return match self.model.queries.get_mut(*query) {
                Some(node) => {
                    node.uses += 1;
                    SourceColumns::Query(*query)
                }
                None => SourceColumns::Unknown,
            };
        }
        if !is_default_schema(name) {
            return SourceColumns::Unknown;
        }
        match known_view(&last) {
            Some(view) => self.scan(Scan {
                view,
                instance: InstanceRef::Global,
                name,
                select,
                own: Interval::default(),
                outer: Interval::default(),
            }),
            None => {
                self.model.tables.push(UnknownTable { name });
                SourceColumns::Unknown
            }
        }
    }

    fn scan(&mut self, scan: Scan<'a>) -> SourceColumns {
        self.model.scans.push(scan);
        SourceColumns::Scan(self.model.scans.len() - 1)
    }

    fn table_call(&mut self, name: &'a ObjectName, arguments: &'a [FunctionArg], select: SelectId) -> SourceColumns {
        for argument in arguments {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) = argument {
                self.expression(expression, Some(select), Clause::From);
            }
        }
        let Some(lowercase) = last_part(name) else {
            return SourceColumns::Unknown;
        };
        let function = known_table_function(&lowercase);
        if lowercase == "view_instance"
            && let Some(scan) = view_instance(name, arguments, select)
        {
            self.model.table_calls.push(TableCall {
                name,
                lowercase,
                arguments,
            });
            return self.scan(scan);
        }
        self.model.table_calls.push(TableCall {
            name,
            lowercase,
            arguments,
        });
        function.map_or(SourceColumns::Unknown, SourceColumns::TableFunction)
    }
}

/// The condition of a join.
pub(crate) fn join_constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint)
        | JoinOperator::StraightJoin(constraint)
        | JoinOperator::AsOf { constraint, .. } => Some(constraint),
        JoinOperator::CrossApply
        | JoinOperator::OuterApply
        | JoinOperator::ArrayJoin
        | JoinOperator::LeftArrayJoin
        | JoinOperator::InnerArrayJoin => None,
    }
}

/// Whether a name is looked up where the views are: alone, or with the schema of the service in front.
fn is_default_schema(name: &ObjectName) -> bool {
    let mut parts = name.0.iter().rev().skip(1).map(|part| part.as_ident().map(normalized));
    let is =
        |part: Option<Option<Cow<'_, str>>>, expected: &str| part.is_none_or(|part| part.as_deref() == Some(expected));
    is(parts.next(), "public") && is(parts.next(), "datafusion")
}

fn view_instance<'a>(name: &'a ObjectName, arguments: &'a [FunctionArg], select: SelectId) -> Option<Scan<'a>> {
    let arguments = plain_arguments(arguments)?;
    let [view_set, instance] = arguments.as_slice() else {
        return None;
    };
    let view = known_view(string_literal(view_set)?)?;
    Some(Scan {
        view,
        instance: match string_literal(instance) {
            Some(id) => InstanceRef::Literal(id, instance),
            None => InstanceRef::Dynamic,
        },
        name,
        select,
        own: Interval::default(),
        outer: Interval::default(),
    })
}
