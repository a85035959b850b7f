//! Making plans from the catalogue.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use lakepilot_catalog::{Partition, PartitionFilter, ProcessFilter, StreamFilter};
use lakepilot_query::{Error, ErrorKind, Result, TimeRange};

use crate::guards::newest;
use crate::method::requests;
use crate::plan::PlanContent;
use crate::saved::partitions_digest;
use crate::selection::Place;
use crate::{
    Basis, Capabilities, Facts, Guards, InstancePlan, PartitionAdmin, PlanTotals, RetentionPolicy, RetirementPlan,
    Selection, StayReason, StayingPartition, ViewInstance,
};

impl PartitionAdmin {
    /// The partitions that are selected, ordered by view set, instance and insert time; `global` is among them unless it
    /// was left out.
    ///
    /// # Errors
    /// As [`facts`](Self::facts), and those of listing partitions.
    pub async fn list(&self, selection: &Selection) -> Result<Vec<Partition>> {
        let facts = self.facts(selection).await?;
        let mut partitions = self.catalog().partitions(&selection.filter(&facts)).await?;
        partitions.retain(|partition| selection.matches(partition, &facts));
        Ok(partitions)
    }

    /// Looks up what a selection goes by beside the partitions: the streams of its process, the schemas of view sets, the
    /// processes that there are.
    ///
    /// # Errors
    /// Those of the catalogue. `NotFound` when processes that are gone were asked for and the lake lists none at all:
    /// everything would be taken for theirs.
    pub async fn facts(&self, selection: &Selection) -> Result<Facts> {
        let needs = selection.needs();
        let mut facts = Facts::default();
        if let Some(process_id) = needs.streams_of {
            let streams = self.catalog().streams_of_process(process_id).await?;
            facts.streams_of_process = streams.into_iter().map(|stream| stream.stream_id).collect();
        }
        if needs.schema_hashes {
            let view_sets = self.catalog().view_sets().await?.into_iter();
            facts.schema_hashes = view_sets
                .map(|view_set| (view_set.name, view_set.current_schema_hash))
                .collect();
        }
        if needs.known_instances {
            facts.known_instances = self.known_instances().await?;
        }
        Ok(facts)
    }

    /// The processes that the lake knows, and their streams. A stream of a process that is gone is gone with it.
    async fn known_instances(&self) -> Result<HashSet<String>> {
        let processes = self.catalog().processes(&ProcessFilter::all()).await?;
        if processes.is_empty() {
            return Err(Error::new(
                ErrorKind::NotFound,
                "the lake lists no process at all, so that every instance would count as one of a process that is gone; \
                 materialise the view processes first",
            ));
        }
        let mut known: HashSet<String> = processes.into_iter().map(|process| process.process_id).collect();
        let streams = self.catalog().streams(&StreamFilter::all()).await?.into_iter();
        // A stream that does not tell its process may belong to one that is there.
        let of_known: Vec<String> = streams
            .filter(|stream| stream.process_id.as_ref().is_none_or(|process| known.contains(process)))
            .map(|stream| stream.stream_id)
            .collect();
        known.extend(of_known);
        Ok(known)
    }

    /// Plans the retirement of what is selected, within the [guards](Self::with_guards). Nothing is retired.
    ///
    /// # Errors
    /// As [`facts`](Self::facts) and [`capabilities`](Self::capabilities), those of listing partitions, and
    /// `InvalidInput` when the plan is beyond a limit.
    pub async fn plan(&self, selection: Selection) -> Result<RetirementPlan> {
        let facts = self.facts(&selection).await?;
        let filter = selection.filter_of_instances(&facts);
        let chosen = |partitions: &[Partition]| -> Chosen {
            let place = |partition: &Partition| {
                if !selection.is_of(partition, &facts) || !selection.has_traits(partition, &facts) {
                    return Fate::Unconcerned;
                }
                match selection.place(partition) {
                    Place::Within if partition.is_global() && !selection.names_global() => {
                        Fate::Stays(StayReason::GlobalNotNamed)
                    }
                    Place::Within => Fate::Goes,
                    Place::Straddling => Fate::Stays(StayReason::Straddling),
                    Place::Outside => Fate::Unconcerned,
                }
            };
            Chosen {
                fates: partitions.iter().map(place).collect(),
                keep_newest: 0,
            }
        };
        let guards = self.guards().clone();
        let instances = self.plan_instances(&filter, &guards, chosen).await?;
        self.seal(Basis::Selection(selection), guards, instances)
    }

    /// Plans the retirement of what a retention policy does not keep. Nothing is retired.
    ///
    /// Its own guards hold, and what the guards of this administration protect is left alone as well.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn plan_retention(&self, policy: &RetentionPolicy) -> Result<RetirementPlan> {
        let now = self.now();
        let guards = self.guards().with_limits_of(policy.guards());
        let chosen = |partitions: &[Partition]| policy.choose(partitions, now);
        let filter = PartitionFilter::all();
        let instances = self.plan_instances(&filter, &guards, chosen).await?;
        self.seal(Basis::Retention(policy.clone()), guards, instances)
    }

    /// Plans the retirement of all partitions that are not `global`: what the guide calls
    /// `retire_non_global_partitions`.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn plan_non_global(&self) -> Result<RetirementPlan> {
        self.plan(Selection::non_global()).await
    }

    /// Plans the retirement of everything of a process whose insert time ended at the cutoff or before it, or of
    /// everything when there is no cutoff: what the guide calls `retire_process_partitions`.
    ///
    /// That is every view set that has an instance with the id of the process, or with the id of one of its streams
    /// (`thread_spans` is kept per stream). Streams are looked up in the view `streams`; one that is no longer there is
    /// not found.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn plan_process(
        &self,
        process_id: &str,
        older_than: impl Into<Option<DateTime<Utc>>>,
    ) -> Result<RetirementPlan> {
        self.plan(Selection::of_process(process_id).older_than(older_than))
            .await
    }

    /// Plans the retirement of the partitions of one view instance whose insert time lies in the range. The instance
    /// may be `global`.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn plan_range(&self, instance: &ViewInstance, range: TimeRange) -> Result<RetirementPlan> {
        let selection = Selection::of_instances([&instance.view_instance_id])
            .in_view_sets([&instance.view_set_name])
            .within(range);
        self.plan(selection).await
    }

    async fn plan_instances(
        &self,
        filter: &PartitionFilter,
        guards: &Guards,
        choose: impl Fn(&[Partition]) -> Chosen,
    ) -> Result<Planned> {
        let capabilities = self.capabilities().await?;
        let now = self.now();
        let mut listed: BTreeMap<ViewInstance, Vec<Partition>> = BTreeMap::new();
        for partition in self.catalog().partitions(filter).await? {
            listed.entry(ViewInstance::of(&partition)).or_default().push(partition);
        }
        let instances = listed
            .into_iter()
            .filter_map(|(instance, partitions)| {
                let mut chosen = choose(&partitions);
                chosen.guard(guards, &partitions, now);
                plan_instance(capabilities, instance, partitions, &chosen)
            })
            .collect();
        Ok(Planned {
            capabilities,
            instances,
            made_at: now,
        })
    }

    fn seal(&self, basis: Basis, guards: Guards, planned: Planned) -> Result<RetirementPlan> {
        let instances = planned.instances;
        let sum = |value: fn(&InstancePlan) -> u64| instances.iter().map(value).fold(0, u64::saturating_add);
        let totals = PlanTotals {
            instances: instances
                .iter()
                .filter(|instance| !instance.partitions.is_empty())
                .count() as u64,
            partitions: sum(|instance| instance.summary.partitions),
            rows: sum(|instance| instance.summary.rows),
            file_size_bytes: sum(|instance| instance.summary.file_size_bytes),
            staying: sum(|instance| instance.staying.len() as u64),
        };
        guards.check_size(totals.partitions, totals.file_size_bytes)?;
        RetirementPlan::sealed(PlanContent {
            server: self.server().map(str::to_owned),
            made_at: planned.made_at,
            basis,
            guards,
            capabilities: planned.capabilities,
            partitions_digest: partitions_digest(instances.iter().flat_map(|instance| &instance.partitions))?,
            totals,
            instances,
        })
    }
}

struct Planned {
    capabilities: Capabilities,
    instances: Vec<InstancePlan>,
    made_at: DateTime<Utc>,
}

/// What is to become of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Goes,
    Stays(StayReason),
    /// It was not asked for.
    Unconcerned,
}

/// What is to become of each partition of a view instance.
pub(crate) struct Chosen {
    pub(crate) fates: Vec<Fate>,
    /// How many of the newest stay, whatever the guards say.
    pub(crate) keep_newest: u64,
}

impl Chosen {
    fn guard(&mut self, guards: &Guards, partitions: &[Partition], now: DateTime<Utc>) {
        let newest = newest(partitions, self.keep_newest.max(guards.keep_newest()));
        for (fate, partition) in self.fates.iter_mut().zip(partitions) {
            if *fate != Fate::Goes {
                continue;
            }
            if guards.is_denied(partition) {
                *fate = Fate::Stays(StayReason::Protected);
            } else if newest.contains(&identity(partition)) {
                *fate = Fate::Stays(StayReason::Newest);
            } else if guards.is_too_young(partition, now) {
                *fate = Fate::Stays(StayReason::TooYoung);
            }
        }
    }
}

/// The plan for one instance, of which all partitions are given; `None` when it has nothing to do with what was asked.
fn plan_instance(
    capabilities: Capabilities,
    instance: ViewInstance,
    partitions: Vec<Partition>,
    chosen: &Chosen,
) -> Option<InstancePlan> {
    let latest_update = partitions.iter().map(|partition| partition.updated).max();
    let mut going = Vec::new();
    let mut others = Vec::new();
    let mut staying = Vec::new();
    for (partition, fate) in partitions.into_iter().zip(&chosen.fates) {
        match fate {
            Fate::Goes => going.push(partition),
            Fate::Unconcerned => others.push(partition),
            Fate::Stays(reason) => {
                staying.push(StayingPartition {
                    reason: *reason,
                    partition: partition.clone(),
                });
                others.push(partition);
            }
        }
    }
    let asked = requests(capabilities, &going, &others);
    let inseparable: HashSet<Identity<'_>> = asked.inseparable.iter().map(|partition| identity(partition)).collect();
    let (apart, going): (Vec<_>, Vec<_>) = going
        .iter()
        .cloned()
        .partition(|partition| inseparable.contains(&identity(partition)));
    staying.extend(apart.into_iter().map(|partition| StayingPartition {
        reason: StayReason::Inseparable,
        partition,
    }));
    if going.is_empty() && staying.is_empty() {
        return None;
    }
    Some(InstancePlan::new(
        instance,
        latest_update,
        asked.requests,
        going,
        staying,
    ))
}

/// What makes a partition the one it is. What was written anew in its place has another file or another date.
pub(crate) type Identity<'a> = (
    (&'a str, &'a str),
    (DateTime<Utc>, DateTime<Utc>),
    &'a [u8],
    DateTime<Utc>,
    Option<&'a str>,
);

pub(crate) fn identity(partition: &Partition) -> Identity<'_> {
    (
        (&partition.view_set_name, &partition.view_instance_id),
        (partition.begin_insert_time, partition.end_insert_time),
        &partition.file_schema_hash,
        partition.updated,
        partition.file_path.as_deref(),
    )
}
