//! The walk that makes the model.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, Function, GroupByExpr, Ident, JoinConstraint, JoinOperator, LimitClause,
    NamedWindowExpr, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias,
    WildcardAdditionalOptions,
};

use super::expression::{last_part, normalized, push_children, push_window, unnested};
use super::from::join_constraint;
use super::{
    Call, Clause, ColumnUse, Model, OutputColumn, Predicate, QueryId, QueryNode, Resolution, Role, ScanId, SelectId,
    SelectNode, SourceColumns, SourceNode,
};
use crate::known::function_kind;

/// Makes the model of a query.
pub(crate) fn build<'a>(query: &'a Query, now: DateTime<Utc>) -> Model<'a> {
    let mut builder = Builder {
        model: Model {
            now,
            ..Model::default()
        },
        ctes: Vec::new(),
        stack: Vec::new(),
    };
    builder.query(query, Role::Top, None);
    builder.model
}

pub(super) struct Builder<'a> {
    pub(super) model: Model<'a>,
    /// The queries of `WITH` that can be named here; the last of a name hides those before it.
    pub(super) ctes: Vec<(Cow<'a, str>, QueryId)>,
    /// Expressions still to be looked into.
    stack: Vec<&'a Expr>,
}

impl<'a> Builder<'a> {
    pub(super) fn query(&mut self, query: &'a Query, role: Role, parent: Option<SelectId>) -> QueryId {
        let id = self.model.queries.len();
        self.model.queries.push(QueryNode {
            query,
            role,
            uses: usize::from(role != Role::Cte),
            branches: Vec::new(),
        });
        let visible = self.ctes.len();
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                self.cte(&cte.alias, &cte.query, with.recursive, parent);
            }
        }
        let first_select = self.model.selects.len();
        self.body(&query.body, id, parent);
        let scope = match query.body.as_ref() {
            SetExpr::Select(_) => Some(first_select),
            _ => None,
        };
        self.after_body(query, scope);
        self.ctes.truncate(visible);
        id
    }

    fn cte(&mut self, alias: &'a TableAlias, query: &'a Query, recursive: bool, parent: Option<SelectId>) {
        let name = normalized(&alias.name);
        if recursive {
            // It may name itself. Its columns are not known until it has been walked, nor are they asked for after.
            self.ctes.push((name.clone(), usize::MAX));
            let id = self.query(query, Role::Cte, parent);
            self.model.queries[id].uses += 1;
            self.ctes.pop();
            self.ctes.push((name, id));
        } else {
            let id = self.query(query, Role::Cte, parent);
            self.ctes.push((name, id));
        }
        if !alias.columns.is_empty()
            && let Some((_, id)) = self.ctes.last()
        {
            self.rename(*id, alias);
        }
    }

    /// Gives the columns of a query the names of `AS t(a, b)`.
    pub(super) fn rename(&mut self, query: QueryId, alias: &'a TableAlias) {
        for branch in &mut self.model.queries[query].branches {
            match branch {
                Some(columns) if columns.len() >= alias.columns.len() => {
                    for (column, name) in columns.iter_mut().zip(&alias.columns) {
                        column.name = Some(normalized(&name.name));
                        column.ident = Some(&name.name);
                    }
                }
                other => *other = None,
            }
        }
    }

    /// Walks the operands of a set operation from left to right, without recursion along a chain of them.
    fn body(&mut self, body: &'a SetExpr, query: QueryId, parent: Option<SelectId>) {
        let mut open = vec![body];
        while let Some(next) = open.pop() {
            match next {
                SetExpr::Select(select) => {
                    let output = self.select(select, query, parent);
                    self.model.queries[query].branches.push(output);
                }
                SetExpr::Query(inner) => {
                    let inner = self.query(inner, Role::Operand, parent);
                    let branches = self.model.queries[inner].branches.clone();
                    self.model.queries[query].branches.extend(branches);
                }
                SetExpr::SetOperation { left, right, .. } => open.extend([right.as_ref(), left.as_ref()]),
                SetExpr::Values(values) => {
                    for expression in values.rows.iter().flat_map(|row| row.iter()) {
                        self.expression(expression, None, Clause::Values);
                    }
                    self.model.queries[query].branches.push(None);
                }
                _ => self.model.queries[query].branches.push(None),
            }
        }
    }

    fn after_body(&mut self, query: &'a Query, scope: Option<SelectId>) {
        if let Some(order_by) = &query.order_by
            && let OrderByKind::Expressions(list) = &order_by.kind
        {
            for item in list {
                self.expression(&item.expr, scope, Clause::OrderBy);
            }
        }
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                for expression in limit.iter().chain(offset.iter().map(|offset| &offset.value)) {
                    self.expression(expression, None, Clause::Limit);
                }
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                self.expression(offset, None, Clause::Limit);
                self.expression(limit, None, Clause::Limit);
            }
            None => {}
        }
    }

    fn select(
        &mut self,
        select: &'a Select,
        query: QueryId,
        parent: Option<SelectId>,
    ) -> Option<Vec<OutputColumn<'a>>> {
        let id = self.model.selects.len();
        self.model.selects.push(SelectNode {
            select,
            query,
            parent,
            sources: Vec::new(),
        });
        for (item, table) in select.from.iter().enumerate() {
            self.table_with_joins(table, id, item);
        }
        self.clauses(select, id);
        self.bounds(select, id);
        self.output(select, id)
    }

    fn clauses(&mut self, select: &'a Select, id: SelectId) {
        let scope = Some(id);
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr)
                | SelectItem::ExprWithAlias { expr, .. }
                | SelectItem::ExprWithAliases { expr, .. } => self.expression(expr, scope, Clause::Projection),
                SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {}
            }
        }
        if let Some(Distinct::On(list)) = &select.distinct {
            for expression in list {
                self.expression(expression, scope, Clause::GroupBy);
            }
        }
        if let Some(selection) = &select.selection {
            self.expression(selection, scope, Clause::Where);
        }
        if let GroupByExpr::Expressions(list, _) = &select.group_by {
            for expression in list {
                self.expression(expression, scope, Clause::GroupBy);
            }
        }
        for expression in select.having.iter().chain(&select.qualify) {
            self.expression(expression, scope, Clause::Having);
        }
        for window in &select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &window.1 {
                let mut parts = Vec::new();
                push_window(spec, &mut parts);
                for expression in parts {
                    self.expression(expression, scope, Clause::Window);
                }
            }
        }
    }

    /// Looks into an expression: notes its columns, calls and conditions, and walks its queries.
    pub(super) fn expression(&mut self, root: &'a Expr, select: Option<SelectId>, clause: Clause) {
        let mut queries = Vec::new();
        let bottom = self.stack.len();
        self.stack.push(root);
        while self.stack.len() > bottom {
            let Some(next) = self.stack.pop() else { break };
            match next {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                    let resolution = self.resolve(next, select, clause);
                    self.model.columns.push(ColumnUse {
                        expression: next,
                        select,
                        resolution,
                    });
                    continue;
                }
                Expr::Value(_) | Expr::TypedString(_) => continue,
                Expr::Lambda(_) => self.model.has_lambda = true,
                Expr::Function(function) => self.call(function, select),
                expression if is_predicate(expression) => self.model.predicates.push(Predicate {
                    expression,
                    select,
                    clause,
                }),
                _ => {}
            }
            push_children(next, &mut self.stack, &mut queries);
        }
        for query in queries {
            self.query(query, Role::Expression, select);
        }
    }

    fn resolve(&self, expression: &Expr, select: Option<SelectId>, clause: Clause) -> Resolution {
        let resolution = self.model.resolve(select, expression);
        let (Resolution::Missing, Expr::Identifier(name)) = (resolution, expression) else {
            return resolution;
        };
        let may_be_alias = matches!(clause, Clause::GroupBy | Clause::Having | Clause::OrderBy);
        let name = normalized(name);
        let is_alias =
            |item: &SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, .. } if normalized(alias) == name);
        match select {
            Some(id) if may_be_alias && self.model.selects[id].select.projection.iter().any(is_alias) => {
                Resolution::Alias
            }
            // `*` may carry names that are not looked for here.
            Some(id) if self.model.selects[id].sources.is_empty() && self.model.selects[id].parent.is_some() => {
                Resolution::Unknown
            }
            _ => Resolution::Missing,
        }
    }

    fn call(&mut self, function: &'a Function, select: Option<SelectId>) {
        let Some(name) = last_part(&function.name) else { return };
        // Function names are the same in any case.
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            name
        };
        if matches!(name.as_ref(), "now" | "current_timestamp" | "current_date" | "today") {
            self.model.uses_now = true;
        }
        self.model.calls.push(Call {
            kind: function_kind(&name),
            function,
            name,
            select,
        });
    }

    fn bounds(&mut self, select: &'a Select, id: SelectId) {
        if self.model.scans.is_empty() {
            return;
        }
        if let Some(condition) = &select.selection {
            self.model.add_bounds(id, condition, |_, _| true);
        }
        for table in &select.from {
            for join in &table.joins {
                let Some(JoinConstraint::On(condition)) = join_constraint(&join.join_operator) else {
                    continue;
                };
                let of_this_join = |model: &Model<'_>, scan: ScanId| {
                    model.selects[id].sources.iter().any(|source| {
                        source.join.is_some_and(|other| std::ptr::eq(other, join))
                            && matches!(source.columns, SourceColumns::Scan(own) if own == scan)
                    })
                };
                match &join.join_operator {
                    JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => {
                        self.model.add_bounds(id, condition, |_, _| true);
                    }
                    JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => {
                        self.model.add_bounds(id, condition, of_this_join);
                    }
                    JoinOperator::Right(_) | JoinOperator::RightOuter(_) => {
                        self.model
                            .add_bounds(id, condition, |model, scan| !of_this_join(model, scan));
                    }
                    _ => {}
                }
            }
        }
    }

    fn output(&self, select: &'a Select, id: SelectId) -> Option<Vec<OutputColumn<'a>>> {
        let mut columns = Vec::with_capacity(select.projection.len());
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => columns.push(self.unnamed(expr, id)),
                SelectItem::ExprWithAlias { expr, alias } => columns.push(OutputColumn {
                    name: Some(normalized(alias)),
                    origin: self.model.resolve(Some(id), expr),
                    ident: Some(alias),
                }),
                SelectItem::ExprWithAliases { .. } => return None,
                SelectItem::Wildcard(options) => {
                    if !is_plain_wildcard(options) {
                        return None;
                    }
                    for source in &self.model.selects[id].sources {
                        self.all_columns(source, &mut columns)?;
                    }
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    let name = last_part(name)?;
                    let sources = &self.model.selects[id].sources;
                    let source = sources
                        .iter()
                        .find(|source| source.name.as_deref() == Some(name.as_ref()))?;
                    if !is_plain_wildcard(options) {
                        return None;
                    }
                    self.all_columns(source, &mut columns)?;
                }
                SelectItem::QualifiedWildcard(..) => return None,
            }
        }
        Some(columns)
    }

    fn unnamed(&self, expression: &'a Expr, select: SelectId) -> OutputColumn<'a> {
        // The service names a cast after what is cast.
        let mut named = unnested(expression);
        while let Expr::Cast { expr, .. } = named {
            named = unnested(expr);
        }
        let ident: Option<&'a Ident> = match named {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        OutputColumn {
            name: ident.map(normalized),
            origin: self.model.resolve(Some(select), expression),
            ident,
        }
    }

    fn all_columns(&self, source: &SourceNode<'a>, columns: &mut Vec<OutputColumn<'a>>) -> Option<()> {
        // `USING` and `NATURAL` show the columns of both sides once.
        let merges = source
            .join
            .and_then(|join| join_constraint(&join.join_operator))
            .is_some_and(|constraint| matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural));
        if merges {
            return None;
        }
        let view = match source.columns {
            SourceColumns::Unknown => return None,
            SourceColumns::Query(query) => {
                let inner = self.model.queries[query].output()?;
                columns.extend(inner.iter().enumerate().map(|(index, column)| OutputColumn {
                    name: column.name.clone(),
                    origin: Resolution::Derived(query, index),
                    ident: None,
                }));
                return Some(());
            }
            SourceColumns::TableFunction(function) => function,
            SourceColumns::Scan(scan) => self.model.scans[scan].view,
        };
        if view.columns.is_empty() {
            return None;
        }
        columns.extend(view.columns.iter().map(|column| OutputColumn {
            name: Some(Cow::Borrowed(column.name)),
            origin: match source.columns {
                SourceColumns::Scan(scan) => Resolution::Base(scan, column),
                _ => Resolution::Function(column),
            },
            ident: None,
        }));
        Some(())
    }
}

/// Whether a `*` is all columns, with none left out, renamed or replaced.
pub(crate) fn is_plain_wildcard(options: &WildcardAdditionalOptions) -> bool {
    options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
}

fn is_predicate(expression: &Expr) -> bool {
    match expression {
        Expr::BinaryOp { op, .. } => matches!(
            op,
            BinaryOperator::Eq
                | BinaryOperator::NotEq
                | BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq
        ),
        Expr::Between { .. }
        | Expr::InList { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::SimilarTo { .. } => true,
        _ => false,
    }
}
