//! `missing-time-range`

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, ObjectName, visit_expressions, visit_relations};

use super::{Documentation, Rule};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

pub(super) struct MissingTimeRange;

impl Rule for MissingTimeRange {
    fn name(&self) -> &'static str {
        "missing-time-range"
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn why(&self) -> &'static str {
        "without a time range the server opens every partition of the view"
    }

    fn documentation(&self) -> Documentation {
        Documentation {
            text: "The query reads telemetry and nothing bounds it in time, so every partition of the view is opened. Put \
                   a time range on the call: it decides which partitions are opened, and filters their rows. Queries of \
                   metadata (processes, streams, list_partitions()) need none.",
            bad: "SELECT count(*) FROM log_entries WHERE level <= 2",
            good: "SELECT count(*) FROM log_entries WHERE level <= 2 -- with --begin 1h",
        }
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        const TIMED: &[&str] = &[
            "log_entries",
            "measures",
            "log_stats",
            "thread_spans",
            "async_events",
            "view_instance",
        ];
        if context.call.has_range() {
            return;
        }
        let Some(statement) = context.statement() else { return };
        let mut timed = None;
        let _: ControlFlow<()> = visit_relations(statement, |relation: &ObjectName| {
            let name = relation.to_string().to_lowercase();
            if TIMED.contains(&name.as_str()) {
                timed = Some(relation.clone());
            }
            ControlFlow::Continue(())
        });
        let Some(timed) = timed else { return };
        let mut filtered = false;
        let _: ControlFlow<()> = visit_expressions(statement, |expression: &Expr| {
            if let Expr::BinaryOp { left, .. } | Expr::Between { expr: left, .. } = expression {
                filtered |= matches!(left.as_ref(), Expr::Identifier(name) if ["time", "begin", "end", "time_bin"].contains(&name.value.as_str()));
            }
            ControlFlow::Continue(())
        });
        if filtered {
            return;
        }
        let span = sqlparser::ast::Spanned::span(&timed);
        report
            .add(
                report.source().range(span),
                format!("'{timed}' is read without a time range"),
            )
            .help("give the call a time range");
    }
}
