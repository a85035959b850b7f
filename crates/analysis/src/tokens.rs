//! The tokens of a text: those of the parser's tokeniser, faster where the text is plain.
//!
//! The parser's tokeniser looks at every character through its dialect and took over a third of the time of a check. Most
//! queries are made of words, numbers, simple literals and few operators, all ASCII. Those are read here, byte by byte, and
//! become the very tokens that it makes of them; of anything else nothing is assumed, and it reads the whole text.

use std::cell::Cell;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use sqlparser::keywords::{ALL_KEYWORDS, ALL_KEYWORDS_INDEX, Keyword};
use sqlparser::tokenizer::{
    Location, Span as ParserSpan, Token, TokenWithSpan, Tokenizer, TokenizerError, Whitespace, Word,
};

use crate::dialect::BoundedDialect;

/// How many bytes of text a token takes at the least, where the text is not made of symbols: for the first allocation, which
/// is to be the only one.
const BYTES_PER_TOKEN: usize = 3;

/// Of more than these the room is not kept.
const MOST_SPARE_TOKENS: usize = 1_024;

/// No keyword is longer.
const MOST_KEYWORD_BYTES: usize = 48;

/// The keywords, by their text in upper case.
static KEYWORDS: LazyLock<FxHashMap<&[u8], Keyword>> = LazyLock::new(|| {
    let texts = ALL_KEYWORDS.iter().map(|text| text.as_bytes());
    texts.zip(ALL_KEYWORDS_INDEX.iter().copied()).collect()
});

thread_local! {
    /// The room that the tokens of the text before took.
    static SPARE: Cell<Vec<TokenWithSpan>> = const { Cell::new(Vec::new()) };
}

/// Has the next text of this thread use the room of tokens that are not needed any more, if it is not too much to be kept.
pub(crate) fn give_back(mut tokens: Vec<TokenWithSpan>) {
    if tokens.capacity() <= MOST_SPARE_TOKENS {
        tokens.clear();
        SPARE.set(tokens);
    }
}

/// The tokens of a text, without the space that means nothing, and the error that the rest has, if any.
pub(crate) fn tokenize(text: &str) -> (Vec<TokenWithSpan>, Result<(), TokenizerError>) {
    if let Some(tokens) = Plain::new(text).tokens() {
        return (tokens, Ok(()));
    }
    let mut tokens = Vec::new();
    let outcome = Tokenizer::new(&BoundedDialect::new(0), text).tokenize_with_location_into_buf(&mut tokens);
    drop_spaces(&mut tokens);
    (tokens, outcome)
}

/// The parser steps over spaces each time that it looks ahead. It minds them behind `:` and `@` only.
fn drop_spaces(tokens: &mut Vec<TokenWithSpan>) {
    let mut is_minded = false;
    tokens.retain(|token| {
        let is_space = matches!(
            token.token,
            Token::Whitespace(Whitespace::Space | Whitespace::Tab | Whitespace::Newline)
        );
        let is_kept = !is_space || is_minded;
        is_minded = matches!(token.token, Token::Colon | Token::AtSign);
        is_kept
    });
}

/// A plain text on its way to tokens.
struct Plain<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: u64,
    /// Where the line begins.
    line_start: usize,
    tokens: Vec<TokenWithSpan>,
}

impl<'a> Plain<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            line: 1,
            line_start: 0,
            tokens: Vec::new(),
        }
    }

    /// All tokens, or `None` when there is anything in the text that is not plain.
    fn tokens(mut self) -> Option<Vec<TokenWithSpan>> {
        if !self.text.is_ascii() {
            return None;
        }
        self.tokens = SPARE.take();
        self.tokens.reserve(self.bytes.len() / BYTES_PER_TOKEN);
        while let Some(&byte) = self.bytes.get(self.at) {
            if matches!(byte, b' ' | b'\t') {
                self.at += 1;
                continue;
            }
            if byte == b'\n' {
                self.at += 1;
                self.line += 1;
                self.line_start = self.at;
                continue;
            }
            let start = self.location();
            let token = self.token(byte)?;
            let is_comment = matches!(token, Token::Whitespace(Whitespace::SingleLineComment { .. }));
            if is_comment && self.bytes[self.at - 1] == b'\n' {
                self.line += 1;
                self.line_start = self.at;
            }
            let span = ParserSpan::new(start, self.location());
            self.tokens.push(TokenWithSpan { token, span });
        }
        Some(self.tokens)
    }

    fn location(&self) -> Location {
        Location::new(self.line, (self.at - self.line_start) as u64 + 1)
    }

    /// The token that begins here; what follows it is next.
    fn token(&mut self, first: u8) -> Option<Token> {
        match first {
            b'(' => self.single(Token::LParen),
            b')' => self.single(Token::RParen),
            b'[' => self.single(Token::LBracket),
            b']' => self.single(Token::RBracket),
            b',' => self.single(Token::Comma),
            b';' => self.single(Token::SemiColon),
            b'.' => self.period(),
            b'\'' => self.text_literal(),
            b'"' => self.quoted_name(),
            b'0'..=b'9' => self.number(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(),
            _ => self.operator(),
        }
    }

    fn single(&mut self, token: Token) -> Option<Token> {
        self.at += 1;
        Some(token)
    }

    /// From here as long as the bytes are such.
    fn run(&self, is_such: impl Fn(u8) -> bool) -> &'a str {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| !is_such(*byte)).unwrap_or(rest.len());
        &self.text[self.at..self.at + length]
    }

    fn next_is(&self, is_such: impl Fn(u8) -> bool) -> bool {
        self.bytes.get(self.at).is_some_and(|byte| is_such(*byte))
    }

    /// Between two names; before a digit it may be part of a number.
    fn period(&mut self) -> Option<Token> {
        let follows_name = matches!(self.tokens.last()?.token, Token::Word(_));
        self.at += 1;
        (follows_name && self.next_is(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'"' | b'*')))
            .then_some(Token::Period)
    }

    fn word(&mut self) -> Option<Token> {
        let value = self.run(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        self.at += value.len();
        // Prefixes of literals, and characters that names may have.
        if self.next_is(|byte| matches!(byte, b'\'' | b'"' | b'&' | b'@' | b'$' | b'#')) {
            return None;
        }
        Some(Token::Word(Word {
            value: value.to_owned(),
            quote_style: None,
            keyword: keyword(value),
        }))
    }

    fn number(&mut self) -> Option<Token> {
        let start = self.at;
        self.at += self.run(|byte| byte.is_ascii_digit()).len();
        if self.next_is(|byte| byte == b'.') {
            self.at += 1;
            let fraction = self.run(|byte| byte.is_ascii_digit());
            if fraction.is_empty() {
                return None;
            }
            self.at += fraction.len();
        }
        let ends =
            !self.next_is(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'@' | b'$' | b'#'));
        ends.then(|| Token::Number(self.text[start..self.at].to_owned(), false))
    }

    /// A literal of one line, without escapes.
    fn text_literal(&mut self) -> Option<Token> {
        self.quoted(b'\'')
            .map(|value| Token::SingleQuotedString(value.to_owned()))
    }

    fn quoted_name(&mut self) -> Option<Token> {
        let value = self.quoted(b'"')?;
        Some(Token::Word(Word {
            value: value.to_owned(),
            quote_style: Some('"'),
            keyword: Keyword::NoKeyword,
        }))
    }

    fn quoted(&mut self, quote: u8) -> Option<&'a str> {
        self.at += 1;
        let value = self.run(|byte| byte != quote && !matches!(byte, b'\\' | b'\n' | b'\r'));
        self.at += value.len();
        if !self.next_is(|byte| byte == quote) {
            return None;
        }
        self.at += 1;
        // The quote within was doubled.
        (!self.next_is(|byte| byte == quote)).then_some(value)
    }

    fn operator(&mut self) -> Option<Token> {
        let symbols = self.run(|byte| {
            matches!(
                byte,
                b'=' | b'<'
                    | b'>'
                    | b'!'
                    | b'+'
                    | b'-'
                    | b'*'
                    | b'/'
                    | b'%'
                    | b'|'
                    | b'&'
                    | b'^'
                    | b'~'
                    | b':'
                    | b'@'
                    | b'#'
                    | b'?'
            )
        });
        if symbols.starts_with("--") {
            return Some(self.comment());
        }
        let token = match symbols {
            "=" => Token::Eq,
            "<" => Token::Lt,
            "<=" => Token::LtEq,
            ">" => Token::Gt,
            ">=" => Token::GtEq,
            "<>" | "!=" => Token::Neq,
            "+" => Token::Plus,
            "-" => Token::Minus,
            "*" => Token::Mul,
            "/" => Token::Div,
            "||" => Token::StringConcat,
            "::" => Token::DoubleColon,
            _ => return None,
        };
        self.at += symbols.len();
        Some(token)
    }

    /// To the end of the line, which is part of it.
    fn comment(&mut self) -> Token {
        self.at += "--".len();
        let mut comment = self.run(|byte| byte != b'\n').to_owned();
        self.at += comment.len();
        if self.at < self.bytes.len() {
            comment.push('\n');
            self.at += 1;
        }
        Token::Whitespace(Whitespace::SingleLineComment {
            prefix: "--".to_owned(),
            comment,
        })
    }
}

/// The keyword that a word is, whatever its case.
fn keyword(word: &str) -> Keyword {
    let mut upper = [0; MOST_KEYWORD_BYTES];
    let Some(upper) = upper.get_mut(..word.len()) else {
        return Keyword::NoKeyword;
    };
    for (upper, byte) in upper.iter_mut().zip(word.bytes()) {
        *upper = byte.to_ascii_uppercase();
    }
    KEYWORDS.get(&*upper).copied().unwrap_or(Keyword::NoKeyword)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_the_parser(text: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
        let mut tokens = Vec::new();
        Tokenizer::new(&BoundedDialect::new(0), text).tokenize_with_location_into_buf(&mut tokens)?;
        drop_spaces(&mut tokens);
        Ok(tokens)
    }

    /// Tokens are equal whatever their places and keywords are called, so their texts are compared.
    fn told(tokens: &[TokenWithSpan]) -> Vec<String> {
        tokens
            .iter()
            .map(|token| format!("{:?} {:?}", token.token, token.span))
            .collect()
    }

    fn assert_same(text: &str) -> bool {
        let Some(tokens) = Plain::new(text).tokens() else {
            return false;
        };
        let expected = by_the_parser(text);
        assert_eq!(Ok(told(&tokens)), expected.map(|tokens| told(&tokens)), "{text:?}");
        true
    }

    #[test]
    fn a_query_as_people_write_it_is_plain() {
        let sql = "-- errors of the last hour\nSELECT l.time, \"streams.tags\", count(*) AS n, 1.5 + 2\nFROM log_entries l\n\
                   \tJOIN processes p ON l.process_id = p.process_id\nWHERE level <= 3 AND msg LIKE '%time out%' AND \
                   arrow_cast(time, 'Int64')::text <> 'x'\nGROUP BY 1 -- all\nORDER BY l.time DESC LIMIT 10; SELECT p.* FROM p -- end";
        assert!(assert_same(sql));
    }

    #[test]
    fn every_keyword_is_found_and_nothing_else() {
        for (name, expected) in ALL_KEYWORDS.iter().zip(ALL_KEYWORDS_INDEX) {
            assert_eq!(keyword(&name.to_ascii_lowercase()), *expected);
        }
        assert_eq!(keyword("log_entries"), Keyword::NoKeyword);
        assert_eq!(keyword("_"), Keyword::NoKeyword);
        assert_eq!(keyword("selec"), Keyword::NoKeyword);
        assert_eq!(keyword("zzz"), Keyword::NoKeyword);
    }

    #[test]
    fn spaces_are_kept_where_the_parser_minds_them() {
        let tokens = by_the_parser("SELECT : a").unwrap();
        assert!(matches!(tokens[2].token, Token::Whitespace(Whitespace::Space)));
    }

    /// Pieces that mean something else beside each other.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a", "B", "n", "x", "e", "u", "q", "r", "_", "select", "TIME", "1", "0", "007", "1.5", "1e5", "0x1f", "1L",
            ".", ",", "(", ")", "[", "]", "{", "}", ";", ":", "::", "=", "<", ">", "!", "+", "-", "--", "*", "/", "/*",
            "*/", "%", "|", "||", "&", "^", "~", "@", "#", "?", "$", "$1", "'", "''", "'a'", "'a b'", "\"", "\"a b\"",
            "\"\"", "`", "\\", " ", "  ", "\t", "\n", "\r", "\r\n", "ü", "\u{a0}", "-- c\n", "->", "=>", "<=", "<>",
            "!=",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn what_is_plain_becomes_the_tokens_of_the_parser(text in pieces()) {
            assert_same(&text);
        }
    }
}
