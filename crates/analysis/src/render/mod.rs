//! Findings for people and for other programs.

mod github;
mod sarif;
mod text;

use crate::Analysis;

pub use github::github_annotations;
pub use sarif::sarif;
pub use text::{TextStyle, render_text};

/// A text that was analysed, and what was found in it.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'a> {
    /// The path of its file, or another name: `<stdin>`.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
    /// What was found.
    pub analysis: &'a Analysis,
}
