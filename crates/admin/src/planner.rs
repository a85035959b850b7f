//! Making plans from the catalogue.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use lakepilot_catalog::{Partition, PartitionFilter};
use lakepilot_query::{Result, TimeRange};

use crate::ranges::cover;
use crate::selection::{Owner, Place};
use crate::{InstancePlan, PartitionAdmin, RetirementPlan, Selection, ViewInstance};

impl PartitionAdmin {
    /// Plans the retirement of what is selected. Nothing is retired.
    ///
    /// # Errors
    /// Those of listing partitions and, for a process, its streams.
    pub async fn plan(&self, selection: Selection) -> Result<RetirementPlan> {
        let filter = self.filter(&selection).await?;
        let mut instances: BTreeMap<ViewInstance, Vec<Partition>> = BTreeMap::new();
        for partition in self.catalog().partitions(&filter).await? {
            instances
                .entry(ViewInstance::of(&partition))
                .or_default()
                .push(partition);
        }
        let plans = instances
            .into_iter()
            .filter_map(|(instance, partitions)| plan_instance(&selection, instance, partitions))
            .collect();
        Ok(RetirementPlan::new(selection, plans))
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

    /// Everything of the instances that are meant. Not only the times that are: what lies beside them decides which
    /// ranges are safe to ask.
    async fn filter(&self, selection: &Selection) -> Result<PartitionFilter> {
        let mut filter = PartitionFilter::all();
        match selection.owner() {
            Owner::NonGlobal => {}
            Owner::Process(process_id) => {
                let streams = self.catalog().streams_of_process(process_id).await?;
                let ids = streams.into_iter().map(|stream| stream.stream_id);
                filter = filter.with_instances(ids.chain([process_id.clone()]));
            }
            Owner::Instances(ids) => filter = filter.with_instances(ids),
        }
        // Whatever the streams or the process are called.
        if !selection.names_global() {
            filter = filter.non_global();
        }
        Ok(match selection.view_sets() {
            Some(names) => filter.with_view_sets(names),
            None => filter,
        })
    }
}

/// The plan for one instance, of which all partitions are given; `None` when it has nothing to do with the selection.
fn plan_instance(selection: &Selection, instance: ViewInstance, partitions: Vec<Partition>) -> Option<InstancePlan> {
    let (meant, others): (Vec<_>, Vec<_>) = partitions
        .into_iter()
        .partition(|partition| selection.place(partition) == Place::Within);
    let cover = cover(&meant, &others);
    let ranges = cover.ranges;
    let inseparable: BTreeSet<_> = cover.inseparable.into_iter().map(identity).collect();
    let (inseparable, partitions): (Vec<_>, Vec<_>) = meant
        .iter()
        .cloned()
        .partition(|partition| inseparable.contains(&identity(partition)));
    let straddling: Vec<_> = others
        .into_iter()
        .filter(|partition| selection.place(partition) == Place::Straddling)
        .collect();
    if partitions.is_empty() && straddling.is_empty() && inseparable.is_empty() {
        return None;
    }
    Some(InstancePlan {
        instance,
        ranges,
        partitions,
        straddling,
        inseparable,
    })
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
