//! A retirement as a value, before anything is retired.

use std::fmt;

use chrono::{DateTime, Utc};
use lakepilot_catalog::{GLOBAL_INSTANCE, Partition};
use serde::Serialize;

use crate::{RetirementRange, Selection};

/// One instance of one view set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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

/// What would be retired, instance by instance, as it stood in the catalogue when the plan was made.
///
/// Only [`PartitionAdmin`](crate::PartitionAdmin) makes one, so a plan that exists has passed the guards. It acts on
/// nothing by itself: a dry run is to show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RetirementPlan {
    selection: Selection,
    totals: PlanTotals,
    instances: Vec<InstancePlan>,
}

impl RetirementPlan {
    pub(crate) fn new(selection: Selection, instances: Vec<InstancePlan>) -> Self {
        let sum = |value: fn(&InstancePlan) -> u64| instances.iter().map(value).fold(0, u64::saturating_add);
        let totals = PlanTotals {
            instances: instances.iter().filter(|instance| !instance.ranges.is_empty()).count() as u64,
            partitions: sum(|instance| instance.partitions.len() as u64),
            rows: sum(InstancePlan::rows),
            file_size_bytes: sum(InstancePlan::file_size_bytes),
            straddling: sum(|instance| instance.straddling.len() as u64),
            inseparable: sum(|instance| instance.inseparable.len() as u64),
        };
        Self {
            selection,
            totals,
            instances,
        }
    }

    /// What was asked for.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The sums over all instances.
    pub fn totals(&self) -> PlanTotals {
        self.totals
    }

    /// The instances by view set and id, in the order in which the server will be asked. Among them are those of which
    /// everything stays.
    pub fn instances(&self) -> &[InstancePlan] {
        &self.instances
    }

    /// Whether there is nothing to retire.
    pub fn is_empty(&self) -> bool {
        self.totals.partitions == 0
    }

    /// Whether it takes partitions of the instance `global`.
    pub fn takes_global(&self) -> bool {
        self.instances
            .iter()
            .any(|plan| plan.instance.view_instance_id == GLOBAL_INSTANCE && !plan.partitions.is_empty())
    }
}

/// The sums of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlanTotals {
    /// How many view instances lose partitions.
    pub instances: u64,
    /// How many partitions go.
    pub partitions: u64,
    /// How many rows those have.
    pub rows: u64,
    /// The size of their files in bytes.
    pub file_size_bytes: u64,
    /// How many partitions straddle an edge of what was selected, and therefore stay.
    pub straddling: u64,
    /// How many partitions were selected and stay, because the server could not retire them without another.
    pub inseparable: u64,
}

/// What would be retired of one view instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstancePlan {
    #[serde(flatten)]
    pub(crate) instance: ViewInstance,
    pub(crate) ranges: Vec<RetirementRange>,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) straddling: Vec<Partition>,
    pub(crate) inseparable: Vec<Partition>,
}

impl InstancePlan {
    /// The instance.
    pub fn instance(&self) -> &ViewInstance {
        &self.instance
    }

    /// The partitions that go, by insert time.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// The ranges that the server will be asked to retire, in order, each in a transaction of its own. More than one
    /// where something that stays lies in between.
    pub fn ranges(&self) -> &[RetirementRange] {
        &self.ranges
    }

    /// The partitions that straddle an edge of what was selected, and therefore stay.
    pub fn straddling(&self) -> &[Partition] {
        &self.straddling
    }

    /// The partitions that were selected and stay, because another one that was not lies within their range.
    pub fn inseparable(&self) -> &[Partition] {
        &self.inseparable
    }

    /// How many rows go.
    pub fn rows(&self) -> u64 {
        self.partitions
            .iter()
            .map(|partition| partition.num_rows)
            .fold(0, u64::saturating_add)
    }

    /// The size of the files that go, in bytes.
    pub fn file_size_bytes(&self) -> u64 {
        self.partitions
            .iter()
            .map(|partition| partition.file_size_bytes)
            .fold(0, u64::saturating_add)
    }

    /// From the first insert time to the last of the partitions that go; `None` when none go.
    pub fn insert_range(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let begin = self
            .partitions
            .iter()
            .map(|partition| partition.begin_insert_time)
            .min()?;
        let end = self
            .partitions
            .iter()
            .map(|partition| partition.end_insert_time)
            .max()?;
        Some((begin, end))
    }

    /// From the first event time to the last of the rows that go; `None` when there are none.
    pub fn event_range(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let begin = self
            .partitions
            .iter()
            .filter_map(|partition| partition.min_event_time)
            .min()?;
        let end = self
            .partitions
            .iter()
            .filter_map(|partition| partition.max_event_time)
            .max()?;
        Some((begin, end))
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
