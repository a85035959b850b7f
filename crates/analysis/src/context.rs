//! What a rule looks at.

use std::ops::Range;

use chrono::{DateTime, Utc};
use lakepilot_query::{Error, TimeRange};
use sqlparser::ast::{Query, Statement};
use sqlparser::tokenizer::TokenWithSpan;

use crate::ignore::Ignore;
use crate::known::known_view_names;
use crate::model::{Interval, Model, Scan};
use crate::source::Source;
use crate::syntax::SyntaxError;
use crate::{Config, SchemaAnalysis};

/// The time range on a call as somebody gave it, which may lack an end or be the wrong way round.
///
/// The service ignores one end alone; [`Analyzer::check`](crate::Analyzer::check) says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallRange {
    /// The first instant, if one was given.
    pub begin: Option<DateTime<Utc>>,
    /// The last instant, if one was given.
    pub end: Option<DateTime<Utc>>,
}

impl CallRange {
    /// Whether both ends are given.
    pub fn is_complete(&self) -> bool {
        self.begin.is_some() && self.end.is_some()
    }

    /// The range, when both ends are given and in order.
    pub fn time_range(&self) -> Option<TimeRange> {
        TimeRange::new(self.begin?, self.end?).ok()
    }
}

impl From<TimeRange> for CallRange {
    fn from(range: TimeRange) -> Self {
        Self {
            begin: Some(range.begin()),
            end: Some(range.end()),
        }
    }
}

impl From<Option<TimeRange>> for CallRange {
    fn from(range: Option<TimeRange>) -> Self {
        range.map(Self::from).unwrap_or_default()
    }
}

/// One statement with all that is known about it. Opaque outside of this crate.
pub struct RuleContext<'a> {
    pub(crate) source: &'a Source<'a>,
    pub(crate) tokens: &'a [TokenWithSpan],
    /// From the first word of the statement to its last.
    pub(crate) range: Range<usize>,
    /// The first word: where that is said which is about the whole.
    pub(crate) first_word: Range<usize>,
    /// Which statement of the text it is, from 0.
    pub(crate) index: usize,
    pub(crate) parsed: Result<&'a Statement, &'a SyntaxError>,
    /// What the query says; `None` for a statement that reads nothing.
    pub(crate) model: Option<&'a Model<'a>>,
    /// The schema of the result, if a service was asked for it.
    pub(crate) schema: Option<&'a SchemaAnalysis>,
    /// Why the service, if one was asked, does not take it.
    pub(crate) rejection: Option<&'a Error>,
    /// The views that the service has, if it was asked.
    pub(crate) service_views: &'a [String],
    /// The ids in the statement that the service, if it was asked, knows as those of processes.
    pub(crate) service_processes: &'a [String],
    pub(crate) ignores: &'a [Ignore],
    pub(crate) call: CallRange,
    pub(crate) config: &'a Config,
    pub(crate) now: DateTime<Utc>,
}

impl<'a> RuleContext<'a> {
    /// The statement, when it parses.
    pub(crate) fn statement(&self) -> Option<&'a Statement> {
        self.parsed.ok()
    }

    /// The query, when the statement is one.
    pub(crate) fn query(&self) -> Option<&'a Query> {
        match self.statement() {
            Some(Statement::Query(query)) => Some(query),
            _ => None,
        }
    }

    /// The names of the views that there are, as far as is known.
    pub(crate) fn view_names(&self) -> Vec<&'a str> {
        let mut names: Vec<&'a str> = known_view_names().collect();
        names.extend(self.service_views.iter().map(String::as_str));
        names
    }

    /// Whether the service said that there is no table of the name.
    pub(crate) fn is_not_found(&self, name: &str) -> bool {
        self.rejection.is_some_and(|error| {
            let message = error.message();
            message.contains(&format!("{name}' not found")) || message.contains(&format!("view set {name} not found"))
        })
    }

    /// Whether the service said that the id is that of a process.
    pub(crate) fn is_process(&self, id: &str) -> bool {
        self.service_processes.iter().any(|process| process == id)
    }

    /// The range of the call, when both ends are given.
    pub(crate) fn call_interval(&self) -> Option<Interval> {
        let (begin, end) = self.call.begin.zip(self.call.end)?;
        Some(Interval {
            lower: begin.timestamp_nanos_opt(),
            upper: end.timestamp_nanos_opt(),
            ..Interval::default()
        })
    }

    /// The views of telemetry that are read, when the call has no time range for them.
    pub(crate) fn scans_without_range(&self) -> impl Iterator<Item = &'a Scan<'a>> {
        let scans = match self.model {
            Some(model) if !self.call.is_complete() => model.scans.as_slice(),
            _ => &[],
        };
        scans.iter().filter(|scan| scan.view.is_timed())
    }

    /// The time range that holds what the filters of the query let through, up to now where they have no upper bound;
    /// `None` when a view is read without a lower bound that is known.
    pub(crate) fn suggested_range(&self) -> Option<TimeRange> {
        let mut all: Option<(i64, i64)> = None;
        for scan in self.scans_without_range() {
            let own = scan.bounds(None);
            if own.upper_unknown && own.upper.is_none() {
                return None;
            }
            let lower = own.lower?;
            let upper = own.upper.or(self.now.timestamp_nanos_opt())?;
            let (begin, end) = all.unwrap_or((lower, upper));
            all = Some((begin.min(lower), end.max(upper)));
        }
        let (begin, end) = all?;
        TimeRange::new(
            DateTime::from_timestamp_nanos(begin),
            DateTime::from_timestamp_nanos(end),
        )
        .ok()
    }
}
