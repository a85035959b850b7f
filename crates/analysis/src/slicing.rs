//! Whether a query can be cut by time without changing its result.
//!
//! This is a whitelist. A query is cut only when each of its rows comes from one row of one view of telemetry, whatever
//! other rows there are, and when its order, if it has one, is the order of time. Everything else is refused, with the
//! place of what is in the way.

use std::ops::Range;

use lakepilot_query::quote_identifier;
use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, Spanned,
};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::clauses::{from_to_end, where_of_select};
use crate::known::{FunctionKind, TimeColumns};
use crate::model::{
    Model, Resolution, Role, SelectId, SourceColumns, expression_range, is_plain_wildcard, normalized, unnested,
};
use crate::shape::{ConditionSite, SliceOrder, Sliceable, Slicing};
use crate::source::Source;
use crate::syntax::token_range;

/// Why a query is not cut, and where.
struct Refusal {
    reason: String,
    range: Range<usize>,
}

fn refuse<T>(range: Range<usize>, reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        reason: reason.into(),
        range,
    })
}

/// Whether the query of the model can be cut, and how. `whole` is where the statement stands.
pub(crate) fn sliceable(
    source: &Source<'_>,
    tokens: &[TokenWithSpan],
    model: &Model<'_>,
    whole: Range<usize>,
) -> Sliceable {
    let judge = Judge {
        source,
        tokens,
        model,
        whole,
    };
    match judge.slicing() {
        Ok(slicing) => Sliceable::Yes(slicing),
        Err(refusal) => Sliceable::No {
            reason: refusal.reason,
            span: source.span(if refusal.range.is_empty() {
                judge.whole
            } else {
                refusal.range
            }),
        },
    }
}

struct Judge<'m, 'a> {
    source: &'m Source<'m>,
    tokens: &'m [TokenWithSpan],
    model: &'m Model<'a>,
    whole: Range<usize>,
}

impl Judge<'_, '_> {
    fn slicing(&self) -> Result<Slicing, Refusal> {
        let Some(top) = self.model.top() else {
            return refuse(self.whole.clone(), "the statement is not a query");
        };
        let query = top.query;
        self.nothing_on_top(query)?;
        self.queries()?;
        self.calls()?;
        let mut column = None;
        for (id, node) in self.model.selects.iter().enumerate() {
            self.row_by_row(node.select)?;
            if let Some(found) = self.time_of(id)? {
                match column {
                    Some(known) if known != found => {
                        return refuse(self.whole.clone(), "its parts are cut at different columns");
                    }
                    _ => column = Some(found),
                }
            }
        }
        let Some(time) = column else {
            return refuse(
                self.whole.clone(),
                "it reads no telemetry, so there is no time to cut at",
            );
        };
        let order = self.order(query, time)?;
        match time {
            TimeColumns::Interval(begin, _) => {
                let site = self.condition_site(begin)?;
                Ok(Slicing::new(begin, order, Some(site)))
            }
            TimeColumns::Point(column) => Ok(Slicing::new(column, order, None)),
            TimeColumns::Metadata => refuse(self.whole.clone(), "it reads no telemetry"),
        }
    }

    fn nothing_on_top(&self, query: &Query) -> Result<(), Refusal> {
        let limit = [Keyword::LIMIT, Keyword::OFFSET, Keyword::FETCH];
        if query.limit_clause.is_some() || query.fetch.is_some() {
            return refuse(self.last_keyword(&limit), "LIMIT counts the rows of the whole range");
        }
        let has_more = !query.locks.is_empty()
            || query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if has_more {
            return refuse(
                self.whole.clone(),
                "it has a clause that is not known to be safe to cut",
            );
        }
        Ok(())
    }

    /// Queries within it have to pass rows through, each to one place.
    fn queries(&self) -> Result<(), Refusal> {
        for node in self.model.queries.iter().skip(1) {
            let start = self.source.range(node.query.span());
            match node.role {
                Role::Expression => {
                    return refuse(start, "a query in an expression sees the rows of a slice only");
                }
                Role::Cte if node.uses > 1 => {
                    return refuse(start, "a query that is read twice is joined with itself");
                }
                _ => {}
            }
            self.nothing_on_top(node.query)?;
            if node.query.order_by.is_some() && node.role != Role::Top {
                return refuse(start, "a query within it is ordered");
            }
            if node.query.with.as_ref().is_some_and(|with| with.recursive) {
                return refuse(start, "a recursive query is not cut");
            }
        }
        let mut bodies: Vec<&SetExpr> = self.model.queries.iter().map(|node| node.query.body.as_ref()).collect();
        while let Some(body) = bodies.pop() {
            match body {
                SetExpr::Select(_) | SetExpr::Query(_) => {}
                SetExpr::SetOperation {
                    op: SetOperator::Union,
                    set_quantifier: SetQuantifier::All,
                    left,
                    right,
                } => bodies.extend([left.as_ref(), right.as_ref()]),
                SetExpr::SetOperation { op, .. } => {
                    return refuse(
                        self.last_keyword(&[Keyword::UNION, Keyword::EXCEPT, Keyword::INTERSECT]),
                        format!("{op} compares rows of the whole range; UNION ALL would not"),
                    );
                }
                _ => {
                    return refuse(
                        self.whole.clone(),
                        "it has rows that come from no view, and would come with each slice",
                    );
                }
            }
        }
        Ok(())
    }

    fn calls(&self) -> Result<(), Refusal> {
        for call in &self.model.calls {
            let range = self.source.range(call.function.name.span());
            let name = &call.name;
            if call.function.over.is_some() {
                return refuse(
                    range,
                    format!("{name}() OVER looks at rows around, which a slice may not have"),
                );
            }
            match call.kind {
                Some(FunctionKind::Scalar) => {}
                Some(FunctionKind::Aggregate) => {
                    return refuse(range, format!("{name}() is computed over the rows of the whole range"));
                }
                Some(FunctionKind::Window) => return refuse(range, format!("{name}() looks at rows around")),
                Some(FunctionKind::Volatile) => {
                    return refuse(range, format!("{name}() has another value in each slice"));
                }
                Some(FunctionKind::Admin) => return refuse(range, format!("{name}() changes the lake")),
                None => return refuse(range, format!("{name}() is not known to work row by row")),
            }
            if name == "unnest" {
                return refuse(range, "unnest() makes many rows of one");
            }
        }
        if self.model.has_lambda {
            return refuse(self.whole.clone(), "it has a lambda, which is not looked into");
        }
        if let Some(table) = self.model.tables.first() {
            return refuse(
                self.source.range(table.name.span()),
                "it reads a table that is not known here",
            );
        }
        let other = self
            .model
            .table_calls
            .iter()
            .find(|call| call.lowercase != "view_instance");
        if let Some(call) = other {
            return refuse(
                self.source.range(call.name.span()),
                format!("{}() is read whole with each slice", call.lowercase),
            );
        }
        Ok(())
    }

    fn row_by_row(&self, select: &Select) -> Result<(), Refusal> {
        let start = || self.source.range(select.select_token.0.span);
        if let Some(distinct) = &select.distinct
            && !matches!(distinct, Distinct::All)
        {
            return refuse(
                self.last_keyword(&[Keyword::DISTINCT]),
                "DISTINCT compares rows of the whole range",
            );
        }
        match &select.group_by {
            GroupByExpr::Expressions(keys, modifiers) if keys.is_empty() && modifiers.is_empty() => {}
            _ => return refuse(self.last_keyword(&[Keyword::GROUP]), "groups span the whole range"),
        }
        if let Some(having) = select.having.as_ref().or(select.qualify.as_ref()) {
            return refuse(
                expression_range(self.source, having),
                "HAVING and QUALIFY look at more than one row",
            );
        }
        let plain = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => true,
            SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => is_plain_wildcard(options),
            SelectItem::ExprWithAliases { .. } => false,
        };
        if !select.projection.iter().all(plain) {
            return refuse(start(), "its list of columns is not known to be safe to cut");
        }
        let has_more = select.top.is_some()
            || select.into.is_some()
            || select.exclude.is_some()
            || select.prewhere.is_some()
            || select.value_table_mode.is_some()
            || select.select_modifiers.is_some()
            || !select.lateral_views.is_empty()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || !select.named_window.is_empty();
        if has_more {
            return refuse(start(), "it has a clause that is not known to be safe to cut");
        }
        Ok(())
    }

    /// The time columns of the one view that a select reads; `None` for a select over another query.
    fn time_of(&self, id: SelectId) -> Result<Option<TimeColumns>, Refusal> {
        let node = &self.model.selects[id];
        let start = || self.source.range(node.select.select_token.0.span);
        let only = match node.sources.as_slice() {
            [only] => only,
            [] => return refuse(start(), "a SELECT without FROM returns its row with each slice"),
            [.., last] => {
                let relation = last.join.map(|join| self.source.range(join.relation.span()));
                return refuse(
                    relation.unwrap_or_else(start),
                    "a join may pair rows of different slices",
                );
            }
        };
        match only.columns {
            SourceColumns::Query(_) => Ok(None),
            SourceColumns::Scan(scan) => {
                let scan = &self.model.scans[scan];
                let range = self.source.range(scan.name.span());
                if !scan.view.is_timed() {
                    return refuse(
                        range,
                        format!("'{}' is not telemetry, and is not cut by time", scan.view.name),
                    );
                }
                if scan.view.columns.is_empty() {
                    return refuse(range, format!("the columns of '{}' are not known here", scan.view.name));
                }
                if has_sample(node.select) {
                    return refuse(range, "a sample of each slice is not a sample of the whole");
                }
                Ok(Some(scan.view.time))
            }
            SourceColumns::TableFunction(_) | SourceColumns::Unknown => {
                refuse(start(), "it reads something that is not known to be cut by time")
            }
        }
    }

    fn order(&self, query: &Query, time: TimeColumns) -> Result<SliceOrder, Refusal> {
        let Some(order_by) = &query.order_by else {
            return Ok(SliceOrder::Any);
        };
        let clause = self.last_keyword(&[Keyword::ORDER]);
        let OrderByKind::Expressions(keys) = &order_by.kind else {
            return refuse(clause, "it is ordered by all columns");
        };
        let Some(key) = keys.first() else {
            return refuse(clause, "it is ordered in a way that is not known");
        };
        let range = expression_range(self.source, &key.expr);
        let is_simple = order_by.interpolate.is_none() && keys.iter().all(|key| key.with_fill.is_none());
        if !is_simple || !matches!(query.body.as_ref(), SetExpr::Select(_)) {
            return refuse(
                range,
                "the order of several queries together is not the order of their slices",
            );
        }
        if !self.is_cut_column(&key.expr, time) {
            return refuse(range, "it is ordered by something other than the time of its rows");
        }
        Ok(match key.options.asc {
            Some(false) => SliceOrder::Descending,
            _ => SliceOrder::Ascending,
        })
    }

    /// Whether a key of the outermost `ORDER BY` is the column at which the view is cut.
    fn is_cut_column(&self, key: &Expr, time: TimeColumns) -> bool {
        let (TimeColumns::Point(column) | TimeColumns::Interval(column, _)) = time else {
            return false;
        };
        let top = self.model.selects.iter().position(|node| node.query == 0);
        let Some(top) = top else { return false };
        // An alias of the result hides a column of the view.
        let resolution = match unnested(key) {
            Expr::Identifier(name) => {
                let name = normalized(name);
                let alias = self.model.selects[top]
                    .select
                    .projection
                    .iter()
                    .find_map(|item| match item {
                        SelectItem::ExprWithAlias { expr, alias } if normalized(alias) == name => Some(expr),
                        _ => None,
                    });
                self.model.resolve(Some(top), alias.unwrap_or(key))
            }
            Expr::CompoundIdentifier(_) => self.model.resolve(Some(top), key),
            _ => Resolution::Unknown,
        };
        self.model
            .base_column(resolution)
            .is_some_and(|(_, known)| known.name == column)
    }

    /// Where the condition of a slice goes: beside the one view of rows that last.
    fn condition_site(&self, begin: &str) -> Result<ConditionSite, Refusal> {
        let reading: Vec<usize> = self
            .model
            .selects
            .iter()
            .enumerate()
            .filter(
                |(_, node)| matches!(node.sources.as_slice(), [only] if matches!(only.columns, SourceColumns::Scan(_))),
            )
            .map(|(id, _)| id)
            .collect();
        let [id] = reading.as_slice() else {
            return refuse(self.whole.clone(), "several views of spans are not cut together");
        };
        let node = &self.model.selects[*id];
        let Some(clauses) = from_to_end(self.source, self.tokens, node.select) else {
            return refuse(self.whole.clone(), "the FROM was not found in the text");
        };
        let nothing = clauses.end..clauses.end;
        let existing = match node.select.selection {
            Some(_) => where_of_select(self.source, self.tokens, node.select).unwrap_or(nothing),
            None => nothing,
        };
        Ok(ConditionSite {
            existing,
            column: quote_identifier(begin),
        })
    }

    /// The last of some words in the statement: where that is said which they do.
    fn last_keyword(&self, keywords: &[Keyword]) -> Range<usize> {
        let found = self.tokens.iter().rev().find(
            |token| matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && keywords.contains(&word.keyword)),
        );
        found.map_or_else(|| self.whole.clone(), |token| token_range(self.source, token))
    }
}

fn has_sample(select: &Select) -> bool {
    select.from.iter().any(|table| {
        matches!(
            &table.relation,
            sqlparser::ast::TableFactor::Table { sample: Some(_), .. }
                | sqlparser::ast::TableFactor::Table { version: Some(_), .. }
                | sqlparser::ast::TableFactor::Table {
                    with_ordinality: true,
                    ..
                }
        )
    })
}
