//! `distinct-on-free-text`

use sqlparser::ast::{Distinct, DuplicateTreatment, Expr, FunctionArguments, GroupByExpr, SelectItem};

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::{SelectId, expression_range, plain_arguments};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "distinct-on-free-text",
    severity: Severity::Warning,
    why: "nearly every message is different: the service keeps all of them in memory",
    text: "Messages carry numbers, names and times, so there are nearly as many different ones as there are \
           rows, and telling them apart costs memory in proportion. Group by target and level, or by the \
           fixed part of the message.",
    bad: "SELECT msg, count(*) FROM log_entries GROUP BY msg",
    good: "SELECT target, level, count(*) FROM log_entries GROUP BY target, level",
};

pub(super) struct DistinctOnFreeText;

impl Rule for DistinctOnFreeText {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        let is_message = |select: SelectId, expression: &Expr| {
            model
                .known_column(Some(select), expression)
                .is_some_and(|column| column.name == "msg")
        };
        for (id, node) in model.selects.iter().enumerate() {
            let select = node.select;
            if let GroupByExpr::Expressions(list, _) = &select.group_by {
                for expression in list.iter().filter(|expression| is_message(id, expression)) {
                    let range = expression_range(report.source(), expression);
                    report.add(range, "rows are grouped by the text of messages").help(HELP);
                }
            }
            if !matches!(select.distinct, Some(Distinct::Distinct)) {
                continue;
            }
            for item in &select.projection {
                let (SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. }) = item
                else {
                    continue;
                };
                if is_message(id, expression) {
                    let range = expression_range(report.source(), expression);
                    report.add(range, "DISTINCT over the text of messages").help(HELP);
                }
            }
        }
        for call in &model.calls {
            let FunctionArguments::List(list) = &call.function.args else {
                continue;
            };
            let Some(select) = call.select else { continue };
            if list.duplicate_treatment != Some(DuplicateTreatment::Distinct) {
                continue;
            }
            for argument in plain_arguments(&list.args).into_iter().flatten() {
                if is_message(select, argument) {
                    let range = expression_range(report.source(), argument);
                    report
                        .add(range, "different messages are counted one by one")
                        .help("approx_distinct(msg) needs little memory");
                }
            }
        }
    }
}

const HELP: &str = "group by target and level, or by a part of the message that repeats";
