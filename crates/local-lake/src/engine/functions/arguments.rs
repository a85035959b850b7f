//! Reading the arguments of a table function, which must be constants when the query is planned.

use chrono::{DateTime, Utc};
use datafusion::common::{plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::prelude::Expr;
use datafusion::scalar::ScalarValue;
use lakepilot_query::{Error, ErrorKind};

use crate::engine::failure::external;

/// The arguments of one call, taken from the first to the last.
pub(crate) struct Arguments<'a> {
    function: &'static str,
    expressions: std::iter::Enumerate<std::slice::Iter<'a, Expr>>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(function: &'static str, expressions: &'a [Expr]) -> Self {
        Self {
            function,
            expressions: expressions.iter().enumerate(),
        }
    }

    fn next(&mut self, expected: &str) -> Result<(usize, ScalarValue)> {
        let function = self.function;
        let (index, expression) = self
            .expressions
            .next()
            .ok_or_else(|| plan_datafusion_err!("{function} misses an argument: {expected}"))?;
        match constant(expression)? {
            Some(value) => Ok((index + 1, value)),
            None => plan_err!(
                "argument {} of {function} is not a constant; expected {expected}",
                index + 1
            ),
        }
    }

    /// The next argument, which is text.
    pub(crate) fn text(&mut self, expected: &str) -> Result<String> {
        match self.next(expected)? {
            (
                _,
                ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)),
            ) => Ok(text),
            (index, other) => self.wrong(index, &other, expected),
        }
    }

    /// The next argument, which is a whole number.
    pub(crate) fn integer(&mut self, expected: &str) -> Result<i64> {
        match self.next(expected)? {
            (_, ScalarValue::Int64(Some(number))) => Ok(number),
            (index, other) => self.wrong(index, &other, expected),
        }
    }

    /// The next argument, which is a time: RFC 3339 text with a zone, or a timestamp in UTC.
    ///
    /// Text without a zone is not a mistake of the SQL for the real service, so it is an internal error here too.
    pub(crate) fn time(&mut self, expected: &str) -> Result<DateTime<Utc>> {
        match self.next(expected)? {
            (_, ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text))) => {
                DateTime::parse_from_rfc3339(&text).map(Into::into).map_err(|error| {
                    let message = format!("'{text}' is not a time in RFC 3339 with a zone: {error}");
                    external(Error::new(ErrorKind::InvalidInput, message))
                })
            }
            (_, ScalarValue::TimestampNanosecond(Some(nanos), zone)) => match zone.as_deref() {
                None | Some("+00:00" | "UTC") => Ok(DateTime::from_timestamp_nanos(nanos)),
                Some(zone) => plan_err!("a timestamp in the zone {zone} was given; it has to be in UTC"),
            },
            (index, other) => self.wrong(index, &other, expected),
        }
    }

    fn wrong<T>(&self, index: usize, found: &ScalarValue, expected: &str) -> Result<T> {
        plan_err!(
            "argument {index} of {} is {found:?}; expected {expected}",
            self.function
        )
    }
}

/// The value of an expression that needs no rows, or `None`. Casts of literals, such as `TIMESTAMP '2026-01-01'`, are
/// constants.
fn constant(expression: &Expr) -> Result<Option<ScalarValue>> {
    match ExprSimplifier::new(SimplifyContext::default()).simplify(expression.clone())? {
        Expr::Literal(value, _) => Ok(Some(value)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::{DataType, TimeUnit};
    use datafusion::prelude::{cast, col, lit};

    fn timestamp(zone: Option<&str>) -> Expr {
        cast(
            lit("2026-01-01T00:00:00Z"),
            DataType::Timestamp(TimeUnit::Nanosecond, zone.map(Into::into)),
        )
    }

    #[test]
    fn times_need_a_zone() {
        let expected = "2026-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let good = [
            lit("2026-01-01T00:00:00Z"),
            lit("2026-01-01T02:00:00+02:00"),
            timestamp(None),
            timestamp(Some("+00:00")),
        ];
        for expression in &good {
            let mut arguments = Arguments::new("f", std::slice::from_ref(expression));
            assert_eq!(arguments.time("a time").unwrap(), expected, "{expression}");
        }
        for (expression, says) in [
            (lit("2026-01-01T00:00:00"), "with a zone"),
            (lit("yesterday"), "with a zone"),
            (timestamp(Some("+02:00")), "has to be in UTC"),
            (lit(5i64), "expected a time"),
            (col("x"), "not a constant"),
        ] {
            let error = Arguments::new("f", std::slice::from_ref(&expression))
                .time("a time")
                .unwrap_err();
            assert!(error.to_string().contains(says), "{expression}: {error}");
        }
    }

    #[test]
    fn arguments_are_taken_in_order() {
        let expressions = [lit("a"), lit(7i64)];
        let mut arguments = Arguments::new("f", &expressions);
        assert_eq!(arguments.text("a name").unwrap(), "a");
        assert_eq!(arguments.integer("a number").unwrap(), 7);
        let missing = arguments.text("a name").unwrap_err();
        assert!(
            missing.to_string().contains("f misses an argument: a name"),
            "{missing}"
        );
        let wrong = Arguments::new("f", &expressions[1..]).text("a name").unwrap_err();
        assert!(wrong.to_string().contains("argument 1 of f is"), "{wrong}");
    }
}
