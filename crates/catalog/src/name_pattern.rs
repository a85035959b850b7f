//! Patterns of names: a whole name, or a glob.

use std::fmt;
use std::str::FromStr;

use lakepilot_query::{Error, ErrorKind, Result, quote_literal};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Which names are meant: a whole name, or a glob in which `*` stands for any characters (none too), `?` for one, and
/// `\` takes the meaning from the character after it. Everything else stands for itself: `%`, `_`, quotes and brackets
/// too. Upper and lower case are different.
///
/// ```
/// use lakepilot_catalog::NamePattern;
///
/// # fn main() -> lakepilot_query::Result<()> {
/// let spans: NamePattern = "*_spans".parse()?;
/// assert!(spans.matches("thread_spans") && !spans.matches("log_entries"));
/// let star = NamePattern::exact("*");
/// assert!(star.matches("*") && !star.matches("x"));
/// assert_eq!(star.to_string(), r"\*");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamePattern {
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Itself(char),
    One,
    Any,
}

impl NamePattern {
    /// The pattern that matches this name alone, whatever is in it.
    pub fn exact(name: &str) -> Self {
        Self {
            parts: name.chars().map(Part::Itself).collect(),
        }
    }

    /// Whether the whole name matches.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut in_name) = (0, 0);
        // The last `*`, and where what it stands for ends so far.
        let mut star: Option<(usize, usize)> = None;
        while in_name < name.len() {
            match self.parts.get(at) {
                Some(Part::Any) => {
                    star = Some((at, in_name));
                    at += 1;
                }
                Some(Part::One) => {
                    at += 1;
                    in_name += 1;
                }
                Some(Part::Itself(character)) if *character == name[in_name] => {
                    at += 1;
                    in_name += 1;
                }
                _ => {
                    let Some((of_star, end)) = star else { return false };
                    star = Some((of_star, end + 1));
                    at = of_star + 1;
                    in_name = end + 1;
                }
            }
        }
        self.parts[at..].iter().all(|part| *part == Part::Any)
    }

    /// The one name that matches; `None` when the pattern is a glob.
    pub fn as_exact(&self) -> Option<String> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Itself(character) => Some(*character),
                Part::One | Part::Any => None,
            })
            .collect()
    }

    /// What every name that matches begins with.
    fn prefix(&self) -> String {
        self.parts
            .iter()
            .map_while(|part| match part {
                Part::Itself(character) => Some(*character),
                Part::One | Part::Any => None,
            })
            .collect()
    }

    /// A condition that holds for every name that matches, and perhaps for others; `None` where there is no good one. It
    /// uses no `LIKE`, whose escapes servers do not agree about.
    pub(crate) fn condition(&self, column: &str) -> Option<String> {
        if let Some(name) = self.as_exact() {
            return Some(format!("{column} = {}", quote_literal(&name)));
        }
        let prefix = self.prefix();
        (!prefix.is_empty()).then(|| format!("starts_with({column}, {})", quote_literal(&prefix)))
    }
}

impl FromStr for NamePattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            parts.push(match character {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::Itself(characters.next().ok_or_else(|| {
                    Error::new(
                        ErrorKind::InvalidInput,
                        format!("the pattern '{text}' ends in a backslash; write two of them to mean one"),
                    )
                })?),
                other => Part::Itself(other),
            });
        }
        Ok(Self { parts })
    }
}

impl fmt::Display for NamePattern {
    /// The pattern as it is parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Any => f.write_str("*")?,
                Part::One => f.write_str("?")?,
                Part::Itself(character @ ('*' | '?' | '\\')) => write!(f, "\\{character}")?,
                Part::Itself(character) => write!(f, "{character}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for NamePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NamePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|error: Error| de::Error::custom(error.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern: NamePattern = pattern.parse().unwrap();
        for name in yes {
            assert!(pattern.matches(name), "{pattern} should match {name:?}");
        }
        for name in no {
            assert!(!pattern.matches(name), "{pattern} should not match {name:?}");
        }
    }

    #[test]
    fn stars_and_question_marks() {
        check("*", &["", "x", "it's\n"], &[]);
        check("log*", &["log", "log_entries"], &["LOG", "a log"]);
        check(
            "*_spans",
            &["thread_spans", "_spans", "a_spans_spans"],
            &["spans", "thread_spansx"],
        );
        check("a*b*c", &["abc", "a--b--b--c"], &["ab", "acb"]);
        check("p?", &["p1", "p漢", "p\n"], &["p", "p12"]);
        check("", &[""], &["x"]);
    }

    #[test]
    fn everything_else_stands_for_itself() {
        check("100%", &["100%"], &["100", "1000"]);
        check("a_b", &["a_b"], &["axb"]);
        check("[ab]", &["[ab]"], &["a"]);
        check(r"\*\?\\", &[r"*?\"], &["xyz"]);
        check("'); DROP", &["'); DROP"], &["DROP"]);
    }

    #[test]
    fn a_pattern_that_ends_in_a_backslash_is_refused() {
        let error = "log\\".parse::<NamePattern>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn conditions_have_no_wildcards() {
        let of = |text: &str| text.parse::<NamePattern>().unwrap().condition("name");
        assert_eq!(of("it's").as_deref(), Some("name = 'it''s'"));
        assert_eq!(of("100%*").as_deref(), Some("starts_with(name, '100%')"));
        assert_eq!(of(r"a\*?b").as_deref(), Some("starts_with(name, 'a*')"));
        assert_eq!(of("*b"), None);
    }

    /// The obvious matcher, which takes for ever on many stars.
    fn matches_slowly(parts: &[Part], name: &[char]) -> bool {
        match (parts.split_first(), name.split_first()) {
            (None, _) => name.is_empty(),
            (Some((Part::Any, rest)), _) => {
                matches_slowly(rest, name) || name.split_first().is_some_and(|(_, name)| matches_slowly(parts, name))
            }
            (Some((Part::One, rest)), Some((_, name))) => matches_slowly(rest, name),
            (Some((Part::Itself(c), rest)), Some((d, name))) => c == d && matches_slowly(rest, name),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn it_matches_as_the_obvious_matcher(pattern in r"[ab*?\\%]{0,8}", name in "[ab*%]{0,8}") {
            let Ok(pattern) = pattern.parse::<NamePattern>() else { return Ok(()) };
            let characters: Vec<char> = name.chars().collect();
            prop_assert_eq!(pattern.matches(&name), matches_slowly(&pattern.parts, &characters));
        }

        #[test]
        fn a_pattern_is_read_as_it_is_written(name: String, pattern in r"[a-z'*?%_\\]{0,12}") {
            let exact = NamePattern::exact(&name);
            prop_assert!(exact.matches(&name));
            prop_assert_eq!(exact.as_exact(), Some(name.clone()));
            prop_assert_eq!(&exact.to_string().parse::<NamePattern>().unwrap(), &exact);
            if let Ok(pattern) = pattern.parse::<NamePattern>() {
                prop_assert_eq!(&pattern.to_string().parse::<NamePattern>().unwrap(), &pattern);
            }
        }
    }
}
