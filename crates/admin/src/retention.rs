//! How long partitions are kept, by rules in a file.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_catalog::{GLOBAL_INSTANCE, NamePattern, Partition};
use lakepilot_query::{Error, ErrorKind, Result, parse_duration};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::planner::{Chosen, Fate};
use crate::{Guards, Protected, StayReason, ViewInstance};

/// The version of the policy format that is read.
const VERSION: u64 = 1;

/// How long partitions are kept.
///
/// The first rule whose patterns match a view instance decides about it; one that no rule matches is kept for ever. A
/// partition goes when its insert time ended longer ago than the rule keeps it, however long ago, unless an exception
/// or a guard protects it. `global` is matched only by a rule that names it, not by a pattern.
///
/// ```
/// use lakepilot_admin::RetentionPolicy;
///
/// # fn main() -> lakepilot_query::Result<()> {
/// let policy = RetentionPolicy::from_toml(r#"
///     version = 1
///
///     [guards]
///     min_age = "2d"
///     max_partitions = 50000
///
///     [[rule]]
///     name = "spans"
///     view_sets = ["thread_spans", "async_events"]
///     keep_for = "7d"
///     keep_newest = 1
///
///     [[rule]]
///     name = "everything else of a process"
///     keep_for = "30d"
///
///     [[except]]
///     instances = ["d35a4b40-7407-40cd-a1cf-c619124ee529"]
/// "#)?;
/// assert_eq!(policy.rules().len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionPolicy {
    version: u64,
    #[serde(default)]
    guards: PolicyGuards,
    #[serde(default, rename = "rule")]
    rules: Vec<RetentionRule>,
    #[serde(default, rename = "except")]
    exceptions: Vec<RetentionException>,
}

/// One rule of a [`RetentionPolicy`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionRule {
    /// What the rule is called in reports; may be left out.
    #[serde(default)]
    pub name: Option<String>,
    /// The view sets; all of them when left out.
    #[serde(default = "any")]
    pub view_sets: Vec<NamePattern>,
    /// The instances; all but `global` when left out.
    #[serde(default = "any")]
    pub instances: Vec<NamePattern>,
    /// How long partitions are kept after their insert time: `30d`, `6h`.
    #[serde(with = "length")]
    pub keep_for: Duration,
    /// How many of the newest partitions of each instance are kept in any case.
    #[serde(default)]
    pub keep_newest: u64,
}

/// What no rule of a [`RetentionPolicy`] applies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionException {
    /// The view sets; all of them when left out.
    #[serde(default = "any")]
    pub view_sets: Vec<NamePattern>,
    /// The instances; all of them when left out.
    #[serde(default = "any")]
    pub instances: Vec<NamePattern>,
}

/// The guards of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PolicyGuards {
    #[serde(with = "length")]
    min_age: Duration,
    max_partitions: Option<u64>,
    max_bytes: Option<u64>,
}

impl Default for PolicyGuards {
    fn default() -> Self {
        Self {
            min_age: Duration::from_hours(24),
            max_partitions: None,
            max_bytes: None,
        }
    }
}

fn any() -> Vec<NamePattern> {
    "*".parse().into_iter().collect()
}

fn one_matches(patterns: &[NamePattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

impl RetentionPolicy {
    /// Reads a policy from a file.
    ///
    /// # Errors
    /// `NotFound` or `Io` when the file cannot be read, and what [`from_toml`](Self::from_toml) returns.
    pub fn load(path: &Path) -> Result<Self> {
        let context = |error: Error| error.context(format!("read the retention policy {}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| context(error.into()))?;
        Self::from_toml(&text).map_err(context)
    }

    /// Reads a policy from TOML.
    ///
    /// # Errors
    /// `InvalidInput` with the place when the text is no policy: a field that is not known, a pattern or a length of time
    /// that cannot be read, another version, no rule, or an exception that names nothing.
    pub fn from_toml(text: &str) -> Result<Self> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidInput, message);
        let policy: Self = toml::from_str(text).map_err(|error| invalid(error.to_string().trim_end().to_owned()))?;
        if policy.version != VERSION {
            return Err(invalid(format!(
                "version {} of the policy format is not known; this program reads version {VERSION}",
                policy.version
            )));
        }
        if policy.rules.is_empty() {
            return Err(invalid(
                "there is no rule in it: add a [[rule]] with keep_for".to_owned(),
            ));
        }
        let unlimited = |exception: &RetentionException| exception.view_sets == any() && exception.instances == any();
        if policy.exceptions.iter().any(unlimited) {
            return Err(invalid(
                "an exception without view_sets and instances would except everything; name what it is for".to_owned(),
            ));
        }
        Ok(policy)
    }

    /// The rules, in the order in which they are tried.
    pub fn rules(&self) -> &[RetentionRule] {
        &self.rules
    }

    /// What no rule applies to.
    pub fn exceptions(&self) -> &[RetentionException] {
        &self.exceptions
    }

    /// The guards: those of the file, a day of minimum age where it does not say.
    pub fn guards(&self) -> Guards {
        let protected = self.exceptions.iter().flat_map(|exception| {
            let of_view_set = |view_set: &NamePattern| {
                let view_set = view_set.clone();
                let instances = exception.instances.iter().cloned();
                instances
                    .map(move |instance| Protected {
                        view_set: view_set.clone(),
                        instance,
                    })
                    .collect::<Vec<_>>()
            };
            exception.view_sets.iter().flat_map(of_view_set)
        });
        Guards::none()
            .with_min_age(self.guards.min_age)
            .with_max_partitions(self.guards.max_partitions)
            .with_max_bytes(self.guards.max_bytes)
            .with_protected(protected)
    }

    /// The rule that decides about a view instance.
    pub fn rule_of(&self, instance: &ViewInstance) -> Option<&RetentionRule> {
        self.rules.iter().find(|rule| rule.is_for(instance))
    }

    /// What becomes of the partitions of one view instance, of which all are given.
    pub(crate) fn choose(&self, partitions: &[Partition], now: DateTime<Utc>) -> Chosen {
        let rule = partitions
            .first()
            .and_then(|first| self.rule_of(&ViewInstance::of(first)));
        let Some(rule) = rule else {
            return Chosen {
                fates: vec![Fate::Unconcerned; partitions.len()],
                keep_newest: 0,
            };
        };
        let cutoff = TimeDelta::from_std(rule.keep_for)
            .ok()
            .and_then(|age| now.checked_sub_signed(age));
        let fate = |partition: &Partition| match cutoff {
            Some(cutoff) if partition.end_insert_time <= cutoff => Fate::Goes,
            Some(cutoff) if partition.begin_insert_time < cutoff => Fate::Stays(StayReason::Straddling),
            // Not old enough; or kept for longer than a time can be ago.
            _ => Fate::Unconcerned,
        };
        Chosen {
            fates: partitions.iter().map(fate).collect(),
            keep_newest: rule.keep_newest,
        }
    }
}

impl RetentionRule {
    fn is_for(&self, instance: &ViewInstance) -> bool {
        let id = &instance.view_instance_id;
        one_matches(&self.view_sets, &instance.view_set_name)
            && if id == GLOBAL_INSTANCE {
                self.instances.contains(&NamePattern::exact(GLOBAL_INSTANCE))
            } else {
                one_matches(&self.instances, id)
            }
    }
}

/// A length of time as it is typed: `30d`.
mod length {
    use super::*;

    pub(super) fn serialize<S: Serializer>(length: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = length.as_secs();
        let (count, unit) = match seconds {
            0 => (0, "s"),
            _ if seconds.is_multiple_of(86_400) => (seconds / 86_400, "d"),
            _ if seconds.is_multiple_of(3_600) => (seconds / 3_600, "h"),
            _ if seconds.is_multiple_of(60) => (seconds / 60, "m"),
            _ => (seconds, "s"),
        };
        serializer.collect_str(&format_args!("{count}{unit}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map_err(|error| de::Error::custom(error.message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{partition, time};

    const DAY: i64 = 86_400_000_000;

    fn policy(text: &str) -> RetentionPolicy {
        RetentionPolicy::from_toml(&format!("version = 1\n{text}")).unwrap()
    }

    #[test]
    fn everything_older_goes_however_old() {
        let policy = policy("[[rule]]\nkeep_for = \"2d\"");
        let partitions = [
            partition("x", "p", 0, DAY),
            partition("x", "p", 97 * DAY, 98 * DAY),
            partition("x", "p", 98 * DAY - 1, 98 * DAY + 1),
            partition("x", "p", 98 * DAY, 99 * DAY),
        ];
        let chosen = policy.choose(&partitions, time(100 * DAY));
        assert_eq!(
            chosen.fates,
            [
                Fate::Goes,
                Fate::Goes,
                Fate::Stays(StayReason::Straddling),
                Fate::Unconcerned
            ]
        );
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let policy = policy(
            "[[rule]]\nname = \"spans\"\nview_sets = [\"*_spans\"]\nkeep_for = \"1d\"\nkeep_newest = 3\n\
             [[rule]]\nname = \"named\"\nview_sets = [\"log_entries\"]\ninstances = [\"global\", \"p?\"]\nkeep_for = \"9d\"",
        );
        let name = |view_set: &str, instance: &str| {
            let rule = policy.rule_of(&ViewInstance::new(view_set, instance));
            rule.and_then(|rule| rule.name.as_deref())
        };
        assert_eq!(name("thread_spans", "s1"), Some("spans"));
        assert_eq!(name("thread_spans", "global"), None, "a pattern does not name it");
        assert_eq!(name("log_entries", "global"), Some("named"));
        assert_eq!(name("log_entries", "p1"), Some("named"));
        assert_eq!(name("log_entries", "p12"), None);
    }

    #[test]
    fn a_bad_policy_is_refused_with_its_place() {
        for (text, says) in [
            ("", "missing field `version`"),
            ("version = 2\n[[rule]]\nkeep_for = \"1d\"", "version 2"),
            ("version = 1", "no rule"),
            (
                "version = 1\n[[rule]]\nkeep_for = \"1d\"\nkeep_fro = 1",
                "unknown field `keep_fro`",
            ),
            (
                "version = 1\n[[rule]]\nkeep_for = \"soon\"",
                "'soon' is not a length of time",
            ),
            (
                "version = 1\n[[rule]]\nkeep_for = \"1d\"\nview_sets = [\"x\\\\\"]",
                "ends in a backslash",
            ),
            (
                "version = 1\n[[rule]]\nkeep_for = \"1d\"\n[[except]]",
                "would except everything",
            ),
        ] {
            let error = RetentionPolicy::from_toml(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn a_policy_is_read_as_it_is_written() {
        let policy = policy(
            "[guards]\nmin_age = \"90m\"\nmax_bytes = 5\n[[rule]]\nkeep_for = \"2w\"\n\
             [[except]]\nview_sets = [\"a\", \"b*\"]\ninstances = [\"x\\\\*\"]",
        );
        let text = serde_json::to_string(&policy).unwrap();
        assert!(text.contains("\"14d\"") && text.contains("\"90m\""), "{text}");
        assert_eq!(serde_json::from_str::<RetentionPolicy>(&text).unwrap(), policy);
        assert!(policy.guards().is_denied(&partition("better", "x*", 0, 1)));
        assert!(!policy.guards().is_denied(&partition("better", "xy", 0, 1)));
    }
}
