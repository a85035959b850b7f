//! Times that stand in SQL as constants: literals, `now()`, and what is computed from them.

use std::time::Duration;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use sqlparser::ast::{BinaryOperator, DataType, DateTimeField, Expr, Interval, UnaryOperator, Value};

use super::expression::{call_arguments, last_part, string_literal, unnested};

/// How deep an expression is followed; constants in earnest are shallow.
const DEEPEST: usize = 32;

/// A length of time as SQL has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Length {
    months: i64,
    nanos: i128,
}

/// What a constant expression comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Constant {
    Moment(DateTime<Utc>),
    Length(Length),
}

/// What is known of a value that a time is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// This instant.
    At(DateTime<Utc>),
    /// The same for all rows, and not known before the query runs: a parameter, or a subquery.
    Unknown,
    /// Not the same for all rows.
    Varying,
}

/// Evaluates what a time column is compared with.
pub(crate) fn moment(expression: &Expr, now: DateTime<Utc>) -> Moment {
    if let Some(Constant::Moment(time)) = constant(expression, now, 0) {
        return Moment::At(time);
    }
    if is_without_columns(expression) {
        Moment::Unknown
    } else {
        Moment::Varying
    }
}

/// Whether nothing in the expression differs from row to row.
fn is_without_columns(expression: &Expr) -> bool {
    let mut inside = vec![expression];
    let mut queries = Vec::new();
    while let Some(next) = inside.pop() {
        match next {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => return false,
            _ => super::expression::push_children(next, &mut inside, &mut queries),
        }
    }
    true
}

fn constant(expression: &Expr, now: DateTime<Utc>, depth: usize) -> Option<Constant> {
    if depth > DEEPEST {
        return None;
    }
    let next = |inner: &Expr| constant(inner, now, depth + 1);
    match unnested(expression) {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
                parse_timestamp(text).map(|parsed| Constant::Moment(parsed.time))
            }
            _ => None,
        },
        Expr::TypedString(typed) if is_time_type(&typed.data_type) => match &typed.value.value {
            Value::SingleQuotedString(text) => parse_timestamp(text).map(|parsed| Constant::Moment(parsed.time)),
            _ => None,
        },
        Expr::Cast { expr, data_type, .. } if is_time_type(data_type) => {
            let Constant::Moment(time) = next(expr)? else {
                return None;
            };
            let is_date = matches!(data_type, DataType::Date | DataType::Date32);
            Some(Constant::Moment(if is_date { start_of_day(time)? } else { time }))
        }
        Expr::Interval(interval) => length(interval).map(Constant::Length),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match next(expr)? {
            Constant::Length(length) => Some(Constant::Length(negated(length))),
            Constant::Moment(_) => None,
        },
        Expr::BinaryOp { left, op, right } => combine(next(left)?, op, next(right)?),
        Expr::Function(function) => {
            let name = last_part(&function.name)?;
            call(&name, &call_arguments(&function.args)?, now, depth)
        }
        _ => None,
    }
}

pub(crate) fn is_time_type(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp(..) | DataType::TimestampNtz(_) | DataType::Datetime(_) | DataType::Date | DataType::Date32
    )
}

fn combine(left: Constant, op: &BinaryOperator, right: Constant) -> Option<Constant> {
    match (left, op, right) {
        (Constant::Moment(time), BinaryOperator::Plus, Constant::Length(length))
        | (Constant::Length(length), BinaryOperator::Plus, Constant::Moment(time)) => {
            add(time, length).map(Constant::Moment)
        }
        (Constant::Moment(time), BinaryOperator::Minus, Constant::Length(length)) => {
            add(time, negated(length)).map(Constant::Moment)
        }
        (Constant::Length(left), BinaryOperator::Plus, Constant::Length(right)) => Some(Constant::Length(Length {
            months: left.months.checked_add(right.months)?,
            nanos: left.nanos.checked_add(right.nanos)?,
        })),
        _ => None,
    }
}

fn negated(length: Length) -> Length {
    Length {
        months: -length.months,
        nanos: -length.nanos,
    }
}

fn add(time: DateTime<Utc>, length: Length) -> Option<DateTime<Utc>> {
    let months = Months::new(u32::try_from(length.months.unsigned_abs()).ok()?);
    let moved = if length.months < 0 {
        time.checked_sub_months(months)?
    } else {
        time.checked_add_months(months)?
    };
    let seconds = i64::try_from(length.nanos.div_euclid(1_000_000_000)).ok()?;
    let nanos = u32::try_from(length.nanos.rem_euclid(1_000_000_000)).ok()?;
    moved.checked_add_signed(TimeDelta::new(seconds, nanos)?)
}

fn start_of_day(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    Some(time.date_naive().and_time(NaiveTime::MIN).and_utc())
}

fn call(name: &str, arguments: &[&Expr], now: DateTime<Utc>, depth: usize) -> Option<Constant> {
    let time_of = |expression: &Expr| match constant(expression, now, depth + 1)? {
        Constant::Moment(time) => Some(time),
        Constant::Length(_) => None,
    };
    let moment = match (name, arguments) {
        ("now" | "current_timestamp", []) => now,
        ("current_date" | "today", []) => start_of_day(now)?,
        ("to_timestamp" | "to_timestamp_nanos" | "to_timestamp_micros" | "to_timestamp_millis", [text])
            if string_literal(text).is_some() =>
        {
            time_of(text)?
        }
        ("to_timestamp" | "to_timestamp_seconds", [number]) => from_number(number, 1_000_000_000)?,
        ("to_timestamp_millis", [number]) => from_number(number, 1_000_000)?,
        ("to_timestamp_micros", [number]) => from_number(number, 1_000)?,
        ("to_timestamp_nanos", [number]) => from_number(number, 1)?,
        ("arrow_cast", [value, data_type]) if string_literal(data_type)?.starts_with("Timestamp") => time_of(value)?,
        ("date_trunc" | "datetrunc", [unit, value]) => truncated(string_literal(unit)?, time_of(value)?)?,
        _ => return None,
    };
    Some(Constant::Moment(moment))
}

fn from_number(expression: &Expr, nanos: i64) -> Option<DateTime<Utc>> {
    match unnested(expression) {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => {
                let count: i64 = digits.parse().ok()?;
                Some(DateTime::from_timestamp_nanos(count.checked_mul(nanos)?))
            }
            _ => None,
        },
        _ => None,
    }
}

fn truncated(unit: &str, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let day = time.date_naive();
    let date = |date: NaiveDate| Some(date.and_time(NaiveTime::MIN).and_utc());
    match unit.to_ascii_lowercase().as_str() {
        "second" => time.with_nanosecond(0),
        "minute" => time.with_second(0)?.with_nanosecond(0),
        "hour" => time.with_minute(0)?.with_second(0)?.with_nanosecond(0),
        "day" => date(day),
        "week" => date(day - TimeDelta::days(i64::from(day.weekday().num_days_from_monday()))),
        "month" => date(day.with_day(1)?),
        "quarter" => date(NaiveDate::from_ymd_opt(day.year(), day.month0() / 3 * 3 + 1, 1)?),
        "year" => date(NaiveDate::from_ymd_opt(day.year(), 1, 1)?),
        _ => None,
    }
}

/// `INTERVAL '1 hour'`, `INTERVAL '1 day 6 hours'`, `INTERVAL '15' MINUTE`.
fn length(interval: &Interval) -> Option<Length> {
    let number_or_text = match unnested(&interval.value) {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::Number(text, _) => text.as_str(),
            _ => return None,
        },
        _ => return None,
    };
    if let Some(field) = &interval.leading_field {
        if interval.last_field.is_some() {
            return None;
        }
        let unit = field_name(field)?;
        return one_length(number_or_text.trim(), unit);
    }
    let mut total = Length::default();
    let spaced = spaced(number_or_text);
    let mut words = spaced.split_whitespace();
    let mut any = false;
    while let Some(number) = words.next() {
        let next = one_length(number, words.next()?)?;
        total.months = total.months.checked_add(next.months)?;
        total.nanos = total.nanos.checked_add(next.nanos)?;
        any = true;
    }
    any.then_some(total)
}

/// `1h30m` as `1 h 30 m `.
fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 4);
    let mut was_digit = None;
    for character in text.chars() {
        let is_digit = character.is_ascii_digit() || matches!(character, '.' | '-' | '+');
        if was_digit.is_some_and(|was| was != is_digit) && !character.is_whitespace() {
            spaced.push(' ');
        }
        was_digit = (!character.is_whitespace()).then_some(is_digit);
        spaced.push(character);
    }
    spaced
}

fn field_name(field: &DateTimeField) -> Option<&'static str> {
    Some(match field {
        DateTimeField::Year | DateTimeField::Years => "year",
        DateTimeField::Month | DateTimeField::Months => "month",
        DateTimeField::Week(None) | DateTimeField::Weeks => "week",
        DateTimeField::Day | DateTimeField::Days => "day",
        DateTimeField::Hour | DateTimeField::Hours => "hour",
        DateTimeField::Minute | DateTimeField::Minutes => "minute",
        DateTimeField::Second | DateTimeField::Seconds => "second",
        _ => return None,
    })
}

fn one_length(number: &str, unit: &str) -> Option<Length> {
    let unit = unit.to_ascii_lowercase();
    let months = match unit.trim_end_matches('s') {
        "month" | "mon" => Some(1),
        "year" | "yr" | "y" => Some(12),
        "decade" => Some(120),
        _ => None,
    };
    if let Some(months) = months {
        return Some(Length {
            months: number.parse::<i64>().ok()?.checked_mul(months)?,
            nanos: 0,
        });
    }
    let unit_length = match unit.as_str() {
        "ns" | "nanosecond" | "nanoseconds" => Duration::from_nanos(1),
        "us" | "microsecond" | "microseconds" => Duration::from_micros(1),
        "ms" | "millisecond" | "milliseconds" => Duration::from_millis(1),
        "s" | "sec" | "secs" | "second" | "seconds" => Duration::from_secs(1),
        "m" | "min" | "mins" | "minute" | "minutes" => Duration::from_secs(60),
        "h" | "hr" | "hrs" | "hour" | "hours" => Duration::from_secs(3_600),
        "d" | "day" | "days" => Duration::from_secs(86_400),
        "w" | "week" | "weeks" => Duration::from_secs(604_800),
        _ => return None,
    };
    let unit_nanos = unit_length.as_nanos() as i128;
    let nanos = match number.parse::<i64>() {
        Ok(whole) => i128::from(whole).checked_mul(unit_nanos)?,
        Err(_) => {
            let fraction: f64 = number.parse().ok()?;
            if !fraction.is_finite() || fraction.abs() > 1e9 {
                return None;
            }
            (fraction * unit_nanos as f64) as i128
        }
    };
    Some(Length { months: 0, nanos })
}

/// A timestamp as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp {
    pub(crate) time: DateTime<Utc>,
    /// Whether the text names its zone; the service takes it for UTC otherwise.
    pub(crate) has_zone: bool,
    /// Whether the text is a date alone.
    pub(crate) is_date: bool,
}

/// Reads a timestamp as the service casts text to one.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    // The shortest is a date, and most strings in SQL are not timestamps.
    if text.len() < 10 || !text.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(Timestamp {
            time: time.with_timezone(&Utc),
            has_zone: true,
            is_date: false,
        });
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(Timestamp {
            time: date.and_time(NaiveTime::MIN).and_utc(),
            has_zone: false,
            is_date: true,
        });
    }
    for format in [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(Timestamp {
                time: time.and_utc(),
                has_zone: false,
                is_date: false,
            });
        }
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z"] {
        if let Ok(time) = DateTime::parse_from_str(text, format) {
            return Some(Timestamp {
                time: time.with_timezone(&Utc),
                has_zone: true,
                is_date: false,
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::dialect::GenericDialect;
    use sqlparser::parser::Parser;

    fn evaluate(sql: &str) -> Moment {
        let dialect = GenericDialect {};
        let expression = Parser::new(&dialect).try_with_sql(sql).unwrap().parse_expr().unwrap();
        let now = DateTime::parse_from_rfc3339("2026-03-31T12:34:56Z")
            .unwrap()
            .with_timezone(&Utc);
        moment(&expression, now)
    }

    fn check(sql: &str, expected: &str) {
        let expected = DateTime::parse_from_rfc3339(expected).unwrap().with_timezone(&Utc);
        assert_eq!(evaluate(sql), Moment::At(expected), "{sql}");
    }

    #[test]
    fn constants_come_to_instants() {
        for (sql, expected) in [
            ("'2026-01-02T03:04:05Z'", "2026-01-02T03:04:05Z"),
            ("'2026-01-02T03:04:05+02:00'", "2026-01-02T01:04:05Z"),
            ("'2026-01-02 03:04:05.5'", "2026-01-02T03:04:05.5Z"),
            ("'2026-01-02'", "2026-01-02T00:00:00Z"),
            ("TIMESTAMP '2026-01-02 03:04:05'", "2026-01-02T03:04:05Z"),
            ("DATE '2026-01-02'", "2026-01-02T00:00:00Z"),
            ("'2026-01-02T03:04:05Z'::timestamp", "2026-01-02T03:04:05Z"),
            ("CAST('2026-01-02T03:04:05Z' AS DATE)", "2026-01-02T00:00:00Z"),
            ("to_timestamp('2026-01-02T03:04:05Z')", "2026-01-02T03:04:05Z"),
            ("to_timestamp_millis(1767323045000)", "2026-01-02T03:04:05Z"),
            (
                "arrow_cast('2026-01-02T03:04:05Z', 'Timestamp(Nanosecond, None)')",
                "2026-01-02T03:04:05Z",
            ),
            ("now()", "2026-03-31T12:34:56Z"),
            ("NOW() - INTERVAL '1 hour'", "2026-03-31T11:34:56Z"),
            ("now() - interval '1 day 6 hours'", "2026-03-30T06:34:56Z"),
            ("now() - INTERVAL '15' MINUTE", "2026-03-31T12:19:56Z"),
            ("now() - INTERVAL '1h30m'", "2026-03-31T11:04:56Z"),
            ("now() - INTERVAL '1 month'", "2026-02-28T12:34:56Z"),
            ("current_timestamp + INTERVAL '1.5 seconds'", "2026-03-31T12:34:57.5Z"),
            ("date_trunc('hour', now())", "2026-03-31T12:00:00Z"),
            ("date_trunc('week', now()) - interval '7 days'", "2026-03-23T00:00:00Z"),
            ("(current_date - (INTERVAL '1 day'))", "2026-03-30T00:00:00Z"),
        ] {
            check(sql, expected);
        }
    }

    #[test]
    fn what_is_not_constant_is_told_apart() {
        assert_eq!(evaluate("$1"), Moment::Unknown);
        assert_eq!(evaluate("(SELECT max(time) FROM t)"), Moment::Unknown);
        assert_eq!(evaluate("'yesterday'"), Moment::Unknown);
        assert_eq!(evaluate("start_time + INTERVAL '1 hour'"), Moment::Varying);
        assert_eq!(evaluate("now() - INTERVAL '99999999999999999 years'"), Moment::Unknown);
    }
}
