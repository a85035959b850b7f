//! `jsonpath-filter-style`

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::model::{call_arguments, expression_range, string_literal};
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "jsonpath-filter-style",
    severity: Severity::Warning,
    why: "the service reads JSONPath as PostgreSQL does, and refuses this form when the query runs",
    text: "The path has a filter in the form [?(...)]. The service knows the form of PostgreSQL: the filter \
           follows the path, as in $.items[*] ? (@.size > 10).",
    bad: "SELECT jsonb_path_query(properties, '$.items[?(@.size > 10)]') FROM log_entries",
    good: "SELECT jsonb_path_query(properties, '$.items[*] ? (@.size > 10)') FROM log_entries",
};

pub(super) struct JsonpathFilterStyle;

impl Rule for JsonpathFilterStyle {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(model) = context.model else { return };
        for call in &model.calls {
            if !call.name.starts_with("jsonb_path_") {
                continue;
            }
            let arguments = call_arguments(&call.function.args).unwrap_or_default();
            let Some(path) = arguments.get(1) else { continue };
            if string_literal(path).is_some_and(|text| text.replace(' ', "").contains("[?(")) {
                let range = expression_range(report.source(), path);
                report
                    .add(
                        range,
                        "the filter of the path is in a form that the service does not know",
                    )
                    .help("write [*] ? (...) for [?(...)]");
            }
        }
    }
}
