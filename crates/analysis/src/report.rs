//! Where rules put what they find.

use std::ops::Range;

use lakepilot_query::TimeRange;

use crate::ignore::Ignore;
use crate::rules::Rule;
use crate::source::Source;
use crate::{Config, Finding, Level, Severity, TextEdit};

/// The most findings of one rule in one statement: a list of ten thousand bad times is one mistake.
const MOST_OF_A_RULE: usize = 50;

/// The findings of one statement, while they are collected. Opaque outside of this crate.
pub struct Report<'a> {
    source: &'a Source<'a>,
    ignores: &'a [Ignore],
    config: &'a Config,
    rule: &'static dyn Rule,
    severity: Severity,
    is_ignored: bool,
    of_this_rule: usize,
    findings: Vec<Finding>,
    /// Where a finding goes that is ignored, or one too many.
    discarded: Option<Finding>,
    /// The rules that had something to ignore.
    suppressed: Vec<&'static str>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(source: &'a Source<'a>, ignores: &'a [Ignore], config: &'a Config) -> Self {
        let rule = crate::rules::all()[0];
        Self {
            source,
            ignores,
            config,
            rule,
            severity: Severity::Hint,
            is_ignored: false,
            of_this_rule: 0,
            findings: Vec::new(),
            discarded: None,
            suppressed: Vec::new(),
        }
    }

    /// Makes what is added next the findings of a rule; `false` when the rule is off.
    pub(crate) fn begin_rule(&mut self, rule: &'static dyn Rule) -> bool {
        let Some(severity) = self.config.severity(rule) else {
            return false;
        };
        self.rule = rule;
        self.severity = severity;
        self.is_ignored = self.ignores.iter().any(|ignore| ignore.rule == rule.name());
        self.of_this_rule = 0;
        true
    }

    pub(crate) fn source(&self) -> &'a Source<'a> {
        self.source
    }

    /// Adds a finding of the present rule at a byte range.
    pub(crate) fn add(&mut self, range: Range<usize>, message: impl Into<String>) -> FindingBuilder<'_> {
        let info = self.rule.info();
        let finding = Finding {
            rule: info.name,
            severity: self.severity,
            span: self.source.span(range),
            message: message.into(),
            why: info.why,
            help: None,
            fix: None,
            suggested_range: None,
        };
        self.of_this_rule += 1;
        if self.is_ignored {
            self.suppressed.push(info.name);
        }
        let source = self.source;
        let finding = if self.is_ignored || self.of_this_rule > MOST_OF_A_RULE {
            self.discarded.insert(finding)
        } else {
            self.findings.push(finding);
            let last = self.findings.len() - 1;
            &mut self.findings[last]
        };
        FindingBuilder { source, finding }
    }

    /// Whether any of the rules found something, ignored or not.
    pub(crate) fn has_any(&self, rules: &[&str]) -> bool {
        self.findings.iter().any(|finding| rules.contains(&finding.rule))
            || self.suppressed.iter().any(|rule| rules.contains(rule))
    }

    /// Whether a comment silenced something, or is of a rule that is off.
    pub(crate) fn is_used(&self, ignore: &Ignore) -> bool {
        self.suppressed.contains(&ignore.rule.as_str()) || self.config.rules.get(&ignore.rule) == Some(&Level::Off)
    }

    pub(crate) fn into_findings(mut self) -> Vec<Finding> {
        self.findings
            .sort_by_key(|finding| (finding.span.start.offset, finding.span.end.offset));
        self.findings
    }
}

/// A finding that was just added, to say more about it.
pub(crate) struct FindingBuilder<'r> {
    source: &'r Source<'r>,
    finding: &'r mut Finding,
}

impl FindingBuilder<'_> {
    /// What to do about it.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.finding.help = Some(help.into());
        self
    }

    /// The change that removes it.
    pub(crate) fn fix(self, range: Range<usize>, replacement: &str) -> Self {
        self.finding.fix.get_or_insert_default().push(TextEdit {
            span: self.source.span(range),
            replacement: replacement.to_owned(),
        });
        self
    }

    /// The time range that removes it.
    pub(crate) fn suggest(self, range: TimeRange) -> Self {
        self.finding.suggested_range = Some(range);
        self
    }
}
