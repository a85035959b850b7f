//! `too-many-columns`

use super::{Documentation, Rule};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

pub(super) struct TooManyColumns;

impl Rule for TooManyColumns {
    fn name(&self) -> &'static str {
        "too-many-columns"
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn why(&self) -> &'static str {
        "every column is read, decoded and sent for every row"
    }

    fn documentation(&self) -> Documentation {
        Documentation {
            text: "The result has more columns than `max-columns` (50 unless configured). Columns are stored apart: those \
                   that are not selected are not read.",
            bad: "SELECT b.*, p.* FROM blocks b JOIN processes p ON b.process_id = p.process_id",
            good: "SELECT b.block_id, b.begin_time, p.exe FROM blocks b JOIN processes p ON b.process_id = p.process_id",
        }
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(schema) = context.schema else { return };
        let most = context.config.max_columns;
        let count = schema.columns.len();
        if count > most {
            report
                .add(
                    context.range.clone(),
                    format!("the result has {count} columns, more than {most}"),
                )
                .help("select the columns that are needed");
        }
    }
}
