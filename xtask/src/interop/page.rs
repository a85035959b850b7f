//! The page of what came of it.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

use super::probe::{Finding, Verdict};
use super::{Column, Outcome};
use crate::cargo::Workspace;

const PAGE: &str = "docs/interop.md";
const BEGIN: &str = "<!-- interop: begin -->";
const END: &str = "<!-- interop: end -->";

/// The most of a server's words that the page repeats.
const MOST_CHARACTERS: usize = 240;

/// The most of a detail that stands in the table itself, such as a number of endpoints.
const MOST_IN_A_CELL: usize = 16;

/// Puts the tables into the page, between the marks that are there for them.
pub(super) fn write(workspace: &Workspace, columns: &[Column]) -> Result<()> {
    let path = workspace.root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("read {PAGE}"))?;
    let unfinished = path.with_extension("md.new");
    let new = replaced(&page, &text(columns))?;
    fs::write(&unfinished, new)
        .and_then(|()| fs::rename(&unfinished, &path))
        .with_context(|| format!("write {PAGE}"))?;
    println!("wrote {PAGE}");
    Ok(())
}

fn replaced(page: &str, text: &str) -> Result<String> {
    let marks = page
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = marks.with_context(|| format!("{PAGE} has no {BEGIN} and {END}"))?;
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", text.trim_end()))
}

/// The servers, the calls, the cases, and the notes to them.
pub(super) fn text(columns: &[Column]) -> String {
    let mut notes = Vec::new();
    let mut text = format!("Run {}.\n\n", chrono::Utc::now().format("%Y-%m-%d"));
    text.push_str("| server | what it is | run |\n|---|---|---|\n");
    for column in columns {
        let run = match &column.outcome {
            Outcome::Ran { .. } => "yes".to_owned(),
            Outcome::NotRun(reason) => format!("**not run**: {}", one_line(reason)),
        };
        let _ = writeln!(text, "| {} | {} | {run} |", column.kind.name(), column.kind.about());
    }
    if columns.iter().any(|column| !column.calls().is_empty()) {
        text.push_str("\n### Calls\n\n");
        text.push_str(&table(columns, "call", Column::calls, &mut notes));
    }
    text.push_str("\n### Cases\n\n");
    text.push_str(&table(columns, "case", Column::cases, &mut notes));
    text.push_str("\n### Notes\n\n");
    for (number, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}. {note}", number + 1);
    }
    text
}

impl Column {
    pub(super) fn cases(&self) -> &[Finding] {
        match &self.outcome {
            Outcome::Ran { cases, .. } => cases,
            Outcome::NotRun(_) => &[],
        }
    }

    fn calls(&self) -> &[Finding] {
        match &self.outcome {
            Outcome::Ran { calls, .. } => calls,
            Outcome::NotRun(_) => &[],
        }
    }
}

fn table(columns: &[Column], what: &str, findings: fn(&Column) -> &[Finding], notes: &mut Vec<String>) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.kind.name()).collect();
    let mut text = format!(
        "| {what} | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for row in rows(columns, findings) {
        let label = match row.proves.as_str() {
            "" => format!("`{}`", row.name),
            proves => format!("`{}`: {proves}", row.name),
        };
        let _ = write!(text, "| {label} |");
        for column in columns {
            let finding = findings(column).iter().find(|finding| finding.name == row.name);
            let _ = write!(text, " {} |", cell(column, finding, notes));
        }
        text.push('\n');
    }
    text
}

/// Every row once, in the order of the server that has most of them.
fn rows(columns: &[Column], findings: fn(&Column) -> &[Finding]) -> Vec<&Finding> {
    let mut longest: Vec<&[Finding]> = columns.iter().map(findings).collect();
    longest.sort_by_key(|findings| std::cmp::Reverse(findings.len()));
    let mut rows: Vec<&Finding> = Vec::new();
    for finding in longest.into_iter().flatten() {
        if rows.iter().all(|row| row.name != finding.name) {
            rows.push(finding);
        }
    }
    rows
}

fn cell(column: &Column, finding: Option<&Finding>, notes: &mut Vec<String>) -> String {
    let Some(finding) = finding else {
        return match column.outcome {
            Outcome::Ran { .. } => String::new(),
            Outcome::NotRun(_) => "not run".to_owned(),
        };
    };
    let word = match finding.verdict {
        Verdict::Good if finding.detail.is_empty() || finding.detail.len() > MOST_IN_A_CELL => {
            return "good".to_owned();
        }
        Verdict::Good => return format!("good: {}", finding.detail),
        Verdict::NotOffered => return "no".to_owned(),
        Verdict::NotTried => return String::new(),
        Verdict::Refused => "refused",
        Verdict::Failed => "**fails**",
    };
    let why = finding.known.map(|known| format!(" {known}")).unwrap_or_default();
    notes.push(format!(
        "{}, `{}`:{why} Seen: {}",
        column.kind.name(),
        finding.name,
        one_line(&finding.detail)
    ));
    format!("{word} ({})", notes.len())
}

/// Words of a server as one line of a table, and not too much of them.
pub(super) fn one_line(text: &str) -> String {
    let line = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|");
    match line.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::super::servers::Kind;
    use super::*;

    fn finding(name: &str, verdict: Verdict, detail: &str) -> Finding {
        Finding {
            name: name.to_owned(),
            proves: "something".to_owned(),
            verdict,
            detail: detail.to_owned(),
            known: None,
        }
    }

    #[test]
    fn a_server_that_was_not_run_has_passed_nothing_and_a_failure_has_a_note() {
        let ran = |cases| Outcome::Ran {
            cases,
            calls: Vec::new(),
        };
        let columns = [
            Column {
                kind: Kind::Embedded,
                outcome: ran(vec![finding("rows", Verdict::Good, "")]),
            },
            Column {
                kind: Kind::Sail,
                outcome: ran(vec![
                    finding("rows", Verdict::Failed, "one\ntwo | three"),
                    finding("tables", Verdict::NotOffered, "no such call"),
                ]),
            },
            Column {
                kind: Kind::Dft,
                outcome: Outcome::NotRun("it is not built".to_owned()),
            },
        ];
        let text = text(&columns);
        assert!(
            text.contains("| `rows`: something | good | **fails** (1) | not run |"),
            "{text}"
        );
        assert!(text.contains("| `tables`: something |  | no | not run |"), "{text}");
        assert!(text.contains("1. sail, `rows`: Seen: one two \\| three"), "{text}");
        assert!(text.contains("**not run**: it is not built |"), "{text}");
    }

    #[test]
    fn the_page_around_the_tables_is_kept() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(
            replaced(&page, "new\n").unwrap(),
            format!("a\n{BEGIN}\nnew\n{END}\nb\n")
        );
        assert!(replaced("a", "new").is_err());
    }
}
