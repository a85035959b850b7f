//! Findings as annotations of a workflow on GitHub.

use std::fmt::Write;

use super::Checked;
use crate::Severity;

/// Every finding as a workflow command, one a line: `::warning file=...,line=...::message`.
pub fn github_annotations(files: &[Checked<'_>]) -> String {
    let mut commands = String::new();
    for file in files {
        for finding in file.analysis.findings() {
            let level = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Hint => "notice",
            };
            let (start, end) = (finding.span.start, finding.span.end);
            let mut message = finding.message.clone();
            if let Some(help) = &finding.help {
                message.push_str("; ");
                message.push_str(help);
            }
            // Writing to a string does not fail.
            let _ = writeln!(
                commands,
                "::{level} file={},line={},endLine={},col={},endColumn={},title={}::{}",
                escaped(file.name, true),
                start.line,
                end.line,
                start.column,
                end.column,
                finding.rule,
                escaped(&message, false),
            );
        }
    }
    commands
}

/// Commands end at a line feed, and their properties at commas and colons.
fn escaped(text: &str, is_property: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '%' => escaped.push_str("%25"),
            '\r' => escaped.push_str("%0D"),
            '\n' => escaped.push_str("%0A"),
            ':' if is_property => escaped.push_str("%3A"),
            ',' if is_property => escaped.push_str("%2C"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Analyzer, CallRange};

    #[test]
    fn a_command_has_its_place_and_is_one_line() {
        let text = "SELECT *\nFROM processes\nWHERE é";
        let analysis = Analyzer::default().check(text, CallRange::default());
        let file = Checked {
            name: "a,b:c.sql",
            text,
            analysis: &analysis,
        };
        let commands = github_annotations(&[file]);
        assert_eq!(commands.lines().count(), 1);
        let start = "::error file=a%2Cb%3Ac.sql,line=3,endLine=3,col=7,endColumn=8,title=unknown-column::there is no column 'é'; ";
        assert!(commands.starts_with(start), "{commands}");
    }
}
