//! `wide-row`

use super::{Documentation, Rule};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

pub(super) struct WideRow;

impl Rule for WideRow {
    fn name(&self) -> &'static str {
        "wide-row"
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn why(&self) -> &'static str {
        "wide rows fill memory and the connection long before there are many of them"
    }

    fn documentation(&self) -> Documentation {
        Documentation {
            text: "A row of the result is estimated at more than `max-row-bytes` (1,000 unless configured). Such a result \
                   is best read as a stream, batch by batch, and with the columns that are needed.",
            bad: "SELECT * FROM blocks",
            good: "SELECT block_id, begin_time, end_time, nb_objects FROM blocks",
        }
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(schema) = context.schema else { return };
        let most = context.config.max_row_bytes;
        let bytes = schema.estimated_row_bytes;
        if bytes > most {
            report
                .add(
                    context.range.clone(),
                    format!("a row is estimated at {bytes:.0} bytes, more than {most:.0}"),
                )
                .help("select fewer columns, or read the result as a stream");
        }
    }
}
