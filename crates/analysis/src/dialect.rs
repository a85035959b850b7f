//! The service's dialect, with a bound on the work that a text can make the parser do.

use std::any::TypeId;
use std::cell::Cell;

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, GenericDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token, Word};

/// What DataFusion, and so the service, parses with unless it is configured otherwise.
static GENERIC: GenericDialect = GenericDialect {};

/// The service's dialect for one statement.
///
/// Where the parser fails within a word that is both a keyword and a name (`CAST`, `NOT`, `POSITION`), it tries again and
/// reads a name, so that an error twenty levels deep is looked for a million times. Each look costs a part of a budget, and
/// at its end the parser gives up as it does on deep nesting.
#[derive(Debug)]
pub(crate) struct BoundedDialect {
    left: Cell<usize>,
    /// How often the parser asked something: what its work is counted by.
    #[cfg(test)]
    asked: Cell<usize>,
}

impl BoundedDialect {
    /// A dialect for a statement of so many tokens. No statement that parses needs a part of the budget.
    pub(crate) fn new(tokens: usize) -> Self {
        Self {
            left: Cell::new(16 * tokens + 10_000),
            #[cfg(test)]
            asked: Cell::new(0),
        }
    }

    /// How often the parser asked something.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> usize {
        self.asked.get()
    }

    /// Whether the parser was made to give up.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.left.get() == 0
    }
}

/// Answers questions of the parser as the wrapped dialect does.
macro_rules! as_generic {
    ($($question:ident)*) => {
        $(fn $question(&self) -> bool {
            #[cfg(test)]
            self.asked.set(self.asked.get() + 1);
            GENERIC.$question()
        })*
    };
}

impl Dialect for BoundedDialect {
    fn dialect(&self) -> TypeId {
        GENERIC.dialect()
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                plain_operand(parser)
            }
            None => Some(Err(ParserError::RecursionLimitExceeded)),
        }
    }

    fn is_delimited_identifier_start(&self, character: char) -> bool {
        GENERIC.is_delimited_identifier_start(character)
    }

    fn is_identifier_start(&self, character: char) -> bool {
        GENERIC.is_identifier_start(character)
    }

    fn is_identifier_part(&self, character: char) -> bool {
        GENERIC.is_identifier_part(character)
    }

    as_generic! {
        allow_extract_custom
        allow_extract_single_quotes
        support_map_literal_syntax
        supports_array_join_syntax
        supports_array_typedef_with_brackets
        supports_asc_desc_in_column_definition
        supports_bitwise_shift_operators
        supports_comma_separated_set_assignments
        supports_comma_separated_trim
        supports_comment_on
        supports_comment_optimizer_hint
        supports_connect_by
        supports_constraint_keyword_without_name
        supports_create_index_with_clause
        supports_create_view_comment_syntax
        supports_cte_without_as
        supports_data_type_signed_suffix
        supports_detach
        supports_dictionary_syntax
        supports_empty_projections
        supports_explain_with_utility_options
        supports_extract_comma_syntax
        supports_filter_during_aggregation
        supports_from_first_select
        supports_group_by_expr
        supports_group_by_with_modifier
        supports_install
        supports_interpolate
        supports_interval_options
        supports_key_column_option
        supports_left_associative_joins_without_parens
        supports_limit_by
        supports_limit_comma
        supports_load_extension
        supports_match_against
        supports_match_recognize
        supports_multiline_comment_hints
        supports_named_fn_args_with_assignment_operator
        supports_nested_comments
        supports_optimize_table
        supports_parens_around_table_factor
        supports_parenthesized_set_variables
        supports_partition_by_after_order_by
        supports_pipe_operator
        supports_prewhere
        supports_projection_trailing_commas
        supports_quote_delimited_string
        supports_select_format
        supports_select_item_multi_column_alias
        supports_select_wildcard_except
        supports_select_wildcard_exclude
        supports_select_wildcard_ilike
        supports_select_wildcard_rename
        supports_select_wildcard_replace
        supports_set_names
        supports_settings
        supports_start_transaction_modifier
        supports_string_escape_constant
        supports_struct_literal
        supports_try_convert
        supports_unicode_string_literal
        supports_update_order_by
        supports_user_host_grantee
        supports_values_as_table_factor
        supports_window_clause_named_window_reference
        supports_window_function_null_treatment_arg
        supports_with_fill
        supports_xml_expressions
    }
}

/// A column, a number or a text that stands alone: what most operands are. For each of them the parser would first try the
/// name of a type with a literal behind it (`DATE '2026-01-31'`), and make the text of an error when it is none, which is
/// a quarter of its time. What follows here cannot follow a type, so the outcome is the same.
fn plain_operand(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let first = parser.peek_token_ref();
    match &first.token {
        Token::Word(word) if is_name(word) => {
            let (column, tokens) = column(parser, word, first.span)?;
            for _ in 0..tokens {
                parser.advance_token();
            }
            Some(Ok(column))
        }
        Token::Number(..) | Token::SingleQuotedString(_) if ends_operand(&parser.peek_nth_token_ref(1).token) => {
            Some(parser.parse_value().map(Expr::Value))
        }
        _ => None,
    }
}

/// The column that a word is, or that it is the table of, and how many tokens that takes.
fn column(parser: &Parser<'_>, word: &Word, span: Span) -> Option<(Expr, usize)> {
    match &parser.peek_nth_token_ref(1).token {
        Token::Period => {
            let second = parser.peek_nth_token_ref(2);
            let Token::Word(name) = &second.token else { return None };
            if !ends_operand(&parser.peek_nth_token_ref(3).token) {
                return None;
            }
            if is_name(name) {
                let names = vec![word.to_ident(span), name.to_ident(second.span)];
                return Some((Expr::CompoundIdentifier(names), 3));
            }
            // The parser puts it on, and says what is wrong with it.
            Some((Expr::Identifier(word.to_ident(span)), 1))
        }
        next if ends_operand(next) => Some((Expr::Identifier(word.to_ident(span)), 1)),
        _ => None,
    }
}

/// Whether a word is no keyword, or one that is the name of a column and begins no other expression.
fn is_name(word: &Word) -> bool {
    matches!(
        word.keyword,
        Keyword::NoKeyword | Keyword::TIME | Keyword::LEVEL | Keyword::NAME | Keyword::VALUE
    )
}

fn ends_operand(token: &Token) -> bool {
    match token {
        Token::Comma
        | Token::Eq
        | Token::Neq
        | Token::Lt
        | Token::LtEq
        | Token::Gt
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::StringConcat
        | Token::RParen
        | Token::SemiColon
        | Token::EOF => true,
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::BETWEEN
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::IS
                | Keyword::FROM
                | Keyword::WHERE
                | Keyword::GROUP
                | Keyword::ORDER
                | Keyword::LIMIT
                | Keyword::AS
                | Keyword::ASC
                | Keyword::DESC
                | Keyword::THEN
                | Keyword::ELSE
                | Keyword::END
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parser asks a dialect questions of which a new version may add some. If the two differ in one, one of these
    /// texts most probably parses in one of them only.
    #[test]
    fn the_same_is_parsed_as_in_the_wrapped_dialect() {
        for sql in [
            "FROM t",
            "SELECT a, FROM t",
            "SELECT FROM t",
            "SELECT * EXCLUDE (a) REPLACE (b AS c) FROM t",
            "SELECT * EXCEPT (a) FROM t",
            "SELECT * RENAME a AS b FROM t",
            "SELECT * ILIKE 'a%' FROM t",
            "SELECT {'a': 1}, MAP {'a': 1}, [1, 2], STRUCT(1)",
            "SELECT a << 1, b >> 1, 1 = 1",
            "SELECT sum(a) FILTER (WHERE b) FROM t",
            "SELECT first_value(a IGNORE NULLS) OVER w FROM t WINDOW w AS (v), v AS (ORDER BY b)",
            "SELECT a FROM t LIMIT 1, 2",
            "SELECT a FROM t LIMIT 1 BY a",
            "SELECT a FROM t ORDER BY a WITH FILL",
            "SELECT a FROM t PREWHERE b WHERE c",
            "SELECT a FROM t SETTINGS x = 1",
            "SELECT a FROM t FORMAT CSV",
            "SELECT f(a := 1), f(a => 1)",
            "SELECT E'a\\nb', U&'\\0041', q'[a]'",
            "SELECT extract('hour' FROM a), extract(hour, a), extract(foo FROM a)",
            "SELECT trim('a', 'b'), try_convert(int, a)",
            "SELECT a FROM (VALUES (1)) AS t(a)",
            "SELECT a FROM VALUES (1)",
            "SELECT a FROM ((t))",
            "SELECT a FROM t JOIN u JOIN v ON x ON y",
            "SELECT a FROM t ARRAY JOIN b",
            "SELECT a FROM t |> WHERE b",
            "SELECT a FROM t GROUP BY a WITH ROLLUP",
            "SELECT a FROM t GROUP BY GROUPING SETS ((a), ())",
            "SELECT a FROM t START WITH b CONNECT BY c",
            "WITH t (SELECT 1) SELECT 1",
            "SELECT /* a /* b */ c */ 1",
            "SELECT `a`, \"b\", @c, #d FROM t",
            "SELECT match (a) against ('b') FROM t",
            "SELECT CAST(a AS int[]), CAST(b AS int unsigned)",
            "SELECT INTERVAL '1' DAY, INTERVAL '1 day', INTERVAL 1 DAY",
            "EXPLAIN (ANALYZE) SELECT 1",
            "SET (a, b) = (1, 2)",
            "SET a = 1, b = 2",
            "SET NAMES 'utf8'",
            "INSTALL x",
            "DETACH x",
            "OPTIMIZE TABLE x",
            "LOAD x",
            "COMMENT ON TABLE a IS 'b'",
            "BEGIN DEFERRED TRANSACTION",
            "UPDATE t SET a = 1 ORDER BY b LIMIT 1",
            "CREATE INDEX i ON t (a) WITH (b = 1)",
            "CREATE VIEW v COMMENT = 'a' AS SELECT 1",
            "GRANT SELECT ON t TO 'a'@'b'",
            "SELECT a AS (b, c) FROM t",
            "SELECT xml '<a/>'",
            "SELECT sum(a) OVER (ORDER BY b PARTITION BY c) FROM t",
        ] {
            let here = Parser::parse_sql(&BoundedDialect::new(100), sql);
            let there = Parser::parse_sql(&GENERIC, sql);
            assert_eq!(here, there, "{sql}");
        }
    }
    #[test]
    fn operands_are_read_as_the_parser_reads_them() {
        let operands = [
            "a",
            "time",
            "level",
            "name",
            "value",
            "l.time",
            "l.\"end\"",
            "l.end",
            "l.interval",
            "l.level",
            "\"l\".\"time\"",
            "l.'time'",
            "l.1",
            "\"Time\"",
            "a.b.c",
            "a[1]",
            "l.a[1]",
            "f(a)",
            "f(time)",
            "1",
            "-1",
            "'x'",
            "'x' 'y'",
            "date '2026-01-31'",
            "time '12:00'",
            "interval '1 hour'",
            "null",
            "true",
            "begin",
            "end",
            "current_date",
            "x'00'",
            "$1",
            "time::text",
            "a -> b",
            "a collate b",
            "xml '<a/>'",
            "_utf8 'x'",
            "a at time zone 'utc'",
            "l.*",
            "exists (select 1)",
            "a int -> b",
            "lambda x : x",
            "prior a",
        ];
        let places = [
            "SELECT {}",
            "SELECT {}, {} FROM t",
            "SELECT {} AS b FROM t WHERE {} = {}",
            "SELECT 1 WHERE {} > {} AND {} <= {} OR {}",
            "SELECT 1 WHERE {} BETWEEN {} AND {}",
            "SELECT 1 WHERE {} IN ({}, {}) AND {} IS NOT NULL AND {} LIKE {}",
            "SELECT CASE WHEN {} THEN {} ELSE {} END",
            "SELECT f({}, {}) FROM t GROUP BY {}, {} ORDER BY {} DESC, {} LIMIT {}",
            "SELECT ({}) + {} || {}",
            "SELECT {} 'x'",
            "SELECT {} x",
            "SELECT 1 WHERE NOT {} OR NOT ({})",
            "SELECT {} -> {}",
            "SELECT {} NOT LIKE {}",
            "SELECT {}(+) = {}",
            "SELECT {};",
            "VALUES ({}, {})",
            "SELECT 1 FROM a JOIN b ON {} = {}",
        ];
        for place in places {
            for operand in operands {
                let sql = place.replace("{}", operand);
                let here = Parser::parse_sql(&BoundedDialect::new(100), &sql);
                let there = Parser::parse_sql(&GENERIC, &sql);
                assert_eq!(here.is_ok(), there.is_ok(), "{sql}: {here:?} {there:?}");
                if let (Ok(here), Ok(there)) = (here, there) {
                    // The places in the text are told too, which are not part of equality.
                    assert_eq!(format!("{here:?}"), format!("{there:?}"), "{sql}");
                }
            }
        }
    }
}
