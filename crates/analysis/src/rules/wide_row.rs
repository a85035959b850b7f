//! `wide-row`

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::Model;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "wide-row",
    severity: Severity::Warning,
    why: "wide rows fill memory and the connection long before there are many of them",
    text: "A row of the result is estimated at more than `max-row-bytes` (1,000 unless configured). Such a \
           result is best read as a stream, batch by batch, and with the columns that are needed.",
    bad: "SELECT b.*, p.* FROM blocks b JOIN processes p ON b.process_id = p.process_id",
    good: "SELECT block_id, begin_time, end_time, nb_objects FROM blocks",
};

pub(super) struct WideRow;

impl Rule for WideRow {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let offline = || context.model.and_then(Model::offline_row_bytes);
        let Some(bytes) = context.schema.map(|schema| schema.estimated_row_bytes).or_else(offline) else {
            return;
        };
        let most = context.config.max_row_bytes;
        if bytes > most {
            report
                .add(
                    context.first_word.clone(),
                    format!("a row is estimated at {bytes:.0} bytes, more than {most:.0}"),
                )
                .help("select fewer columns, or read the result as a stream");
        }
    }
}
