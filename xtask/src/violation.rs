//! What a check of the repository finds.

use std::fmt;

use anyhow::{Result, bail};

/// One broken rule: where, what, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// A file, with its line where there is one, or a package.
    pub(crate) place: String,
    pub(crate) what: String,
    pub(crate) remedy: String,
}

impl Violation {
    pub(crate) fn new(place: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.remedy)
    }
}

/// Prints the violations, one a line, in order of their places.
///
/// # Errors
/// When there is one.
pub(crate) fn report(check: &str, mut violations: Vec<Violation>) -> Result<()> {
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => {
            println!("{check}: good");
            Ok(())
        }
        1 => bail!("{check}: 1 violation"),
        count => bail!("{check}: {count} violations"),
    }
}
