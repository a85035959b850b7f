//! `lakepilot rules`: what `check` looks for.

use lakepilot_analysis::{RuleInfo, all_rules, find_rule, rule_markdown, rules_markdown};
use lakepilot_query::{Error, ErrorKind, Result};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::args::{RulesArgs, RulesFormat};
use crate::config;
use crate::exit::Outcome;
use crate::output::{self, Heading, text};
use crate::terminal;

/// A rule, as scripts read it.
#[derive(Serialize)]
struct Described {
    name: &'static str,
    severity: &'static str,
    why: &'static str,
    text: &'static str,
    bad: &'static str,
    good: &'static str,
}

impl From<&RuleInfo> for Described {
    fn from(info: &RuleInfo) -> Self {
        Self {
            name: info.name,
            severity: info.severity.as_str(),
            why: info.why,
            text: info.text,
            bad: info.bad,
            good: info.good,
        }
    }
}

pub(crate) fn rules(args: &RulesArgs) -> Result<Outcome> {
    let chosen = choose(&args.names)?;
    let width = terminal::stdout_width();
    let told = match args.format {
        RulesFormat::Json => output::to_json(&chosen.iter().map(|info| Described::from(*info)).collect::<Vec<_>>())?,
        RulesFormat::Markdown if args.names.is_empty() => rules_markdown(),
        RulesFormat::Markdown => joined(&chosen, rule_markdown),
        RulesFormat::Table if args.names.is_empty() => list(&chosen, width),
        RulesFormat::Table => joined(&chosen, |info| in_full(info, width.unwrap_or(READABLE_WIDTH))),
    };
    output::print(&told)?;
    Ok(Outcome::Done)
}

/// The width of a paragraph where there is no terminal.
const READABLE_WIDTH: usize = 100;

/// The rules of the names, or all.
fn choose(names: &[String]) -> Result<Vec<&'static RuleInfo>> {
    if names.is_empty() {
        return Ok(all_rules().iter().map(|rule| rule.info()).collect());
    }
    names
        .iter()
        .map(|name| {
            let rule = find_rule(name)
                .ok_or_else(|| Error::new(ErrorKind::NotFound, config::no_such("rule", name, config::rule_names())))?;
            Ok(rule.info())
        })
        .collect()
}

fn joined(rules: &[&RuleInfo], describe: impl Fn(&RuleInfo) -> String) -> String {
    rules.iter().map(|info| describe(info)).collect::<Vec<_>>().join("\n")
}

/// A table, or where one would have to be cut, an entry of two lines for each rule.
fn list(rules: &[&RuleInfo], width: Option<usize>) -> String {
    let headings = [Heading::text("rule"), Heading::text("severity"), Heading::text("why")];
    let rows: Vec<Vec<String>> = rules
        .iter()
        .map(|info| vec![info.name.to_owned(), info.severity.to_string(), info.why.to_owned()])
        .collect();
    let table = output::table(&headings, &rows, None);
    let told = match width {
        Some(width) if table.lines().any(|line| line.width() > width) => rules
            .iter()
            .map(|info| {
                let why = text::fill(&format!("    {}\n", info.why), width);
                format!("{} ({})\n{why}", info.name, info.severity)
            })
            .collect(),
        _ => table,
    };
    let count = text::counted(rules.len() as u64, "rule");
    told + &text::wrap(&format!("\n{count}; `lakepilot rules NAME` tells one in full\n"), width)
}

fn in_full(info: &RuleInfo, width: usize) -> String {
    // SQL is to be copied: its lines stay whole.
    let indented = |sql: &str| sql.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let name = info.name;
    let text = format!("{name} ({})\n\n{}.\n\n{}\n", info.severity, info.why, info.text);
    let closing = format!(
        "silence it in one statement with the comment -- lakepilot: ignore {name}\n\
         switch it with --rule {name}=off, or in lakepilot.toml under [check.rules] with {name} = \"off\"\n",
    );
    format!(
        "{}\ninstead of\n\n{}\nwrite\n\n{}\n{}",
        text::fill(&text, width),
        indented(info.bad),
        indented(info.good),
        text::wrap(&closing, Some(width)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widest(told: &str) -> usize {
        told.lines().map(UnicodeWidthStr::width).max().unwrap_or(0)
    }

    #[test]
    fn the_list_fits_any_terminal() {
        let rules = choose(&[]).unwrap();
        assert!(list(&rules, None).contains('┆'));
        for width in [40, 80] {
            let told = list(&rules, Some(width));
            assert!(widest(&told) <= width, "{told}");
            assert!(
                told.contains("unused-ignore (hint)\n    a comment that suppresses"),
                "{told}"
            );
        }
    }

    #[test]
    fn the_words_of_a_rule_fit_and_its_queries_stay_whole() {
        let info = find_rule("cross-join").unwrap().info();
        let told = in_full(info, 40);
        assert!(told.contains(info.good), "{told}");
        let words = told.replace(info.good, "").replace(info.bad, "");
        assert!(widest(&words) <= 40, "{words}");
    }
}
