//! A retirement as a value, before anything is retired.

use std::fmt;

use chrono::{DateTime, Utc};
use lakepilot_catalog::Partition;
use serde::{Deserialize, Serialize};

use crate::{Capabilities, Guards, RetentionPolicy, RetirementRange, Selection};

/// One instance of one view set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewInstance {
    /// The view set: `log_entries`, `thread_spans`, ...
    pub view_set_name: String,
    /// `global`, the id of a process, or the id of a stream.
    pub view_instance_id: String,
}

impl ViewInstance {
    /// The instance with this id of this view set.
    pub fn new(view_set_name: impl Into<String>, view_instance_id: impl Into<String>) -> Self {
        Self {
            view_set_name: view_set_name.into(),
            view_instance_id: view_instance_id.into(),
        }
    }

    /// The instance that a partition belongs to.
    pub fn of(partition: &Partition) -> Self {
        Self::new(&partition.view_set_name, &partition.view_instance_id)
    }
}

impl fmt::Display for ViewInstance {
    /// `view set/instance`, where characters that a terminal would act on are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, text) in [("", &self.view_set_name), ("/", &self.view_instance_id)] {
            f.write_str(part)?;
            for character in text.chars() {
                if character.is_control() {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    write!(f, "{character}")?;
                }
            }
        }
        Ok(())
    }
}

/// What a plan was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// What was selected.
    Selection(Selection),
    /// The rules of a retention policy.
    Retention(RetentionPolicy),
}

/// What would be retired, instance by instance, as it stood in the catalogue when the plan was made.
///
/// Only [`PartitionAdmin`](crate::PartitionAdmin) makes one, so a plan that exists has passed the guards. It acts on
/// nothing by itself: a dry run is to show it. It can be [saved](Self::save) and [loaded](Self::load) by another program
/// run; what was changed in between is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetirementPlan {
    pub(crate) content: PlanContent,
    pub(crate) digest: String,
}

/// Everything in a plan but the digest over it, in the order in which it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanContent {
    pub(crate) server: Option<String>,
    pub(crate) made_at: DateTime<Utc>,
    pub(crate) basis: Basis,
    pub(crate) guards: Guards,
    pub(crate) capabilities: Capabilities,
    pub(crate) partitions_digest: String,
    pub(crate) totals: PlanTotals,
    pub(crate) instances: Vec<InstancePlan>,
}

impl RetirementPlan {
    /// Where the plan belongs: the server as it was named to the [`PartitionAdmin`](crate::PartitionAdmin) that made it.
    pub fn server(&self) -> Option<&str> {
        self.content.server.as_deref()
    }

    /// When the plan was made.
    pub fn made_at(&self) -> DateTime<Utc> {
        self.content.made_at
    }

    /// What it was made from.
    pub fn basis(&self) -> &Basis {
        &self.content.basis
    }

    /// The guards that it passed.
    pub fn guards(&self) -> &Guards {
        &self.content.guards
    }

    /// What the server offered to retire partitions with.
    pub fn capabilities(&self) -> Capabilities {
        self.content.capabilities
    }

    /// The digest of everything in the plan: `sha256:` and 64 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The digest of the partitions that it would retire, all that the catalogue tells of them.
    pub fn partitions_digest(&self) -> &str {
        &self.content.partitions_digest
    }

    /// The sums over all instances.
    pub fn totals(&self) -> PlanTotals {
        self.content.totals
    }

    /// The instances by view set and id, in the order in which the server will be asked. Among them are those of which
    /// everything stays.
    pub fn instances(&self) -> &[InstancePlan] {
        &self.content.instances
    }

    /// Every partition that goes, in the plan's order.
    pub fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.instances().iter().flat_map(|instance| &instance.partitions)
    }

    /// Whether there is nothing to retire.
    pub fn is_empty(&self) -> bool {
        self.totals().partitions == 0
    }

    /// Whether it takes partitions of the instance `global`.
    pub fn takes_global(&self) -> bool {
        self.partitions().any(Partition::is_global)
    }
}

/// The sums of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanTotals {
    /// How many view instances lose partitions.
    pub instances: u64,
    /// How many partitions go.
    pub partitions: u64,
    /// How many rows those have.
    pub rows: u64,
    /// The size of their files in bytes.
    pub file_size_bytes: u64,
    /// How many partitions were selected, or lie over the edge of what was selected, and stay.
    pub staying: u64,
}

/// What would be retired of one view instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstancePlan {
    #[serde(flatten)]
    pub(crate) instance: ViewInstance,
    pub(crate) summary: InstanceSummary,
    /// The latest date of a partition of the instance, by the server's clock: what is dated later was written later.
    pub(crate) latest_update: Option<DateTime<Utc>>,
    pub(crate) requests: Vec<Request>,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) staying: Vec<StayingPartition>,
}

/// The sums of the partitions of one view instance that go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSummary {
    /// How many partitions go.
    pub partitions: u64,
    /// How many rows those have.
    pub rows: u64,
    /// The size of their files in bytes.
    pub file_size_bytes: u64,
    /// From their first insert time to the last.
    pub insert_range: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// From the first event time of their rows to the last.
    pub event_range: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl InstanceSummary {
    fn of(partitions: &[Partition]) -> Self {
        let sum = |value: fn(&Partition) -> u64| partitions.iter().map(value).fold(0, u64::saturating_add);
        let begin = partitions.iter().map(|partition| partition.begin_insert_time).min();
        let end = partitions.iter().map(|partition| partition.end_insert_time).max();
        let first = partitions.iter().filter_map(|partition| partition.min_event_time).min();
        let last = partitions.iter().filter_map(|partition| partition.max_event_time).max();
        Self {
            partitions: partitions.len() as u64,
            rows: sum(|partition| partition.num_rows),
            file_size_bytes: sum(|partition| partition.file_size_bytes),
            insert_range: begin.zip(end),
            event_range: first.zip(last),
        }
    }
}

/// What will be asked of the server for a view instance.
///
/// Requests by file and by metadata name each partition; those that follow each other, also of several instances, are
/// sent together in statements of [so many](crate::ApplyOptions::with_statement_size) partitions, each a transaction.
/// A request by range is a statement of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Request {
    /// Each partition by its file.
    File {
        /// How many partitions.
        partitions: u64,
    },
    /// Each partition by its metadata.
    Metadata {
        /// How many partitions.
        partitions: u64,
    },
    /// Whatever lies in a range, which at the time of the plan was this many partitions, all of them planned.
    Range {
        /// The range.
        #[serde(flatten)]
        range: RetirementRange,
        /// How many partitions.
        partitions: u64,
    },
}

/// A partition that was selected, or nearly, and stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StayingPartition {
    /// Why it stays.
    pub reason: StayReason,
    /// The partition.
    #[serde(flatten)]
    pub partition: Partition,
}

/// Why a partition stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StayReason {
    /// It straddles an edge of the times that were selected.
    Straddling,
    /// It is of the instance `global`, which was not named.
    GlobalNotNamed,
    /// It is on the list of what no plan may touch.
    Protected,
    /// It is one of the newest of its instance.
    Newest,
    /// Its insert time ended too short a time ago.
    TooYoung,
    /// The server can only be asked by range, and another partition that is to stay lies within its own.
    Inseparable,
}

impl StayReason {
    /// The reason as a few words for a person: `"younger than the minimum age"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Straddling => "over the edge of the times",
            Self::GlobalNotNamed => "global, which was not named",
            Self::Protected => "protected",
            Self::Newest => "among the newest that are kept",
            Self::TooYoung => "younger than the minimum age",
            Self::Inseparable => "not to be had without another",
        }
    }
}

impl InstancePlan {
    pub(crate) fn new(
        instance: ViewInstance,
        latest_update: Option<DateTime<Utc>>,
        requests: Vec<Request>,
        partitions: Vec<Partition>,
        staying: Vec<StayingPartition>,
    ) -> Self {
        Self {
            instance,
            summary: InstanceSummary::of(&partitions),
            latest_update,
            requests,
            partitions,
            staying,
        }
    }

    /// The instance.
    pub fn instance(&self) -> &ViewInstance {
        &self.instance
    }

    /// The sums of the partitions that go.
    pub fn summary(&self) -> InstanceSummary {
        self.summary
    }

    /// The partitions that go, by insert time.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// What will be asked of the server, in order.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// The partitions that were selected, or lie over the edge of what was, and stay.
    pub fn staying(&self) -> &[StayingPartition] {
        &self.staying
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_act_on_a_terminal() {
        let instance = ViewInstance::new("log\n", "\u{1b}[31m漢");
        assert_eq!(instance.to_string(), "log\\n/\\u{1b}[31m漢");
    }
}
