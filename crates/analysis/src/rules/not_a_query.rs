//! `not-a-query`

use sqlparser::ast::Statement;

use super::{Rule, RuleInfo};
use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

static INFO: RuleInfo = RuleInfo {
    name: "not-a-query",
    severity: Severity::Warning,
    why: "the service answers queries; such a statement is refused, or accepted and does nothing that lasts",
    text: "The statement does not ask for rows. The service is read by queries: it refuses INSERT, UPDATE \
           and DELETE, and what CREATE or SET do is forgotten when the call ends.",
    bad: "CREATE TABLE errors AS SELECT * FROM log_entries WHERE level <= 2",
    good: "SELECT time, msg FROM log_entries WHERE level <= 2",
};

pub(super) struct NotAQuery;

impl Rule for NotAQuery {
    fn info(&self) -> &'static RuleInfo {
        &INFO
    }

    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>) {
        let Some(statement) = context.statement() else { return };
        let asks_for_rows = matches!(
            statement,
            Statement::Query(_)
                | Statement::Explain { .. }
                | Statement::ExplainTable { .. }
                | Statement::ShowTables { .. }
                | Statement::ShowColumns { .. }
                | Statement::ShowFunctions { .. }
                | Statement::ShowVariable { .. }
                | Statement::ShowDatabases { .. }
                | Statement::ShowSchemas { .. }
                | Statement::ShowViews { .. }
        );
        if !asks_for_rows {
            report
                .add(context.first_word.clone(), "the statement is not a query")
                .help("write a SELECT");
        }
    }
}
