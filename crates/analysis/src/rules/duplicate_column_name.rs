//! `duplicate-column-name`

use std::collections::HashSet;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "duplicate-column-name",
    severity: Severity::Warning,
    why: "two columns of the result have the same name: most programs see only one of them",
    text: "Data frames, JSON and most file formats hold one column of a name. Name them apart with AS.",
    bad: "SELECT l.process_id, p.process_id FROM log_entries l JOIN processes p ON l.process_id = p.process_id",
    good: "SELECT l.process_id, p.process_id AS other FROM log_entries l JOIN processes p ON l.process_id = p.process_id",
};

pub(super) struct DuplicateColumnName;

impl Rule for DuplicateColumnName {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(output) = context.model.and_then(|model| model.top()).and_then(|top| top.output()) else {
            return;
        };
        let mut seen = HashSet::new();
        let mut of_stars: Vec<&str> = Vec::new();
        for column in output {
            let Some(name) = column.name.as_deref() else { continue };
            if seen.insert(name) {
                continue;
            }
            match column.ident {
                Some(ident) => {
                    let range = report.source().range(ident.span);
                    report
                        .add(range, format!("the result has a second column named '{name}'"))
                        .help("name one of them apart with AS");
                }
                None => of_stars.push(name),
            }
        }
        of_stars.sort_unstable();
        of_stars.dedup();
        if !of_stars.is_empty() {
            report
                .add(
                    context.first_word.clone(),
                    format!(
                        "the result has several columns of the same name: {}",
                        of_stars.join(", ")
                    ),
                )
                .help("name the columns that are needed instead of *");
        }
    }
}
