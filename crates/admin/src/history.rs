//! Who applied what, and what came of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use lakepilot_query::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::files::{Log, parse_lines};
use crate::{Basis, OutcomeCounts, PlanTotals, RetirementPlan, RetirementReport};

/// The log of what was applied: a file of one JSON value a line, which is only added to and synced after each. A record is
/// written before the server is asked and completed afterwards, so that a run that was killed shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    path: PathBuf,
    who: String,
}

/// One application of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// The id of the run.
    pub run: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// Who began it.
    pub who: String,
    /// The server, as it was named.
    pub server: Option<String>,
    /// The digest of the plan.
    pub plan: String,
    /// What the plan was made from.
    pub basis: Basis,
    /// What the plan was to take.
    pub planned: PlanTotals,
    /// What came of it; `None` when the run was killed, or is still going.
    pub result: Option<HistoryResult>,
}

/// What came of the application of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryResult {
    /// When it ended.
    pub finished: DateTime<Utc>,
    /// Whether every planned partition was seen to be gone.
    pub complete: bool,
    /// How many partitions came to which end; `None` when the plan was not applied at all.
    pub counts: Option<OutcomeCounts>,
    /// The first failure, or why the plan was not applied.
    pub error: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Line {
    Started(Box<Started>),
    Finished { run: String, result: HistoryResult },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Started {
    run: String,
    at: DateTime<Utc>,
    who: String,
    server: Option<String>,
    plan: String,
    basis: Basis,
    planned: PlanTotals,
}

impl History {
    /// The history in a file, for what `who` does from now on: a user and a machine, or what a scheduler is called.
    pub fn new(path: impl Into<PathBuf>, who: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            who: who.into(),
        }
    }

    /// All applications, the earliest first. Empty where there is no file.
    ///
    /// # Errors
    /// `Io` when the file cannot be read, `InvalidInput` with the line when one of them is not what it should be. A last
    /// line that was not finished is left out.
    pub fn read(path: &Path) -> Result<Vec<HistoryEntry>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::from(error).context(format!("read {}", path.display()))),
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut entries: Vec<HistoryEntry> = Vec::new();
        for line in parse_lines::<Line>(&bytes[..whole], path)? {
            match line {
                Line::Started(begun) => entries.push(HistoryEntry {
                    run: begun.run,
                    started: begun.at,
                    who: begun.who,
                    server: begun.server,
                    plan: begun.plan,
                    basis: begun.basis,
                    planned: begun.planned,
                    result: None,
                }),
                Line::Finished { run, result } => {
                    if let Some(entry) = entries.iter_mut().rev().find(|entry| entry.run == run) {
                        entry.result = Some(result);
                    }
                }
            }
        }
        Ok(entries)
    }

    /// Notes that a plan is about to be applied, and gives the id of the run.
    pub(crate) fn started(&self, plan: &RetirementPlan, server: Option<&str>) -> Result<String> {
        let run = new_run();
        self.append(&Line::Started(Box::new(Started {
            run: run.clone(),
            at: Utc::now(),
            who: self.who.clone(),
            server: server.map(str::to_owned),
            plan: plan.digest().to_owned(),
            basis: plan.basis().clone(),
            planned: plan.totals(),
        })))?;
        Ok(run)
    }

    pub(crate) fn finished(&self, run: &str, outcome: &Result<RetirementReport>) -> Result<()> {
        let result = match outcome {
            Ok(report) => HistoryResult {
                finished: Utc::now(),
                complete: report.is_complete(),
                counts: Some(report.counts()),
                error: report.first_failure().map(|failure| failure.message().to_owned()),
            },
            Err(error) => HistoryResult {
                finished: Utc::now(),
                complete: false,
                counts: None,
                error: Some(error.to_string()),
            },
        };
        self.append(&Line::Finished {
            run: run.to_owned(),
            result,
        })
    }

    fn append(&self, line: &Line) -> Result<()> {
        let context = |error: Error| {
            let kind = if error.kind() == ErrorKind::InvalidInput {
                ErrorKind::Io
            } else {
                error.kind()
            };
            Error::new(
                kind,
                format!("keep the history in {}: {}", self.path.display(), error.message()),
            )
            .with_source(error)
        };
        Log::open(&self.path)
            .and_then(|mut log| log.append(line))
            .map_err(context)
    }
}

/// Different for every run on this machine.
fn new_run() -> String {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let moment = Utc::now().timestamp_micros();
    format!(
        "{moment:x}-{:x}-{:x}",
        std::process::id(),
        RUNS.fetch_add(1, Ordering::Relaxed)
    )
}
