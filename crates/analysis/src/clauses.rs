//! Where the clauses of a `SELECT` stand in the text: the parser's tree does not keep that.

use std::ops::Range;

use sqlparser::ast::Select;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::source::Source;
use crate::syntax::{is_significant, token_range};

/// From the `FROM` of a select to the end of its last clause, in bytes; `None` when it has no `FROM` behind its list.
pub(crate) fn from_to_end(source: &Source<'_>, tokens: &[TokenWithSpan], select: &Select) -> Option<Range<usize>> {
    let mut depth = 0usize;
    let mut from = None;
    let start = select.select_token.0.span.start;
    let first = tokens.partition_point(|token| token.span.start < start);
    let mut last = None;
    for token in tokens[first..].iter().filter(|token| is_significant(token)) {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => break,
            Token::RParen => depth -= 1,
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => match word.keyword {
                Keyword::FROM if from.is_none() => from = Some(token),
                Keyword::ORDER | Keyword::LIMIT | Keyword::OFFSET | Keyword::FETCH | Keyword::UNION => break,
                _ => {}
            },
            _ => {}
        }
        last = Some(token);
    }
    Some(token_range(source, from?).start..token_range(source, last?).end)
}

/// What stands after the `WHERE` of a select that has neither `GROUP BY` nor what follows it, in bytes.
pub(crate) fn where_of_select(source: &Source<'_>, tokens: &[TokenWithSpan], select: &Select) -> Option<Range<usize>> {
    let clauses = from_to_end(source, tokens, select)?;
    let mut depth = 0usize;
    for token in tokens.iter().filter(|token| is_significant(token)) {
        let range = token_range(source, token);
        if range.start < clauses.start {
            continue;
        }
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 && word.keyword == Keyword::WHERE && word.quote_style.is_none() => {
                return Some(range.end..clauses.end);
            }
            _ => {}
        }
    }
    None
}
