//! Reads a Rust source as tokens and notes what the rules are about.
//!
//! Tokens, and not a parsed file, because most of the calls that the rules forbid stand inside macros, whose arguments a
//! parser leaves alone. Comments and the contents of strings are no tokens, so that neither is taken for code.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Something that a rule may have an opinion on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// `name!(...)`.
    Macro(String),
    /// `.name(...)`.
    Method(String),
    /// `path::name(...)`, by its last part.
    Call(String),
    /// `#[allow(...)]`, alone or inside `cfg_attr`.
    Allow,
    /// `#[expect(...)]` with no reason.
    ExpectWithoutReason,
    /// `#[ignore]` with no reason.
    IgnoreWithoutReason,
    /// A function with a body, by its name and its length in lines.
    Function(String, usize),
    /// `#[cfg(test)] mod name;`: a file that holds tests.
    TestModule(String),
}

/// Where something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Occurrence {
    pub(super) found: Found,
    pub(super) line: usize,
    /// Inside an item that is compiled for tests only.
    pub(super) in_test: bool,
    /// Inside the body of a `loop`, `while` or `for` of the same function.
    pub(super) in_loop: bool,
}

/// # Errors
/// When the text is not made of Rust tokens.
pub(super) fn scan(text: &str) -> Result<Vec<Occurrence>> {
    let stream: TokenStream = text.parse().map_err(|error| anyhow!("not Rust: {error}"))?;
    let mut scanner = Scanner {
        occurrences: Vec::new(),
    };
    scanner.walk(stream, Place::default());
    Ok(scanner.occurrences)
}

#[derive(Clone, Copy, Default)]
struct Place {
    in_test: bool,
    in_loop: bool,
}

/// What the tokens so far announce about the next braces at the same level.
#[derive(Default)]
struct Announced {
    /// After `#[cfg(test)]` or `#[test]`, up to the end of the item.
    test_item: bool,
    /// Since then a word came that begins an item with braces or a semicolon, rather than a field with a comma.
    item_began: bool,
    function: Option<(String, usize)>,
    repeats: bool,
    /// After `const` or `static`: the compiler evaluates what follows, and a failure there is one of the build.
    constant: bool,
}

struct Scanner {
    occurrences: Vec<Occurrence>,
}

impl Scanner {
    fn note(&mut self, found: Found, line: usize, place: Place) {
        self.occurrences.push(Occurrence {
            found,
            line,
            in_test: place.in_test,
            in_loop: place.in_loop,
        });
    }

    fn walk(&mut self, stream: TokenStream, mut place: Place) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut announced = Announced::default();
        let mut index = 0;
        while let Some(token) = tokens.get(index) {
            if let Some((attribute, is_inner, length)) = attribute(&tokens[index..]) {
                self.note_attribute(attribute, place);
                if is_for_tests(attribute) {
                    place.in_test |= is_inner;
                    announced.test_item = true;
                    announced.item_began = false;
                }
                index += length;
                continue;
            }
            let here = Place {
                in_test: place.in_test || announced.test_item,
                ..place
            };
            match token {
                TokenTree::Ident(ident) => self.word(&ident.to_string(), &tokens, index, here, &mut announced),
                TokenTree::Group(group) => self.group(group, here, &mut announced),
                TokenTree::Punct(punct) if punct.as_char() == ';' => announced = Announced::default(),
                TokenTree::Punct(punct) if punct.as_char() == ',' && !announced.item_began => {
                    announced.test_item = false;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            index += 1;
        }
    }

    fn word(&mut self, word: &str, tokens: &[TokenTree], index: usize, place: Place, announced: &mut Announced) {
        let line = tokens[index].span().start().line;
        let next = tokens.get(index + 1);
        match word {
            "loop" | "while" | "for" => announced.repeats = true,
            "fn" | "mod" | "impl" | "struct" | "enum" | "trait" | "use" | "const" | "static" | "type" => {
                announced.item_began = true;
            }
            _ => {}
        }
        announced.constant |= matches!(word, "const" | "static") && !is_word(next, "fn");
        match (word, next) {
            ("fn", Some(TokenTree::Ident(name))) => announced.function = Some((name.to_string(), line)),
            ("mod", Some(TokenTree::Ident(name))) if announced.test_item && is_punct(tokens.get(index + 2), ';') => {
                self.note(Found::TestModule(name.to_string()), line, place);
            }
            (_, Some(TokenTree::Punct(_)))
                if is_punct(next, '!') && matches!(tokens.get(index + 2), Some(TokenTree::Group(_))) =>
            {
                self.note(Found::Macro(word.to_owned()), line, place);
            }
            (_, Some(TokenTree::Group(group))) if group.delimiter() == Delimiter::Parenthesis => {
                let before = index.checked_sub(1).and_then(|index| tokens.get(index));
                if is_punct(before, '.') && !announced.constant {
                    self.note(Found::Method(word.to_owned()), line, place);
                } else if !is_punct(before, '.') && !is_word(before, "fn") {
                    self.note(Found::Call(word.to_owned()), line, place);
                }
            }
            _ => {}
        }
    }

    fn group(&mut self, group: &Group, place: Place, announced: &mut Announced) {
        if group.delimiter() != Delimiter::Brace {
            self.walk(group.stream(), place);
            return;
        }
        let opened = std::mem::take(announced);
        let in_loop = if let Some((name, first_line)) = opened.function {
            let lines = group.span_close().end().line - first_line + 1;
            self.note(Found::Function(name, lines), first_line, place);
            false
        } else {
            place.in_loop || opened.repeats
        };
        self.walk(group.stream(), Place { in_loop, ..place });
    }

    fn note_attribute(&mut self, attribute: &Group, place: Place) {
        let line = attribute.span_open().start().line;
        let tokens: Vec<TokenTree> = attribute.stream().into_iter().collect();
        match tokens.as_slice() {
            [TokenTree::Ident(name), TokenTree::Group(inside)] => match name.to_string().as_str() {
                "allow" => self.note(Found::Allow, line, place),
                "expect" if !mentions(&inside.stream(), "reason") => {
                    self.note(Found::ExpectWithoutReason, line, place);
                }
                "cfg_attr" if mentions(&inside.stream(), "allow") => self.note(Found::Allow, line, place),
                _ => {}
            },
            [TokenTree::Ident(name)] if name == "ignore" => self.note(Found::IgnoreWithoutReason, line, place),
            _ => {}
        }
    }
}

/// The attribute that the tokens begin with, whether it is an inner one (`#![...]`), and how many tokens it takes.
fn attribute(tokens: &[TokenTree]) -> Option<(&Group, bool, usize)> {
    let is_attribute = |group: &Group| group.delimiter() == Delimiter::Bracket;
    match tokens {
        [hash, TokenTree::Group(group), ..] if is_punct(Some(hash), '#') && is_attribute(group) => {
            Some((group, false, 2))
        }
        [hash, bang, TokenTree::Group(group), ..]
            if is_punct(Some(hash), '#') && is_punct(Some(bang), '!') && is_attribute(group) =>
        {
            Some((group, true, 3))
        }
        _ => None,
    }
}

/// `#[cfg(test)]`, `#[cfg(all(test, ...))]`, `#[test]`, `#[tokio::test(...)]`.
fn is_for_tests(attribute: &Group) -> bool {
    let tokens: Vec<TokenTree> = attribute.stream().into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(name), TokenTree::Group(condition)] if name == "cfg" => {
            mentions(&condition.stream(), "test") && !mentions(&condition.stream(), "not")
        }
        path => path
            .iter()
            .take_while(|token| !matches!(token, TokenTree::Group(_)))
            .last()
            .is_some_and(|token| is_word(Some(token), "test")),
    }
}

fn mentions(stream: &TokenStream, word: &str) -> bool {
    stream.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => mentions(&group.stream(), word),
        _ => false,
    })
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

fn is_word(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, wanted: &Found) -> Vec<Occurrence> {
        let mut found = scan(text).unwrap();
        found.retain(|occurrence| occurrence.found == *wanted);
        found
    }

    #[test]
    fn calls_are_seen_in_macros_and_not_in_text() {
        let text =
            "fn f() {\n assert!(x.unwrap());\n // y.unwrap()\n \"z.unwrap()\";\n unwrap(a);\n b.unwrap_or(c);\n}";
        let seen = found(text, &Found::Method("unwrap".to_owned()));
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].line, 2);
    }

    #[test]
    fn what_the_compiler_evaluates_is_left_to_it() {
        for (text, times) in [
            ("const X: A = A::new(3).unwrap();", 0),
            ("const X: A = A::new(3).unwrap(); fn f() { y.unwrap() }", 1),
            ("const fn f() -> A { x.unwrap() }", 1),
            ("fn f<const N: usize>() { x.unwrap() }", 1),
        ] {
            assert_eq!(found(text, &Found::Method("unwrap".to_owned())).len(), times, "{text}");
        }
    }

    #[test]
    fn what_is_compiled_for_tests_is_told_apart() {
        for (text, in_test) in [
            ("fn f() { x.unwrap(); }", false),
            ("#[cfg(test)] mod tests { fn f() { x.unwrap(); } }", true),
            ("#[cfg(test)] mod tests { } fn f() { x.unwrap(); }", false),
            ("#[cfg(not(test))] fn f() { x.unwrap(); }", false),
            ("#[cfg(all(test, unix))] fn f<A, B>() { x.unwrap(); }", true),
            ("#[tokio::test(start_paused = true)] async fn f() { x.unwrap(); }", true),
            ("#[cfg(test)] use a::b; fn f() { x.unwrap(); }", false),
            ("struct S { #[cfg(test)] a: u8, b: [u8; { x.unwrap() }] }", false),
            ("#![cfg(test)]\nuse a::b; fn f() { x.unwrap(); }", true),
        ] {
            let seen = found(text, &Found::Method("unwrap".to_owned()));
            assert_eq!(seen.len(), 1, "{text}");
            assert_eq!(seen[0].in_test, in_test, "{text}");
        }
    }

    #[test]
    fn loops_hold_their_bodies_and_not_what_comes_after() {
        for (text, in_loop) in [
            ("fn f() { sleep(x); }", false),
            ("fn f() { loop { if y { sleep(x); } } }", true),
            ("fn f() { while let Some(y) = z(|| { 1 }) { sleep(x); } }", true),
            ("fn f() { for y in z { } sleep(x); }", false),
            ("impl A for B { fn f() { sleep(x); } }", false),
        ] {
            let seen = found(text, &Found::Call("sleep".to_owned()));
            assert_eq!(seen.len(), 1, "{text}");
            assert_eq!(seen[0].in_loop, in_loop, "{text}");
        }
    }

    #[test]
    fn attributes_are_read() {
        for (text, wanted) in [
            ("#[allow(dead_code)] fn f() {}", Found::Allow),
            ("#![allow(dead_code, reason = \"x\")]", Found::Allow),
            ("#[cfg_attr(test, allow(dead_code))] fn f() {}", Found::Allow),
            ("#[expect(dead_code)] fn f() {}", Found::ExpectWithoutReason),
            ("#[test] #[ignore] fn f() {}", Found::IgnoreWithoutReason),
            ("#[cfg(test)] mod tests;", Found::TestModule("tests".to_owned())),
        ] {
            assert_eq!(found(text, &wanted).len(), 1, "{text}");
        }
        for good in [
            "#[expect(dead_code, reason = \"x\")] fn f() {}",
            "#[ignore = \"needs a server\"] fn f() {}",
            "mod tests;",
        ] {
            let seen = scan(good).unwrap();
            assert!(
                seen.iter()
                    .all(|occurrence| matches!(occurrence.found, Found::Function(..))),
                "{good}: {seen:?}"
            );
        }
    }

    #[test]
    fn functions_are_measured() {
        let text = "trait T { fn a(&self); }\nfn b()\n{\n let x = 1;\n}\n";
        assert_eq!(
            scan(text)
                .unwrap()
                .into_iter()
                .map(|seen| seen.found)
                .collect::<Vec<_>>(),
            [Found::Function("b".to_owned(), 4)]
        );
    }

    #[test]
    fn what_is_not_rust_is_an_error() {
        assert!(scan("fn f() {").is_err());
    }
}
