//! `admin-function`

use sqlparser::ast::Spanned;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::known::{FunctionKind, is_admin_table_function};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "admin-function",
    severity: Severity::Warning,
    why: "the function changes the lake, and the query looks as if it only read",
    text: "Retiring, materialising and regenerating partitions are calls in a SELECT. A failed retirement \
           is logged on the server only, and a result that is not read to its end is rolled back. \
           `lakepilot partitions` shows a plan first and verifies what happened.",
    bad: "SELECT time, msg FROM retire_partitions('log_entries', 'global', '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z')",
    good: "SELECT view_set_name, num_rows FROM list_partitions() WHERE view_set_name = 'log_entries'",
};

pub(super) struct AdminFunction;

impl Rule for AdminFunction {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        let scalar = model.calls.iter().filter(|call| call.kind == Some(FunctionKind::Admin));
        let tables = model
            .table_calls
            .iter()
            .filter(|call| is_admin_table_function(&call.lowercase));
        let scalar = scalar.map(|call| (&call.function.name, call.name.as_ref()));
        let tables = tables.map(|call| (call.name, call.lowercase.as_ref()));
        for (name, lowercase) in scalar.chain(tables) {
            let range = report.source().range(name.span());
            report
                .add(range, format!("'{lowercase}' changes the lake"))
                .help("use `lakepilot partitions`, which plans, asks and verifies");
        }
    }
}
