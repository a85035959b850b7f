//! `cross-join`

use std::ops::Range;

use sqlparser::ast::{Expr, GroupByExpr, JoinConstraint, LimitClause, Spanned, TableFactor};

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::{Model, SelectId, SelectNode, SourceColumns, SourceNode, conjuncts, join_constraint, push_children};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "cross-join",
    severity: Severity::Warning,
    why: "every row of one side meets every row of the other",
    text: "Two sources are joined, and no condition connects them: neither in ON or USING nor in WHERE. A \
           source of one row, such as an aggregate without GROUP BY, is fine.",
    bad: "SELECT l.msg, p.exe FROM log_entries l, processes p WHERE l.level <= 2",
    good: "SELECT l.msg, p.exe FROM log_entries l JOIN processes p ON l.process_id = p.process_id WHERE l.level <= 2",
};

pub(super) struct CrossJoin;

impl Rule for CrossJoin {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for (id, node) in model.selects.iter().enumerate() {
            if node.sources.len() < 2 {
                continue;
            }
            if let Some(lone) = unconnected(model, id) {
                let source = &node.sources[lone];
                let name = source.name.as_deref().unwrap_or("a query");
                let range = source_range(context, report, node, source);
                report
                    .add(range, format!("no condition joins '{name}' to what it stands beside"))
                    .help("join it ON a column that both have");
            }
        }
    }
}

/// The first source that no condition connects with those before it. One that is at most a row connects with any.
fn unconnected(model: &Model<'_>, id: SelectId) -> Option<usize> {
    let node = &model.selects[id];
    let mut groups: Vec<usize> = (0..node.sources.len()).collect();
    let connect = |left: usize, right: usize, groups: &mut Vec<usize>| {
        let (from, to) = (groups[left], groups[right]);
        groups
            .iter_mut()
            .filter(|group| **group == from)
            .for_each(|group| *group = to);
    };
    for (index, source) in node.sources.iter().enumerate() {
        if is_single_row(model, source) || matches!(source.columns, SourceColumns::Unknown) && is_lateral(node, index) {
            connect(index, 0, &mut groups);
        }
        let Some(constraint) = source.join.and_then(|join| join_constraint(&join.join_operator)) else {
            continue;
        };
        if matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural) {
            connect(index, index - 1, &mut groups);
        }
        if let JoinConstraint::On(condition) = constraint {
            // A condition that only tests one side joins nothing, unless it is the author's way to say so.
            connect_all(model, id, condition, &mut groups, &connect);
        }
    }
    if let Some(selection) = &node.select.selection {
        connect_all(model, id, selection, &mut groups, &connect);
    }
    (1..groups.len()).find(|&index| groups[index] != groups[0])
}

fn connect_all(
    model: &Model<'_>,
    id: SelectId,
    condition: &Expr,
    groups: &mut Vec<usize>,
    connect: &impl Fn(usize, usize, &mut Vec<usize>),
) {
    for conjunct in conjuncts(condition) {
        if groups.iter().all(|group| *group == groups[0]) {
            return;
        }
        let mut named = Vec::new();
        let mut inside = vec![conjunct];
        let mut queries = Vec::new();
        let mut is_known = true;
        while let Some(next) = inside.pop() {
            match next {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => match model.source_of(id, next) {
                    Some(source) => named.push(source),
                    None => is_known = false,
                },
                _ => push_children(next, &mut inside, &mut queries),
            }
        }
        // What is not known may connect anything.
        if !is_known || !queries.is_empty() {
            (1..groups.len()).for_each(|index| connect(index, 0, groups));
        }
        for pair in named.windows(2) {
            connect(pair[0], pair[1], groups);
        }
    }
}

/// Functions and `UNNEST` in a `FROM` may read the columns of what stands before them.
fn is_lateral(node: &SelectNode<'_>, index: usize) -> bool {
    let source = &node.sources[index];
    let factor = match source.join {
        Some(join) => &join.relation,
        None => match node.select.from.get(source.item) {
            Some(table) => &table.relation,
            None => return true,
        },
    };
    !matches!(
        factor,
        TableFactor::Table { args: None, .. } | TableFactor::Derived { lateral: false, .. }
    )
}

fn is_single_row(model: &Model<'_>, source: &SourceNode<'_>) -> bool {
    let SourceColumns::Query(query) = source.columns else {
        return false;
    };
    let node = &model.queries[query];
    let limit_is_one = match &node.query.limit_clause {
        Some(LimitClause::LimitOffset { limit: Some(limit), .. }) => limit.to_string() == "1",
        _ => false,
    };
    if limit_is_one {
        return true;
    }
    let Some(select) = node.only_select() else {
        // A list of values is short, and is written out for being joined.
        return matches!(node.query.body.as_ref(), sqlparser::ast::SetExpr::Values(_));
    };
    let id = model
        .selects
        .iter()
        .position(|other| std::ptr::eq(other.select, select));
    let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
    select.from.is_empty() || (!is_grouped && model.has_aggregate(id))
}

fn source_range(
    context: &RuleContext<'_>,
    report: &Report<'_>,
    node: &SelectNode<'_>,
    source: &SourceNode<'_>,
) -> Range<usize> {
    let factor = match source.join {
        Some(join) => Some(&join.relation),
        None => node.select.from.get(source.item).map(|table| &table.relation),
    };
    let range = factor.map(|factor| report.source().range(factor.span()));
    range
        .filter(|range| !range.is_empty())
        .unwrap_or_else(|| context.range.clone())
}
