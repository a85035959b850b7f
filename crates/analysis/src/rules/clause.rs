//! What several rules ask of clauses.

use std::ops::Range;

use sqlparser::ast::{LimitClause, OrderBy, OrderByKind, Query};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::model::first_place;
use crate::source::Source;
use crate::syntax::{is_significant, token_range};

/// Whether the number of rows of a query is limited.
pub(super) fn has_limit(query: &Query) -> bool {
    let in_clause = match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) => limit.is_some(),
        Some(LimitClause::OffsetCommaLimit { .. }) => true,
        None => false,
    };
    in_clause || query.fetch.is_some()
}

/// The byte range of an `ORDER BY` clause, from its first word to the last token before what follows it; empty when the
/// parser keeps no place for it.
pub(super) fn order_by_range(source: &Source<'_>, tokens: &[TokenWithSpan], order_by: &OrderBy) -> Range<usize> {
    let first_key = match &order_by.kind {
        OrderByKind::Expressions(keys) => keys.first().map(|key| first_place(&key.expr)),
        OrderByKind::All(_) => None,
    };
    let before = match first_key.filter(|place| place.line > 0) {
        Some(place) => tokens.partition_point(|token| token.span.start < place),
        None => tokens.len(),
    };
    let Some(order) = tokens[..before]
        .iter()
        .rposition(|token| is_keyword(token, Keyword::ORDER))
    else {
        return 0..0;
    };
    let mut depth = 0usize;
    let mut last = order;
    for (index, token) in tokens
        .iter()
        .enumerate()
        .skip(order)
        .filter(|(_, token)| is_significant(token))
    {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => break,
            Token::RParen => depth -= 1,
            Token::Word(word) if depth == 0 && ends_order_by(word.keyword) => break,
            _ => {}
        }
        last = index;
    }
    token_range(source, &tokens[order]).start..token_range(source, &tokens[last]).end
}

fn is_keyword(token: &TokenWithSpan, keyword: Keyword) -> bool {
    matches!(&token.token, Token::Word(word) if word.keyword == keyword && word.quote_style.is_none())
}

fn ends_order_by(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::LIMIT
            | Keyword::OFFSET
            | Keyword::FETCH
            | Keyword::FOR
            | Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::INTERSECT
            | Keyword::SETTINGS
            | Keyword::FORMAT
    )
}
