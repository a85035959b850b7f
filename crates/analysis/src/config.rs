//! What is checked, how strictly, and how much is too much.

use std::collections::BTreeMap;
use std::time::Duration;

use lakepilot_query::{Error, ErrorKind, Result, parse_duration};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Severity;
use crate::nearest::nearest;
use crate::rules;

/// What a rule is switched to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The rule is not checked.
    Off,
    /// Its findings are hints.
    Hint,
    /// Its findings are warnings.
    Warning,
    /// Its findings are errors.
    Error,
}

impl Level {
    pub(crate) fn severity(self) -> Option<Severity> {
        match self {
            Self::Off => None,
            Self::Hint => Some(Severity::Hint),
            Self::Warning => Some(Severity::Warning),
            Self::Error => Some(Severity::Error),
        }
    }
}

/// How the analyser is set up: the `[check]` table of `lakepilot.toml`.
///
/// ```
/// use lakepilot_analysis::Config;
/// let text = r#"{"max-columns": 20, "max-time-range": "1d", "rules": {"select-star": "off"}}"#;
/// let config: Config = serde_json::from_str(text).expect("the names are right");
/// assert_eq!(config.max_columns, 20);
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The most columns of a result before `too-many-columns` speaks. 50, as in the guide.
    pub max_columns: usize,
    /// The most bytes of a row before `wide-row` speaks. 1,000, as in the guide.
    pub max_row_bytes: f64,
    /// The longest time range before `long-time-range` speaks. 31 days; written `"31d"`.
    #[serde(serialize_with = "write_duration", deserialize_with = "read_duration")]
    pub max_time_range: Duration,
    /// The most items of an `IN` list before `large-in-list` speaks. 1,000.
    pub max_in_list: usize,
    /// Rules that are not at their default, by name.
    pub rules: BTreeMap<String, Level>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_columns: 50,
            max_row_bytes: 1_000.0,
            max_time_range: Duration::from_secs(31 * 86_400),
            max_in_list: 1_000,
            rules: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Checks that every rule that is named exists.
    ///
    /// # Errors
    /// `InvalidInput` with the name, and the nearest names of rules.
    pub fn validate(&self) -> Result<()> {
        for name in self.rules.keys() {
            if rules::find(name).is_none() {
                let names = rules::all().iter().map(|rule| rule.name());
                let hint = match nearest(name, names).as_slice() {
                    [] => "`lakepilot rules` lists them".to_owned(),
                    near => format!("did you mean {}?", near.join(" or ")),
                };
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("there is no rule '{name}': {hint}"),
                ));
            }
        }
        Ok(())
    }

    /// What the findings of a rule are worth, or `None` when it is off.
    pub(crate) fn severity(&self, rule: &dyn rules::Rule) -> Option<Severity> {
        match self.rules.get(rule.name()) {
            Some(level) => level.severity(),
            None => Some(rule.info().severity),
        }
    }
}

fn write_duration<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{}s", duration.as_secs()))
}

fn read_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(serde::de::Error::custom)
}
