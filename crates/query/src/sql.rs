//! Putting values into SQL text so that they arrive as themselves.

use chrono::{DateTime, Utc};

use crate::to_rfc3339;

/// A value as a SQL string literal: `it's` becomes `'it''s'`.
///
/// The doubling of the quote is all that standard SQL, and DataFusion's dialect, knows: a backslash, a percent sign or a
/// line break in a literal stands for itself. Inside a `LIKE` pattern, `%` and `_` keep their meaning.
pub fn quote_literal(value: &str) -> String {
    quoted(value, '\'')
}

/// A name as a quoted SQL identifier, which keeps its case and every character: `streams.tags` becomes
/// `"streams.tags"`.
pub fn quote_identifier(name: &str) -> String {
    quoted(name, '"')
}

/// A time as a SQL string literal in RFC 3339 with its zone, exact to the nanosecond.
pub fn quote_time(time: DateTime<Utc>) -> String {
    quote_literal(&to_rfc3339(time))
}

fn quoted(text: &str, quote: char) -> String {
    let mut sql = String::with_capacity(text.len() + 2);
    sql.push(quote);
    for character in text.chars() {
        if character == quote {
            sql.push(quote);
        }
        sql.push(character);
    }
    sql.push(quote);
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sqlparser::ast::{Expr, SelectItem, SetExpr, Statement, Value};
    use sqlparser::dialect::GenericDialect;
    use sqlparser::parser::Parser;

    const CORPUS: &[&str] = &[
        "",
        "plain",
        "it's",
        "''",
        "'",
        "\\",
        "\\'",
        "\\'; --",
        "'); DROP TABLE log_entries; --",
        "' OR '1'='1",
        "' UNION SELECT 1 --",
        "/* */ ' /*",
        "\"quoted\"",
        "\"; DROP TABLE x; --",
        "line\nbreak\r\n",
        "tab\tnul\0end",
        "%_[a]^$",
        "$1 ? :name @var",
        "e'\\n'",
        "ünïcödé 漢字 🚀 \u{202e}rtl",
        "\u{2019}curly\u{ff07}",
        "streams.tags",
    ];

    /// The one expression of `SELECT <expression>`, however the text was meant to break out of it.
    fn only_expression(sql: &str) -> Expr {
        let mut statements =
            Parser::parse_sql(&GenericDialect {}, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(statements.len(), 1, "{sql}");
        let Statement::Query(query) = statements.remove(0) else {
            panic!("{sql} is not a query")
        };
        let SetExpr::Select(select) = *query.body else {
            panic!("{sql} is not a select")
        };
        assert!(select.from.is_empty() && select.selection.is_none(), "{sql}");
        match select.projection.as_slice() {
            [SelectItem::UnnamedExpr(expression)] => expression.clone(),
            other => panic!("{sql}: {other:?}"),
        }
    }

    fn check_literal(value: &str) {
        match only_expression(&format!("SELECT {}", quote_literal(value))) {
            Expr::Value(found) => assert_eq!(found.value, Value::SingleQuotedString(value.to_owned())),
            other => panic!("{value:?}: {other:?}"),
        }
    }

    fn check_identifier(name: &str) {
        match only_expression(&format!("SELECT {}", quote_identifier(name))) {
            Expr::Identifier(found) => assert_eq!(found.value, name),
            other => panic!("{name:?}: {other:?}"),
        }
    }

    #[test]
    fn the_corpus_arrives_as_itself() {
        for text in CORPUS {
            check_literal(text);
            check_identifier(text);
        }
    }

    proptest! {
        #[test]
        fn any_text_arrives_as_itself(text in any::<String>()) {
            check_literal(&text);
            check_identifier(&text);
        }

        #[test]
        fn quotes_and_backslashes_arrive_as_themselves(text in r#"['"\\;\-]{0,12}"#) {
            check_literal(&text);
            check_identifier(&text);
        }
    }

    #[test]
    fn a_time_keeps_its_nanoseconds() {
        let time = DateTime::from_timestamp_nanos(1_700_000_000_000_000_001);
        assert_eq!(quote_time(time), "'2023-11-14T22:13:20.000000001Z'");
    }
}
