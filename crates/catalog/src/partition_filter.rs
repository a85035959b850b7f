//! Which partitions are meant.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use lakepilot_query::{TimeRange, quote_time};

use crate::condition::Conditions;
use crate::{GLOBAL_INSTANCE, NamePattern, Partition};

/// Which partitions are meant: all conditions have to hold.
///
/// The same filter goes to the server as SQL and answers for a value with [`matches`](Self::matches).
///
/// ```
/// use lakepilot_catalog::PartitionFilter;
///
/// let filter = PartitionFilter::all().with_view_sets(["thread_spans"]).non_global();
/// assert_eq!(
///     filter.to_sql(),
///     "SELECT * FROM list_partitions() WHERE view_set_name IN ('thread_spans') AND view_instance_id <> 'global'"
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionFilter {
    view_sets: Option<HashSet<String>>,
    instances: Option<HashSet<String>>,
    view_sets_like: Option<BTreeSet<NamePattern>>,
    instances_like: Option<BTreeSet<NamePattern>>,
    non_global: bool,
    within: Option<TimeRange>,
    overlapping: Option<TimeRange>,
    older_than: Option<DateTime<Utc>>,
    newer_than: Option<DateTime<Utc>>,
    min_bytes: Option<u64>,
    max_bytes: Option<u64>,
    empty: Option<bool>,
}

impl PartitionFilter {
    /// Every partition of the lake.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only those of these view sets, whole names. No names: no partitions.
    #[must_use]
    pub fn with_view_sets<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.view_sets = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Only those of these view instances: `global`, ids of processes, ids of streams. No ids: no partitions.
    #[must_use]
    pub fn with_instances<S: Into<String>>(mut self, ids: impl IntoIterator<Item = S>) -> Self {
        self.instances = Some(ids.into_iter().map(Into::into).collect());
        self
    }

    /// Only those of view sets whose names match one of the patterns. No patterns: no partitions.
    #[must_use]
    pub fn with_view_sets_like(mut self, patterns: impl IntoIterator<Item = NamePattern>) -> Self {
        self.view_sets_like = Some(patterns.into_iter().collect());
        self
    }

    /// Only those of view instances whose ids match one of the patterns. No patterns: no partitions.
    #[must_use]
    pub fn with_instances_like(mut self, patterns: impl IntoIterator<Item = NamePattern>) -> Self {
        self.instances_like = Some(patterns.into_iter().collect());
        self
    }

    /// Only those of a process or a stream, none of `global`.
    #[must_use]
    pub fn non_global(mut self) -> Self {
        self.non_global = true;
        self
    }

    /// Only those whose insert time lies in the range with both ends: what a retirement of the range would take.
    #[must_use]
    pub fn within(mut self, range: TimeRange) -> Self {
        self.within = Some(range);
        self
    }

    /// Only those whose insert time has an instant in common with the range, ends included.
    #[must_use]
    pub fn overlapping(mut self, range: TimeRange) -> Self {
        self.overlapping = Some(range);
        self
    }

    /// Only those whose insert time ended at the cutoff or before it.
    #[must_use]
    pub fn older_than(mut self, cutoff: DateTime<Utc>) -> Self {
        self.older_than = Some(cutoff);
        self
    }

    /// Only those whose insert time began at the cutoff or after it.
    #[must_use]
    pub fn newer_than(mut self, cutoff: DateTime<Utc>) -> Self {
        self.newer_than = Some(cutoff);
        self
    }

    /// Only those whose file has this many bytes or more.
    #[must_use]
    pub fn with_min_bytes(mut self, bytes: u64) -> Self {
        self.min_bytes = Some(bytes);
        self
    }

    /// Only those whose file has this many bytes or fewer.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Only those without rows, or only those with rows.
    #[must_use]
    pub fn with_empty(mut self, empty: bool) -> Self {
        self.empty = Some(empty);
        self
    }

    /// Whether the partition is meant.
    pub fn matches(&self, partition: &Partition) -> bool {
        let among =
            |names: &Option<HashSet<String>>, name: &str| names.as_ref().is_none_or(|names| names.contains(name));
        let like = |patterns: &Option<BTreeSet<NamePattern>>, name: &str| {
            let one_matches = |patterns: &BTreeSet<NamePattern>| patterns.iter().any(|pattern| pattern.matches(name));
            patterns.as_ref().is_none_or(one_matches)
        };
        among(&self.view_sets, &partition.view_set_name)
            && among(&self.instances, &partition.view_instance_id)
            && like(&self.view_sets_like, &partition.view_set_name)
            && like(&self.instances_like, &partition.view_instance_id)
            && !(self.non_global && partition.is_global())
            && self
                .within
                .is_none_or(|range| partition.is_within(range.begin(), range.end()))
            && self.overlapping.is_none_or(|range| {
                partition.begin_insert_time <= range.end() && partition.end_insert_time >= range.begin()
            })
            && self.older_than.is_none_or(|cutoff| partition.end_insert_time <= cutoff)
            && self
                .newer_than
                .is_none_or(|cutoff| partition.begin_insert_time >= cutoff)
            && self.min_bytes.is_none_or(|bytes| partition.file_size_bytes >= bytes)
            && self.max_bytes.is_none_or(|bytes| partition.file_size_bytes <= bytes)
            && self.empty.is_none_or(|empty| partition.is_empty() == empty)
    }

    /// The statement that lists the partitions. Every value in it is quoted.
    ///
    /// A list of more than 500 names stays out of it (a statement has a size limit too, and the answer is filtered once
    /// more on this side).
    pub fn to_sql(&self) -> String {
        let mut conditions = Conditions::default();
        conditions.one_of("view_set_name", self.view_sets.as_ref());
        conditions.one_of("view_instance_id", self.instances.as_ref());
        conditions.like_one_of("view_set_name", self.view_sets_like.as_ref());
        conditions.like_one_of("view_instance_id", self.instances_like.as_ref());
        if self.non_global {
            conditions.push(format!("view_instance_id <> '{GLOBAL_INSTANCE}'"));
        }
        if let Some(range) = self.within {
            conditions.push(format!("begin_insert_time >= {}", quote_time(range.begin())));
            conditions.push(format!("end_insert_time <= {}", quote_time(range.end())));
        }
        if let Some(range) = self.overlapping {
            conditions.push(format!("begin_insert_time <= {}", quote_time(range.end())));
            conditions.push(format!("end_insert_time >= {}", quote_time(range.begin())));
        }
        if let Some(cutoff) = self.older_than {
            conditions.push(format!("end_insert_time <= {}", quote_time(cutoff)));
        }
        if let Some(cutoff) = self.newer_than {
            conditions.push(format!("begin_insert_time >= {}", quote_time(cutoff)));
        }
        if let Some(bytes) = self.min_bytes {
            conditions.push(format!("file_size >= {bytes}"));
        }
        if let Some(bytes) = self.max_bytes {
            conditions.push(format!("file_size <= {bytes}"));
        }
        if let Some(empty) = self.empty {
            conditions.push(format!("num_rows {} 0", if empty { "=" } else { "<>" }));
        }
        format!("SELECT * FROM list_partitions(){conditions}")
    }

    /// Whether no partition at all can match, so that there is nothing to ask.
    pub(crate) fn is_never(&self) -> bool {
        let none = |names: &Option<HashSet<String>>| names.as_ref().is_some_and(HashSet::is_empty);
        let no_pattern = |patterns: &Option<BTreeSet<NamePattern>>| patterns.as_ref().is_some_and(BTreeSet::is_empty);
        none(&self.view_sets)
            || none(&self.instances)
            || no_pattern(&self.view_sets_like)
            || no_pattern(&self.instances_like)
    }
}
