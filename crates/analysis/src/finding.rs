//! What a check reports.

use std::fmt;

use lakepilot_query::TimeRange;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::Span;

/// How bad a finding is. They are ordered: a hint is less than a warning, a warning less than an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something that could be better.
    Hint,
    /// Something that is dear, or most probably not what was meant.
    Warning,
    /// Something that the server refuses, or that cannot answer what was asked.
    Error,
}

impl Severity {
    /// The severity as one word: `"error"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One change to a text: what lies in `span` becomes `replacement`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct TextEdit {
    /// What is replaced; empty to insert.
    #[serde(flatten)]
    pub span: Span,
    /// What takes its place; empty to delete.
    pub replacement: String,
}

/// One thing that a rule found in a statement.
///
/// It is written as `{"rule", "severity", "message", "why", "help", "start", "end", "fix", "suggested_range"}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The name of the rule, which is its id.
    pub rule: &'static str,
    /// How bad it is, after the configuration.
    pub severity: Severity,
    /// Where it is, in the text that was given.
    pub span: Span,
    /// What was found: a lowercase fragment.
    pub message: String,
    /// Why it matters here, in one line.
    pub why: &'static str,
    /// What to do about it.
    pub help: Option<String>,
    /// Changes to the text that remove the finding and leave the rows of the result as they are.
    pub fix: Option<Vec<TextEdit>>,
    /// The time range to put on the call, where that is the remedy.
    pub suggested_range: Option<TimeRange>,
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut finding = serializer.serialize_struct("Finding", 9)?;
        finding.serialize_field("rule", self.rule)?;
        finding.serialize_field("severity", &self.severity)?;
        finding.serialize_field("message", &self.message)?;
        finding.serialize_field("why", self.why)?;
        finding.serialize_field("help", &self.help)?;
        finding.serialize_field("start", &self.span.start)?;
        finding.serialize_field("end", &self.span.end)?;
        finding.serialize_field("fix", &self.fix)?;
        finding.serialize_field("suggested_range", &self.suggested_range.map(RangeText::from))?;
        finding.end()
    }
}

/// A time range as it is written out: `{"begin", "end"}` in RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RangeText {
    begin: String,
    end: String,
}

impl From<TimeRange> for RangeText {
    fn from(range: TimeRange) -> Self {
        Self {
            begin: lakepilot_query::to_rfc3339(range.begin()),
            end: lakepilot_query::to_rfc3339(range.end()),
        }
    }
}
