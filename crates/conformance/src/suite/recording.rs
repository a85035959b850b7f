//! What the real service was seen to do, kept as a file, so that a lake can be compared with it where it is not at hand.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Observations;

/// Observations by case and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recording(BTreeMap<String, BTreeMap<String, String>>);

impl Recording {
    /// What Micromegas 0.33.0 did when this was recorded, with `cargo xtask conformance --target micromegas --record`.
    ///
    /// # Errors
    /// When the file in the repository is damaged.
    pub fn of_micromegas() -> io::Result<Self> {
        Ok(serde_json::from_str(include_str!(
            "../../recorded/micromegas-0.33.json"
        ))?)
    }

    /// Notes what a case observed.
    pub fn add(&mut self, case: &str, observations: &Observations) {
        self.0.insert(case.to_owned(), observations.0.clone());
    }

    /// Writes the recording as a file to be kept in the repository.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        std::fs::write(file, serde_json::to_string_pretty(self)? + "\n")
    }

    pub(super) fn case(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.0.get(name)
    }
}
