//! `global-view-for-one-process`

use lakepilot_query::quote_literal;
use sqlparser::ast::{BinaryOperator, Expr};

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::known::Instances;
use crate::model::{InstanceRef, conjuncts, expression_range, string_literal};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "global-view-for-one-process",
    severity: Severity::Warning,
    why: "the rows of one process are looked for among those of all processes",
    text: "The global instance is filtered by the id of one process. view_instance opens the instance of \
           that process, which holds nothing else and is brought up to date when it is read.",
    bad: "SELECT time, msg FROM log_entries WHERE process_id = '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11'",
    good: "SELECT time, msg FROM view_instance('log_entries', '7f1d6b0a-3a49-4e7e-9d8b-6c0f2f0f5b11')",
};

pub(super) struct GlobalViewForOneProcess;

impl Rule for GlobalViewForOneProcess {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for select in model.selects.iter().enumerate() {
            let (id, node) = select;
            let Some(selection) = &node.select.selection else {
                continue;
            };
            for conjunct in conjuncts(selection) {
                let Some((column, process)) = equals_literal(conjunct) else {
                    continue;
                };
                let Some((scan, known)) = model.base_column(model.resolve(Some(id), column)) else {
                    continue;
                };
                let scan = &model.scans[scan];
                let is_global = matches!(scan.instance, InstanceRef::Global | InstanceRef::Literal("global", _));
                if known.name != "process_id" || !is_global || scan.view.instances != Instances::GlobalAndProcess {
                    continue;
                }
                let range = expression_range(report.source(), conjunct);
                report
                    .add(
                        range,
                        format!("'{}' of all processes is filtered by one process", scan.view.name),
                    )
                    .help(format!(
                        "read view_instance('{}', {}) instead",
                        scan.view.name,
                        quote_literal(process)
                    ));
            }
        }
    }
}

/// `column = 'text'`, `'text' = column`, `column IN ('text')`.
fn equals_literal(condition: &Expr) -> Option<(&Expr, &str)> {
    match condition {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        } => match (string_literal(left), string_literal(right)) {
            (None, Some(text)) => Some((left, text)),
            (Some(text), None) => Some((right, text)),
            _ => None,
        },
        Expr::InList {
            expr,
            list,
            negated: false,
        } => match list.as_slice() {
            [only] => Some((expr, string_literal(only)?)),
            _ => None,
        },
        _ => None,
    }
}
