//! What the filters of a query say about time.

use sqlparser::ast::{BinaryOperator, Expr};

use super::expression::unnested;
use super::moment::{Moment, is_time_type, moment};
use super::{Model, ScanId, SelectId};

/// How deep brackets and alternations are followed. The parser allows fewer.
const DEEPEST: usize = 80;

/// The times that a filter lets through, in nanoseconds, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) lower: Option<i64>,
    pub(crate) upper: Option<i64>,
    /// There is a lower bound whose value is not known before the query runs.
    pub(crate) lower_unknown: bool,
    /// There is an upper bound whose value is not known before the query runs.
    pub(crate) upper_unknown: bool,
}

impl Interval {
    /// Whether there is a bound at all.
    pub(crate) fn is_bounded(&self) -> bool {
        self.lower.is_some() || self.upper.is_some() || self.lower_unknown || self.upper_unknown
    }

    /// Whether no instant is let through.
    pub(crate) fn is_empty(&self) -> bool {
        matches!((self.lower, self.upper), (Some(lower), Some(upper)) if lower > upper)
    }

    /// What both let through.
    pub(crate) fn and(self, other: Self) -> Self {
        let tighter = |left: Option<i64>, right: Option<i64>, choose: fn(i64, i64) -> i64| match (left, right) {
            (Some(left), Some(right)) => Some(choose(left, right)),
            (one, other) => one.or(other),
        };
        Self {
            lower: tighter(self.lower, other.lower, i64::max),
            upper: tighter(self.upper, other.upper, i64::min),
            lower_unknown: self.lower_unknown || other.lower_unknown,
            upper_unknown: self.upper_unknown || other.upper_unknown,
        }
    }

    /// The shortest interval around what either lets through.
    pub(crate) fn or(self, other: Self) -> Self {
        let has_lower = |interval: &Self| interval.lower.is_some() || interval.lower_unknown;
        let has_upper = |interval: &Self| interval.upper.is_some() || interval.upper_unknown;
        let both_lower = has_lower(&self) && has_lower(&other);
        let both_upper = has_upper(&self) && has_upper(&other);
        let lower = self.lower.zip(other.lower).map(|(left, right)| left.min(right));
        let upper = self.upper.zip(other.upper).map(|(left, right)| left.max(right));
        Self {
            lower,
            upper,
            lower_unknown: both_lower && lower.is_none(),
            upper_unknown: both_upper && upper.is_none(),
        }
    }
}

/// The conditions that all have to hold, in the order of the text.
pub(crate) fn conjuncts(condition: &Expr) -> Vec<&Expr> {
    chain(condition, &BinaryOperator::And)
}

/// The operands of a chain of one operator, through brackets.
fn chain<'a>(condition: &'a Expr, operator: &BinaryOperator) -> Vec<&'a Expr> {
    let mut operands = Vec::new();
    let mut open = vec![condition];
    while let Some(next) = open.pop() {
        match unnested(next) {
            Expr::BinaryOp { left, op, right } if op == operator => open.extend([right.as_ref(), left.as_ref()]),
            operand => operands.push(operand),
        }
    }
    operands
}

/// The bounds that a condition puts on each scan, and whether the condition comes through a query that others read too.
type Bounds = Vec<(ScanId, Interval, bool)>;

impl<'a> Model<'a> {
    /// Notes what a condition of a select lets through. `applies` says for which of its sources it is a filter.
    pub(super) fn add_bounds(
        &mut self,
        select: SelectId,
        condition: &'a Expr,
        applies: impl Fn(&Self, ScanId) -> bool,
    ) {
        for (scan, interval, shared) in self.bounds(select, condition, 0) {
            if shared || !applies(self, scan) {
                // One reader of a shared query filters, the others may not: it counts as a bound of unknown value.
                if shared {
                    self.scans[scan].outer.lower_unknown = true;
                }
                continue;
            }
            let target = &mut self.scans[scan];
            if target.select == select {
                target.own = target.own.and(interval);
            } else {
                target.outer = target.outer.and(interval);
            }
        }
    }

    /// The bounds of one comparison of a time, with the clock of the model.
    pub(super) fn bounds_of_comparison(&self, select: SelectId, condition: &Expr) -> Option<Interval> {
        let bounds = self.comparison(select, condition);
        match bounds.as_slice() {
            [(_, interval, _)] => Some(*interval),
            _ => None,
        }
    }

    fn bounds(&self, select: SelectId, condition: &'a Expr, depth: usize) -> Bounds {
        let mut all = Bounds::new();
        if depth > DEEPEST {
            return all;
        }
        for conjunct in conjuncts(condition) {
            let found = match conjunct {
                Expr::BinaryOp {
                    op: BinaryOperator::Or, ..
                } => self.alternatives(select, conjunct, depth),
                other => self.comparison(select, other),
            };
            for (scan, interval, shared) in found {
                match all.iter_mut().find(|(known, ..)| *known == scan) {
                    Some((_, known, known_shared)) => {
                        *known = known.and(interval);
                        *known_shared |= shared;
                    }
                    None => all.push((scan, interval, shared)),
                }
            }
        }
        all
    }

    /// A scan is bounded by an `OR` when every side bounds it.
    fn alternatives(&self, select: SelectId, condition: &'a Expr, depth: usize) -> Bounds {
        let mut operands = chain(condition, &BinaryOperator::Or).into_iter();
        let Some(first) = operands.next() else {
            return Bounds::new();
        };
        let mut all = self.bounds(select, first, depth + 1);
        for operand in operands {
            if all.is_empty() {
                break;
            }
            let side = self.bounds(select, operand, depth + 1);
            all.retain_mut(|(scan, interval, _)| {
                let Some((_, other, _)) = side.iter().find(|(other, ..)| other == scan) else {
                    return false;
                };
                *interval = interval.or(*other);
                interval.is_bounded()
            });
        }
        all
    }

    fn comparison(&self, select: SelectId, condition: &Expr) -> Bounds {
        match condition {
            Expr::BinaryOp { left, op, right } => {
                let forwards = self.one_side(select, left, op, right);
                if !forwards.is_empty() {
                    return forwards;
                }
                match mirrored(op) {
                    Some(op) => self.one_side(select, right, &op, left),
                    None => Bounds::new(),
                }
            }
            Expr::Between {
                expr,
                negated: false,
                low,
                high,
            } => {
                let lower = self.one_side(select, expr, &BinaryOperator::GtEq, low);
                let upper = self.one_side(select, expr, &BinaryOperator::LtEq, high);
                join(lower, &upper)
            }
            Expr::InList {
                expr,
                list,
                negated: false,
            } if self.is_time(select, expr) => {
                let mut sides = list
                    .iter()
                    .map(|item| self.one_side(select, expr, &BinaryOperator::Eq, item));
                let first = sides.next().unwrap_or_default();
                sides.fold(first, |all, side| {
                    all.iter()
                        .filter_map(|(scan, interval, shared)| {
                            let (_, other, _) = side.iter().find(|(other, ..)| other == scan)?;
                            Some((*scan, interval.or(*other), *shared))
                        })
                        .collect()
                })
            }
            _ => Bounds::new(),
        }
    }

    fn is_time(&self, select: SelectId, column: &Expr) -> bool {
        let mut is_time = false;
        self.for_each_origin(self.resolve(Some(select), column), &mut |scan, known, _| {
            is_time |= self.scans[scan].view.is_time_column(known.name);
        });
        is_time
    }

    /// The bounds of `column op value`.
    fn one_side(&self, select: SelectId, column: &Expr, op: &BinaryOperator, value: &Expr) -> Bounds {
        let mut bounds = Bounds::new();
        if !matches!(
            op,
            BinaryOperator::Gt | BinaryOperator::GtEq | BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Eq
        ) {
            return bounds;
        }
        let mut column = unnested(column);
        // A cast to a time keeps the order of times.
        if let Expr::Cast { expr, data_type, .. } = column
            && is_time_type(data_type)
            && !matches!(data_type, sqlparser::ast::DataType::Date)
        {
            column = unnested(expr);
        }
        if !matches!(column, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            return bounds;
        }
        let resolution = self.resolve(Some(select), column);
        self.for_each_origin(resolution, &mut |scan, known, shared| {
            if self.scans[scan].view.is_time_column(known.name) {
                bounds.push((scan, Interval::default(), shared));
            }
        });
        if bounds.is_empty() {
            return bounds;
        }
        let interval = interval_of(op, moment(value, self.now));
        if !interval.is_bounded() {
            return Bounds::new();
        }
        for (_, bound, _) in &mut bounds {
            *bound = interval;
        }
        bounds
    }
}

fn join(mut lower: Bounds, upper: &Bounds) -> Bounds {
    for (scan, interval, shared) in upper {
        match lower.iter_mut().find(|(known, ..)| known == scan) {
            Some((_, known, _)) => *known = known.and(*interval),
            None => lower.push((*scan, *interval, *shared)),
        }
    }
    lower
}

fn interval_of(op: &BinaryOperator, value: Moment) -> Interval {
    let is_lower = matches!(op, BinaryOperator::Gt | BinaryOperator::GtEq | BinaryOperator::Eq);
    let is_upper = matches!(op, BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Eq);
    match value {
        Moment::Varying => Interval::default(),
        Moment::Unknown => Interval {
            lower_unknown: is_lower,
            upper_unknown: is_upper,
            ..Interval::default()
        },
        Moment::At(time) => {
            let Some(nanos) = time.timestamp_nanos_opt() else {
                return Interval {
                    lower_unknown: is_lower,
                    upper_unknown: is_upper,
                    ..Interval::default()
                };
            };
            // Times are whole nanoseconds, so a strict bound is the next one.
            let step = i64::from(matches!(op, BinaryOperator::Gt | BinaryOperator::Lt));
            Interval {
                lower: is_lower.then(|| nanos.saturating_add(step)),
                upper: is_upper.then(|| nanos.saturating_sub(step)),
                ..Interval::default()
            }
        }
    }
}

fn mirrored(op: &BinaryOperator) -> Option<BinaryOperator> {
    Some(match op {
        BinaryOperator::Gt => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::LtEq,
        BinaryOperator::Lt => BinaryOperator::Gt,
        BinaryOperator::LtEq => BinaryOperator::GtEq,
        BinaryOperator::Eq => BinaryOperator::Eq,
        _ => return None,
    })
}
