//! Findings, as they are printed.

use std::fmt::Write;

use lakepilot_analysis::{
    Analysis, Checked, Severity, StatementAnalysis, TextStyle, github_annotations, render_text, sarif,
};
use lakepilot_query::Result;
use serde::Serialize;

use super::Check;
use crate::args::FindingsFormat;
use crate::context::Context;
use crate::output::{self, text};
use crate::terminal;

/// What was found in all, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// How many texts were checked.
    files: usize,
    /// In how many of them something was found.
    files_with_findings: usize,
    errors: usize,
    warnings: usize,
    hints: usize,
    /// How many of the findings have a fix.
    fixable: usize,
    /// How many findings were fixed before.
    fixed: usize,
    /// Whether a server was asked.
    online: bool,
}

impl Summary {
    pub(super) fn new(analyses: &[Analysis], files: usize, fixed: usize, online: bool) -> Self {
        let findings = || analyses.iter().flat_map(Analysis::findings);
        let count = |severity| findings().filter(|finding| finding.severity == severity).count();
        Self {
            files,
            files_with_findings: analyses.iter().filter(|one| one.worst().is_some()).count(),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            hints: count(Severity::Hint),
            fixable: findings().filter(|finding| finding.fix.is_some()).count(),
            fixed,
            online,
        }
    }

    /// The numbers as a line for a person.
    fn describe(&self) -> String {
        let counts: Vec<String> = [(self.errors, "error"), (self.warnings, "warning"), (self.hints, "hint")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, noun)| text::counted(count as u64, noun))
            .collect();
        let mut told = match counts.is_empty() {
            true => "no findings".to_owned(),
            false => counts.join(", "),
        };
        let files = text::counted(self.files as u64, "file");
        // Writing to a string does not fail.
        let _ = match (self.files, self.files_with_findings) {
            (..=1, _) => Ok(()),
            (_, 0) => write!(told, " in {files}"),
            (_, some) => write!(told, " in {} of {files}", text::count(some as u64)),
        };
        if self.fixable > 0 {
            let _ = write!(told, "; {} can be fixed with --fix", text::count(self.fixable as u64));
        }
        told
    }
}

/// The one JSON document.
#[derive(Serialize)]
struct Document<'a> {
    statements: Vec<Statement<'a>>,
    summary: &'a Summary,
}

#[derive(Serialize)]
struct Statement<'a> {
    file: &'a str,
    #[serde(flatten)]
    analysis: &'a StatementAnalysis,
}

pub(super) fn render(
    checks: &[Check],
    analyses: &[Analysis],
    summary: &Summary,
    format: FindingsFormat,
    context: &Context,
    on_stderr: bool,
) -> Result<String> {
    let checked: Vec<Checked<'_>> = checks
        .iter()
        .zip(analyses)
        .map(|(check, analysis)| Checked {
            name: &check.input.name,
            text: &check.input.text,
            analysis,
        })
        .collect();
    match format {
        FindingsFormat::Json => output::to_json(&document(&checked, summary)),
        FindingsFormat::Sarif => output::to_json(&sarif(&checked)),
        FindingsFormat::Github => Ok(github_annotations(&checked)),
        FindingsFormat::Text => Ok(as_text(&checked, summary, context, on_stderr)),
    }
}

fn document<'a>(checked: &[Checked<'a>], summary: &'a Summary) -> Document<'a> {
    let statements = checked
        .iter()
        .flat_map(|file| {
            let statements = file.analysis.statements.iter();
            statements.map(|analysis| Statement {
                file: file.name,
                analysis,
            })
        })
        .collect();
    Document { statements, summary }
}

fn as_text(checked: &[Checked<'_>], summary: &Summary, context: &Context, on_stderr: bool) -> String {
    let (width, colored) = match on_stderr {
        true => (
            terminal::stderr_width(),
            terminal::colored(context.color(), &std::io::stderr()),
        ),
        false => (
            terminal::stdout_width(),
            terminal::colored(context.color(), &std::io::stdout()),
        ),
    };
    let mut style = TextStyle::default().with_colors(colored);
    if let Some(width) = width {
        style = style.with_width(width);
    }
    let mut told = String::new();
    for file in checked {
        let rendered = render_text(file, style);
        if !rendered.is_empty() {
            told.push_str(&rendered);
            told.push('\n');
        }
    }
    if !context.messages.is_quiet() {
        told.push_str(&text::wrap(&summary.describe(), width));
        told.push('\n');
    }
    told
}

/// The findings of one text, without colours.
#[cfg(feature = "lake")]
pub(crate) fn for_people(name: &str, text: &str, analysis: &Analysis, width: Option<usize>) -> String {
    let style = TextStyle::default();
    let style = width.map_or(style, |width| style.with_width(width));
    render_text(&Checked { name, text, analysis }, style)
}
