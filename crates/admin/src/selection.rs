//! What an operation is meant for.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use lakepilot_catalog::{GLOBAL_INSTANCE, NamePattern, Partition, PartitionFilter};
use lakepilot_query::TimeRange;
use serde::{Deserialize, Serialize};

/// Which partitions are meant: all conditions have to hold. The same selection lists partitions
/// ([`PartitionAdmin::list`](crate::PartitionAdmin::list)) and plans their retirement.
///
/// A retirement takes partitions of the instance `global` only where a selection names it, by its whole name and not by
/// a pattern. Times are insert times, and a partition is meant when it lies in them with both ends.
///
/// ```
/// use lakepilot_admin::Selection;
///
/// # fn main() -> lakepilot_query::Result<()> {
/// let old = Selection::of_process("d35a4b40-7407-40cd-a1cf-c619124ee529")
///     .in_view_sets(["thread_spans", "async_events"])
///     .older_than(chrono::Utc::now() - chrono::TimeDelta::days(30));
/// let small_spans = Selection::everything().in_view_sets_like(["*_spans".parse()?]).with_max_bytes(10_000);
/// # assert_ne!(old, small_spans);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    non_global: bool,
    process: Option<String>,
    instances: Option<BTreeSet<NamePattern>>,
    view_sets: Option<BTreeSet<NamePattern>>,
    #[serde(with = "begin_and_end")]
    within: Option<TimeRange>,
    older_than: Option<DateTime<Utc>>,
    newer_than: Option<DateTime<Utc>>,
    min_bytes: Option<u64>,
    max_bytes: Option<u64>,
    empty: Option<bool>,
    incompatible: bool,
    orphaned: bool,
}

impl Selection {
    /// Every partition of the lake.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Every partition that is not `global`: those of all processes and of all streams.
    pub fn non_global() -> Self {
        Self {
            non_global: true,
            ..Self::default()
        }
    }

    /// Everything of one process: the instances that have its id, and those that have the id of one of its streams.
    pub fn of_process(process_id: impl Into<String>) -> Self {
        Self::everything().with_process(process_id)
    }

    /// The instances with these ids, whole; `global` among them means the partitions of all processes together.
    pub fn of_instances<S: AsRef<str>>(ids: impl IntoIterator<Item = S>) -> Self {
        Self::everything().with_instances_like(ids.into_iter().map(|id| NamePattern::exact(id.as_ref())))
    }

    /// Of those, only the ones that are not `global`.
    #[must_use]
    pub fn without_global(mut self) -> Self {
        self.non_global = true;
        self
    }

    /// Of those, only the ones of a process: its own instances, and those of its streams.
    #[must_use]
    pub fn with_process(mut self, process_id: impl Into<String>) -> Self {
        self.process = Some(process_id.into());
        self
    }

    /// Of those, only the ones in instances whose ids match one of the patterns.
    #[must_use]
    pub fn with_instances_like(mut self, patterns: impl IntoIterator<Item = NamePattern>) -> Self {
        self.instances = Some(patterns.into_iter().collect());
        self
    }

    /// Of those, only the ones in these view sets, whole names.
    #[must_use]
    pub fn in_view_sets<S: AsRef<str>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.in_view_sets_like(names.into_iter().map(|name| NamePattern::exact(name.as_ref())))
    }

    /// Of those, only the ones in view sets whose names match one of the patterns.
    #[must_use]
    pub fn in_view_sets_like(mut self, patterns: impl IntoIterator<Item = NamePattern>) -> Self {
        self.view_sets = Some(patterns.into_iter().collect());
        self
    }

    /// Of those, only the ones whose insert time lies in the range with both ends.
    #[must_use]
    pub fn within(mut self, range: TimeRange) -> Self {
        self.within = Some(range);
        self
    }

    /// Of those, only the ones whose insert time ended at the cutoff or before it: everything older, however old.
    #[must_use]
    pub fn older_than(mut self, cutoff: impl Into<Option<DateTime<Utc>>>) -> Self {
        self.older_than = cutoff.into();
        self
    }

    /// Of those, only the ones whose insert time began at the cutoff or after it.
    #[must_use]
    pub fn newer_than(mut self, cutoff: impl Into<Option<DateTime<Utc>>>) -> Self {
        self.newer_than = cutoff.into();
        self
    }

    /// Of those, only the ones whose file has this many bytes or more.
    #[must_use]
    pub fn with_min_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.min_bytes = bytes.into();
        self
    }

    /// Of those, only the ones whose file has this many bytes or fewer.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_bytes = bytes.into();
        self
    }

    /// Of those, only the ones without rows (`true`), or only the ones with rows (`false`).
    #[must_use]
    pub fn with_empty(mut self, empty: impl Into<Option<bool>>) -> Self {
        self.empty = empty.into();
        self
    }

    /// Of those, only the ones whose file has another schema than the view set has now, so that queries ignore them.
    /// Partitions of a view set that the server does not list any more are not among them: there is nothing to compare
    /// them with.
    #[must_use]
    pub fn incompatible(mut self) -> Self {
        self.incompatible = true;
        self
    }

    /// Of those, only the ones of processes that the lake does not know any more: instances that are neither the id of a
    /// process nor that of a stream of one. `global` is nobody's, and not among them.
    #[must_use]
    pub fn orphaned(mut self) -> Self {
        self.orphaned = true;
        self
    }

    /// The process that was asked for, if one was.
    pub fn process(&self) -> Option<&str> {
        self.process.as_deref()
    }

    /// Whether a partition is meant, given what had to be looked up.
    pub fn matches(&self, partition: &Partition, facts: &Facts) -> bool {
        self.is_of(partition, facts) && self.has_traits(partition, facts) && self.place(partition) == Place::Within
    }

    /// What has to be looked up before [`matches`](Self::matches) can answer.
    pub(crate) fn needs(&self) -> Needs<'_> {
        Needs {
            streams_of: self.process.as_deref(),
            schema_hashes: self.incompatible,
            known_instances: self.orphaned,
        }
    }

    /// Whether partitions of the instance `global` may be retired.
    pub(crate) fn names_global(&self) -> bool {
        let global = NamePattern::exact(GLOBAL_INSTANCE);
        !self.non_global && self.instances.as_ref().is_some_and(|named| named.contains(&global))
    }

    /// Whether the partition belongs to one of the view instances that are meant.
    pub(crate) fn is_of(&self, partition: &Partition, facts: &Facts) -> bool {
        let like = |patterns: &Option<BTreeSet<NamePattern>>, name: &str| {
            let one_matches = |patterns: &BTreeSet<NamePattern>| patterns.iter().any(|pattern| pattern.matches(name));
            patterns.as_ref().is_none_or(one_matches)
        };
        let id = partition.view_instance_id.as_str();
        like(&self.view_sets, &partition.view_set_name)
            && like(&self.instances, id)
            && !(self.non_global && partition.is_global())
            && self.process.as_ref().is_none_or(|process| {
                !partition.is_global() && (process == id || facts.streams_of_process.contains(id))
            })
            && !(self.orphaned && (partition.is_global() || facts.known_instances.contains(id)))
    }

    /// Whether the partition itself is as it was asked for, its times apart.
    pub(crate) fn has_traits(&self, partition: &Partition, facts: &Facts) -> bool {
        self.min_bytes.is_none_or(|bytes| partition.file_size_bytes >= bytes)
            && self.max_bytes.is_none_or(|bytes| partition.file_size_bytes <= bytes)
            && self.empty.is_none_or(|empty| partition.is_empty() == empty)
            && (!self.incompatible || facts.is_incompatible(partition))
    }

    /// How the partition, whose owner and view set are meant, lies to the times that are.
    pub(crate) fn place(&self, partition: &Partition) -> Place {
        let range = self.within;
        let first = [range.map(|range| range.begin()), self.newer_than]
            .into_iter()
            .flatten()
            .max();
        let last = [range.map(|range| range.end()), self.older_than]
            .into_iter()
            .flatten()
            .min();
        let (begin, end) = (partition.begin_insert_time, partition.end_insert_time);
        if first.is_none_or(|first| begin >= first) && last.is_none_or(|last| end <= last) {
            Place::Within
        } else if first.is_none_or(|first| end > first) && last.is_none_or(|last| begin < last) {
            Place::Straddling
        } else {
            Place::Outside
        }
    }

    /// What to ask the server for, to get all partitions of the instances that are meant: what lies beside the times
    /// that are decides what can be retired.
    pub(crate) fn filter_of_instances(&self, facts: &Facts) -> PartitionFilter {
        let mut filter = PartitionFilter::all();
        if let Some(process) = &self.process {
            let ids = facts.streams_of_process.iter().chain([process]);
            filter = filter.with_instances(ids);
        }
        if let Some(patterns) = &self.instances {
            filter = filter.with_instances_like(patterns.iter().cloned());
        }
        if let Some(patterns) = &self.view_sets {
            filter = filter.with_view_sets_like(patterns.iter().cloned());
        }
        // Whatever the streams or the process are called.
        if self.non_global || self.process.is_some() || self.orphaned {
            filter = filter.non_global();
        }
        filter
    }

    /// What to ask the server for, to get the partitions that are meant and not many others.
    pub(crate) fn filter(&self, facts: &Facts) -> PartitionFilter {
        let mut filter = self.filter_of_instances(facts);
        if let Some(range) = self.within {
            filter = filter.within(range);
        }
        if let Some(cutoff) = self.older_than {
            filter = filter.older_than(cutoff);
        }
        if let Some(cutoff) = self.newer_than {
            filter = filter.newer_than(cutoff);
        }
        if let Some(bytes) = self.min_bytes {
            filter = filter.with_min_bytes(bytes);
        }
        if let Some(bytes) = self.max_bytes {
            filter = filter.with_max_bytes(bytes);
        }
        match self.empty {
            Some(empty) => filter.with_empty(empty),
            None => filter,
        }
    }
}

/// What has to be looked up in the lake to answer for a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs<'a> {
    pub(crate) streams_of: Option<&'a str>,
    pub(crate) schema_hashes: bool,
    pub(crate) known_instances: bool,
}

/// What a selection goes by beside the partition itself. [`PartitionAdmin::facts`](crate::PartitionAdmin::facts) looks it
/// up; what a selection does not need may be left empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The ids of the streams of the process that is meant.
    pub streams_of_process: HashSet<String>,
    /// The present schema hash of each view set, by name.
    pub schema_hashes: HashMap<String, Vec<u8>>,
    /// The ids of all processes that the lake knows, and of the streams of those.
    pub known_instances: HashSet<String>,
}

impl Facts {
    fn is_incompatible(&self, partition: &Partition) -> bool {
        self.schema_hashes
            .get(&partition.view_set_name)
            .is_some_and(|hash| *hash != partition.file_schema_hash)
    }
}

/// Where a partition lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// With both ends in what is meant.
    Within,
    /// Over an edge, so that a retirement would leave it.
    Straddling,
    /// Elsewhere; touching an edge from outside is elsewhere too.
    Outside,
}

/// A time range as `[begin, end]`.
mod begin_and_end {
    use super::*;
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(range: &Option<TimeRange>, serializer: S) -> Result<S::Ok, S::Error> {
        range.map(|range| [range.begin(), range.end()]).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TimeRange>, D::Error> {
        Option::<[DateTime<Utc>; 2]>::deserialize(deserializer)?
            .map(|[begin, end]| TimeRange::new(begin, end).map_err(|error| de::Error::custom(error.message())))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{partition, time};

    #[track_caller]
    fn check(selection: &Selection, begin: i64, end: i64, expected: Place) {
        assert_eq!(
            selection.place(&partition("x", "p", begin, end)),
            expected,
            "{begin}..{end}"
        );
    }

    #[test]
    fn everything_older_is_within_the_cutoff() {
        let old = Selection::non_global().older_than(time(100));
        check(&old, 0, 1, Place::Within);
        check(&old, 90, 100, Place::Within);
        check(&old, 100, 100, Place::Within);
        check(&old, 90, 101, Place::Straddling);
        check(&old, 100, 110, Place::Outside);
        check(&old, 101, 101, Place::Outside);
        let new = Selection::non_global().newer_than(time(100));
        check(&new, 100, 110, Place::Within);
        check(&new, 90, 101, Place::Straddling);
        check(&new, 90, 100, Place::Outside);
    }

    #[test]
    fn a_range_contains_and_is_straddled() {
        let range = Selection::of_instances(["p"]).within(TimeRange::new(time(10), time(20)).unwrap());
        check(&range, 10, 20, Place::Within);
        check(&range, 20, 20, Place::Within);
        check(&range, 5, 11, Place::Straddling);
        check(&range, 5, 25, Place::Straddling);
        check(&range, 5, 10, Place::Outside);
        check(&range, 20, 25, Place::Outside);
        check(&range, 9, 9, Place::Outside);
        check(&range.clone().older_than(time(15)), 12, 16, Place::Straddling);
        check(&range.older_than(time(15)), 16, 17, Place::Outside);
    }

    #[test]
    fn global_is_meant_only_where_it_is_named() {
        assert!(Selection::of_instances(["global"]).names_global());
        for other in [
            Selection::everything(),
            Selection::non_global(),
            Selection::of_process("global"),
            Selection::of_instances(["p"]),
            Selection::of_instances(["global"]).without_global(),
            Selection::everything().with_instances_like(["glob*".parse().unwrap()]),
        ] {
            assert!(!other.names_global(), "{other:?}");
        }
    }

    #[test]
    fn traits_are_looked_up_or_looked_at() {
        let facts = Facts {
            schema_hashes: HashMap::from([("log_entries".to_owned(), vec![4])]),
            known_instances: HashSet::from(["p1".to_owned()]),
            ..Facts::default()
        };
        let good = partition("log_entries", "p1", 0, 1);
        let mut other = partition("log_entries", "p2", 0, 1);
        other.file_schema_hash = vec![3];
        other.num_rows = 0;
        other.file_size_bytes = 7;
        for selection in [
            Selection::everything().incompatible(),
            Selection::everything().orphaned(),
            Selection::everything().with_empty(true),
            Selection::everything().with_max_bytes(99),
            Selection::everything().with_instances_like(["?2".parse().unwrap()]),
        ] {
            assert!(!selection.matches(&good, &facts), "{selection:?}");
            assert!(selection.matches(&other, &facts), "{selection:?}");
        }
        let unknown = partition("gone", "p1", 0, 1);
        assert!(!Selection::everything().incompatible().matches(&unknown, &facts));
        let global = partition("log_entries", "global", 0, 1);
        assert!(!Selection::everything().orphaned().matches(&global, &facts));
    }

    #[test]
    fn a_selection_is_read_as_it_is_written() {
        let selection = Selection::of_process("it's")
            .in_view_sets_like(["a*".parse().unwrap()])
            .within(TimeRange::new(time(1), time(2)).unwrap())
            .orphaned();
        let text = serde_json::to_string(&selection).unwrap();
        assert_eq!(serde_json::from_str::<Selection>(&text).unwrap(), selection);
        let backwards = text.replace("000001Z", "000009Z");
        assert!(serde_json::from_str::<Selection>(&backwards).is_err());
    }
}
