//! What came of a plan, as the catalogue shows it.

use std::collections::{HashMap, HashSet};

use lakepilot_catalog::Partition;
use lakepilot_query::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize, Serializer};

use crate::messages::Messages;
use crate::planner::{Identity, identity};
use crate::run::{Answer, RangeAnswer, Told};
use crate::work::{Start, Work};
use crate::{Drift, RetirementPlan, ViewInstance};

/// What came of a plan. It goes by two listings, one before the first statement was sent and one after the last was
/// answered, and not by what the server said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetirementReport {
    complete: bool,
    #[serde(flatten)]
    counts: OutcomeCounts,
    plan: String,
    server: Option<String>,
    unverified: Option<Failure>,
    unrecorded: Option<Failure>,
    instances: Vec<InstanceReport>,
    partitions: Vec<PartitionOutcome>,
    unplanned: Vec<Partition>,
    appeared: Vec<Partition>,
}

impl RetirementReport {
    pub(crate) fn new(plan: &RetirementPlan, work: &Work<'_>, answers: Vec<Answer>, evidence: &Evidence<'_>) -> Self {
        let seen = Seen::new(evidence);
        let mut told: Vec<Option<Told>> = vec![None; work.planned.len()];
        let mut ranges: HashMap<ViewInstance, Vec<RangeAnswer>> = HashMap::new();
        for answer in answers {
            for (number, what) in answer.told {
                if let Some(told) = told.get_mut(number) {
                    *told = Some(what);
                }
            }
            for range in answer.ranges {
                ranges.entry(range.instance.clone()).or_default().push(range);
            }
        }
        // What was not found because a range of this plan has taken it was not taken by somebody else.
        for (partition, told) in work.planned.iter().zip(&mut told) {
            let own = ranges.get(&ViewInstance::of(partition));
            let is_own = own.is_some_and(|own| own.iter().any(|answer| answer.range.takes(partition)));
            if is_own && matches!(told, Some(Told::NotFound(_))) {
                *told = Some(Told::Retired);
            }
        }
        let starts = work.starts.iter();
        let mut outcomes = work
            .planned
            .iter()
            .zip(starts)
            .zip(told)
            .map(|((partition, start), told)| PartitionOutcome {
                partition: (*partition).clone(),
                outcome: seen.outcome(partition, *start, told.as_ref()),
                said: told.as_ref().and_then(Told::said),
                failure: told.and_then(Told::into_failure),
            });
        let mut partitions = Vec::with_capacity(work.planned.len());
        let mut instances = Vec::new();
        for of in plan
            .instances()
            .iter()
            .filter(|instance| !instance.partitions.is_empty())
        {
            let first = partitions.len();
            partitions.extend(outcomes.by_ref().take(of.partitions.len()));
            let ranges = ranges.remove(&of.instance).unwrap_or_default();
            instances.push(InstanceReport::new(of.instance.clone(), &partitions[first..], ranges));
        }
        let unplanned = unplanned(work, &instances, &seen, evidence);
        count_unplanned(&mut instances, &unplanned);
        let mut counts = OutcomeCounts::default();
        instances.iter().for_each(|instance| counts.add(&instance.counts));
        Self {
            complete: counts.remaining == 0 && counts.unknown == 0,
            counts,
            plan: plan.digest().to_owned(),
            server: plan.server().map(str::to_owned),
            unverified: evidence.after.as_ref().err().map(Failure::of),
            unrecorded: None,
            instances,
            partitions,
            unplanned,
            appeared: evidence.drift.appeared.clone(),
        }
    }

    /// Whether every planned partition was seen to be gone.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How many partitions came to which end.
    pub fn counts(&self) -> OutcomeCounts {
        self.counts
    }

    /// The digest of the plan.
    pub fn plan_digest(&self) -> &str {
        &self.plan
    }

    /// Why nothing could be seen afterwards, when the partitions could not be listed again. All of them are unknown then.
    pub fn unverified(&self) -> Option<&Failure> {
        self.unverified.as_ref()
    }

    /// Why the history or the journal lacks the end of this run, when it could not be written.
    pub fn unrecorded(&self) -> Option<&Failure> {
        self.unrecorded.as_ref()
    }

    /// The instances of the plan that were to lose partitions, in its order.
    pub fn instances(&self) -> &[InstanceReport] {
        &self.instances
    }

    /// Every planned partition, in the plan's order.
    pub fn partitions(&self) -> &[PartitionOutcome] {
        &self.partitions
    }

    /// Partitions of the plan's instances that were not planned and are gone as well. Nothing that was asked contained
    /// one of them when it was asked: somebody else retired or merged them meanwhile.
    pub fn unplanned(&self) -> &[Partition] {
        &self.unplanned
    }

    /// Partitions of the plan's instances that were written after the plan was made, and were left alone.
    pub fn appeared(&self) -> &[Partition] {
        &self.appeared
    }

    /// The first failure that the server told, if it told any.
    pub fn first_failure(&self) -> Option<&Failure> {
        let mut failures = self.instances.iter().flat_map(|instance| &instance.failures);
        failures.next().or(self.unverified.as_ref())
    }

    pub(crate) fn note_unrecorded(&mut self, failure: Failure) {
        self.unrecorded.get_or_insert(failure);
    }

    /// The numbers in the plan of the partitions that are still there.
    pub(crate) fn remaining_numbers(&self) -> Vec<usize> {
        let numbered = self.partitions.iter().enumerate();
        numbered
            .filter(|(_, partition)| matches!(partition.outcome, Outcome::Remaining(_)))
            .map(|(number, _)| number)
            .collect()
    }
}

/// How many partitions came to which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeCounts {
    /// Were listed before, and are not any more.
    pub retired: u64,
    /// Are still listed.
    pub remaining: u64,
    /// May be either, since the partitions could not be listed again.
    pub unknown: u64,
    /// Were gone before they were asked for.
    pub already_gone: u64,
    /// Were not planned, and are gone as well.
    #[serde(rename = "unplanned_gone")]
    pub unplanned: u64,
}

impl OutcomeCounts {
    fn add(&mut self, other: &Self) {
        self.retired += other.retired;
        self.remaining += other.remaining;
        self.unknown += other.unknown;
        self.already_gone += other.already_gone;
        self.unplanned += other.unplanned;
    }
}

/// What came of one planned partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionOutcome {
    /// The partition, as it was planned.
    #[serde(flatten)]
    pub partition: Partition,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What the server said about it, when that was not just that it is retired.
    #[serde(rename = "server_said")]
    pub said: Option<String>,
    #[serde(skip)]
    failure: Option<Failure>,
}

/// What became of a planned partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "snake_case")]
pub enum Outcome {
    /// It was listed, was asked for by this run or an earlier one of the same journal, and is not listed any more.
    Retired,
    /// It was gone before it was asked for, or was written anew, which makes it another.
    AlreadyGone,
    /// It is still listed.
    Remaining(StillThere),
    /// The partitions could not be listed again.
    Unknown,
}

/// Why a planned partition is still listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StillThere {
    /// The server's answer ended well, and the partition is there: a failure that the server only logged.
    Swallowed,
    /// The server's answer was an error.
    Failed,
    /// A partition has appeared within its range that was not planned, and the server could not retire one without the
    /// other.
    Inseparable,
    /// The work was ended before the server was asked.
    NotAsked,
}

/// What came of the plan for one view instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceReport {
    #[serde(flatten)]
    instance: ViewInstance,
    #[serde(flatten)]
    counts: OutcomeCounts,
    found_too_many: u64,
    failures: Vec<Failure>,
    #[serde(flatten)]
    messages: Messages,
}

impl InstanceReport {
    fn new(instance: ViewInstance, outcomes: &[PartitionOutcome], ranges: Vec<RangeAnswer>) -> Self {
        let mut counts = OutcomeCounts::default();
        for outcome in outcomes {
            match outcome.outcome {
                Outcome::Retired => counts.retired += 1,
                Outcome::AlreadyGone => counts.already_gone += 1,
                Outcome::Remaining(_) => counts.remaining += 1,
                Outcome::Unknown => counts.unknown += 1,
            }
        }
        let mut failures: Vec<Failure> = Vec::new();
        for outcome in outcomes {
            if let Some(failure) = &outcome.failure
                && !failures.contains(failure)
            {
                failures.push(failure.clone());
            }
        }
        let found_too_many = ranges.iter().map(|range| range.found_too_many).sum();
        let mut messages = Messages::default();
        ranges.into_iter().for_each(|range| messages.append(range.messages));
        Self {
            instance,
            counts,
            found_too_many,
            failures,
            messages,
        }
    }

    /// The instance.
    pub fn instance(&self) -> &ViewInstance {
        &self.instance
    }

    /// How many of its partitions came to which end.
    pub fn counts(&self) -> OutcomeCounts {
        self.counts
    }

    /// How many partitions more than planned the server said that it found in a range: some had appeared in it after it
    /// was last looked at, and were retired with the rest. Cannot be where partitions are retired by name.
    pub fn found_too_many(&self) -> u64 {
        self.found_too_many
    }

    /// What failed, each once.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// What the server said about its ranges.
    pub fn messages(&self) -> &Messages {
        &self.messages
    }
}

/// An error as a report keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    #[serde(serialize_with = "as_words")]
    kind: ErrorKind,
    message: String,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: String) -> Self {
        Self { kind, message }
    }

    pub(crate) fn of(error: &Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }

    /// The kind, to match on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message for a person.
    pub fn message(&self) -> &str {
        &self.message
    }
}

fn as_words<S: Serializer>(kind: &ErrorKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

/// The two listings that a report goes by.
pub(crate) struct Evidence<'a> {
    pub(crate) before: &'a [Partition],
    pub(crate) after: Result<Vec<Partition>>,
    pub(crate) drift: Drift,
}

struct Seen<'a> {
    after: Option<HashSet<Identity<'a>>>,
}

impl<'a> Seen<'a> {
    fn new(evidence: &'a Evidence<'_>) -> Self {
        let after = evidence.after.as_ref().ok();
        Self {
            after: after.map(|after| after.iter().map(identity).collect()),
        }
    }

    fn is_gone(&self, partition: &Partition) -> bool {
        self.after
            .as_ref()
            .is_some_and(|after| !after.contains(&identity(partition)))
    }

    fn outcome(&self, partition: &Partition, start: Start, told: Option<&Told>) -> Outcome {
        match (start, told) {
            (Start::Gone, _) => return Outcome::AlreadyGone,
            (Start::DoneEarlier, _) => return Outcome::Retired,
            _ if self.after.is_none() => return Outcome::Unknown,
            (_, Some(Told::NotFound(_))) if self.is_gone(partition) => return Outcome::AlreadyGone,
            _ if self.is_gone(partition) => return Outcome::Retired,
            _ => {}
        }
        Outcome::Remaining(match (start, told) {
            (Start::AnsweredEarlier, _) | (_, Some(Told::Retired | Told::NotFound(_))) => StillThere::Swallowed,
            (_, Some(Told::Failed(_))) => StillThere::Failed,
            (Start::Inseparable, None) => StillThere::Inseparable,
            (_, None) => StillThere::NotAsked,
        })
    }
}

/// What the plan's instances lost besides what was planned.
fn unplanned(
    work: &Work<'_>,
    instances: &[InstanceReport],
    seen: &Seen<'_>,
    evidence: &Evidence<'_>,
) -> Vec<Partition> {
    let planned: HashSet<Identity<'_>> = work.planned.iter().map(|partition| identity(partition)).collect();
    let instances: HashSet<&ViewInstance> = instances.iter().map(|report| &report.instance).collect();
    let gone = evidence
        .before
        .iter()
        .filter(|partition| seen.is_gone(partition) && !planned.contains(&identity(partition)));
    gone.filter(|partition| instances.contains(&ViewInstance::of(partition)))
        .cloned()
        .collect()
}

fn count_unplanned(instances: &mut [InstanceReport], unplanned: &[Partition]) {
    let mut counts: HashMap<ViewInstance, u64> = HashMap::new();
    for partition in unplanned {
        *counts.entry(ViewInstance::of(partition)).or_default() += 1;
    }
    for instance in instances {
        instance.counts.unplanned = counts.get(&instance.instance).copied().unwrap_or(0);
    }
}
