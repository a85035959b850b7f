//! `lakepilot rules`: what `check` looks for.

use lakepilot_analysis::{RuleInfo, all_rules, find_rule, rule_markdown, rules_markdown};
use lakepilot_query::{Error, ErrorKind, Result};
use serde::Serialize;

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
        RulesFormat::Table => text::wrap(&joined(&chosen, in_full), width.or(Some(READABLE_WIDTH))),
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

fn list(rules: &[&RuleInfo], width: Option<usize>) -> String {
    let headings = [Heading::text("rule"), Heading::text("severity"), Heading::text("why")];
    let rows: Vec<Vec<String>> = rules
        .iter()
        .map(|info| vec![info.name.to_owned(), info.severity.to_string(), info.why.to_owned()])
        .collect();
    let count = text::counted(rows.len() as u64, "rule");
    let closing = format!("{count}; `lakepilot rules NAME` tells one in full\n");
    output::table(&headings, &rows, width) + &text::wrap(&closing, width)
}

fn in_full(info: &RuleInfo) -> String {
    let indented = |sql: &str| sql.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "{name} ({severity})\n\n{why}.\n\n{text}\n\ninstead of\n{bad}\nwrite\n{good}\n\
         silence it in one statement: -- lakepilot: ignore {name}\n\
         switch it: --rule {name}=off, or in lakepilot.toml under [check.rules] {name} = \"off\"\n",
        name = info.name,
        severity = info.severity,
        why = info.why,
        text = info.text,
        bad = indented(info.bad),
        good = indented(info.good),
    )
}
