//! How many rows pass from what is read to the result.

use std::collections::HashMap;

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, LimitClause, Query, Select, SelectItem, SetExpr, SetOperator,
    SetQuantifier, Value,
};

use super::partitions::ScannedRows;
use super::selectivity::{LakeFacts, groups, independent, selectivity};
use super::{EstimateBasis, RowEstimate};
use crate::model::{Model, Resolution, SelectId, SourceColumns, conjuncts, join_constraint, normalized, unnested};

/// A number of rows: at least, probably, at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rows {
    pub(crate) low: f64,
    pub(crate) likely: f64,
    pub(crate) high: f64,
    pub(crate) basis: EstimateBasis,
}

impl Rows {
    pub(crate) fn exactly(rows: f64) -> Self {
        Self {
            low: rows,
            likely: rows,
            high: rows,
            basis: EstimateBasis::Exact,
        }
    }

    pub(crate) fn unknown() -> Self {
        Self {
            low: 0.0,
            likely: 0.0,
            high: f64::INFINITY,
            basis: EstimateBasis::Unknown,
        }
    }

    pub(crate) fn estimate(self) -> RowEstimate {
        RowEstimate {
            low: self.low as u64,
            expected: self.likely,
            high: self.high.is_finite().then_some(self.high as u64),
            basis: self.basis,
        }
    }

    pub(crate) fn at_most(self, most: f64) -> Self {
        // A limit that the fewest rows reach leaves no doubt.
        if self.low >= most {
            return Self::exactly(most);
        }
        Self {
            low: self.low,
            likely: self.likely.min(most),
            high: self.high.min(most),
            basis: self.basis,
        }
    }

    fn without(self, rows: f64) -> Self {
        let less = |count: f64| (count - rows).max(0.0);
        Self {
            low: less(self.low),
            likely: less(self.likely),
            high: less(self.high),
            basis: self.basis,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            low: self.low + other.low,
            likely: self.likely + other.likely,
            high: self.high + other.high,
            basis: self.basis.max(other.basis),
        }
    }

    /// The rows that filters leave, of which only the share is known, or not even that.
    fn filtered(self, selectivity: f64, basis: EstimateBasis) -> Self {
        Self {
            low: 0.0,
            likely: self.likely * selectivity,
            high: self.high,
            basis: self.basis.max(basis),
        }
    }

    /// Groups: at least one if there is a row, at most as many as there are rows.
    fn grouped(self, groups: f64) -> Self {
        Self {
            low: self.low.min(1.0),
            likely: groups.min(self.likely),
            high: self.high,
            basis: EstimateBasis::Unknown,
        }
    }
}

/// The rows of the result of a query whose scans have been estimated. `sampled` is the share of rows that its only
/// filter lets through, where that was measured.
pub(crate) fn of_query(model: &Model<'_>, scans: &[ScannedRows], facts: LakeFacts, sampled: Option<f64>) -> Rows {
    let by_query = model
        .queries
        .iter()
        .enumerate()
        .map(|(id, node)| (std::ptr::from_ref(node.query), id))
        .collect();
    let by_select = model
        .selects
        .iter()
        .enumerate()
        .map(|(id, node)| (std::ptr::from_ref(node.select), id))
        .collect();
    let flow = Flow {
        model,
        scans,
        sampled,
        facts,
        by_query,
        by_select,
    };
    match model.top() {
        Some(top) => flow.query(top.query),
        None => Rows::unknown(),
    }
}

struct Flow<'m, 'a> {
    model: &'m Model<'a>,
    scans: &'m [ScannedRows],
    sampled: Option<f64>,
    facts: LakeFacts,
    by_query: HashMap<*const Query, usize>,
    by_select: HashMap<*const Select, SelectId>,
}

impl Flow<'_, '_> {
    fn query(&self, query: &Query) -> Rows {
        let body = self.body(&query.body);
        let (limit, offset) = match &query.limit_clause {
            None => (None, None),
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
        };
        let skipped = match offset {
            Some(offset) => match number(offset) {
                Some(rows) => body.without(rows),
                None => body.filtered(1.0, EstimateBasis::Unknown),
            },
            None => body,
        };
        match limit.or(query.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref())) {
            Some(limit) => match number(limit) {
                Some(rows) => skipped.at_most(rows),
                None => skipped.filtered(1.0, EstimateBasis::Unknown),
            },
            None => skipped,
        }
    }

    /// The operands of a chain of set operations, added up.
    fn body(&self, body: &SetExpr) -> Rows {
        let mut sum: Option<Rows> = None;
        let mut keeps_all = true;
        let mut open = vec![body];
        while let Some(next) = open.pop() {
            let rows = match next {
                SetExpr::Select(select) => self.select(select),
                SetExpr::Query(query) => self.query(query),
                SetExpr::Values(values) => Rows::exactly(values.rows.len() as f64),
                SetExpr::SetOperation {
                    left,
                    op,
                    set_quantifier,
                    right,
                } => {
                    let is_union = matches!(op, SetOperator::Union);
                    keeps_all &= is_union && matches!(set_quantifier, SetQuantifier::All);
                    open.push(left);
                    if is_union {
                        open.push(right);
                    }
                    continue;
                }
                _ => Rows::unknown(),
            };
            sum = Some(sum.map_or(rows, |sum| sum.plus(rows)));
        }
        let sum = sum.unwrap_or_else(Rows::unknown);
        if keeps_all {
            sum
        } else {
            sum.filtered(1.0, EstimateBasis::Unknown)
        }
    }

    fn select(&self, select: &Select) -> Rows {
        let Some(&id) = self.by_select.get(&std::ptr::from_ref(select)) else {
            return Rows::unknown();
        };
        let mut rows = self.sources(id);
        if let Some(selection) = &select.selection {
            rows = self.filter(id, selection, rows);
        }
        let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
        if is_grouped {
            rows = rows.grouped(self.group_count(id, select, &rows));
        } else if self.model.has_aggregate(Some(id)) {
            rows = Rows::exactly(1.0);
        }
        if select.having.is_some() || select.qualify.is_some() {
            rows = rows.filtered(0.5, EstimateBasis::Unknown);
        }
        if matches!(select.distinct, Some(Distinct::Distinct | Distinct::On(_))) && rows.high > 1.0 {
            let keys = match &select.distinct {
                Some(Distinct::On(keys)) => keys.iter().collect(),
                _ => projected(select),
            };
            rows = rows.grouped(self.combinations(id, &keys, &rows));
        }
        let unnests = self
            .model
            .calls
            .iter()
            .any(|call| call.select == Some(id) && call.name == "unnest");
        if unnests { Rows::unknown() } else { rows }
    }

    /// How many groups a `GROUP BY` makes of the rows.
    fn group_count(&self, id: SelectId, select: &Select, rows: &Rows) -> f64 {
        let GroupByExpr::Expressions(keys, modifiers) = &select.group_by else {
            return rows.likely.sqrt();
        };
        if !modifiers.is_empty() {
            return rows.likely.sqrt();
        }
        let keys: Vec<&Expr> = keys
            .iter()
            .map(|key| behind_alias(self.model, id, select, key))
            .collect();
        self.combinations(id, &keys, rows)
    }

    /// How many combinations of the values of some expressions there are.
    fn combinations(&self, id: SelectId, keys: &[&Expr], rows: &Rows) -> f64 {
        // Nothing is known of the others; few is likelier than many.
        let unknown = rows.likely.sqrt();
        let span = |scan: usize| self.scans.get(scan)?.span_nanos;
        let counts = independent(self.model, id, keys)
            .into_iter()
            .map(|key| groups(self.model, self.facts, id, key, span).unwrap_or(unknown));
        counts.product::<f64>().min(rows.likely)
    }

    fn sources(&self, id: SelectId) -> Rows {
        let node = &self.model.selects[id];
        let mut all: Option<Rows> = None;
        for source in &node.sources {
            let rows = match source.columns {
                SourceColumns::Scan(scan) => self.scans.get(scan).map_or_else(Rows::unknown, |scan| scan.rows),
                SourceColumns::Query(query) => self.query(self.model.queries[query].query),
                SourceColumns::TableFunction(_) | SourceColumns::Unknown => Rows::unknown(),
            };
            all = Some(match all {
                None => rows,
                Some(left) => joined(left, rows, self.is_lookup(id, source.join.is_some(), source)),
            });
        }
        // A SELECT without FROM has one row.
        all.unwrap_or_else(|| Rows::exactly(1.0))
    }

    /// Whether a source has at most one row for each row before it: `processes` by its process, `streams` by its stream.
    fn is_lookup(&self, id: SelectId, has_join: bool, source: &crate::model::SourceNode<'_>) -> bool {
        let SourceColumns::Scan(scan) = source.columns else {
            return false;
        };
        let key = match self.model.scans[scan].view.name {
            "processes" => "process_id",
            "streams" => "stream_id",
            _ => return false,
        };
        let constraint = source
            .join
            .filter(|_| has_join)
            .and_then(|join| join_constraint(&join.join_operator));
        let condition = match constraint {
            Some(sqlparser::ast::JoinConstraint::On(condition)) => condition,
            Some(sqlparser::ast::JoinConstraint::Using(names)) => {
                return names.iter().any(|name| name.to_string().eq_ignore_ascii_case(key));
            }
            _ => return false,
        };
        conjuncts(condition).into_iter().any(|conjunct| match conjunct {
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Eq,
                right,
            } => [left, right].into_iter().any(|side| {
                self.model
                    .base_column(self.model.resolve(Some(id), side))
                    .is_some_and(|(other, column)| other == scan && column.name == key)
            }),
            _ => false,
        })
    }

    fn filter(&self, id: SelectId, selection: &Expr, rows: Rows) -> Rows {
        let mut guess = 1.0;
        let mut is_filtered = false;
        for conjunct in conjuncts(selection) {
            // Bounds on time are in the rows of the scan already.
            if self.model.is_exact_time_bound(id, conjunct) {
                continue;
            }
            is_filtered = true;
            guess *= selectivity(self.model, self.facts, id, conjunct);
        }
        match (is_filtered, self.sampled) {
            (false, _) => rows,
            (true, Some(share)) if self.by_query.len() == 1 => rows.filtered(share, EstimateBasis::SampledSelectivity),
            (true, _) => rows.filtered(guess, EstimateBasis::Unknown),
        }
    }
}

/// The expressions of a `SELECT`, where they are written out.
fn projected(select: &Select) -> Vec<&Expr> {
    let expressions = select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => Some(expression),
        _ => None,
    });
    expressions.collect()
}

/// What a key of a `GROUP BY` stands for: an expression of the `SELECT` by its name or its number, or itself.
fn behind_alias<'e>(model: &Model<'_>, id: SelectId, select: &'e Select, key: &'e Expr) -> &'e Expr {
    if let Some(place) = number(key) {
        let index = (place as usize).wrapping_sub(1);
        return projected(select).get(index).copied().unwrap_or(key);
    }
    let Expr::Identifier(name) = unnested(key) else {
        return key;
    };
    // A column of that name comes before an alias.
    if !matches!(model.resolve(Some(id), key), Resolution::Missing) {
        return key;
    }
    let name = normalized(name);
    let named = select.projection.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if normalized(alias) == name => Some(expr),
        _ => None,
    });
    named.unwrap_or(key)
}

/// The rows of a join, which may be none and may be all pairs.
fn joined(left: Rows, right: Rows, is_lookup: bool) -> Rows {
    let basis = left.basis.max(right.basis);
    if is_lookup {
        // Every process that logs is in `processes`, so nearly all rows find their one.
        return Rows {
            low: 0.0,
            likely: left.likely,
            high: left.high,
            basis: left.basis,
        };
    }
    if right.low == 1.0 && right.high == 1.0 {
        return Rows { basis, ..left };
    }
    Rows {
        low: 0.0,
        likely: left.likely.max(right.likely),
        high: left.high * right.high,
        basis: EstimateBasis::Unknown,
    }
}

pub(super) fn number(expression: &Expr) -> Option<f64> {
    match unnested(expression) {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<u64>().ok().map(|rows| rows as f64),
            _ => None,
        },
        _ => None,
    }
}
