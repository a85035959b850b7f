//! The rules: one file for each, and one row in the table.

mod admin_function;
mod clause;
mod cross_join;
mod distinct_on_free_text;
mod duplicate_column_name;
mod global_view_for_one_process;
mod ineffective_time_filter;
mod invalid_time_range;
mod jsonpath_filter_style;
mod large_in_list;
mod leading_wildcard;
mod level_compared_with_text;
mod limit_without_order_by;
mod long_time_range;
mod missing_time_range;
mod multiple_statements;
mod naive_timestamp;
mod not_a_query;
mod offset_paging;
mod order_by_without_limit;
mod rejected_by_server;
mod select_star;
mod span_view_without_instance;
mod subquery_order_by;
mod syntax_error;
mod too_many_columns;
mod unknown_column;
mod unknown_function;
mod unknown_view;
mod unpruned_time_filter;
mod unused_ignore;
mod wide_row;

use crate::Severity;
use crate::context::RuleContext;
use crate::report::Report;

/// What a rule tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleInfo {
    /// The name, in kebab case, which is the id of the rule everywhere and does not change.
    pub name: &'static str,
    /// How bad its findings are unless the configuration says otherwise.
    pub severity: Severity,
    /// Why its findings matter, in one line.
    pub why: &'static str,
    /// What it looks for and why that matters, in a paragraph.
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
    /// What the rule tells about itself.
    fn info(&self) -> &'static RuleInfo;

    /// Looks at one statement and reports what it finds.
    fn check(&self, context: &RuleContext<'_>, report: &mut Report<'_>);

    /// The name, which is the id.
    fn name(&self) -> &'static str {
        self.info().name
    }
}

static RULES: &[&dyn Rule] = &[
    &syntax_error::SyntaxErrorRule,
    &not_a_query::NotAQuery,
    &multiple_statements::MultipleStatements,
    &unknown_view::UnknownView,
    &unknown_column::UnknownColumn,
    &unknown_function::UnknownFunction,
    &rejected_by_server::RejectedByServer,
    &span_view_without_instance::SpanViewWithoutInstance,
    &missing_time_range::MissingTimeRange,
    &unpruned_time_filter::UnprunedTimeFilter,
    &ineffective_time_filter::IneffectiveTimeFilter,
    &invalid_time_range::InvalidTimeRange,
    &long_time_range::LongTimeRange,
    &naive_timestamp::NaiveTimestamp,
    &select_star::SelectStar,
    &global_view_for_one_process::GlobalViewForOneProcess,
    &level_compared_with_text::LevelComparedWithText,
    &cross_join::CrossJoin,
    &leading_wildcard::LeadingWildcard,
    &distinct_on_free_text::DistinctOnFreeText,
    &subquery_order_by::SubqueryOrderBy,
    &order_by_without_limit::OrderByWithoutLimit,
    &limit_without_order_by::LimitWithoutOrderBy,
    &offset_paging::OffsetPaging,
    &large_in_list::LargeInList,
    &duplicate_column_name::DuplicateColumnName,
    &too_many_columns::TooManyColumns,
    &wide_row::WideRow,
    &jsonpath_filter_style::JsonpathFilterStyle,
    &admin_function::AdminFunction,
    &unused_ignore::UnusedIgnore,
];

/// Every rule, in the order in which they are checked.
pub fn all() -> &'static [&'static dyn Rule] {
    RULES
}

/// The rule of a name.
pub fn find(name: &str) -> Option<&'static dyn Rule> {
    RULES.iter().copied().find(|rule| rule.name() == name)
}
