//! Fixes: shown, applied to files, and printed.

use std::fmt::Write;

use lakepilot_analysis::{CallRange, Fixed};
use lakepilot_query::{Error, ErrorKind, Result};
use similar::TextDiff;

use super::Check;
use crate::args::{CheckArgs, FailOn};
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::{self, text};
use crate::terminal;

impl Check {
    fn fixed(&self, call: CallRange) -> Fixed {
        match self.input.is_markdown {
            true => self.analyzer.fix_markdown(&self.input.text, call),
            false => self.analyzer.fix(&self.input.text, call),
        }
    }
}

/// Applies the fixes of every text, rewrites the files of those that changed, and tells how many findings were fixed.
pub(super) fn apply(checks: &mut [Check], call: CallRange, context: &Context) -> Result<usize> {
    let texts = checks.iter().filter(|check| check.input.path.is_none()).count();
    if texts > 1 {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "--fix prints the fixed text: give it one text at a time, or files, which it rewrites",
        ));
    }
    let mut files = 0;
    let mut all = 0;
    for check in checks {
        let fixed = check.fixed(call);
        if fixed.fixed == 0 {
            continue;
        }
        if let Some(path) = &check.input.path {
            output::rewrite_file(path, fixed.text.as_bytes())?;
            files += 1;
        }
        all += fixed.fixed;
        check.input.text = fixed.text;
    }
    if all > 0 {
        let findings = text::counted(all as u64, "finding");
        context.messages.tell(match files {
            0 => format!("fixed {findings}"),
            files => format!("fixed {findings} in {}", text::counted(files, "file")),
        });
    }
    Ok(all)
}

/// Prints the texts that are in no file.
pub(super) fn print(checks: &[Check]) -> Result<()> {
    for check in checks.iter().filter(|check| check.input.path.is_none()) {
        output::print(&check.input.text)?;
        if !check.input.text.ends_with('\n') {
            output::print("\n")?;
        }
    }
    Ok(())
}

/// Prints what fixes would change, as a unified diff. That there is something counts as a finding.
pub(super) fn show(checks: &[Check], call: CallRange, args: &CheckArgs, context: &Context) -> Result<Outcome> {
    let colored = terminal::colored(context.color(), &std::io::stdout());
    let mut told = String::new();
    let mut all = 0;
    for check in checks {
        let fixed = check.fixed(call);
        if fixed.fixed > 0 {
            told.push_str(&diff(&check.input.name, &check.input.text, &fixed.text, colored));
            all += fixed.fixed;
        }
    }
    output::print(&told)?;
    context.messages.tell(match all {
        0 => "nothing to fix".to_owned(),
        all => format!("{} can be fixed with --fix", text::counted(all as u64, "finding")),
    });
    Ok(match all > 0 && args.fail_on != FailOn::Never {
        true => Outcome::Findings,
        false => Outcome::Done,
    })
}

fn diff(name: &str, before: &str, after: &str, colored: bool) -> String {
    let diff = TextDiff::from_lines(before, after);
    let unified = diff.unified_diff().header(name, name).to_string();
    let mut shown = String::with_capacity(unified.len());
    for line in unified.lines() {
        // A diff is for programs too, which need the text as it is; a terminal must not act on it.
        let color = match line.as_bytes().first() {
            _ if !colored => None,
            Some(b'+') => Some("32"),
            Some(b'-') => Some("31"),
            Some(b'@') => Some("36"),
            _ => None,
        };
        // Writing to a string does not fail.
        let _ = match color {
            Some(color) => writeln!(shown, "\x1b[{color}m{}\x1b[0m", output::printable(line)),
            None => writeln!(shown, "{line}"),
        };
    }
    shown
}
