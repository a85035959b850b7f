//! From text to statements: one pass of the tokeniser, then each statement parsed alone.

use std::ops::Range;

use sqlparser::ast::Statement;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, TokenizerError};

use crate::dialect::BoundedDialect;
use crate::source::Source;
use crate::tokens::{self, tokenize};

/// How deep brackets may nest. The service's parser gives up at fifty levels of expressions; a text beyond this is
/// refused before it costs anything.
const DEEPEST_NESTING: usize = 64;

/// How many operators one statement may chain. A chain becomes a tree as deep as it is long, which is walked and freed
/// by recursion.
const MOST_OPERATORS: usize = 4_096;

/// How deep a statement is parsed on the stack of the caller.
const SHALLOW: usize = 8;

/// The stack for a statement that is deeper. It is address space: only what is used becomes memory.
const DEEP_STACK_BYTES: usize = 64 << 20;

/// Why a text is not a statement, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) message: String,
    pub(crate) range: Range<usize>,
}

/// One statement of a text.
pub(crate) struct ParsedStatement {
    /// From the first token of the statement to the last, without the semicolon, comments and space around it.
    pub(crate) range: Range<usize>,
    /// Its tokens, comments included.
    pub(crate) tokens: Vec<TokenWithSpan>,
    pub(crate) parsed: Result<Statement, SyntaxError>,
}

impl Drop for ParsedStatement {
    fn drop(&mut self) {
        tokens::give_back(std::mem::take(&mut self.tokens));
    }
}

/// The statements of a text. An empty text has one, which is a syntax error.
pub(crate) fn parse(source: &Source<'_>) -> Vec<ParsedStatement> {
    let (tokens, tokenized) = tokenize(source.text());
    let mut statements = Vec::new();
    for piece in split(tokens) {
        if piece.iter().any(is_significant) {
            let dialect = BoundedDialect::new(piece.len());
            statements.push(parse_statement(source, &dialect, piece));
        } else if let Some(previous) = statements.last_mut() {
            // Comments after the last semicolon belong to the statement before them.
            let previous: &mut ParsedStatement = previous;
            previous.tokens.extend(piece);
        } else if tokenized.is_ok() {
            statements.push(empty_statement(source, piece));
        }
    }
    match tokenized {
        Err(error) => put_tokenizer_error(source, &mut statements, error),
        Ok(()) if statements.is_empty() => statements.push(empty_statement(source, Vec::new())),
        Ok(()) => {}
    }
    statements
}

/// What is missing from an unterminated literal is missing from the statement that it ends.
fn put_tokenizer_error(source: &Source<'_>, statements: &mut Vec<ParsedStatement>, error: TokenizerError) {
    let start = source.offset(error.location);
    let error = SyntaxError {
        message: lowercase_first(error.message.trim_end()),
        range: next_character(
            source.text(),
            start.min(source.text().trim_end().len().saturating_sub(1)),
        ),
    };
    match statements.last_mut() {
        Some(last) => {
            last.range.end = last.range.end.max(error.range.end);
            last.parsed = Err(error);
        }
        None => statements.push(ParsedStatement {
            range: error.range.clone(),
            tokens: Vec::new(),
            parsed: Err(error),
        }),
    }
}

fn empty_statement(source: &Source<'_>, tokens: Vec<TokenWithSpan>) -> ParsedStatement {
    let range = next_character(source.text(), 0);
    ParsedStatement {
        range: range.clone(),
        tokens,
        parsed: Err(SyntaxError {
            message: "there is no statement in the text".to_owned(),
            range,
        }),
    }
}

/// Splits at semicolons. A comment on the line of a semicolon goes with what the semicolon ends.
fn split(tokens: Vec<TokenWithSpan>) -> Vec<Vec<TokenWithSpan>> {
    if !tokens.iter().any(|token| token.token == Token::SemiColon) {
        return if tokens.is_empty() { Vec::new() } else { vec![tokens] };
    }
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    let mut ended_on = None;
    for token in tokens {
        let is_comment_beside = !is_significant(&token) && ended_on == Some(token.span.start.line);
        if ended_on.is_some() && !is_comment_beside {
            pieces.push(std::mem::take(&mut piece));
            ended_on = None;
        }
        if token.token == Token::SemiColon {
            ended_on = Some(token.span.end.line);
        } else {
            piece.push(token);
        }
    }
    if !piece.is_empty() || ended_on.is_some() {
        pieces.push(piece);
    }
    pieces
}

pub(crate) fn is_significant(token: &TokenWithSpan) -> bool {
    !matches!(token.token, Token::Whitespace(_))
}

/// The byte range of a token.
pub(crate) fn token_range(source: &Source<'_>, token: &TokenWithSpan) -> Range<usize> {
    source.offset(token.span.start)..source.offset(token.span.end)
}

fn parse_statement(source: &Source<'_>, dialect: &BoundedDialect, tokens: Vec<TokenWithSpan>) -> ParsedStatement {
    let first = tokens.iter().find(|token| is_significant(token));
    let last = tokens.iter().rev().find(|token| is_significant(token));
    let range = match (first, last) {
        (Some(first), Some(last)) => source.offset(first.span.start)..source.offset(last.span.end),
        _ => 0..0,
    };
    let depth = match check_depth(source, &tokens) {
        Ok(depth) => depth,
        Err(error) => {
            return ParsedStatement {
                range,
                tokens,
                parsed: Err(error),
            };
        }
    };
    // What the parser needs of the stack between its own checks is more than those allow for.
    if depth > SHALLOW {
        stacker::grow(DEEP_STACK_BYTES, || parse_tokens(source, dialect, range, tokens))
    } else {
        parse_tokens(source, dialect, range, tokens)
    }
}

fn parse_tokens(
    source: &Source<'_>,
    dialect: &BoundedDialect,
    range: Range<usize>,
    tokens: Vec<TokenWithSpan>,
) -> ParsedStatement {
    let mut parser = Parser::new(dialect).with_tokens_with_locations(tokens);
    let parsed = parser.parse_statement().and_then(|statement| {
        let rest = parser.peek_token();
        if rest.token == Token::EOF {
            Ok(statement)
        } else {
            Err(ParserError::ParserError(format!(
                "Expected: end of statement, found: {rest}{}",
                rest.span.start
            )))
        }
    });
    let parsed = parsed.map_err(|error| match error {
        _ if dialect.is_exhausted() => SyntaxError {
            message: "the statement has an error deep within brackets, which the parser did not find".to_owned(),
            range: range.clone(),
        },
        error => syntax_error(source, &range, error),
    });
    ParsedStatement {
        range,
        tokens: parser.into_tokens(),
        parsed,
    }
}

/// Tells how deep brackets nest, and refuses what would become too deep a tree, from the tokens alone.
fn check_depth(source: &Source<'_>, tokens: &[TokenWithSpan]) -> Result<usize, SyntaxError> {
    let mut deepest = 0;
    // Prefixes nest as well: `NOT NOT`, `- -`, `CASE WHEN CASE`.
    let mut prefixes = 0;
    let mut follows_operator = false;
    // Operators chained so far at each level of brackets; a comma ends a chain.
    let mut chains = vec![0usize];
    let mut set_operations = 0usize;
    let mut depth = 0usize;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => chains.push(0),
            Token::RParen | Token::RBracket | Token::RBrace if chains.len() > 1 => {
                depth -= chains.pop().unwrap_or(0);
            }
            Token::Comma => depth -= chains.last_mut().map_or(0, std::mem::take),
            Token::Word(word) if is_set_operator(word.keyword) => set_operations += 1,
            other if is_operator(other) => {
                depth += 1;
                prefixes += usize::from(follows_operator || is_prefix(other));
                follows_operator = true;
                if let Some(chain) = chains.last_mut() {
                    *chain += 1;
                }
            }
            _ => {
                follows_operator = false;
                continue;
            }
        }
        deepest = deepest.max(chains.len());
        let message = if chains.len() > DEEPEST_NESTING {
            format!("brackets nest more than {DEEPEST_NESTING} deep, and the service takes fewer than 50")
        } else if depth + set_operations > MOST_OPERATORS {
            format!("more than {MOST_OPERATORS} operators are chained in one statement")
        } else {
            continue;
        };
        return Err(SyntaxError {
            message,
            range: token_range(source, token),
        });
    }
    Ok(deepest.max(prefixes))
}

/// Whether an operator stands before its operand and may be followed by itself.
fn is_prefix(token: &Token) -> bool {
    matches!(token, Token::Word(word) if matches!(
        word.keyword,
        Keyword::NOT | Keyword::CASE | Keyword::INTERVAL | Keyword::EXPLAIN
    ))
}

fn is_set_operator(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::MINUS
    )
}

/// Whether a token may put one expression into another: symbols, and words that work as operators.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::CASE
                | Keyword::INTERVAL
                | Keyword::EXPLAIN
                | Keyword::DIV
        ),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Placeholder(_)
        | Token::Period
        | Token::EOF => false,
        _ => true,
    }
}

/// The parser's error as a message, and a place taken from the end of its text.
fn syntax_error(source: &Source<'_>, statement: &Range<usize>, error: ParserError) -> SyntaxError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return SyntaxError {
                message: "the statement nests too deeply: the service stops at 50 levels".to_owned(),
                range: statement.clone(),
            };
        }
    };
    let Some((message, line, column)) = split_place(&text) else {
        let end = next_character(source.text(), statement.end.saturating_sub(1));
        return SyntaxError {
            message: lowercase_first(&text).replace("found: EOF", "found the end of the statement"),
            range: end.end..end.end,
        };
    };
    let start = source.offset_at(line, column);
    SyntaxError {
        message: lowercase_first(message),
        range: word_at(source.text(), start),
    }
}

/// Splits `... at Line: 3, Column: 14` into the message and the two numbers.
fn split_place(text: &str) -> Option<(&str, usize, usize)> {
    let (message, place) = text.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some((message, line.parse().ok()?, column.trim().parse().ok()?))
}

pub(crate) fn lowercase_first(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_lowercase().chain(characters).collect())
        .unwrap_or_default()
}

/// The range of the character at an offset; empty at the end of the text.
pub(crate) fn next_character(text: &str, offset: usize) -> Range<usize> {
    let start = text.floor_char_boundary(offset.min(text.len()));
    let length = text[start..].chars().next().map_or(0, char::len_utf8);
    start..start + length
}

/// The range of the word, or of the one character, that begins at an offset.
pub(crate) fn word_at(text: &str, offset: usize) -> Range<usize> {
    let first = next_character(text, offset);
    let length: usize = text[first.start..]
        .chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .map(char::len_utf8)
        .sum();
    first.start..first.end.max(first.start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many tokens a statement has, and how often the parser asks its dialect something before it is done with it.
    fn work(sql: &str) -> (usize, usize) {
        let source = Source::new(sql);
        let (tokens, outcome) = tokenize(sql);
        outcome.unwrap();
        let dialect = BoundedDialect::new(tokens.len());
        let count = tokens.len();
        parse_statement(&source, &dialect, tokens);
        (count, dialect.asked())
    }

    #[test]
    fn what_the_parser_would_try_again_at_every_level_costs_no_more() {
        for depth in [7, 10, 20, 30, 40, 48, 60] {
            for (prefix, open, middle, close, suffix) in [
                ("SELECT ", "(", "1", ")", ""),
                ("SELECT * FROM ", "(", "processes", ")", ""),
                ("SELECT * FROM ", "(SELECT * FROM ", "processes", ")", ""),
                ("SELECT ", "f(", "1", ")", ""),
                ("SELECT ", "CAST(", "1", " AS int)", ""),
                ("SELECT ", "CAST(", "1 +", " AS int)", ""),
                ("SELECT ", "position(", "1 +", " IN 'x')", ""),
                ("SELECT ", "ARRAY[", "1 +", "]", ""),
                ("SELECT ", "substring(", "1 +", " FROM 1)", ""),
                ("SELECT ", "NOT ", "1 +", "", ""),
                ("SELECT ", "- ", "1 +", "", ""),
                ("SELECT ", "INTERVAL ", "1 +", " day", ""),
                ("", "EXPLAIN ", "SELECT 1 +", "", ""),
                ("SELECT ", "x -> (", "1", ")", ""),
                ("SELECT * FROM a ", "JOIN (", "b", ")", ""),
                ("SELECT 1 GROUP BY ", "ROLLUP (", "1", ")", ""),
                ("SELECT ", "CASE WHEN ", "true", " THEN 1 END", ""),
                ("SELECT ", "[", "1", "]", ""),
                ("SELECT ", "{'a': ", "1", "}", ""),
                ("SELECT * FROM processes WHERE ", "NOT (", "true", ")", ""),
                (
                    "SELECT * FROM processes WHERE exe IN ",
                    "(",
                    "SELECT exe FROM streams",
                    ")",
                    "",
                ),
                ("SELECT CAST(1 AS ", "ARRAY<", "int", ">", ")"),
            ] {
                for closed in [depth, depth - 1, 0] {
                    let sql = format!("{prefix}{}{middle}{}{suffix}", open.repeat(depth), close.repeat(closed));
                    let (tokens, questions) = work(&sql);
                    // Twice as deep is twice as much; doubling at every level would be millions of times this.
                    assert!(
                        questions < 200 * (16 * tokens + 10_000),
                        "{depth} of {open}: {questions} questions about {tokens} tokens"
                    );
                }
            }
        }
    }
}
