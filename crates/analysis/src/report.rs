//! Where rules put what they find.

use std::ops::Range;

use crate::rules::Rule;
use crate::source::Source;
use crate::{Config, Finding, Severity};

/// The findings of one statement, while they are collected.
pub struct Report<'a> {
    source: &'a Source<'a>,
    rule: &'static dyn Rule,
    severity: Severity,
    findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(source: &'a Source<'a>) -> Self {
        let rule = crate::rules::all()[0];
        Self {
            source,
            rule,
            severity: rule.severity(),
            findings: Vec::new(),
        }
    }

    /// Makes what is added next the findings of a rule; `false` when the rule is off.
    pub(crate) fn begin_rule(&mut self, rule: &'static dyn Rule, config: &Config) -> bool {
        let Some(severity) = config.severity(rule) else {
            return false;
        };
        self.rule = rule;
        self.severity = severity;
        true
    }

    pub(crate) fn source(&self) -> &'a Source<'a> {
        self.source
    }

    /// Adds a finding of the present rule at a byte range.
    pub(crate) fn add(&mut self, range: Range<usize>, message: impl Into<String>) -> FindingBuilder<'_> {
        self.findings.push(Finding {
            rule: self.rule.name(),
            severity: self.severity,
            span: self.source.span(range),
            message: message.into(),
            why: self.rule.why(),
            help: None,
            fix: None,
            suggested_range: None,
        });
        let last = self.findings.len() - 1;
        FindingBuilder {
            finding: &mut self.findings[last],
        }
    }

    pub(crate) fn into_findings(mut self) -> Vec<Finding> {
        self.findings
            .sort_by_key(|finding| (finding.span.start.offset, finding.span.end.offset));
        self.findings
    }
}

/// A finding that was just added, to say more about it.
pub(crate) struct FindingBuilder<'r> {
    finding: &'r mut Finding,
}

impl FindingBuilder<'_> {
    /// What to do about it.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        self.finding.help = Some(help.into());
        self
    }
}
