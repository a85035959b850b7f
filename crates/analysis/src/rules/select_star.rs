//! `select-star`

use sqlparser::ast::{SelectItem, SelectItemQualifiedWildcardKind};

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::{Role, SourceColumns, last_part};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "select-star",
    severity: Severity::Hint,
    why: "every column of the view is read, decoded and sent, properties and all",
    text: "The result has every column of a view of telemetry. Columns are stored apart: those that are not \
           named are not read. And a new version of the service may add some.",
    bad: "SELECT * FROM log_entries",
    good: "SELECT time, level, target, msg FROM log_entries",
};

pub(super) struct SelectStar;

impl Rule for SelectStar {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for select in &model.selects {
            if !matches!(model.queries[select.query].role, Role::Top | Role::Operand) {
                continue;
            }
            let reads_telemetry = |name: Option<&str>| {
                select.sources.iter().any(|source| {
                    (name.is_none() || source.name.as_deref() == name)
                        && matches!(source.columns, SourceColumns::Scan(scan) if model.scans[scan].view.is_timed())
                })
            };
            for item in &select.select.projection {
                let (token, is_bad) = match item {
                    SelectItem::Wildcard(options) => (&options.wildcard_token, reads_telemetry(None)),
                    SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                        (&options.wildcard_token, reads_telemetry(last_part(name).as_deref()))
                    }
                    _ => continue,
                };
                if is_bad {
                    let range = report.source().range(token.0.span);
                    report
                        .add(range, "every column of the view is selected")
                        .help("name the columns that are needed");
                }
            }
        }
    }
}
