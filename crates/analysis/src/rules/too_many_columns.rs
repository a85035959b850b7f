//! `too-many-columns`

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "too-many-columns",
    severity: Severity::Warning,
    why: "every column is read, decoded and sent for every row",
    text: "The result has more columns than `max-columns` (50 unless configured). Columns are stored apart: \
           those that are not selected are not read.",
    bad: "SELECT b.*, s.*, p.* FROM blocks b JOIN streams s ON b.stream_id = s.stream_id JOIN processes p ON b.process_id = p.process_id",
    good: "SELECT b.block_id, b.begin_time, p.exe FROM blocks b JOIN processes p ON b.process_id = p.process_id",
};

pub(super) struct TooManyColumns;

impl Rule for TooManyColumns {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let offline = || {
            context
                .model
                .and_then(|model| model.top())
                .and_then(|top| top.output())
                .map(<[_]>::len)
        };
        let Some(count) = context.schema.map(|schema| schema.columns.len()).or_else(offline) else {
            return;
        };
        let most = context.config.max_columns;
        if count > most {
            report
                .add(
                    context.first_word.clone(),
                    format!("the result has {count} columns, more than {most}"),
                )
                .help("select the columns that are needed");
        }
    }
}
