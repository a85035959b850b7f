//! What keeps a plan from taking too much.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_catalog::{NamePattern, Partition};
use lakepilot_query::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::planner::{Identity, identity};

/// What keeps a plan from taking too much. By default nothing is planned whose insert time ended less than a day ago.
///
/// Partitions that a guard protects stay, and the plan says which ones and why. A limit that a plan is beyond is an error
/// instead: half of what was asked for is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guards {
    #[serde(rename = "min_age_seconds", with = "seconds")]
    min_age: Option<Duration>,
    keep_newest: u64,
    max_partitions: Option<u64>,
    max_bytes: Option<u64>,
    denied: Vec<Protected>,
}

/// View instances that no plan may touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protected {
    /// The view sets.
    pub view_set: NamePattern,
    /// The instances of those.
    pub instance: NamePattern,
}

impl Protected {
    fn covers(&self, partition: &Partition) -> bool {
        self.view_set.matches(&partition.view_set_name) && self.instance.matches(&partition.view_instance_id)
    }
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            min_age: Some(Duration::from_hours(24)),
            ..Self::none()
        }
    }
}

impl Guards {
    /// No guard at all, but the one that cannot be taken off: `global` has to be named.
    pub fn none() -> Self {
        Self {
            min_age: None,
            keep_newest: 0,
            max_partitions: None,
            max_bytes: None,
            denied: Vec::new(),
        }
    }

    /// Partitions whose insert time ended less than this long ago stay; `None`: whatever their age.
    #[must_use]
    pub fn with_min_age(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.min_age = age.into();
        self
    }

    /// The newest partitions of each view instance stay, so many of them.
    #[must_use]
    pub fn with_keep_newest(mut self, partitions: u64) -> Self {
        self.keep_newest = partitions;
        self
    }

    /// A plan of more partitions than this is an error.
    #[must_use]
    pub fn with_max_partitions(mut self, partitions: impl Into<Option<u64>>) -> Self {
        self.max_partitions = partitions.into();
        self
    }

    /// A plan of more bytes of files than this is an error.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_bytes = bytes.into();
        self
    }

    /// These view instances are left alone too.
    #[must_use]
    pub fn with_protected(mut self, protected: impl IntoIterator<Item = Protected>) -> Self {
        self.denied.extend(protected);
        self
    }

    /// The limits of others, and what either protects.
    pub(crate) fn with_limits_of(&self, others: Self) -> Self {
        let denied = self.denied.clone();
        others.with_protected(denied)
    }

    pub(crate) fn is_denied(&self, partition: &Partition) -> bool {
        self.denied.iter().any(|protected| protected.covers(partition))
    }

    pub(crate) fn is_too_young(&self, partition: &Partition, now: DateTime<Utc>) -> bool {
        self.min_age.is_some_and(|age| {
            let latest = TimeDelta::from_std(age)
                .ok()
                .and_then(|age| now.checked_sub_signed(age));
            // Longer ago than a time can be: nothing is that old.
            latest.is_none_or(|latest| partition.end_insert_time > latest)
        })
    }

    pub(crate) fn keep_newest(&self) -> u64 {
        self.keep_newest
    }

    pub(crate) fn check_size(&self, partitions: u64, bytes: u64) -> Result<()> {
        let beyond = |what: String, most: String, option: &str| {
            Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the plan would retire {what}, more than the limit of {most}; select less, or raise the limit \
                     ({option}) if that is what you mean"
                ),
            ))
        };
        match (self.max_partitions, self.max_bytes) {
            (Some(most), _) if partitions > most => beyond(
                format!("{partitions} partitions"),
                format!("{most} partitions"),
                "max partitions",
            ),
            (_, Some(most)) if bytes > most => beyond(format!("{bytes} bytes"), format!("{most} bytes"), "max bytes"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Guards {
    /// What they hold back, for a person: `nothing younger than 1 d; at most 100 partitions`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = Vec::new();
        match self.min_age {
            Some(age) => told.push(format!("nothing younger than {}", shortest(age))),
            None => told.push("none by age".to_owned()),
        }
        if self.keep_newest > 0 {
            told.push(format!("the newest {} of each instance stay", self.keep_newest));
        }
        if let Some(most) = self.max_partitions {
            told.push(format!("at most {most} partitions"));
        }
        if let Some(most) = self.max_bytes {
            told.push(format!("at most {most} bytes"));
        }
        if !self.denied.is_empty() {
            told.push(format!("{} protected", self.denied.len()));
        }
        f.write_str(&told.join("; "))
    }
}

/// A length of time in the greatest unit that tells it whole.
fn shortest(age: Duration) -> String {
    let seconds = age.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let whole = units
        .iter()
        .find(|(length, _)| seconds > 0 && seconds.is_multiple_of(*length));
    match whole {
        Some((length, unit)) => format!("{} {unit}", seconds / length),
        None => format!("{seconds} s"),
    }
}

/// The newest partitions of one view instance, of which all are given.
pub(crate) fn newest<'a>(partitions: &'a [Partition], count: u64) -> HashSet<Identity<'a>> {
    let mut by_end: Vec<&Partition> = partitions.iter().collect();
    by_end.sort_by_key(|partition| std::cmp::Reverse((partition.end_insert_time, partition.begin_insert_time)));
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    by_end.into_iter().take(count).map(identity).collect()
}

/// A length of time as seconds.
mod seconds {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(age: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        age.map(|age| age.as_secs()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{partition, time};

    #[test]
    fn guards_are_told() {
        assert_eq!(Guards::default().to_string(), "nothing younger than 1 d");
        let guards = Guards::none().with_keep_newest(2).with_max_partitions(9);
        assert_eq!(
            guards.to_string(),
            "none by age; the newest 2 of each instance stay; at most 9 partitions"
        );
        assert_eq!(shortest(Duration::from_secs(90)), "90 s");
    }

    #[test]
    fn the_young_are_those_that_ended_lately() {
        let guards = Guards::default();
        let now = time(0) + TimeDelta::hours(24);
        assert!(!guards.is_too_young(&partition("x", "p", -5, 0), now));
        assert!(guards.is_too_young(&partition("x", "p", -5, 1), now));
        assert!(!Guards::none().is_too_young(&partition("x", "p", 0, 1), time(0)));
        let for_ever = Guards::none().with_min_age(Duration::MAX);
        assert!(for_ever.is_too_young(&partition("x", "p", -5, 0), now));
    }

    #[test]
    fn the_newest_are_those_that_end_last() {
        let partitions = [
            partition("x", "p", 0, 9),
            partition("x", "p", 3, 4),
            partition("x", "p", 5, 9),
        ];
        let newest = newest(&partitions, 2);
        assert!(newest.contains(&identity(&partitions[0])) && newest.contains(&identity(&partitions[2])));
        assert_eq!(newest.len(), 2);
    }

    #[test]
    fn a_limit_is_an_error_that_says_both_numbers() {
        let guards = Guards::none().with_max_partitions(3).with_max_bytes(1_000);
        assert!(guards.check_size(3, 1_000).is_ok());
        for (partitions, bytes, says) in [
            (4, 0, "4 partitions, more than the limit of 3"),
            (1, 1_001, "1001 bytes"),
        ] {
            let error = guards.check_size(partitions, bytes).unwrap_err();
            assert!(error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn what_is_denied_is_matched_by_both_names() {
        let protected = Protected {
            view_set: "log*".parse().unwrap(),
            instance: NamePattern::exact("global"),
        };
        let guards = Guards::none().with_protected([protected]);
        assert!(guards.is_denied(&partition("log_entries", "global", 0, 1)));
        assert!(!guards.is_denied(&partition("log_entries", "p", 0, 1)));
        assert!(!guards.is_denied(&partition("measures", "global", 0, 1)));
    }
}
