//! How far a lake has moved since a plan was made.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use lakepilot_catalog::{GLOBAL_INSTANCE, Partition, PartitionFilter};
use lakepilot_query::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::journal::Step;
use crate::planner::{Identity, identity};
use crate::saved::partitions_digest;
use crate::{PartitionAdmin, RetirementPlan, ViewInstance};

/// What has changed in the view instances of a plan since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Planned partitions that are not there any more.
    pub gone: Vec<Partition>,
    /// Planned partitions, as they were planned, in whose place there is another one now.
    pub changed: Vec<Partition>,
    /// Partitions that were written since. They are left alone.
    pub appeared: Vec<Partition>,
}

impl Drift {
    /// Whether the partitions of the plan are all there, as they were.
    pub fn is_none(&self) -> bool {
        self.gone.is_empty() && self.changed.is_empty()
    }

    pub(crate) fn refusal(&self) -> Error {
        let first = self.gone.first().or(self.changed.first());
        let example = first.map_or_else(String::new, |partition| {
            format!(
                " (the first is {} from {})",
                ViewInstance::of(partition),
                lakepilot_query::to_rfc3339(partition.begin_insert_time)
            )
        });
        Error::new(
            ErrorKind::InvalidInput,
            format!(
                "the lake is not as it was when the plan was made: {} of its partitions are gone, {} were written \
                 anew{example}; nothing was asked for; make a new plan",
                self.gone.len(),
                self.changed.len()
            ),
        )
    }
}

impl PartitionAdmin {
    /// Compares a plan with the lake as it is.
    ///
    /// # Errors
    /// Those of listing partitions.
    pub async fn drift(&self, plan: &RetirementPlan) -> Result<Drift> {
        let listed = self.catalog().partitions(&listing_of(plan)).await?;
        drift(plan, &vec![Step::Open; plan.partitions().count()], &listed)
    }
}

/// What has changed, where `steps` tells how far an earlier run has come: what is gone because it was asked for then is no
/// drift.
pub(crate) fn drift(plan: &RetirementPlan, steps: &[Step], listed: &[Partition]) -> Result<Drift> {
    let there: HashMap<Identity<'_>, &Partition> = listed
        .iter()
        .map(|partition| (identity(partition), partition))
        .collect();
    let places: HashSet<Place<'_>> = listed.iter().map(place).collect();
    let mut drift = Drift {
        appeared: appeared(plan, listed),
        ..Drift::default()
    };
    // One comparison tells that nothing has changed, which is the usual case.
    let as_they_are = plan
        .partitions()
        .filter_map(|planned| there.get(&identity(planned)).copied());
    if partitions_digest(as_they_are)? == plan.partitions_digest() {
        return Ok(drift);
    }
    for (planned, step) in plan.partitions().zip(steps) {
        match there.get(&identity(planned)) {
            Some(partition) if *partition == planned => {}
            Some(_) => drift.changed.push(planned.clone()),
            None if *step != Step::Open => {}
            None if places.contains(&place(planned)) => drift.changed.push(planned.clone()),
            None => drift.gone.push(planned.clone()),
        }
    }
    Ok(drift)
}

type Place<'a> = (&'a str, &'a str, DateTime<Utc>, DateTime<Utc>);

fn place(partition: &Partition) -> Place<'_> {
    (
        &partition.view_set_name,
        &partition.view_instance_id,
        partition.begin_insert_time,
        partition.end_insert_time,
    )
}

/// What was written to the plan's instances after they were listed for it, by the server's own dates.
fn appeared(plan: &RetirementPlan, listed: &[Partition]) -> Vec<Partition> {
    let known: HashSet<Identity<'_>> = plan
        .instances()
        .iter()
        .flat_map(|instance| {
            instance
                .partitions
                .iter()
                .chain(instance.staying.iter().map(|stays| &stays.partition))
        })
        .map(identity)
        .collect();
    let latest: HashMap<&ViewInstance, Option<DateTime<Utc>>> = plan
        .instances()
        .iter()
        .filter(|instance| !instance.partitions.is_empty())
        .map(|instance| (&instance.instance, instance.latest_update))
        .collect();
    let is_new = |partition: &&Partition| {
        latest
            .get(&ViewInstance::of(partition))
            .is_some_and(|latest| latest.is_none_or(|latest| partition.updated > latest))
            && !known.contains(&identity(partition))
    };
    listed.iter().filter(is_new).cloned().collect()
}

/// Everything in the instances that lose partitions, and nothing planned means nothing to list.
pub(crate) fn listing_of(plan: &RetirementPlan) -> PartitionFilter {
    let concerned = || {
        plan.instances()
            .iter()
            .filter(|instance| !instance.partitions.is_empty())
    };
    let names = |name: fn(&ViewInstance) -> &String| -> HashSet<String> {
        concerned().map(|plan| name(&plan.instance).clone()).collect()
    };
    let filter = PartitionFilter::all()
        .with_view_sets(names(|instance| &instance.view_set_name))
        .with_instances(names(|instance| &instance.view_instance_id));
    let global = concerned().any(|plan| plan.instance.view_instance_id == GLOBAL_INSTANCE);
    if global { filter } else { filter.non_global() }
}
