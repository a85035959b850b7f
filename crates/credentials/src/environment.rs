//! What the process was started with, as a value, so that nothing below reads the process's own state.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use lakepilot_query::{Error, ErrorKind, Result};

/// The environment variables and the home directory that settings are read from.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    home: Option<PathBuf>,
}

impl Environment {
    /// Those of this process. Variables that are not Unicode are left out: none of ours can be.
    pub fn of_process() -> Self {
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
        }
    }

    /// No variables, and `home` as the home directory.
    pub fn with_home(home: impl Into<PathBuf>) -> Self {
        Self {
            variables: BTreeMap::new(),
            home: Some(home.into()),
        }
    }

    /// The same with one more variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The value of a variable; an empty one counts as not set, as for the Python client.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The folder of configuration and tokens, which the Python client uses too: `~/.micromegas`.
    ///
    /// # Errors
    /// `InvalidInput` when there is no home directory.
    pub fn folder(&self) -> Result<PathBuf> {
        Ok(self.home()?.join(".micromegas"))
    }

    /// The path, with a `~` at its begin for the home directory.
    pub(crate) fn expand(&self, path: &str) -> Result<PathBuf> {
        match path.strip_prefix('~') {
            Some("") => Ok(self.home()?.to_owned()),
            Some(rest) if rest.starts_with(['/', '\\']) => Ok(self.home()?.join(&rest[1..])),
            _ => Ok(PathBuf::from(path)),
        }
    }

    fn home(&self) -> Result<&Path> {
        self.home.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "there is no home directory to find ~/.micromegas in: set HOME",
            )
        })
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.debug_struct("Environment")
            .field("variables", &self.variables.len())
            .field("home", &self.home)
            .finish()
    }
}
