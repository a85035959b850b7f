//! What came of the cases, for a person.

use std::fmt::Write;

use super::case::{Case, Observations};

/// What came of one case.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// The name of the case.
    pub name: &'static str,
    /// What it proves.
    pub proves: &'static str,
    /// What it observed; empty when it failed.
    pub observations: Observations,
    /// Why it failed; empty when it is good.
    pub failures: Vec<String>,
    /// Where it differs from the real service, as is known.
    pub known: Vec<Known>,
}

/// A known difference that was seen.
#[derive(Clone, Debug)]
pub struct Known {
    /// The name of the observation.
    pub observation: String,
    /// What was seen.
    pub seen: String,
    /// What the real service does.
    pub expected: String,
    /// Why it differs.
    pub reason: &'static str,
}

impl CaseReport {
    pub(super) fn of(case: &Case) -> Self {
        Self {
            name: case.name,
            proves: case.proves,
            observations: Observations::default(),
            failures: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Whether the case holds.
    pub fn is_good(&self) -> bool {
        self.failures.is_empty()
    }

    fn verdict(&self) -> String {
        match (self.failures.len(), self.known.len()) {
            (0, 0) => "good".to_owned(),
            (0, known) => format!("good, {known} known"),
            _ => "FAILED".to_owned(),
        }
    }
}

/// A table of cases by target, and under it what failed and what differs as is known.
pub fn table(targets: &[(String, Vec<CaseReport>)]) -> String {
    let mut text = String::new();
    let cases: Vec<&CaseReport> = targets
        .first()
        .map_or(Vec::new(), |(_, reports)| reports.iter().collect());
    let width = cases.iter().map(|case| case.name.len()).max().unwrap_or(0).max(4);
    let _ = write!(text, "{:width$}", "case");
    for (target, _) in targets {
        let _ = write!(text, "  {target:14}");
    }
    let _ = writeln!(text, "  proves");
    for (row, case) in cases.iter().enumerate() {
        let _ = write!(text, "{:width$}", case.name);
        for (_, reports) in targets {
            let verdict = reports.get(row).map_or_else(String::new, CaseReport::verdict);
            let _ = write!(text, "  {verdict:14}");
        }
        let _ = writeln!(text, "  {}", case.proves);
    }
    for (target, reports) in targets {
        for report in reports {
            details(&mut text, target, report);
        }
    }
    text
}

fn details(text: &mut String, target: &str, report: &CaseReport) {
    for failure in &report.failures {
        let _ = writeln!(text, "\nFAILED {target}, {}: {failure}", report.name);
    }
    for known in &report.known {
        let _ = writeln!(
            text,
            "\nknown difference of {target}, {}: {}\n      seen     {}\n      expected {}\n      because  {}",
            report.name, known.observation, known.seen, known.expected, known.reason
        );
    }
}
