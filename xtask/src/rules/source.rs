//! What every source file keeps to.

use anyhow::{Context, Result};

use super::scan::{Found, Occurrence, scan};
use crate::violation::Violation;

const MOST_LINES: usize = 600;
const MOST_LINES_OF_A_FUNCTION: usize = 80;

/// Packages under `crates/` that are programs, or print for one.
const PROGRAMS: &[&str] = &["cli", "conformance", "micromegas-server"];

/// A source file by its path from the root.
pub(super) struct Source {
    path: String,
    text: String,
    occurrences: Vec<Occurrence>,
}

impl Source {
    /// # Errors
    /// When the text is not Rust.
    pub(super) fn new(path: String, text: String) -> Result<Self> {
        let occurrences = scan(&text).with_context(|| path.clone())?;
        Ok(Self {
            path,
            text,
            occurrences,
        })
    }

    /// The path without `.rs` of every file that this one declares for tests only.
    fn test_modules(&self) -> impl Iterator<Item = String> {
        let (folder, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let folder = match file {
            "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
            _ => self.path.trim_end_matches(".rs").to_owned(),
        };
        self.occurrences
            .iter()
            .filter_map(move |occurrence| match &occurrence.found {
                Found::TestModule(name) => Some(format!("{folder}/{name}")),
                _ => None,
            })
    }
}

pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let test_modules: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
    sources
        .iter()
        .flat_map(|source| {
            let is_test = is_in_test_folder(&source.path)
                || test_modules.iter().any(|module| {
                    source
                        .path
                        .strip_prefix(module.as_str())
                        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
                });
            check_one(source, is_test)
        })
        .collect()
}

fn is_in_test_folder(path: &str) -> bool {
    let before_src = path.split("/src/").next().unwrap_or(path);
    before_src.contains("/tests/") || before_src.contains("/benches/")
}

/// Whether the file is part of a library, which returns errors and leaves printing to its callers.
fn is_library(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.next() == Some("crates")
        && parts.next().is_some_and(|package| !PROGRAMS.contains(&package))
        && parts.next() == Some("src")
}

fn check_one(source: &Source, is_test: bool) -> Vec<Violation> {
    let mut violations = Vec::new();
    let lines = source.text.lines().count();
    if lines > MOST_LINES {
        violations.push(Violation::new(
            &source.path,
            format!("it has {lines} lines, and {MOST_LINES} are the most"),
            "split it by what its parts are about",
        ));
    }
    if !source.text.starts_with("//!") {
        violations.push(Violation::new(
            format!("{}:1", source.path),
            "the file does not say what it is",
            "begin it with a `//!` line",
        ));
    }
    for (index, line) in source.text.lines().enumerate() {
        let comment = line.split_once("//").map_or("", |(_, comment)| comment);
        if comment.contains("TODO") || comment.contains("FIXME") {
            violations.push(Violation::new(
                format!("{}:{}", source.path, index + 1),
                "something was left to do",
                "do it, or file an issue and say here how things are",
            ));
        }
    }
    let is_library = is_library(&source.path);
    violations.extend(source.occurrences.iter().filter_map(|occurrence| {
        let (what, remedy) = judge(occurrence, is_library, is_test || occurrence.in_test)?;
        Some(Violation::new(
            format!("{}:{}", source.path, occurrence.line),
            what,
            remedy,
        ))
    }));
    violations
}

/// What is wrong with an occurrence, and what to do.
fn judge(occurrence: &Occurrence, is_library: bool, is_test: bool) -> Option<(String, &'static str)> {
    let (what, remedy) = match &occurrence.found {
        Found::Allow => (
            "a lint is allowed".to_owned(),
            "write `#[expect(lint, reason = \"...\")]`, which tells when it is not needed any more",
        ),
        Found::ExpectWithoutReason => ("a lint is expected with no reason".to_owned(), "add `reason = \"...\"`"),
        Found::IgnoreWithoutReason => (
            "a test is ignored with no reason".to_owned(),
            "write `#[ignore = \"...\"]`, or run it",
        ),
        Found::Call(name) if name == "sleep" && is_test && !occurrence.in_loop => (
            "a test sleeps".to_owned(),
            "wait in a loop for what it waits for, with a bound",
        ),
        Found::Function(name, lines) if *lines > MOST_LINES_OF_A_FUNCTION && !is_test => (
            format!("the function {name} has {lines} lines, and {MOST_LINES_OF_A_FUNCTION} are the most"),
            "give its steps names",
        ),
        Found::Macro(name) if is_library && !is_test => match name.as_str() {
            "print" | "println" | "eprint" | "eprintln" | "dbg" => (
                format!("a library calls {name}!"),
                "return it, or emit a `tracing` event; the program alone prints",
            ),
            "panic" | "todo" | "unimplemented" => (format!("a library calls {name}!"), "return an error"),
            _ => return None,
        },
        Found::Method(name) if is_library && !is_test && (name == "unwrap" || name == "expect") => (
            format!("a library calls {name}()"),
            "return an error, or match on what cannot fail",
        ),
        _ => return None,
    };
    Some((what, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str) -> Vec<String> {
        let source = Source::new(path.to_owned(), format!("//! x\n{text}")).unwrap();
        check(&[source]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_libraries_must_not_do_is_found_in_libraries_only() {
        for body in [
            "x.unwrap()",
            "x.expect(y)",
            "println!()",
            "eprint!()",
            "dbg!(x)",
            "panic!()",
            "todo!()",
        ] {
            let text = format!("fn f() {{ {body} }}");
            let found = check_text("crates/query/src/a.rs", &text);
            assert_eq!(found.len(), 1, "{body}: {found:?}");
            assert!(
                found[0].starts_with("crates/query/src/a.rs:2: a library calls "),
                "{}",
                found[0]
            );
            for path in ["crates/query/tests/it/a.rs", "crates/cli/src/a.rs", "xtask/src/a.rs"] {
                assert_eq!(check_text(path, &text), Vec::<String>::new());
            }
            let in_test = format!("#[cfg(test)] mod tests {{ {text} }}");
            assert_eq!(check_text("crates/query/src/a.rs", &in_test), Vec::<String>::new());
        }
    }

    #[test]
    fn what_nobody_may_do_is_found_everywhere() {
        let long = format!("fn f() {{\n{}}}", "x();\n".repeat(80));
        for text in [
            "#[allow(dead_code)] fn f() {}",
            "#[expect(dead_code)] fn f() {}",
            "#[ignore] fn f() {}",
            "#[test] fn f() { thread::sleep(x) }",
            "// FIX\u{4d}E later",
            long.as_str(),
        ] {
            assert_eq!(check_text("crates/cli/src/a.rs", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn waiting_on_a_condition_is_not_sleeping() {
        let text = "#[test] fn f() { while !ready() { thread::sleep(x) } }";
        assert_eq!(check_text("crates/cli/src/a.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_file_says_what_it_is_and_is_not_too_long() {
        let nameless = Source::new("a.rs".to_owned(), "fn f() {}".to_owned()).unwrap();
        assert_eq!(check(&[nameless]).len(), 1);
        assert_eq!(check_text("a.rs", &"\n".repeat(600)).len(), 1);
        assert_eq!(check_text("a.rs", &"\n".repeat(599)), Vec::<String>::new());
    }

    #[test]
    fn a_module_that_is_declared_for_tests_is_a_test() {
        let source = |path: &str, text: &str| Source::new(path.to_owned(), format!("//! x\n{text}")).unwrap();
        let call = "fn f() { x.unwrap() }";
        for (parent, child) in [
            ("crates/query/src/lib.rs", "crates/query/src/tests.rs"),
            ("crates/query/src/ipc/mod.rs", "crates/query/src/ipc/tests/case.rs"),
            ("crates/query/src/ipc.rs", "crates/query/src/ipc/tests.rs"),
        ] {
            let declared = [source(parent, "#[cfg(test)] mod tests;"), source(child, call)];
            assert_eq!(check(&declared), []);
            let undeclared = [source(parent, "mod tests;"), source(child, call)];
            assert_eq!(check(&undeclared).len(), 1, "{child}");
        }
    }
}
