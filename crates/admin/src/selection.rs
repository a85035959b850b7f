//! What an operation is meant for.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use lakepilot_catalog::{GLOBAL_INSTANCE, Partition};
use lakepilot_query::TimeRange;
use serde::{Serialize, Serializer};

/// Which partitions are meant.
///
/// It says whose they are (all that are not `global`, one process with its streams, instances by name) and may then be
/// narrowed. The instance `global` is meant only where it is named, with [`of_instances`](Self::of_instances).
///
/// ```
/// use lakepilot_admin::Selection;
///
/// let old = Selection::of_process("d35a4b40-7407-40cd-a1cf-c619124ee529")
///     .in_view_sets(["thread_spans", "async_events"])
///     .older_than(chrono::Utc::now() - chrono::TimeDelta::days(30));
/// # assert_ne!(old, Selection::non_global());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Selection {
    of: Owner,
    view_sets: Option<BTreeSet<String>>,
    #[serde(serialize_with = "as_begin_and_end")]
    within: Option<TimeRange>,
    older_than: Option<DateTime<Utc>>,
}

/// Whose partitions are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Owner {
    NonGlobal,
    Process(String),
    Instances(BTreeSet<String>),
}

impl Selection {
    /// Every partition that is not `global`: those of all processes and of all streams.
    pub fn non_global() -> Self {
        Self::of(Owner::NonGlobal)
    }

    /// Everything of one process: the instances that have its id, and those that have the id of one of its streams.
    pub fn of_process(process_id: impl Into<String>) -> Self {
        Self::of(Owner::Process(process_id.into()))
    }

    /// The instances with these ids; `global` among them means the partitions of all processes together.
    pub fn of_instances<S: Into<String>>(ids: impl IntoIterator<Item = S>) -> Self {
        Self::of(Owner::Instances(ids.into_iter().map(Into::into).collect()))
    }

    fn of(owner: Owner) -> Self {
        Self {
            of: owner,
            view_sets: None,
            within: None,
            older_than: None,
        }
    }

    /// Of those, only the ones in these view sets, whole names.
    #[must_use]
    pub fn in_view_sets<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.view_sets = Some(names.into_iter().map(Into::into).collect());
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

    pub(crate) fn owner(&self) -> &Owner {
        &self.of
    }

    pub(crate) fn view_sets(&self) -> Option<&BTreeSet<String>> {
        self.view_sets.as_ref()
    }

    /// Whether partitions of the instance `global` may be planned.
    pub(crate) fn names_global(&self) -> bool {
        matches!(&self.of, Owner::Instances(ids) if ids.contains(GLOBAL_INSTANCE))
    }

    /// How the partition, whose owner and view set are meant, lies to the times that are.
    pub(crate) fn place(&self, partition: &Partition) -> Place {
        let first = self.within.map(|range| range.begin());
        let last = [self.within.map(|range| range.end()), self.older_than]
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

fn as_begin_and_end<S: Serializer>(range: &Option<TimeRange>, serializer: S) -> Result<S::Ok, S::Error> {
    range.map(|range| [range.begin(), range.end()]).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{partition, time};

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
            Selection::non_global(),
            Selection::of_process("global"),
            Selection::of_instances(["p"]),
        ] {
            assert!(!other.names_global(), "{other:?}");
        }
    }
}
