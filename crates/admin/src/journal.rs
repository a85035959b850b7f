//! The journal of a plan that is being applied.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use lakepilot_query::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::RetirementPlan;
use crate::files::Log;

const FORMAT: &str = "lakepilot retirement journal";
const VERSION: u64 = 1;

/// What has been asked of the server for a plan, and what came of it: a file that is only added to, and synced before the
/// next step is taken.
///
/// With it, a run that was killed is taken up where it was: what was asked and is gone counts as done, what was asked and
/// is still there without an answer is asked again, and nothing else is repeated. While it is open it belongs to one
/// process.
#[derive(Debug)]
pub struct Journal {
    inner: Mutex<Inner>,
    resumed: bool,
}

#[derive(Debug)]
struct Inner {
    log: Log,
    steps: Vec<Step>,
    statements: u64,
}

/// How far a partition of the plan has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Step {
    /// It was not asked for, or was seen to be there after it was.
    #[default]
    Open,
    /// It was asked for, and no answer is known.
    Asked,
    /// It was asked for, and the answer ended well.
    Answered,
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
enum Entry {
    Begun {
        format: String,
        version: u64,
        plan: String,
        server: Option<String>,
        partitions: u64,
        at: DateTime<Utc>,
    },
    Asked {
        statement: u64,
        partitions: Spans,
        at: DateTime<Utc>,
    },
    Answered {
        statement: u64,
        failed: Spans,
        error: Option<String>,
        at: DateTime<Utc>,
    },
    Seen {
        remaining: Spans,
        unknown: u64,
        at: DateTime<Utc>,
    },
}

impl Journal {
    /// Opens the journal of a plan: a new one where there is no file, else the one of the run before.
    ///
    /// # Errors
    /// `InvalidInput` when the file is the journal of another plan, or no journal; `Unavailable` when another process has
    /// it; `Io` when it cannot be read or written.
    pub fn open(path: &Path, plan: &RetirementPlan) -> Result<Self> {
        let context = |error: Error| error.context(format!("open the journal {}", path.display()));
        Self::open_log(path, plan).map_err(context)
    }

    fn open_log(path: &Path, plan: &RetirementPlan) -> Result<Self> {
        let mut log = Log::open(path)?;
        if !log.lock()? {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "another process is applying this plan; wait for it to end",
            ));
        }
        let entries: Vec<Entry> = log.lines()?;
        let partitions = plan.totals().partitions;
        let resumed = !entries.is_empty();
        if resumed {
            check_head(&entries, plan)?;
        } else {
            log.append(&Entry::Begun {
                format: FORMAT.to_owned(),
                version: VERSION,
                plan: plan.digest().to_owned(),
                server: plan.server().map(str::to_owned),
                partitions,
                at: Utc::now(),
            })?;
        }
        let count = usize::try_from(partitions).unwrap_or(usize::MAX);
        let mut steps = vec![Step::Open; count];
        let statements = replay(&entries, &mut steps)?;
        Ok(Self {
            inner: Mutex::new(Inner { log, steps, statements }),
            resumed,
        })
    }

    /// Whether there was a run before.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        self.inner().steps.clone()
    }

    /// Notes that partitions are about to be asked for, and gives the number of the statement.
    pub(crate) fn asked(&self, partitions: &[usize]) -> Result<u64> {
        let mut inner = self.inner();
        let statement = inner.statements;
        inner.log.append(&Entry::Asked {
            statement,
            partitions: Spans::of(partitions),
            at: Utc::now(),
        })?;
        inner.statements += 1;
        Ok(statement)
    }

    pub(crate) fn answered(&self, statement: u64, failed: &[usize], error: Option<String>) -> Result<()> {
        self.inner().log.append(&Entry::Answered {
            statement,
            failed: Spans::of(failed),
            error,
            at: Utc::now(),
        })
    }

    pub(crate) fn seen(&self, remaining: &[usize], unknown: u64) -> Result<()> {
        self.inner().log.append(&Entry::Seen {
            remaining: Spans::of(remaining),
            unknown,
            at: Utc::now(),
        })
    }
}

fn check_head(entries: &[Entry], plan: &RetirementPlan) -> Result<()> {
    let invalid = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
    match entries.first() {
        Some(Entry::Begun { format, version, .. }) if format != FORMAT || *version != VERSION => invalid(format!(
            "it has version {version} of the format, and this program knows version {VERSION}"
        )),
        Some(Entry::Begun { plan: digest, .. }) if digest != plan.digest() => invalid(format!(
            "it belongs to the plan {digest}, and this is {}; name another file",
            plan.digest()
        )),
        Some(Entry::Begun { .. }) => Ok(()),
        _ => invalid("it is not a journal: its beginning is missing".to_owned()),
    }
}

/// Brings the steps to where the journal ends, and gives the number of the next statement.
fn replay(entries: &[Entry], steps: &mut [Step]) -> Result<u64> {
    let mut open: Vec<(u64, &Spans)> = Vec::new();
    let mut next = 0;
    for entry in entries {
        match entry {
            Entry::Begun { .. } => {}
            Entry::Asked {
                statement, partitions, ..
            } => {
                partitions.set(steps, Step::Asked)?;
                open.push((*statement, partitions));
                next = next.max(statement.saturating_add(1));
            }
            Entry::Answered { statement, failed, .. } => {
                let at = open.iter().position(|(number, _)| number == statement);
                if let Some(at) = at {
                    open.swap_remove(at).1.set(steps, Step::Answered)?;
                }
                failed.set(steps, Step::Asked)?;
            }
            Entry::Seen { remaining, .. } => remaining.set(steps, Step::Open)?,
        }
    }
    Ok(next)
}

/// Numbers in order as first and last of each run, which keeps a line short.
#[derive(Debug, Serialize, Deserialize)]
struct Spans(Vec<(u64, u64)>);

impl Spans {
    fn of(numbers: &[usize]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        let mut spans: Vec<(u64, u64)> = Vec::new();
        for number in sorted {
            let number = number as u64;
            match spans.last_mut() {
                Some((_, last)) if number == *last + 1 => *last = number,
                _ => spans.push((number, number)),
            }
        }
        Self(spans)
    }

    fn set(&self, steps: &mut [Step], step: Step) -> Result<()> {
        for (first, last) in &self.0 {
            let range = usize::try_from(*first).ok().zip(usize::try_from(*last).ok());
            let steps = range
                .and_then(|(first, last)| steps.get_mut(first..=last))
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::InvalidInput,
                        format!("it names the partitions {first} to {last}, which the plan does not have"),
                    )
                })?;
            steps.fill(step);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_as_spans() {
        let spans = Spans::of(&[5, 1, 2, 3, 9]);
        assert_eq!(spans.0, [(1, 3), (5, 5), (9, 9)]);
        let mut steps = [Step::Open; 10];
        spans.set(&mut steps, Step::Asked).unwrap();
        assert_eq!(steps.iter().filter(|step| **step == Step::Asked).count(), 5);
        for wrong in [(8, 10), (3, 1), (0, u64::MAX)] {
            assert!(Spans(vec![wrong]).set(&mut steps, Step::Open).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn steps_are_where_the_journal_ends() {
        let at = Utc::now();
        let asked = |statement, partitions: &[usize]| Entry::Asked {
            statement,
            partitions: Spans::of(partitions),
            at,
        };
        let answered = |statement, failed: &[usize]| Entry::Answered {
            statement,
            failed: Spans::of(failed),
            error: None,
            at,
        };
        let entries = [
            asked(0, &[0, 1]),
            asked(1, &[2, 3]),
            answered(1, &[3]),
            Entry::Seen {
                remaining: Spans::of(&[2]),
                unknown: 0,
                at,
            },
            asked(4, &[4]),
        ];
        let mut steps = [Step::Open; 6];
        assert_eq!(replay(&entries, &mut steps).unwrap(), 5);
        use Step::{Asked, Open};
        assert_eq!(steps, [Asked, Asked, Open, Asked, Asked, Open]);
    }
}
