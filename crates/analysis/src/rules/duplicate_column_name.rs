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
        for column in output {
            let Some(name) = column.name.as_deref() else { continue };
            if seen.insert(name) {
                continue;
            }
            let range = match column.ident {
                Some(ident) => report.source().range(ident.span),
                None => context.first_word.clone(),
            };
            report
                .add(range, format!("the result has a second column named '{name}'"))
                .help("name one of them apart with AS");
        }
    }
}
