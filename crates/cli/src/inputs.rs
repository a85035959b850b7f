//! What `check` is given: SQL text, standard input, files, folders and patterns.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use glob::MatchOptions;
use lakepilot_query::{Error, ErrorKind, Result};
use walkdir::{DirEntry, WalkDir};

/// Folders in which nobody's own queries are.
const SKIPPED_FOLDERS: [&str; 2] = ["target", "node_modules"];

/// A text to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    /// What it is called in findings: its path, `<stdin>` or `<sql>`.
    pub(crate) name: String,
    /// Its file, if it is in one.
    pub(crate) path: Option<PathBuf>,
    /// The text.
    pub(crate) text: String,
    /// Whether it is Markdown, of which the SQL blocks are checked.
    pub(crate) is_markdown: bool,
}

/// Reads all that is to be checked. What is named twice is checked once.
///
/// # Errors
/// `NotFound` for a path that looks like one and is none, `InvalidInput` for a folder or a pattern without a file in it and
/// for a file that is not text, and `Io`.
pub(crate) fn read(given: &[OsString], files: &[PathBuf]) -> Result<Vec<Input>> {
    let mut reader = Reader::default();
    for argument in given {
        reader.argument(argument)?;
    }
    for file in files {
        reader.file(file)?;
    }
    Ok(reader.inputs)
}

/// A text without the mark that some editors put before it, which is no SQL.
pub(crate) fn unmarked(text: String) -> String {
    text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
}

#[derive(Default)]
struct Reader {
    inputs: Vec<Input>,
    texts: usize,
    seen: HashSet<PathBuf>,
}

impl Reader {
    fn argument(&mut self, argument: &OsStr) -> Result<()> {
        let path = Path::new(argument);
        if argument == "-" {
            return self.standard_input();
        }
        if path.is_dir() {
            return self.folder(path);
        }
        match argument.to_str() {
            Some(text) if !path.exists() => match kind(text) {
                Kind::Sql => {
                    self.text(text);
                    Ok(())
                }
                Kind::Pattern => self.pattern(text),
                Kind::Path => Err(Error::new(ErrorKind::NotFound, format!("there is no file {text}"))),
            },
            _ => self.file(path),
        }
    }

    fn text(&mut self, text: &str) {
        self.texts += 1;
        self.inputs.push(Input {
            name: match self.texts {
                1 => "<sql>".to_owned(),
                number => format!("<sql {number}>"),
            },
            path: None,
            text: text.to_owned(),
            is_markdown: false,
        });
    }

    fn standard_input(&mut self) -> Result<()> {
        // It can be read once.
        if !self.seen.insert(PathBuf::from("-")) {
            return Ok(());
        }
        let text = std::io::read_to_string(std::io::stdin())
            .map_err(|error| Error::from(error).context("cannot read the SQL from standard input"))?;
        self.inputs.push(Input {
            name: "<stdin>".to_owned(),
            path: None,
            text: unmarked(text),
            is_markdown: false,
        });
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        let name = path.strip_prefix(".").unwrap_or(path).display().to_string();
        let text = std::fs::read(path).map_err(|error| Error::from(error).context(format!("cannot read {name}")))?;
        let text = String::from_utf8(text)
            .map_err(|_| Error::new(ErrorKind::InvalidInput, format!("{name} is not text in UTF-8")))?;
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.seen.insert(real) {
            self.inputs.push(Input {
                name,
                path: Some(path.to_owned()),
                text: unmarked(text),
                is_markdown: ending(path) == Some(Ending::Markdown),
            });
        }
        Ok(())
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        let mut any = false;
        let walk = WalkDir::new(folder).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_skipped(entry)) {
            let entry = entry.map_err(|error| {
                let problem = error.to_string();
                match error.into_io_error() {
                    Some(source) => Error::from(source).context(format!("cannot look into {}", folder.display())),
                    None => Error::new(ErrorKind::Io, problem),
                }
            })?;
            if entry.file_type().is_file() && ending(entry.path()).is_some() {
                any = true;
                self.file(entry.path())?;
            }
        }
        match any {
            true => Ok(()),
            false => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("there is no .sql or .md file in {}", folder.display()),
            )),
        }
    }

    fn pattern(&mut self, pattern: &str) -> Result<()> {
        let options = MatchOptions {
            require_literal_leading_dot: true,
            ..MatchOptions::new()
        };
        let paths = glob::glob_with(pattern, options).map_err(|error| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("{pattern} is not a pattern of paths: {}", error.msg),
            )
        })?;
        // A pattern that names no ending is for what a folder would give.
        let names_ending = ending(Path::new(pattern)).is_some();
        let mut any = false;
        for path in paths {
            let path = path.map_err(|error| {
                let folder = error.path().display().to_string();
                Error::from(io::Error::from(error)).context(format!("cannot look into {folder}"))
            })?;
            if path.is_file() && (names_ending || ending(&path).is_some()) {
                any = true;
                self.file(&path)?;
            }
        }
        match any {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::NotFound, format!("no file matches {pattern}"))),
        }
    }
}

/// What an argument is that is no path which exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sql,
    Path,
    Pattern,
}

/// Paths and patterns are told by their ending or by a slash, and by what they have not: blanks, brackets and quotes.
fn kind(argument: &str) -> Kind {
    let is_sql = |character: char| character.is_whitespace() || matches!(character, '(' | '\'' | '"' | ';');
    let is_path = ending(Path::new(argument)).is_some() || argument.contains(['/', std::path::MAIN_SEPARATOR]);
    let is_path = is_path && !argument.contains(is_sql);
    match is_path {
        false => Kind::Sql,
        true if argument.contains(['*', '?', '[']) => Kind::Pattern,
        true => Kind::Path,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Sql,
    Markdown,
}

fn ending(path: &Path) -> Option<Ending> {
    let ending = path.extension()?.to_str()?;
    if ending.eq_ignore_ascii_case("sql") {
        Some(Ending::Sql)
    } else if ending.eq_ignore_ascii_case("md") || ending.eq_ignore_ascii_case("markdown") {
        Some(Ending::Markdown)
    } else {
        None
    }
}

fn is_skipped(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    name.starts_with('.') || (entry.file_type().is_dir() && SKIPPED_FOLDERS.contains(&name.as_ref()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn sql_is_told_from_paths() {
        for (argument, expected) in [
            ("SELECT * FROM log_entries", Kind::Sql),
            ("SELECT", Kind::Sql),
            ("SELECT*FROM(processes)", Kind::Sql),
            ("SELECT 1 FROM a.sql", Kind::Sql),
            ("errors.sql", Kind::Path),
            ("docs/errors.MD", Kind::Path),
            ("quries/", Kind::Path),
            ("queries/**/*.sql", Kind::Pattern),
            ("queries/*", Kind::Pattern),
            ("SELECT(6/2)", Kind::Sql),
            ("[ab].markdown", Kind::Pattern),
        ] {
            assert_eq!(kind(argument), expected, "{argument}");
        }
    }

    #[test]
    fn folders_give_their_files_in_order_and_once() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "b.sql",
            "a.md",
            "c.txt",
            ".hidden/d.sql",
            "target/e.sql",
            "sub/f.SQL",
            "x.sql/g.sql",
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let inputs = read(
            &[dir.path().into(), dir.path().join("b.sql").into()],
            &[dir.path().join("c.txt")],
        )
        .unwrap();
        let names: Vec<_> = inputs.iter().map(|input| input.text.as_str()).collect();
        assert_eq!(names, ["a.md", "b.sql", "sub/f.SQL", "x.sql/g.sql", "c.txt"]);
        assert!(inputs[0].is_markdown && !inputs[4].is_markdown);
        let pattern = dir.path().join("**/*.sql");
        let matched = read(&[pattern.into()], &[]).unwrap();
        assert!(matched.iter().any(|input| input.text == "b.sql"));
        fs::create_dir(dir.path().join("empty")).unwrap();
        let everything = read(&[dir.path().join("*").into()], &[]).unwrap();
        assert_eq!(everything.len(), 2, "c.txt is none of ours");
        fs::write(dir.path().join("marked.sql"), "\u{feff}SELECT 1").unwrap();
        assert_eq!(
            read(&[dir.path().join("marked.sql").into()], &[]).unwrap()[0].text,
            "SELECT 1"
        );
        let nothing = read(&[dir.path().join("empty").into()], &[]).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::InvalidInput);
        let missing = read(&["no-such.sql".into()], &[]).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
}
