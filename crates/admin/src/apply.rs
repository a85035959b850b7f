//! Doing what a plan says.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use futures::stream;
use lakepilot_catalog::{Partition, PartitionFilter};
use lakepilot_query::{Error, ErrorKind, Result, quote_literal};

use crate::function::{Call, time_argument};
use crate::messages::Messages;
use crate::planner::{Identity, identity};
use crate::ranges::cover;
use crate::report::Evidence;
use crate::{
    ApplyOptions, Event, InstancePlan, Observer, OnFailure, PartitionAdmin, RetirementPlan, RetirementRange,
    RetirementReport, ViewInstance,
};

/// How often the partitions are listed once more while something is there that should be gone. Each takes a round trip
/// and a query, a few milliseconds at the least, which is what a commit takes.
const MOST_LISTINGS_MORE: usize = 20;

impl PartitionAdmin {
    /// Retires what the plan says, lists the partitions again, and reports what was seen.
    ///
    /// The catalogue is read once more before the first range is asked, and the plan's ranges are narrowed so that
    /// nothing that has appeared since lies in one of them; they are never widened. A failure of a range is in the
    /// report, not the result: what did happen has to be told.
    ///
    /// Retirement is irreversible, and the server logs its own failures without telling them. So only the
    /// [report](RetirementReport) says what happened, and it goes by the listing.
    ///
    /// # Errors
    /// The error of reading the catalogue beforehand, when nothing was asked yet. `PermissionDenied` or
    /// `Unauthenticated` when the server refused everything that it was asked.
    pub async fn apply(
        &self,
        plan: &RetirementPlan,
        options: &ApplyOptions,
        observer: &dyn Observer,
    ) -> Result<RetirementReport> {
        let concerned: Vec<&InstancePlan> = plan
            .instances()
            .iter()
            .filter(|instance| !instance.partitions.is_empty())
            .collect();
        let filter = listing_of(&concerned);
        let before = self
            .catalog()
            .partitions(&filter)
            .await
            .map_err(|error| error.context("look at the partitions before retiring any"))?;
        let tasks = tasks(&concerned, &before);
        observer.observe(&Event::Started {
            instances: tasks.len() as u64,
            partitions: tasks.iter().map(|task| task.present.len() as u64).sum(),
        });
        let run = Run {
            admin: self,
            options,
            observer,
            halted: AtomicBool::new(false),
        };
        let mut answers: Vec<(usize, Answer)> = stream::iter(0..tasks.len())
            .map(|at| {
                let (run, task) = (&run, &tasks[at]);
                async move { (at, run.retire(task).await) }
            })
            .buffer_unordered(options.concurrency())
            .collect()
            .await;
        answers.sort_by_key(|(at, _)| *at);
        let mut answers: Vec<Answer> = answers.into_iter().map(|(_, answer)| answer).collect();
        if let Some(refusal) = take_refusal_of_everything(&mut answers) {
            return Err(refusal);
        }
        observer.observe(&Event::Verifying);
        let after = self.list_settled(&filter, &tasks, &answers).await;
        if let Err(error) = &after {
            tracing::warn!(%error, "the partitions could not be listed after a retirement");
        }
        Ok(RetirementReport::new(&concerned, answers, &Evidence { before, after }))
    }

    /// The listing that the report goes by.
    ///
    /// The service ends the answer of a retirement before it commits it, so that a listing right after it may still show
    /// what is about to go. Only what is still there after a few more of them is believed to stay.
    async fn list_settled(
        &self,
        filter: &PartitionFilter,
        tasks: &[Task<'_>],
        answers: &[Answer],
    ) -> Result<Vec<Partition>> {
        let mut after = self.list_again(filter).await?;
        for _ in 0..MOST_LISTINGS_MORE {
            if is_settled(tasks, answers, &after) {
                break;
            }
            // What was seen counts if the server cannot be asked once more.
            let Ok(partitions) = self.catalog().partitions(filter).await else {
                break;
            };
            after = partitions;
        }
        Ok(after)
    }

    /// It is worth a second attempt.
    async fn list_again(&self, filter: &PartitionFilter) -> Result<Vec<Partition>> {
        match self.catalog().partitions(filter).await {
            Ok(partitions) => Ok(partitions),
            Err(_) => self.catalog().partitions(filter).await,
        }
    }
}

/// Whether everything is gone whose retirement was answered to the end.
fn is_settled(tasks: &[Task<'_>], answers: &[Answer], listed: &[Partition]) -> bool {
    let listed: HashSet<Identity<'_>> = listed.iter().map(identity).collect();
    tasks.iter().zip(answers).all(|(task, answer)| {
        let is_answered = |partition: &Partition| answer.answered.iter().any(|range| range.takes(partition));
        task.present
            .iter()
            .all(|partition| !is_answered(partition) || !listed.contains(&identity(partition)))
    })
}

/// Everything in the instances that the plan concerns, and nothing planned means nothing to list.
fn listing_of(concerned: &[&InstancePlan]) -> PartitionFilter {
    let names = |name: fn(&ViewInstance) -> &String| -> HashSet<String> {
        concerned.iter().map(|plan| name(&plan.instance).clone()).collect()
    };
    let filter = PartitionFilter::all()
        .with_view_sets(names(|instance| &instance.view_set_name))
        .with_instances(names(|instance| &instance.view_instance_id));
    let global = concerned
        .iter()
        .any(|plan| plan.instance.view_instance_id == lakepilot_catalog::GLOBAL_INSTANCE);
    if global { filter } else { filter.non_global() }
}

/// What is to be asked about one instance.
struct Task<'a> {
    instance: &'a ViewInstance,
    /// What was planned and is still there.
    present: Vec<&'a Partition>,
    ranges: Vec<RetirementRange>,
}

fn tasks<'a>(concerned: &[&'a InstancePlan], before: &'a [Partition]) -> Vec<Task<'a>> {
    let mut listed: HashMap<(&str, &str), Vec<&Partition>> = HashMap::new();
    for partition in before {
        let key = (partition.view_set_name.as_str(), partition.view_instance_id.as_str());
        listed.entry(key).or_default().push(partition);
    }
    concerned
        .iter()
        .map(|plan| {
            let instance = &plan.instance;
            let key = (instance.view_set_name.as_str(), instance.view_instance_id.as_str());
            task(plan, listed.remove(&key).unwrap_or_default())
        })
        .collect()
}

/// The plan's ranges as they are safe now: each is cut down to what was planned and is still there, and around what is
/// there and was not planned.
fn task<'a>(plan: &'a InstancePlan, listed: Vec<&'a Partition>) -> Task<'a> {
    let planned: HashSet<Identity<'_>> = plan.partitions.iter().map(identity).collect();
    let (present, others): (Vec<_>, Vec<_>) = listed
        .into_iter()
        .partition(|partition| planned.contains(&identity(partition)));
    let ranges = plan
        .ranges
        .iter()
        .flat_map(|range| {
            let within = present.iter().copied().filter(|partition| range.takes(partition));
            cover(within, others.iter().copied()).ranges
        })
        .collect();
    Task {
        instance: &plan.instance,
        present,
        ranges,
    }
}

/// What came of the ranges of one instance.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The ranges that were safe to ask.
    pub(crate) ranges: Vec<RetirementRange>,
    /// Those that the server answered to the end.
    pub(crate) answered: Vec<RetirementRange>,
    /// Those that failed.
    pub(crate) failed: Vec<(RetirementRange, Error)>,
    pub(crate) messages: Messages,
    /// How many partitions more than planned the server said that it found.
    pub(crate) found_too_many: u64,
}

struct Run<'a> {
    admin: &'a PartitionAdmin,
    options: &'a ApplyOptions,
    observer: &'a dyn Observer,
    halted: AtomicBool,
}

impl Run<'_> {
    async fn retire(&self, task: &Task<'_>) -> Answer {
        let mut answer = Answer {
            ranges: task.ranges.clone(),
            ..Answer::default()
        };
        for range in &task.ranges {
            if self.halted.load(Ordering::Relaxed) || self.options.stop().is_stopped() {
                break;
            }
            match self.retire_range(task, *range, &mut answer).await {
                Ok(()) => answer.answered.push(*range),
                Err(error) => {
                    tracing::warn!(%error, "a retirement failed");
                    if is_refusal(&error) || self.options.on_failure() == OnFailure::Stop {
                        self.halted.store(true, Ordering::Relaxed);
                    }
                    answer.failed.push((*range, error));
                }
            }
        }
        let untouched = answer.answered.is_empty() && answer.failed.is_empty();
        if !untouched {
            self.observer.observe(&Event::InstanceDone {
                instance: task.instance.clone(),
                partitions: task.present.len() as u64,
                error: answer.failed.first().map(|(_, error)| error.to_string()),
            });
        }
        answer
    }

    async fn retire_range(&self, task: &Task<'_>, range: RetirementRange, answer: &mut Answer) -> Result<()> {
        let instance = task.instance;
        tracing::info!(%instance, begin = %range.begin(), end = %range.end(), "retiring");
        self.observer.observe(&Event::Asked {
            instance: instance.clone(),
            range,
        });
        let call = Call::new(
            "retire_partitions",
            &[
                quote_literal(&instance.view_set_name),
                quote_literal(&instance.view_instance_id),
                time_argument(range.begin()),
                time_argument(range.end()),
            ],
        );
        let planned = task.present.iter().filter(|partition| range.takes(partition)).count() as u64;
        let mut found = 0;
        let drained = call
            .drain(self.admin.catalog().service(), |message| {
                found += found_partitions(&message.message).unwrap_or(0);
                self.observer.observe(&Event::Message {
                    instance: instance.clone(),
                    message: message.clone(),
                });
                answer.messages.push(message);
            })
            .await;
        answer.found_too_many += u64::saturating_sub(found, planned);
        drained.map_err(|error| {
            error.context(format!(
                "retire {instance} from {} to {}",
                lakepilot_query::to_rfc3339(range.begin()),
                lakepilot_query::to_rfc3339(range.end())
            ))
        })
    }
}

/// How many partitions the server found, from its row `[RETIRE_FOUND] view=... found_partitions=N`. The count comes
/// last, after names that may hold anything.
fn found_partitions(message: &str) -> Option<u64> {
    let (_, count) = message
        .strip_prefix("[RETIRE_FOUND]")?
        .rsplit_once("found_partitions=")?;
    count.trim().parse().ok()
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unauthenticated)
}

/// The refusal, when there is one and the server answered nothing else.
fn take_refusal_of_everything(answers: &mut [Answer]) -> Option<Error> {
    let refused = answers
        .iter()
        .all(|answer| answer.answered.is_empty() && answer.failed.iter().all(|(_, error)| is_refusal(error)));
    let failed = answers.iter_mut().find(|answer| !answer.failed.is_empty())?;
    refused.then(|| failed.failed.swap_remove(0).1)
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
}
