//! How much conditions and groups leave when nobody has looked at the rows.
//!
//! These are guesses, made from what columns mean: that there are six levels, and the graver the rarer; that a column which
//! is never null is not null; how many processes the catalogue has. An estimate that stands on them says so
//! ([`EstimateBasis::Unknown`](super::EstimateBasis)), and its interval does not use them.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

use super::rows::number;
use crate::known::{ColumnType, KnownColumn};
use crate::model::{Model, ScanId, SelectId, call_arguments, last_part, string_literal, unnested};

/// The share of log entries of each level, fatal first: `Level` of the service has these six.
const LEVELS: [f64; 6] = [0.001, 0.019, 0.08, 0.5, 0.3, 0.1];

/// The share of rows with one name, one target or the like.
const ONE_NAME: f64 = 0.1;

/// How many names, targets and the like there are.
const NAMES: f64 = 15.0;

/// How deep conditions are looked into.
const DEEPEST: usize = 40;

/// What is known of a lake beside the partitions of a scan.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LakeFacts {
    /// How many processes it has, if the catalogue tells.
    pub(crate) processes: Option<f64>,
}

impl LakeFacts {
    fn one_process(self) -> f64 {
        self.processes.map_or(ONE_NAME, |processes| 1.0 / processes.max(1.0))
    }
}

/// The share of rows that a condition lets through.
pub(crate) fn selectivity(model: &Model<'_>, facts: LakeFacts, select: SelectId, condition: &Expr) -> f64 {
    let guess = Guess { model, facts, select };
    guess.share(condition, DEEPEST).clamp(0.0, 1.0)
}

/// The keys without those that another one decides: a stream is of one process, and a process of one program.
pub(crate) fn independent<'e>(model: &Model<'_>, select: SelectId, keys: &[&'e Expr]) -> Vec<&'e Expr> {
    let name = |key: &Expr| model.known_column(Some(select), key).map(|column| column.name);
    let has = |wanted: &str| keys.iter().any(|key| name(key) == Some(wanted));
    let (by_stream, by_process) = (has("stream_id"), has("process_id"));
    let is_decided = |key: &Expr| match name(key) {
        Some("process_id") => by_stream,
        Some("exe" | "username" | "computer") => by_stream || by_process,
        _ => false,
    };
    keys.iter().copied().filter(|key| !is_decided(key)).collect()
}

/// How many groups an expression makes of some rows whose times span so many nanoseconds; `None` when nothing is known.
pub(crate) fn groups(
    model: &Model<'_>,
    facts: LakeFacts,
    select: SelectId,
    key: &Expr,
    span_nanos: impl Fn(ScanId) -> Option<f64>,
) -> Option<f64> {
    match unnested(key) {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
            let (scan, column) = model.base_column(model.resolve(Some(select), key))?;
            match (model.scans[scan].view.name, column.name) {
                // A process has one stream of logs and one of metrics, and several of spans.
                ("log_entries" | "measures", "stream_id") => facts.processes,
                _ => distinct(column, facts),
            }
        }
        Expr::Function(function) => {
            let name = last_part(&function.name)?.to_ascii_lowercase();
            let arguments = call_arguments(&function.args)?;
            let [step, time, ..] = arguments.as_slice() else {
                return None;
            };
            let (scan, column) = model.base_column(model.resolve(Some(select), time))?;
            let step = match name.as_str() {
                "date_trunc" => unit_nanos(string_literal(step)?)?,
                "date_bin" => interval_nanos(step)?,
                _ => return None,
            };
            (column.column_type == ColumnType::Time).then(|| Some(span_nanos(scan)? / step + 1.0))?
        }
        Expr::Extract { field, .. } => unit_cycle(&field.to_string()),
        Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::Like { .. } | Expr::Between { .. } | Expr::InList { .. } => {
            Some(2.0)
        }
        Expr::Case { conditions, .. } => Some(conditions.len() as f64 + 1.0),
        _ => None,
    }
}

fn distinct(column: &KnownColumn, facts: LakeFacts) -> Option<f64> {
    Some(match column.name {
        "level" => LEVELS.len() as f64,
        "event_type" | "audience" => 2.0,
        "process_id" => facts.processes?,
        // Several processes are of one program, one user, one machine.
        "exe" | "username" | "computer" => facts.processes?.sqrt().ceil(),
        "stream_id" => 4.0 * facts.processes?,
        "target" | "name" | "filename" => NAMES,
        "unit" => 4.0,
        _ if column.column_type == ColumnType::Boolean => 2.0,
        _ => return None,
    })
}

struct Guess<'m, 'a> {
    model: &'m Model<'a>,
    facts: LakeFacts,
    select: SelectId,
}

impl Guess<'_, '_> {
    fn share(&self, condition: &Expr, depth: usize) -> f64 {
        const NO_IDEA: f64 = 0.33;
        let Some(next) = depth.checked_sub(1) else {
            return NO_IDEA;
        };
        match unnested(condition) {
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::And => self.share(left, next) * self.share(right, next),
                BinaryOperator::Or => {
                    let (left, right) = (self.share(left, next), self.share(right, next));
                    left + right - left * right
                }
                BinaryOperator::Eq => self.equal(left, right).or(self.equal(right, left)).unwrap_or(ONE_NAME),
                BinaryOperator::NotEq => 1.0 - self.equal(left, right).or(self.equal(right, left)).unwrap_or(ONE_NAME),
                _ => self.level_range(left, op, right).unwrap_or(NO_IDEA),
            },
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr,
            } => 1.0 - self.share(expr, next),
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let within = self
                    .level_range(expr, &BinaryOperator::GtEq, low)
                    .zip(self.level_range(expr, &BinaryOperator::LtEq, high))
                    // What is above the low end and what is below the high end overlap in what is between.
                    .map_or(0.25, |(above, below)| (above + below - 1.0).max(0.0));
                if *negated { 1.0 - within } else { within }
            }
            Expr::InList { expr, list, negated } => {
                let each = list.iter().map(|item| self.equal(expr, item).unwrap_or(ONE_NAME));
                let within = each.sum::<f64>().min(0.9);
                if *negated { 1.0 - within } else { within }
            }
            Expr::Like { negated, .. } | Expr::ILike { negated, .. } | Expr::SimilarTo { negated, .. } => {
                if *negated {
                    0.9
                } else {
                    0.1
                }
            }
            Expr::IsNull(value) => 1.0 - self.not_null(value),
            Expr::IsNotNull(value) => self.not_null(value),
            Expr::Value(value) => match value.value {
                Value::Boolean(true) => 1.0,
                Value::Boolean(false) | Value::Null => 0.0,
                _ => NO_IDEA,
            },
            _ => NO_IDEA,
        }
    }

    fn column(&self, expression: &Expr) -> Option<&'static KnownColumn> {
        self.model.known_column(Some(self.select), expression)
    }

    fn not_null(&self, value: &Expr) -> f64 {
        match self.column(value) {
            Some(column) if !column.nullable => 1.0,
            _ => 0.9,
        }
    }

    /// The share of rows in which a column has one value.
    fn equal(&self, column: &Expr, value: &Expr) -> Option<f64> {
        let column = self.column(column)?;
        match column.name {
            "level" => level_share(|level| Some(level) == number(value).map(|number| number as usize)),
            "process_id" => Some(self.facts.one_process()),
            "exe" | "username" | "computer" => distinct(column, self.facts).map(|values| 1.0 / values.max(1.0)),
            "stream_id" => Some(self.facts.one_process() / 4.0),
            _ => Some(ONE_NAME),
        }
    }

    fn level_range(&self, column: &Expr, op: &BinaryOperator, value: &Expr) -> Option<f64> {
        if self.column(column)?.name != "level" {
            return None;
        }
        let bound = number(value)? as usize;
        match op {
            BinaryOperator::Lt => level_share(|level| level < bound),
            BinaryOperator::LtEq => level_share(|level| level <= bound),
            BinaryOperator::Gt => level_share(|level| level > bound),
            BinaryOperator::GtEq => level_share(|level| level >= bound),
            _ => None,
        }
    }
}

/// The share of the levels, 1 to 6, for which something holds.
fn level_share(holds: impl Fn(usize) -> bool) -> Option<f64> {
    let shares = LEVELS.iter().enumerate();
    Some(
        shares
            .filter(|(index, _)| holds(index + 1))
            .map(|(_, share)| share)
            .sum(),
    )
}

fn unit_nanos(unit: &str) -> Option<f64> {
    let seconds = match unit.to_ascii_lowercase().trim_end_matches('s') {
        "microsecond" => 1e-6,
        "millisecond" => 1e-3,
        "second" => 1.0,
        "minute" => 60.0,
        "hour" => 3_600.0,
        "day" => 86_400.0,
        "week" => 7.0 * 86_400.0,
        "month" => 30.4 * 86_400.0,
        "quarter" => 91.3 * 86_400.0,
        "year" => 365.2 * 86_400.0,
        _ => return None,
    };
    Some(seconds * 1e9)
}

/// `INTERVAL '5 minutes'`, or the same as a text.
fn interval_nanos(expression: &Expr) -> Option<f64> {
    let text = match unnested(expression) {
        Expr::Interval(interval) => string_literal(&interval.value)?,
        Expr::Cast { expr, .. } => string_literal(expr)?,
        other => string_literal(other)?,
    };
    let (count, unit) = text.trim().split_once(' ')?;
    Some(count.parse::<f64>().ok().filter(|count| *count > 0.0)? * unit_nanos(unit.trim())?)
}

/// How many values a part of a date has.
fn unit_cycle(field: &str) -> Option<f64> {
    Some(match field.to_ascii_lowercase().as_str() {
        "hour" => 24.0,
        "minute" | "second" => 60.0,
        "day" => 31.0,
        "dow" | "isodow" => 7.0,
        "month" => 12.0,
        "week" => 53.0,
        _ => return None,
    })
}
