//! Where the partitions of a plan are, at any later time.

use std::collections::HashSet;

use lakepilot_catalog::Partition;
use lakepilot_query::Result;
use serde::Serialize;

use crate::drift::listing_of;
use crate::planner::{Identity, identity};
use crate::{PartitionAdmin, RetirementPlan, ViewInstance};

/// Where the partitions of a plan are, as one listing shows it. Who retired them it does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    complete: bool,
    retired: u64,
    remaining: u64,
    unknown: u64,
    plan: String,
    server: Option<String>,
    partitions: Vec<VerifiedPartition>,
}

/// A planned partition, and whether it is still listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerifiedPartition {
    /// The partition, as it was planned.
    #[serde(flatten)]
    pub partition: Partition,
    /// Whether it is still there.
    pub outcome: Presence,
}

/// Whether a partition is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It is not listed any more; another one may have been written in its place.
    Retired,
    /// It is listed.
    Remaining,
}

impl Verification {
    /// Whether every planned partition is gone.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How many planned partitions are gone.
    pub fn retired(&self) -> u64 {
        self.retired
    }

    /// How many are still listed.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The digest of the plan.
    pub fn plan_digest(&self) -> &str {
        &self.plan
    }

    /// Every planned partition, in the plan's order.
    pub fn partitions(&self) -> &[VerifiedPartition] {
        &self.partitions
    }

    /// How many partitions of each view instance are gone, and how many are still listed, in the plan's order.
    pub fn instances(&self) -> Vec<(ViewInstance, u64, u64)> {
        let mut instances: Vec<(ViewInstance, u64, u64)> = Vec::new();
        for verified in &self.partitions {
            let instance = ViewInstance::of(&verified.partition);
            if instances.last().is_none_or(|(last, ..)| *last != instance) {
                instances.push((instance, 0, 0));
            }
            if let Some((_, retired, remaining)) = instances.last_mut() {
                match verified.outcome {
                    Presence::Retired => *retired += 1,
                    Presence::Remaining => *remaining += 1,
                }
            }
        }
        instances
    }
}

impl PartitionAdmin {
    /// Looks where the partitions of a plan are now. Nothing is asked for.
    ///
    /// # Errors
    /// `InvalidInput` when the plan is for another server; those of listing partitions.
    pub async fn verify(&self, plan: &RetirementPlan) -> Result<Verification> {
        self.check_server(plan)?;
        let listed = self.catalog().partitions(&listing_of(plan)).await?;
        let there: HashSet<Identity<'_>> = listed.iter().map(identity).collect();
        let partitions: Vec<VerifiedPartition> = plan
            .partitions()
            .map(|partition| VerifiedPartition {
                partition: partition.clone(),
                outcome: if there.contains(&identity(partition)) {
                    Presence::Remaining
                } else {
                    Presence::Retired
                },
            })
            .collect();
        let remaining = partitions
            .iter()
            .filter(|verified| verified.outcome == Presence::Remaining)
            .count() as u64;
        Ok(Verification {
            complete: remaining == 0,
            retired: partitions.len() as u64 - remaining,
            remaining,
            unknown: 0,
            plan: plan.digest().to_owned(),
            server: plan.server().map(str::to_owned),
            partitions,
        })
    }
}
