//! As much of SQL's text as is needed to put a statement into another.

/// The query as a subquery of a COUNT(*). A line break ends a comment that the query may end with.
pub(crate) fn count_sql(sql: &str) -> String {
    format!(
        "SELECT COUNT(*) AS row_count FROM ({}\n) AS counted",
        without_terminator(sql)
    )
}

/// The statement without the semicolons that end it, and without what follows them (comments).
fn without_terminator(sql: &str) -> &str {
    let mut end = sql.len();
    let mut terminated = false;
    for (position, token) in tokens(sql) {
        match token {
            Token::Semicolon if !terminated => (end, terminated) = (position, true),
            Token::Semicolon | Token::Trivia => {}
            // Something follows the semicolon: two statements, which the server will refuse as they are.
            Token::Other => (end, terminated) = (sql.len(), false),
        }
    }
    sql[..end].trim()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Semicolon,
    /// A comment, or white space.
    Trivia,
    Other,
}

/// The tokens of a text, each with its position; what is quoted is one token.
fn tokens(sql: &str) -> impl Iterator<Item = (usize, Token)> + '_ {
    let mut position = 0;
    std::iter::from_fn(move || {
        let rest = sql.get(position..).filter(|rest| !rest.is_empty())?;
        let (token, length) = token(rest);
        let start = position;
        position += length;
        Some((start, token))
    })
}

/// The first token of a text that is not empty, and its length in bytes. What is not closed reaches to the end.
fn token(text: &str) -> (Token, usize) {
    let to_the_end = |found: Option<usize>| found.unwrap_or(text.len());
    if text.starts_with("--") {
        return (Token::Trivia, to_the_end(text.find('\n')));
    }
    if text.starts_with("/*") {
        return (Token::Trivia, block_comment(text));
    }
    match text.chars().next() {
        Some(';') => (Token::Semicolon, 1),
        // A doubled quote inside is read as the end of one and the beginning of another, which comes to the same.
        Some(quote @ ('\'' | '"' | '`')) => (Token::Other, to_the_end(text[1..].find(quote).map(|end| end + 2))),
        Some(character) if character.is_whitespace() => (Token::Trivia, character.len_utf8()),
        Some(character) => (Token::Other, character.len_utf8()),
        None => (Token::Trivia, 0),
    }
}

/// The length of a block comment, which may hold others.
fn block_comment(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut position) = (0usize, 0);
    while position + 1 < bytes.len() {
        let change = match &bytes[position..position + 2] {
            b"/*" => 1,
            b"*/" => -1,
            _ => 0,
        };
        position += if change == 0 { 1 } else { 2 };
        depth = depth.saturating_add_signed(change);
        if depth == 0 {
            return position;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_terminator_and_what_follows_it_are_left_out() {
        for (sql, expected) in [
            ("SELECT 1", "SELECT 1"),
            (" SELECT 1; ", "SELECT 1"),
            ("SELECT 1;;\n;", "SELECT 1"),
            ("SELECT 1; -- all", "SELECT 1"),
            ("SELECT 1 -- all;", "SELECT 1 -- all;"),
            ("SELECT 1 /* a /* b; */ ; */ ; /* c */", "SELECT 1 /* a /* b; */ ; */"),
            ("SELECT ';'", "SELECT ';'"),
            ("SELECT 'it''s;' ;", "SELECT 'it''s;'"),
            ("SELECT \"a;\" FROM t;", "SELECT \"a;\" FROM t"),
            ("SELECT 1; SELECT 2;", "SELECT 1; SELECT 2"),
            ("SELECT 'open;", "SELECT 'open;"),
            ("SELECT 1 /* open;", "SELECT 1 /* open;"),
            ("SELECT 'ü';", "SELECT 'ü'"),
        ] {
            assert_eq!(without_terminator(sql), expected, "{sql}");
        }
    }

    #[test]
    fn a_comment_does_not_swallow_the_bracket() {
        assert_eq!(
            count_sql("SELECT n FROM t -- all"),
            "SELECT COUNT(*) AS row_count FROM (SELECT n FROM t -- all\n) AS counted"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(sql in ".{0,60}", dense in "[;'\"/*\\-\n a]{0,30}") {
            let _ = (count_sql(&sql), count_sql(&dense));
        }
    }
}
