//! Plans as files.

use std::io::Write;
use std::path::Path;

use lakepilot_catalog::Partition;
use lakepilot_query::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::plan::PlanContent;
use crate::{RetirementPlan, files};

/// What the first field of a saved plan says.
const FORMAT: &str = "lakepilot retirement plan";

/// The version of the format that is written, and the only one that is read.
const VERSION: u64 = 1;

/// A plan as it is written.
#[derive(Serialize)]
struct Written<'a> {
    format: &'static str,
    version: u64,
    digest: &'a str,
    #[serde(flatten)]
    content: &'a PlanContent,
}

impl Serialize for RetirementPlan {
    /// The plan as it is saved.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = Written {
            format: FORMAT,
            version: VERSION,
            digest: &self.digest,
            content: &self.content,
        };
        written.serialize(serializer)
    }
}

impl RetirementPlan {
    pub(crate) fn sealed(content: PlanContent) -> Result<Self> {
        let digest = digest_of(&content)?;
        Ok(Self { content, digest })
    }

    /// Writes the plan to a file, as JSON: to a temporary name first, so that a file that is there is whole.
    ///
    /// # Errors
    /// `Io` when the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| internal("write the plan as JSON", error))?;
        files::replace(path, &text).map_err(|error| error.context(format!("save the plan to {}", path.display())))
    }

    /// Reads a plan from a file.
    ///
    /// # Errors
    /// `NotFound` or `Io` when the file cannot be read, and what [`from_json`](Self::from_json) returns.
    pub fn load(path: &Path) -> Result<Self> {
        let context = |error: Error| error.context(format!("load the plan {}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| context(error.into()))?;
        Self::from_json(&text).map_err(context)
    }

    /// Reads a plan from JSON.
    ///
    /// # Errors
    /// `InvalidInput` when the text is no plan, is of another version of the format, has a field that this version does
    /// not know, or is not as it was written: a plan is not to be edited.
    pub fn from_json(text: &str) -> Result<Self> {
        let given: Value = serde_json::from_str(text).map_err(|error| invalid(format!("it is not JSON: {error}")))?;
        if given.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(invalid(format!(
                "it is not a plan: a field \"format\" with \"{FORMAT}\" is missing"
            )));
        }
        match given.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(other) => {
                return Err(invalid(format!(
                    "it has version {other} of the format, and this program knows version {VERSION}; apply it with the \
                     program that made it, or make a new plan"
                )));
            }
            None => return Err(invalid("it does not say its version".to_owned())),
        }
        let content = PlanContent::deserialize(&given)
            .map_err(|error| invalid(format!("it is not a whole plan: {error}; make a new one")))?;
        let plan = Self::sealed(content)?;
        let meant = serde_json::to_value(&plan).map_err(|error| internal("write the plan as JSON", error))?;
        match difference(&given, &meant) {
            None => plan.checked(),
            Some(difference) => Err(invalid(difference.told())),
        }
    }

    /// The partitions have to be those of the digest, even where the digest of the plan was made anew.
    fn checked(self) -> Result<Self> {
        if partitions_digest(self.partitions())? != self.content.partitions_digest {
            return Err(invalid(
                "its partitions are not those of its digest: it was edited; make a new one".to_owned(),
            ));
        }
        Ok(self)
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

fn internal(what: &str, error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot {what}: {error}")).with_source(error)
}

fn digest_of(content: &PlanContent) -> Result<String> {
    let mut hash = Hashed(Sha256::new());
    serde_json::to_writer(&mut hash, content).map_err(|error| internal("hash the plan", error))?;
    Ok(hash.finish())
}

/// The digest of partitions, in their order: of all that the catalogue tells of each.
pub(crate) fn partitions_digest<'a>(partitions: impl Iterator<Item = &'a Partition>) -> Result<String> {
    let mut hash = Hashed(Sha256::new());
    for partition in partitions {
        serde_json::to_writer(&mut hash, partition).map_err(|error| internal("hash a partition", error))?;
        hash.0.update(b"\n");
    }
    Ok(hash.finish())
}

/// A digest that can be written to.
struct Hashed(Sha256);

impl Hashed {
    fn finish(self) -> String {
        let digits: String = self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{digits}")
    }
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The first place where a file is not what its plan would be written as.
enum Difference {
    Unknown(String),
    Missing(String),
    Changed(String),
}

impl Difference {
    fn told(&self) -> String {
        match self {
            Self::Unknown(path) => format!("it has a field '{path}' that this version does not know; make a new plan"),
            Self::Missing(path) => format!("its field '{path}' is missing; make a new plan"),
            Self::Changed(path) => format!(
                "its field '{path}' is not what the rest of it says: it was edited or damaged after it was made; make a \
                 new plan"
            ),
        }
    }
}

fn difference(given: &Value, meant: &Value) -> Option<Difference> {
    differ(given, meant, &mut String::new())
}

fn differ(given: &Value, meant: &Value, path: &mut String) -> Option<Difference> {
    let whole = path.len();
    let mut within = |step: String, given: &Value, meant: &Value| {
        path.push_str(&step);
        let found = differ(given, meant, path);
        path.truncate(whole);
        found
    };
    match (given, meant) {
        (Value::Object(given), Value::Object(meant)) => {
            let step = |key: &str| if whole == 0 { key.to_owned() } else { format!(".{key}") };
            for (key, value) in meant {
                let found = match given.get(key) {
                    Some(given) => within(step(key), given, value),
                    None => return Some(Difference::Missing(format!("{path}{}", step(key)))),
                };
                if found.is_some() {
                    return found;
                }
            }
            let unknown = given.keys().find(|key| !meant.contains_key(*key))?;
            Some(Difference::Unknown(format!("{path}{}", step(unknown))))
        }
        (Value::Array(given), Value::Array(meant)) if given.len() == meant.len() => {
            let mut pairs = given.iter().zip(meant).enumerate();
            pairs.find_map(|(at, (given, meant))| within(format!("[{at}]"), given, meant))
        }
        _ => (given != meant).then(|| Difference::Changed(path.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(given: Value, meant: Value, told: Option<&str>) {
        let found = difference(&given, &meant).map(|difference| difference.told());
        match told {
            None => assert_eq!(found, None),
            Some(told) => assert!(found.as_deref().is_some_and(|found| found.contains(told)), "{found:?}"),
        }
    }

    /// Whoever makes the digest of the plan anew has another one to make.
    #[test]
    fn a_partition_that_was_put_in_is_refused_for_its_own_digest() {
        let lake = crate::FakeLake::new(vec![crate::fake::partition("x", "p", 0, 1)]);
        let plan = futures::executor::block_on(lake.admin().plan_non_global()).unwrap();
        let mut content = plan.content.clone();
        content.instances[0].partitions[0].file_path = Some("other".to_owned());
        let forged = serde_json::to_string(&RetirementPlan::sealed(content).unwrap()).unwrap();
        let error = RetirementPlan::from_json(&forged).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("its partitions are not those of its digest"),
            "{error}"
        );
    }

    #[test]
    fn the_first_difference_is_told_with_its_place() {
        check(json!({"a": [1, {"b": 2}]}), json!({"a": [1, {"b": 2}]}), None);
        check(
            json!({"a": [1, {"b": 3}]}),
            json!({"a": [1, {"b": 2}]}),
            Some("'a[1].b' is not what"),
        );
        check(
            json!({"a": {"x": 1, "b": 1}}),
            json!({"a": {"b": 1}}),
            Some("a field 'a.x' that this"),
        );
        check(json!({"a": {}}), json!({"a": {"b": 1}}), Some("'a.b' is missing"));
        check(json!({"a": [1]}), json!({"a": [1, 2]}), Some("'a' is not what"));
    }
}
