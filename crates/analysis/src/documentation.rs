//! The rules as a page for people.

use std::fmt::Write;

use crate::rules::{self, RuleInfo};

/// One rule in full, as Markdown under a heading of the second level.
///
/// ```
/// let rule = lakepilot_analysis::find_rule("select-star").expect("it is in the table");
/// assert!(lakepilot_analysis::rule_markdown(rule.info()).starts_with("## select-star\n"));
/// ```
pub fn rule_markdown(info: &RuleInfo) -> String {
    format!(
        "## {}\n\n*{}*: {}.\n\n{}\n\nInstead of\n\n```text\n{}\n```\n\nwrite\n\n```text\n{}\n```\n",
        info.name, info.severity, info.why, info.text, info.bad, info.good
    )
}

/// Every rule in full, as one page of Markdown: `docs/rules.md`.
pub fn rules_markdown() -> String {
    let mut page = String::from(
        "# Rules\n\nWhat `lakepilot check` looks for. This page is made from the code: \
         `UPDATE_RULES=1 cargo test -p lakepilot-analysis --test it rules_page` writes it anew.\n\n\
         A rule is switched with `[check.rules]` in `lakepilot.toml` (`select-star = \"off\"`, or `\"hint\"`, `\"warning\"`, \
         `\"error\"`), and silenced in one statement by a comment in it or before it: \
         `-- lakepilot: ignore select-star, wide-row`.\n\n| rule | severity | why |\n|---|---|---|\n",
    );
    for rule in rules::all() {
        let info = rule.info();
        // Writing to a string does not fail.
        let _ = writeln!(page, "| [{0}](#{0}) | {1} | {2} |", info.name, info.severity, info.why);
    }
    for rule in rules::all() {
        page.push('\n');
        page.push_str(&rule_markdown(rule.info()));
    }
    page
}
