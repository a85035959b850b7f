//! What came of a plan, as the catalogue shows it.

use std::collections::{HashMap, HashSet};

use lakepilot_catalog::Partition;
use lakepilot_query::{Error, ErrorKind, Result};
use serde::{Serialize, Serializer};

use crate::apply::Answer;
use crate::messages::Messages;
use crate::planner::{Identity, identity};
use crate::{InstancePlan, ViewInstance};

/// What came of a plan. It goes by two listings, one before the first range was asked and one after the last was
/// answered, and not by what the server said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetirementReport {
    complete: bool,
    #[serde(flatten)]
    counts: OutcomeCounts,
    unverified: Option<Failure>,
    instances: Vec<InstanceReport>,
    partitions: Vec<PartitionOutcome>,
    unplanned: Vec<Partition>,
}

impl RetirementReport {
    pub(crate) fn new(concerned: &[&InstancePlan], answers: Vec<Answer>, evidence: &Evidence) -> Self {
        let seen = Seen::new(evidence);
        let mut partitions = Vec::new();
        let mut instances = Vec::with_capacity(concerned.len());
        for (plan, answer) in concerned.iter().zip(answers) {
            let outcomes = plan.partitions.iter().map(|partition| PartitionOutcome {
                partition: partition.clone(),
                outcome: seen.outcome(partition, &answer),
            });
            let first = partitions.len();
            partitions.extend(outcomes);
            instances.push(InstanceReport::new(plan.instance.clone(), &partitions[first..], answer));
        }
        let unplanned = unplanned(concerned, &seen, evidence);
        count_unplanned(&mut instances, &unplanned);
        let mut counts = OutcomeCounts::default();
        instances.iter().for_each(|instance| counts.add(&instance.counts));
        Self {
            complete: counts.remaining == 0 && counts.unknown == 0,
            counts,
            unverified: evidence.after.as_ref().err().map(Failure::of),
            instances,
            partitions,
            unplanned,
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

    /// Why nothing could be seen afterwards, when the partitions could not be listed again. All of them are unknown then.
    pub fn unverified(&self) -> Option<&Failure> {
        self.unverified.as_ref()
    }

    /// The instances of the plan, in its order.
    pub fn instances(&self) -> &[InstanceReport] {
        &self.instances
    }

    /// Every planned partition, in the plan's order.
    pub fn partitions(&self) -> &[PartitionOutcome] {
        &self.partitions
    }

    /// Partitions of the plan's instances that were not planned and are gone as well. No range that was asked contained
    /// one of them when it was asked: somebody else retired or merged them meanwhile.
    pub fn unplanned(&self) -> &[Partition] {
        &self.unplanned
    }

    /// The first failure that the server told, if it told any.
    pub fn first_failure(&self) -> Option<&Failure> {
        let mut failures = self.instances.iter().flat_map(|instance| &instance.failures);
        failures.next().or(self.unverified.as_ref())
    }
}

/// How many partitions came to which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutcomeCounts {
    /// Were listed before, and are not any more.
    pub retired: u64,
    /// Are still listed.
    pub remaining: u64,
    /// May be either, since the partitions could not be listed again.
    pub unknown: u64,
    /// Were gone before the first range was asked.
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
}

/// What became of a planned partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "snake_case")]
pub enum Outcome {
    /// It was listed before, and is not any more.
    Retired,
    /// It was gone before the first range was asked, or was written anew, which makes it another.
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
    fn new(instance: ViewInstance, outcomes: &[PartitionOutcome], answer: Answer) -> Self {
        let mut counts = OutcomeCounts::default();
        for outcome in outcomes {
            match outcome.outcome {
                Outcome::Retired => counts.retired += 1,
                Outcome::AlreadyGone => counts.already_gone += 1,
                Outcome::Remaining(_) => counts.remaining += 1,
                Outcome::Unknown => counts.unknown += 1,
            }
        }
        Self {
            instance,
            counts,
            found_too_many: answer.found_too_many,
            failures: answer.failed.iter().map(|(_, error)| Failure::of(error)).collect(),
            messages: answer.messages,
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

    /// How many partitions more than planned the server said that it found: some had appeared in a range after it was
    /// last looked at, and were retired with the rest.
    pub fn found_too_many(&self) -> u64 {
        self.found_too_many
    }

    /// What failed, one entry a range.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// What the server said.
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
    fn of(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
        }
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
pub(crate) struct Evidence {
    pub(crate) before: Vec<Partition>,
    pub(crate) after: Result<Vec<Partition>>,
}

struct Seen<'a> {
    before: HashSet<Identity<'a>>,
    after: Option<HashSet<Identity<'a>>>,
}

impl<'a> Seen<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        Self {
            before: evidence.before.iter().map(identity).collect(),
            after: evidence
                .after
                .as_ref()
                .ok()
                .map(|after| after.iter().map(identity).collect()),
        }
    }

    fn is_gone(&self, partition: &Partition) -> bool {
        self.after
            .as_ref()
            .is_some_and(|after| !after.contains(&identity(partition)))
    }

    fn outcome(&self, partition: &Partition, answer: &Answer) -> Outcome {
        if !self.before.contains(&identity(partition)) {
            return Outcome::AlreadyGone;
        }
        if self.after.is_none() {
            return Outcome::Unknown;
        }
        if self.is_gone(partition) {
            return Outcome::Retired;
        }
        Outcome::Remaining(if answer.answered.iter().any(|range| range.takes(partition)) {
            StillThere::Swallowed
        } else if answer.failed.iter().any(|(range, _)| range.takes(partition)) {
            StillThere::Failed
        } else if answer.ranges.iter().any(|range| range.takes(partition)) {
            StillThere::NotAsked
        } else {
            StillThere::Inseparable
        })
    }
}

/// What the plan's instances lost besides what was planned.
fn unplanned(concerned: &[&InstancePlan], seen: &Seen<'_>, evidence: &Evidence) -> Vec<Partition> {
    let planned: HashSet<Identity<'_>> = concerned
        .iter()
        .flat_map(|plan| &plan.partitions)
        .map(identity)
        .collect();
    let instances: HashSet<&ViewInstance> = concerned.iter().map(|plan| &plan.instance).collect();
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
