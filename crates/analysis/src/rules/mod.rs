//! The rules: one file for each, and one row in the table.

mod missing_time_range;
mod order_by_without_limit;
mod rejected_by_server;
mod syntax_error;
mod too_many_columns;
mod wide_row;

use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

/// What a rule tells about itself, in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Documentation {
    /// What the rule looks for and why it matters, in one paragraph or more.
    pub text: &'static str,
    /// A query that it speaks about.
    pub bad: &'static str,
    /// The same intent, written well.
    pub good: &'static str,
}

/// One check of a statement.
///
/// Rules live in this crate: what they look at, [`RuleContext`], is opaque outside of it. [`all`] lists them.
pub trait Rule: Send + Sync {
    /// The name, in kebab case, which is the id of the rule everywhere and does not change.
    fn name(&self) -> &'static str;

    /// How bad its findings are unless the configuration says otherwise.
    fn severity(&self) -> Severity;

    /// Why its findings matter, in one line.
    fn why(&self) -> &'static str;

    /// The rule in full.
    fn documentation(&self) -> Documentation;

    /// Looks at one statement and reports what it finds.
    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>);
}

static RULES: &[&dyn Rule] = &[
    &syntax_error::SyntaxErrorRule,
    &rejected_by_server::RejectedByServer,
    &missing_time_range::MissingTimeRange,
    &order_by_without_limit::OrderByWithoutLimit,
    &too_many_columns::TooManyColumns,
    &wide_row::WideRow,
];

/// Every rule, in the order in which they are checked.
pub fn all() -> &'static [&'static dyn Rule] {
    RULES
}

/// The rule of a name.
pub fn find(name: &str) -> Option<&'static dyn Rule> {
    RULES.iter().copied().find(|rule| rule.name() == name)
}
