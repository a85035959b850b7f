//! Asking the server, statement by statement.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lakepilot_query::{Error, ErrorKind, Result, quote_literal};

use crate::function::{Call, time_argument};
use crate::messages::Messages;
use crate::report::Failure;
use crate::sql;
use crate::work::{Statement, Target, Task, Work};
use crate::{
    ApplyOptions, ByMetadata, Event, Observer, OnFailure, PartitionAdmin, RetirementRange, ServerMessage, ViewInstance,
};

/// After so many partitions of a statement have failed by themselves, the others are not tried one by one.
const MOST_FAILURES: usize = 3;

/// How long a wait for the rate lasts before it looks whether the work was ended.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What the server said about a partition.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// The answer ended well.
    Retired,
    /// There is no such partition: somebody else was faster.
    NotFound(String),
    Failed(Failure),
}

impl Told {
    /// The words, when they were not just that it is retired.
    pub(crate) fn said(&self) -> Option<String> {
        match self {
            Self::Retired => None,
            Self::NotFound(said) => Some(said.clone()),
            Self::Failed(failure) => Some(failure.message().to_owned()),
        }
    }

    pub(crate) fn into_failure(self) -> Option<Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Retired | Self::NotFound(_) => None,
        }
    }
}

/// What came of a task.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// By the numbers of the partitions; those that were not asked for are missing.
    pub(crate) told: Vec<(usize, Told)>,
    pub(crate) ranges: Vec<RangeAnswer>,
}

/// What the server said about a range.
#[derive(Debug)]
pub(crate) struct RangeAnswer {
    pub(crate) instance: ViewInstance,
    pub(crate) range: RetirementRange,
    pub(crate) messages: Messages,
    /// How many partitions more than planned it said that it found.
    pub(crate) found_too_many: u64,
}

/// One application of a plan.
pub(crate) struct Run<'a> {
    admin: &'a PartitionAdmin,
    work: &'a Work<'a>,
    options: &'a ApplyOptions,
    observer: &'a dyn Observer,
    by_metadata: ByMetadata,
    halted: AtomicBool,
    done: AtomicU64,
    next_slot: Mutex<Option<Instant>>,
    refusal: Mutex<Option<Error>>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        admin: &'a PartitionAdmin,
        work: &'a Work<'a>,
        options: &'a ApplyOptions,
        observer: &'a dyn Observer,
        by_metadata: ByMetadata,
    ) -> Self {
        Self {
            admin,
            work,
            options,
            observer,
            by_metadata,
            halted: AtomicBool::new(false),
            done: AtomicU64::new(0),
            next_slot: Mutex::new(None),
            refusal: Mutex::new(None),
        }
    }

    /// The first refusal, if there was one.
    pub(crate) fn take_refusal(&self) -> Option<Error> {
        lock(&self.refusal).take()
    }

    pub(crate) async fn perform(&self, task: &Task<'_>) -> Answer {
        let mut answer = Answer::default();
        for statement in &task.0 {
            self.wait_for_slot(statement.partitions.len()).await;
            if self.is_ended() {
                break;
            }
            if let Err(error) = self.ask(statement, &mut answer).await {
                // The journal is what a later run goes by: without it, nothing more is asked.
                self.halted.store(true, Ordering::Relaxed);
                let failure = Failure::of(&error);
                answer.told.extend(
                    statement
                        .partitions
                        .iter()
                        .map(|at| (*at, Told::Failed(failure.clone()))),
                );
                break;
            }
        }
        answer
    }

    fn is_ended(&self) -> bool {
        self.halted.load(Ordering::Relaxed) || self.options.stop().is_stopped()
    }

    /// Sends one statement and notes what it was told, before and after in the journal.
    async fn ask(&self, statement: &Statement<'_>, answer: &mut Answer) -> Result<()> {
        let number = self
            .options
            .journal()
            .map(|journal| journal.asked(&statement.partitions))
            .transpose()?;
        self.observer.observe(&Event::Asked {
            request: statement.request(),
            instance: self.work.instance_of(&statement.partitions),
        });
        let told = match statement.target {
            Target::Files => self.ask_by_name(ByName::File, &statement.partitions).await,
            Target::Metadata => self.ask_by_name(ByName::Metadata, &statement.partitions).await,
            Target::Range(instance, range) => self.ask_range(instance, range, statement, answer).await,
        };
        let failed: Vec<usize> = told
            .iter()
            .filter(|(_, told)| matches!(told, Told::Failed(_)))
            .map(|(number, _)| *number)
            .collect();
        let error = told.iter().find_map(|(_, told)| match told {
            Told::Failed(failure) => Some(failure.message().to_owned()),
            _ => None,
        });
        if error.is_some() && self.options.on_failure() == OnFailure::Stop {
            self.halted.store(true, Ordering::Relaxed);
        }
        let asked = statement.partitions.len() as u64;
        let done = self.done.fetch_add(asked, Ordering::Relaxed) + asked;
        answer.told.extend(told);
        self.observer.observe(&Event::Answered {
            done,
            partitions: self.work.to_ask(),
            error: error.clone(),
        });
        match self.options.journal().zip(number) {
            Some((journal, number)) => journal.answered(number, &failed, error),
            None => Ok(()),
        }
    }

    /// Asks for partitions by name. All of a statement are retired or none: where one of them cannot be, the others are
    /// asked for once more without it, by halves.
    async fn ask_by_name(&self, by: ByName, partitions: &[usize]) -> Vec<(usize, Told)> {
        let mut told = Vec::with_capacity(partitions.len());
        let mut waiting = vec![partitions];
        let mut failures = 0;
        while let Some(part) = waiting.pop() {
            let result = self.send(by, part).await;
            match result {
                // By metadata, only what is listed as planned is asked for.
                Ok(rows) if rows.is_empty() => {
                    let not_listed = || Told::NotFound("no partition of these metadata is listed".to_owned());
                    told.extend(part.iter().map(|number| (*number, not_listed())));
                }
                Ok(rows) if rows.iter().all(|row| row.starts_with("SUCCESS")) => {
                    told.extend(part.iter().map(|number| (*number, Told::Retired)));
                }
                Ok(rows) if part.len() == 1 => {
                    told.extend(part.iter().map(|number| (*number, told_by(&rows))));
                }
                Err(error) if part.len() == 1 || !is_rolled_back(&error) || failures >= MOST_FAILURES => {
                    failures += 1;
                    let failure = self.failed(error);
                    told.extend(part.iter().map(|number| (*number, Told::Failed(failure.clone()))));
                }
                Ok(_) | Err(_) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    waiting.extend([second, first]);
                }
            }
        }
        told
    }

    async fn send(&self, by: ByName, partitions: &[usize]) -> Result<Vec<String>> {
        let named = partitions
            .iter()
            .filter_map(|number| self.work.planned.get(*number).copied());
        let call = match by {
            ByName::File => sql::by_file(named),
            ByName::Metadata => sql::by_metadata(named, self.by_metadata),
        };
        tracing::info!(partitions = partitions.len(), "retiring by name");
        let mut rows = Vec::new();
        call.drain(self.admin.catalog().service(), |message| {
            if !message.message.starts_with("SUCCESS") {
                self.observer.observe(&Event::Message {
                    instance: None,
                    message: message.clone(),
                });
            }
            rows.push(message.message);
        })
        .await?;
        Ok(rows)
    }

    async fn ask_range(
        &self,
        instance: &ViewInstance,
        range: RetirementRange,
        statement: &Statement<'_>,
        answer: &mut Answer,
    ) -> Vec<(usize, Told)> {
        tracing::info!(%instance, begin = %range.begin(), end = %range.end(), "retiring");
        let call = Call::new(
            "retire_partitions",
            &[
                quote_literal(&instance.view_set_name),
                quote_literal(&instance.view_instance_id),
                time_argument(range.begin()),
                time_argument(range.end()),
            ],
        );
        let mut messages = Messages::default();
        let mut found = 0;
        let drained = call
            .drain(self.admin.catalog().service(), |message: ServerMessage| {
                found += found_partitions(&message.message).unwrap_or(0);
                self.observer.observe(&Event::Message {
                    instance: Some(instance.clone()),
                    message: message.clone(),
                });
                messages.push(message);
            })
            .await;
        answer.ranges.push(RangeAnswer {
            instance: instance.clone(),
            range,
            messages,
            found_too_many: u64::saturating_sub(found, statement.partitions.len() as u64),
        });
        let told = match drained {
            Ok(()) => Told::Retired,
            Err(error) => Told::Failed(self.failed(error.context(format!(
                "retire {instance} from {} to {}",
                lakepilot_query::to_rfc3339(range.begin()),
                lakepilot_query::to_rfc3339(range.end())
            )))),
        };
        statement
            .partitions
            .iter()
            .map(|number| (*number, told.clone()))
            .collect()
    }

    /// Keeps a refusal, which ends the work.
    fn failed(&self, error: Error) -> Failure {
        tracing::warn!(%error, "a retirement failed");
        let failure = Failure::of(&error);
        if is_refusal(error.kind()) {
            self.halted.store(true, Ordering::Relaxed);
            lock(&self.refusal).get_or_insert(error);
        }
        failure
    }

    /// Waits until as many partitions may be asked for.
    async fn wait_for_slot(&self, partitions: usize) {
        let Some(rate) = self.options.rate() else { return };
        let slot = {
            let mut next = lock(&self.next_slot);
            let slot = next.unwrap_or_else(Instant::now).max(Instant::now());
            *next = Some(slot + Duration::from_secs_f64(partitions as f64 / f64::from(rate.get())));
            slot
        };
        while !self.is_ended() {
            let left = slot.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            tokio::time::sleep(left.min(LOOK_UP)).await;
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum ByName {
    File,
    Metadata,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What a statement that named one partition was told, when that was not success.
fn told_by(rows: &[String]) -> Told {
    let said = rows
        .iter()
        .find(|row| !row.starts_with("SUCCESS"))
        .cloned()
        .unwrap_or_default();
    if said.contains("Partition not found") {
        Told::NotFound(said)
    } else {
        Told::Failed(Failure::new(ErrorKind::Internal, said))
    }
}

/// Whether the server took the whole statement back because of one row of it. It tells that as an error of no kind, since
/// its answer has a row too many.
fn is_rolled_back(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Internal | ErrorKind::InvalidQuery)
}

pub(crate) fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::PermissionDenied | ErrorKind::Unauthenticated)
}

/// How many partitions the server found, from its row `[RETIRE_FOUND] view=... found_partitions=N`. The count comes
/// last, after names that may hold anything.
fn found_partitions(message: &str) -> Option<u64> {
    let (_, count) = message
        .strip_prefix("[RETIRE_FOUND]")?
        .rsplit_once("found_partitions=")?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_count_is_read_after_the_names() {
        let row = "[RETIRE_FOUND] view=found_partitions=99/p time_range=[a, b] found_partitions=3";
        assert_eq!(found_partitions(row), Some(3));
        assert_eq!(
            found_partitions("adding out of date partition found_partitions=3"),
            None
        );
        assert_eq!(found_partitions("[RETIRE_FOUND] found_partitions=many"), None);
    }

    #[test]
    fn what_is_not_there_is_no_failure() {
        let rows = |row: &str| [row.to_owned()];
        assert!(matches!(
            told_by(&rows("ERROR: Partition not found: x")),
            Told::NotFound(_)
        ));
        assert!(matches!(
            told_by(&rows("ERROR: Ambiguous match: 2 rows")),
            Told::Failed(_)
        ));
    }
}
