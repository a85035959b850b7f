//! What a statement says: its queries, the views they read, and what each name in them stands for.
//!
//! The model is made in one walk over the tree, and every rule reads it. It never guesses: where a name may come from
//! something that is not known here, it resolves to [`Resolution::Unknown`], and rules say nothing.

mod bounds;
mod build;
mod expression;
mod from;
mod moment;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use lakepilot_query::TimeRange;
use sqlparser::ast::{Expr, FunctionArg, Ident, Join, ObjectName, Query, Select, SetExpr};

use crate::known::{FunctionKind, KnownColumn, KnownView, TimeColumns};

pub(crate) use bounds::{Interval, conjuncts};
pub(crate) use build::{build, is_plain_wildcard};
pub(crate) use expression::{
    call_arguments, expression_range, first_place, last_part, normalized, plain_arguments, push_children,
    string_literal, unnested,
};
pub(crate) use from::join_constraint;
pub(crate) use moment::parse_timestamp;

pub(crate) type QueryId = usize;
pub(crate) type SelectId = usize;
pub(crate) type ScanId = usize;

/// All that is known of a statement.
#[derive(Default)]
pub(crate) struct Model<'a> {
    pub(crate) queries: Vec<QueryNode<'a>>,
    pub(crate) selects: Vec<SelectNode<'a>>,
    pub(crate) scans: Vec<Scan<'a>>,
    pub(crate) tables: Vec<UnknownTable<'a>>,
    pub(crate) table_calls: Vec<TableCall<'a>>,
    pub(crate) columns: Vec<ColumnUse<'a>>,
    pub(crate) calls: Vec<Call<'a>>,
    pub(crate) predicates: Vec<Predicate<'a>>,
    /// Whether `now()` or the like was needed to know a bound.
    pub(crate) uses_now: bool,
    /// Whether an expression has a lambda, whose inside is not walked.
    pub(crate) has_lambda: bool,
    /// What `now()` was taken to be.
    pub(crate) now: DateTime<Utc>,
}

/// Where a query stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The statement itself.
    Top,
    /// In a `WITH`.
    Cte,
    /// In a `FROM`.
    Derived,
    /// In an expression.
    Expression,
    /// In brackets, as a part of a set operation or alone.
    Operand,
}

/// A query: its body, and what is put on top of it.
pub(crate) struct QueryNode<'a> {
    pub(crate) query: &'a Query,
    pub(crate) role: Role,
    /// How often a `FROM` names it: once for a derived table, any number of times for a CTE.
    pub(crate) uses: usize,
    /// The columns of each `SELECT` of its body. An entry is `None` when its columns are not known.
    pub(crate) branches: Vec<Option<Vec<OutputColumn<'a>>>>,
}

impl<'a> QueryNode<'a> {
    /// The columns of the result, when they are known.
    pub(crate) fn output(&self) -> Option<&[OutputColumn<'a>]> {
        self.branches.first()?.as_deref()
    }

    /// The only `SELECT` of the body, when it is not a set operation.
    pub(crate) fn only_select(&self) -> Option<&'a Select> {
        match self.query.body.as_ref() {
            SetExpr::Select(select) => Some(select),
            _ => None,
        }
    }
}

/// A column of a result.
#[derive(Clone)]
pub(crate) struct OutputColumn<'a> {
    /// The name; `None` for an expression, which the service names after its text.
    pub(crate) name: Option<Cow<'a, str>>,
    /// What it is, when it is a column that passes through.
    pub(crate) origin: Resolution,
    /// Where it is named; `None` when a `*` brought it.
    pub(crate) ident: Option<&'a Ident>,
}

/// One `SELECT`.
pub(crate) struct SelectNode<'a> {
    pub(crate) select: &'a Select,
    pub(crate) query: QueryId,
    pub(crate) parent: Option<SelectId>,
    pub(crate) sources: Vec<SourceNode<'a>>,
}

/// One thing in a `FROM`.
pub(crate) struct SourceNode<'a> {
    /// The name by which columns may be qualified.
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) columns: SourceColumns,
    /// The join that brings it, for all but the first of a list.
    pub(crate) join: Option<&'a Join>,
    /// Which entry of the comma-separated `FROM` it belongs to.
    pub(crate) item: usize,
}

/// Where the columns of a source are known from.
#[derive(Clone, Copy)]
pub(crate) enum SourceColumns {
    Scan(ScanId),
    TableFunction(&'static KnownView),
    Query(QueryId),
    Unknown,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resolution {
    /// A column of a view.
    Base(ScanId, &'static KnownColumn),
    /// A column of a table function.
    Function(&'static KnownColumn),
    /// A column of a query in a `FROM`.
    Derived(QueryId, usize),
    /// A name that the `SELECT` gives to one of its columns.
    Alias,
    /// Something that is not known here.
    Unknown,
    /// Nothing: all that it could be is known, and it is none of it.
    Missing,
}

/// Which instance of a view set is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum InstanceRef<'a> {
    /// The view by its name, which is the instance `global`.
    Global,
    /// `view_instance` with a literal, and its place.
    Literal(&'a str, &'a Expr),
    /// `view_instance` with something else.
    Dynamic,
}

/// A view that is read.
pub(crate) struct Scan<'a> {
    pub(crate) view: &'static KnownView,
    pub(crate) instance: InstanceRef<'a>,
    /// The name of the view, or of `view_instance`.
    pub(crate) name: &'a ObjectName,
    pub(crate) select: SelectId,
    /// What the `WHERE` and `ON` beside it let through.
    pub(crate) own: Interval,
    /// What the queries around let through as well.
    pub(crate) outer: Interval,
}

impl Scan<'_> {
    /// The time of its rows that can reach the result, by the range of the call and the filters beside it.
    pub(crate) fn bounds(&self, call: Option<TimeRange>) -> Interval {
        let call = call
            .filter(|_| self.view.is_timed())
            .map_or_else(Interval::default, |range| Interval {
                lower: Some(range.begin_nanos()),
                upper: Some(range.end_nanos()),
                ..Interval::default()
            });
        let sql = match self.view.time {
            // A row that lasts may satisfy `end >= late AND begin <= early`: it overlaps all that lies between.
            TimeColumns::Interval(..) if self.own.is_empty() => Interval {
                lower: self.own.upper,
                upper: self.own.lower,
                ..self.own
            },
            _ => self.own,
        };
        sql.and(call)
    }

    /// Whether any filter in the SQL bounds its time.
    pub(crate) fn is_bounded(&self) -> bool {
        self.own.is_bounded() || self.outer.is_bounded()
    }
}

/// A table that is not known here.
pub(crate) struct UnknownTable<'a> {
    pub(crate) name: &'a ObjectName,
}

/// A function in a `FROM`.
pub(crate) struct TableCall<'a> {
    pub(crate) name: &'a ObjectName,
    pub(crate) lowercase: Cow<'a, str>,
    pub(crate) arguments: &'a [FunctionArg],
}

/// Where in a query an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    Projection,
    From,
    Where,
    GroupBy,
    Having,
    Window,
    OrderBy,
    Limit,
    Values,
}

/// A column that is named in an expression.
pub(crate) struct ColumnUse<'a> {
    pub(crate) expression: &'a Expr,
    pub(crate) select: Option<SelectId>,
    pub(crate) resolution: Resolution,
}

/// A function that is called in an expression.
pub(crate) struct Call<'a> {
    pub(crate) function: &'a sqlparser::ast::Function,
    pub(crate) name: Cow<'a, str>,
    pub(crate) kind: Option<FunctionKind>,
    pub(crate) select: Option<SelectId>,
}

/// A condition: a comparison, a pattern, a list.
pub(crate) struct Predicate<'a> {
    pub(crate) expression: &'a Expr,
    pub(crate) select: Option<SelectId>,
    pub(crate) clause: Clause,
}

impl<'a> Model<'a> {
    /// The query that is the statement.
    pub(crate) fn top(&self) -> Option<&QueryNode<'a>> {
        self.queries.first()
    }

    /// What a name in an expression stands for. Brackets around it are looked through.
    pub(crate) fn resolve(&self, select: Option<SelectId>, expression: &Expr) -> Resolution {
        match unnested(expression) {
            Expr::Identifier(name) => self.resolve_name(select, None, &normalized(name)),
            Expr::CompoundIdentifier(parts) => self.resolve_path(select, parts),
            _ => Resolution::Unknown,
        }
    }

    fn resolve_path(&self, select: Option<SelectId>, parts: &[Ident]) -> Resolution {
        let [.., qualifier, name] = parts else {
            return Resolution::Unknown;
        };
        let qualifier = normalized(qualifier);
        if self.has_source(select, &qualifier) {
            return self.resolve_name(select, Some(&qualifier), &normalized(name));
        }
        // It may be a field of a struct, or a schema: nothing is said about those.
        Resolution::Unknown
    }

    fn has_source(&self, mut select: Option<SelectId>, name: &str) -> bool {
        while let Some(id) = select {
            if self.selects[id]
                .sources
                .iter()
                .any(|source| source.name.as_deref() == Some(name))
            {
                return true;
            }
            select = self.selects[id].parent;
        }
        false
    }

    /// Looks a name up in the `FROM` of a select, then in those around it.
    fn resolve_name(&self, select: Option<SelectId>, qualifier: Option<&str>, name: &str) -> Resolution {
        let Some(id) = select else {
            return Resolution::Unknown;
        };
        let node = &self.selects[id];
        let mut all_known = true;
        for source in &node.sources {
            if qualifier.is_some() && source.name.as_deref() != qualifier {
                continue;
            }
            match self.column_of_source(source, name) {
                Resolution::Missing => {}
                Resolution::Unknown => all_known = false,
                found => return found,
            }
        }
        if !all_known {
            return Resolution::Unknown;
        }
        match node.parent {
            Some(parent) => self.resolve_name(Some(parent), qualifier, name),
            None => Resolution::Missing,
        }
    }

    fn column_of_source(&self, source: &SourceNode<'_>, name: &str) -> Resolution {
        match source.columns {
            SourceColumns::Unknown => Resolution::Unknown,
            SourceColumns::TableFunction(function) => {
                function.column(name).map_or(Resolution::Missing, Resolution::Function)
            }
            SourceColumns::Scan(scan) => {
                let view = self.scans[scan].view;
                match view.column(name) {
                    Some(column) => Resolution::Base(scan, column),
                    None if view.columns.is_empty() => Resolution::Unknown,
                    None => Resolution::Missing,
                }
            }
            SourceColumns::Query(query) => match self.queries[query].output() {
                None => Resolution::Unknown,
                Some(columns) => match columns.iter().position(|column| column.name.as_deref() == Some(name)) {
                    Some(index) => Resolution::Derived(query, index),
                    // The name that the service makes of an expression is not known here.
                    None if columns.iter().any(|column| column.name.is_none()) => Resolution::Unknown,
                    None => Resolution::Missing,
                },
            },
        }
    }

    /// Calls `found` with every column of a view that a resolved name passes on, and whether it comes through a query
    /// that is read more than once.
    pub(crate) fn for_each_origin(
        &self,
        resolution: Resolution,
        found: &mut impl FnMut(ScanId, &'static KnownColumn, bool),
    ) {
        let mut open = vec![(resolution, false)];
        while let Some((next, shared)) = open.pop() {
            match next {
                Resolution::Base(scan, column) => found(scan, column, shared),
                Resolution::Derived(query, index) => {
                    let node = &self.queries[query];
                    let shared = shared || node.uses > 1;
                    let columns = node.branches.iter().flatten().filter_map(|branch| branch.get(index));
                    open.extend(columns.map(|column| (column.origin, shared)));
                }
                _ => {}
            }
        }
    }

    /// The column of a view that a name stands for, when it is just one.
    pub(crate) fn base_column(&self, resolution: Resolution) -> Option<(ScanId, &'static KnownColumn)> {
        let mut base = None;
        let mut count = 0;
        self.for_each_origin(resolution, &mut |scan, column, _| {
            base = Some((scan, column));
            count += 1;
        });
        if count == 1 { base } else { None }
    }

    /// The known column that an expression names.
    pub(crate) fn known_column(&self, select: Option<SelectId>, expression: &Expr) -> Option<&'static KnownColumn> {
        match self.resolve(select, expression) {
            Resolution::Function(column) => Some(column),
            resolution => self.base_column(resolution).map(|(_, column)| column),
        }
    }

    /// Whether a resolved name is a column by which the range of a call filters a view.
    pub(crate) fn is_time_of(&self, resolution: Resolution, of: ScanId) -> bool {
        let mut is_time = false;
        self.for_each_origin(resolution, &mut |scan, column, _| {
            is_time |= scan == of && self.scans[scan].view.is_time_column(column.name);
        });
        is_time
    }

    /// The source in the `FROM` of a select that a column comes from, when it can be told.
    pub(crate) fn source_of(&self, select: SelectId, column: &Expr) -> Option<usize> {
        let sources = &self.selects[select].sources;
        let (qualifier, name) = match column {
            Expr::Identifier(name) => (None, name),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., qualifier, name] => (Some(normalized(qualifier)), name),
                _ => return None,
            },
            _ => return None,
        };
        if let Some(qualifier) = qualifier {
            return sources
                .iter()
                .position(|source| source.name.as_deref() == Some(qualifier.as_ref()));
        }
        let name = normalized(name);
        let mut found = None;
        for (index, source) in sources.iter().enumerate() {
            match self.column_of_source(source, &name) {
                Resolution::Unknown => return None,
                Resolution::Missing => {}
                _ => found = found.or(Some(index)),
            }
        }
        found
    }

    /// The names of the columns that a select can use.
    pub(crate) fn column_names(&self, select: SelectId) -> Vec<Cow<'a, str>> {
        let mut names: Vec<Cow<'a, str>> = Vec::new();
        for source in &self.selects[select].sources {
            match source.columns {
                SourceColumns::Unknown => {}
                SourceColumns::TableFunction(function) => {
                    names.extend(function.columns.iter().map(|column| Cow::Borrowed(column.name)));
                }
                SourceColumns::Scan(scan) => {
                    names.extend(
                        self.scans[scan]
                            .view
                            .columns
                            .iter()
                            .map(|column| Cow::Borrowed(column.name)),
                    );
                }
                SourceColumns::Query(query) => {
                    let output = self.queries[query].output().unwrap_or_default();
                    names.extend(output.iter().filter_map(|column| column.name.clone()));
                }
            }
        }
        names
    }

    /// Whether a select calls an aggregate, and not as a window function.
    pub(crate) fn has_aggregate(&self, select: Option<SelectId>) -> bool {
        self.calls.iter().any(|call| {
            call.select == select && call.kind == Some(FunctionKind::Aggregate) && call.function.over.is_none()
        })
    }

    /// The bytes of a row of the result by the sizes that are assumed, when every column is a known one.
    pub(crate) fn offline_row_bytes(&self) -> Option<f64> {
        let top = self.top()?;
        top.output()?
            .iter()
            .map(|column| match column.origin {
                Resolution::Function(column) => Some(column.default_bytes()),
                origin => self.base_column(origin).map(|(_, column)| column.default_bytes()),
            })
            .sum()
    }

    /// Whether a condition does nothing but bound the time of a view by values that are known.
    pub(crate) fn is_exact_time_bound(&self, select: SelectId, condition: &Expr) -> bool {
        let bounds = self.bounds_of_comparison(select, condition);
        bounds.is_some_and(|bounds| !bounds.lower_unknown && !bounds.upper_unknown)
    }

    /// The share of a view's columns that the statement names, by the sizes that are assumed.
    pub(crate) fn column_share(&self, scan: ScanId) -> f64 {
        let view = self.scans[scan].view;
        let all: f64 = view.columns.iter().map(KnownColumn::default_bytes).sum();
        let mut used: Vec<&'static KnownColumn> = Vec::new();
        let mut add = |resolution| {
            self.for_each_origin(resolution, &mut |other, column, _| {
                if other == scan && !used.iter().any(|known| std::ptr::eq(*known, column)) {
                    used.push(column);
                }
            });
        };
        self.columns.iter().for_each(|column| add(column.resolution));
        let output = self.top().and_then(|top| top.output()).unwrap_or_default();
        output.iter().for_each(|column| add(column.origin));
        let share = used.iter().map(|column| column.default_bytes()).sum::<f64>() / all;
        if all > 0.0 { share } else { 1.0 }
    }
}
