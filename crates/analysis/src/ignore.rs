//! Comments that silence rules: `-- lakepilot: ignore rule-a, rule-b`.

use std::ops::Range;

use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

use crate::source::Source;
use crate::syntax::token_range;

/// A rule that a comment names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ignore {
    pub(crate) rule: String,
    /// Where the name stands.
    pub(crate) range: Range<usize>,
    /// The whole comment, when it names this rule alone.
    pub(crate) comment: Option<Range<usize>>,
}

/// The rules that the comments among the tokens of a statement name.
pub(crate) fn ignores(source: &Source<'_>, tokens: &[TokenWithSpan]) -> Vec<Ignore> {
    let mut found = Vec::new();
    for token in tokens {
        let comment = match &token.token {
            Token::Whitespace(
                Whitespace::SingleLineComment { comment, .. } | Whitespace::MultiLineComment(comment),
            ) => comment,
            _ => continue,
        };
        if comment.contains("lakepilot:") {
            let range = token_range(source, token);
            read(source.text(), range, &mut found);
        }
    }
    found
}

fn read(text: &str, comment: Range<usize>, found: &mut Vec<Ignore>) {
    let Some(whole) = text.get(comment.clone()) else { return };
    let body = whole.trim_start_matches(['-', '#', '/', '*', ' ', '\t']);
    let Some(names) = body
        .strip_prefix("lakepilot:")
        .map(str::trim_start)
        .and_then(|rest| rest.strip_prefix("ignore"))
        .filter(|names| names.starts_with([' ', '\t']))
    else {
        return;
    };
    let first = found.len();
    // What was stripped stands before the names.
    let mut start = comment.start + whole.rfind(names).unwrap_or(0);
    for piece in names.split_inclusive([',', ' ', '\t', '\n', '\r']) {
        let name = piece.trim_end_matches([',', ' ', '\t', '\n', '\r', '*', '/']);
        if !name.is_empty() {
            found.push(Ignore {
                rule: name.to_owned(),
                range: start..start + name.len(),
                comment: None,
            });
        }
        start += piece.len();
    }
    if let [only] = &mut found[first..] {
        // The line feed that ends a comment stays.
        only.comment = Some(comment.start..comment.start + whole.trim_end().len());
    }
}
