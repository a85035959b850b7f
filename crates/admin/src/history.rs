//! Who retired and wrote what, and what came of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use lakepilot_query::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::files::{Log, parse_lines};
use crate::{
    Basis, Materialisation, MaterialisationReport, OutcomeCounts, PlanTotals, RetirementPlan, RetirementReport,
};

/// The log of what was done to partitions: a file of one JSON value a line, which is only added to and synced after each. A record is
/// written before the server is asked and completed afterwards, so that a run that was killed shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    path: PathBuf,
    who: String,
}

/// One application of a plan, or one materialisation or regeneration.
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
    /// What was to be done.
    #[serde(flatten)]
    pub work: HistoryWork,
    /// What came of it; `None` when the run was killed, or is still going.
    pub result: Option<HistoryResult>,
}

/// What a run was to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum HistoryWork {
    /// Retire the partitions of a plan.
    Retire {
        /// The digest of the plan.
        plan: String,
        /// What the plan was made from.
        basis: Basis,
        /// What the plan was to take.
        planned: PlanTotals,
    },
    /// Write the partitions that were not there.
    Materialize(WritingOrder),
    /// Write all partitions once more.
    Regenerate(WritingOrder),
}

/// Which partitions of the instance `global` were to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WritingOrder {
    /// The view set.
    pub view_set: String,
    /// Where the range of insert time begins.
    pub begin_insert_time: DateTime<Utc>,
    /// Where its last whole step ends.
    pub end_insert_time: DateTime<Utc>,
    /// The length of a partition.
    pub step_seconds: u64,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryResult {
    /// When it ended.
    pub finished: DateTime<Utc>,
    /// Whether every planned partition was seen to be gone, or every step to have its partitions.
    pub complete: bool,
    /// How many partitions came to which end; `None` when the plan was not applied at all, and for what writes.
    pub counts: Option<OutcomeCounts>,
    /// How many partitions were written; `None` when the server did not come to it, and for what retires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<WrittenCounts>,
    /// The first failure, or why nothing was done.
    pub error: Option<String>,
}

/// What writing partitions has come to, as they were listed before and afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenCounts {
    /// Are new.
    pub created: u64,
    /// Were there before, and are not any more.
    pub replaced: u64,
    /// Are as they were.
    pub kept: u64,
    /// Stretches of the whole steps that no partition covers.
    pub gaps: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Line {
    Started(Box<Started>),
    Writing(Box<Writing>),
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Writing {
    run: String,
    at: DateTime<Utc>,
    who: String,
    server: Option<String>,
    anew: bool,
    order: WritingOrder,
}

impl From<Started> for HistoryEntry {
    fn from(begun: Started) -> Self {
        Self {
            run: begun.run,
            started: begun.at,
            who: begun.who,
            server: begun.server,
            work: HistoryWork::Retire {
                plan: begun.plan,
                basis: begun.basis,
                planned: begun.planned,
            },
            result: None,
        }
    }
}

impl From<Writing> for HistoryEntry {
    fn from(begun: Writing) -> Self {
        Self {
            run: begun.run,
            started: begun.at,
            who: begun.who,
            server: begun.server,
            work: if begun.anew {
                HistoryWork::Regenerate(begun.order)
            } else {
                HistoryWork::Materialize(begun.order)
            },
            result: None,
        }
    }
}

impl HistoryResult {
    fn failed(error: &Error) -> Self {
        Self {
            finished: Utc::now(),
            complete: false,
            counts: None,
            written: None,
            error: Some(error.to_string()),
        }
    }

    fn of_retirement(outcome: &Result<RetirementReport>) -> Self {
        match outcome {
            Ok(report) => Self {
                finished: Utc::now(),
                complete: report.is_complete(),
                counts: Some(report.counts()),
                written: None,
                error: report.first_failure().map(|failure| failure.message().to_owned()),
            },
            Err(error) => Self::failed(error),
        }
    }

    fn of_writing(outcome: &Result<MaterialisationReport>) -> Self {
        match outcome {
            Ok(report) => Self {
                finished: Utc::now(),
                complete: report.is_complete(),
                counts: None,
                written: Some(WrittenCounts {
                    created: report.created().len() as u64,
                    replaced: report.replaced().len() as u64,
                    kept: report.kept().len() as u64,
                    gaps: report.gaps().len() as u64,
                }),
                error: report.failures().first().cloned(),
            },
            Err(error) => Self::failed(error),
        }
    }
}

impl History {
    /// The history in a file, for what `who` does from now on: a user and a machine, or what a scheduler is called.
    pub fn new(path: impl Into<PathBuf>, who: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            who: who.into(),
        }
    }

    /// All runs, the earliest first. Empty where there is no file.
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
                Line::Started(begun) => entries.push((*begun).into()),
                Line::Writing(begun) => entries.push((*begun).into()),
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
        self.ended(run, HistoryResult::of_retirement(outcome))
    }

    /// Notes that the server is about to be asked for partitions, and gives the id of the run.
    pub(crate) fn writing(&self, what: &Materialisation, anew: bool, server: Option<&str>) -> Result<String> {
        let run = new_run();
        self.append(&Line::Writing(Box::new(Writing {
            run: run.clone(),
            at: Utc::now(),
            who: self.who.clone(),
            server: server.map(str::to_owned),
            anew,
            order: WritingOrder {
                view_set: what.view_set_name().to_owned(),
                begin_insert_time: what.range().begin(),
                end_insert_time: what.end_of_steps(),
                step_seconds: what.step().as_secs(),
            },
        })))?;
        Ok(run)
    }

    pub(crate) fn written(&self, run: &str, outcome: &Result<MaterialisationReport>) -> Result<()> {
        self.ended(run, HistoryResult::of_writing(outcome))
    }

    fn ended(&self, run: &str, result: HistoryResult) -> Result<()> {
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
