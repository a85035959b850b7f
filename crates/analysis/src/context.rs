//! What a rule looks at.

use std::ops::Range;

use chrono::{DateTime, Utc};
use lakepilot_query::{Error, TimeRange};
use sqlparser::ast::{Query, Statement};

use crate::syntax::SyntaxError;
use crate::{Config, SchemaAnalysis};

/// The time range on a call as somebody gave it, which may lack an end or be the wrong way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallRange {
    /// The first instant, if one was given.
    pub begin: Option<DateTime<Utc>>,
    /// The last instant, if one was given.
    pub end: Option<DateTime<Utc>>,
}

impl CallRange {
    /// Whether both ends are given. The service ignores one alone.
    pub fn has_range(&self) -> bool {
        self.begin.is_some() && self.end.is_some()
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

/// One statement with all that is known about it.
pub struct RuleContext<'a> {
    pub(crate) range: Range<usize>,
    pub(crate) parsed: Result<&'a Statement, &'a SyntaxError>,
    pub(crate) schema: Option<&'a SchemaAnalysis>,
    /// Why the service, if one was asked, does not take it.
    pub(crate) rejection: Option<&'a Error>,
    pub(crate) call: CallRange,
    pub(crate) config: &'a Config,
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
}
