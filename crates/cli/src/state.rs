//! What the program keeps between runs: the history of retirements, and the locks of servers.

use std::path::PathBuf;

use lakepilot_admin::{History, ServerLock};
use lakepilot_query::{Error, ErrorKind, Result};

/// The folder for state: `LAKEPILOT_STATE`, or `lakepilot` where the system keeps the state of programs.
#[derive(Clone, Debug)]
pub(crate) struct State {
    folder: PathBuf,
}

impl State {
    /// # Errors
    /// `InvalidInput` when the environment names no place.
    pub(crate) fn of_environment() -> Result<Self> {
        let set = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let folder = set("LAKEPILOT_STATE")
            .or_else(|| set("XDG_STATE_HOME").map(|folder| folder.join("lakepilot")))
            .or_else(|| set("HOME").map(|home| home.join(".local/state/lakepilot")))
            .or_else(|| set("LOCALAPPDATA").map(|folder| folder.join("lakepilot")));
        folder.map(|folder| Self { folder }).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "there is no place for the history of retirements: name a folder in LAKEPILOT_STATE",
            )
        })
    }

    /// The file of the history.
    pub(crate) fn history_path(&self) -> PathBuf {
        self.folder.join("history.ndjson")
    }

    /// The history, for what this account does.
    ///
    /// # Errors
    /// `Io` when the folder cannot be made.
    pub(crate) fn history(&self) -> Result<History> {
        std::fs::create_dir_all(&self.folder)
            .map_err(|error| Error::from(error).context(format!("cannot make {}", self.folder.display())))?;
        Ok(History::new(self.history_path(), who()))
    }

    /// The right to work on a server, until it is dropped.
    ///
    /// # Errors
    /// `Unavailable` when another run has it.
    pub(crate) fn lock(&self, server: &str) -> Result<ServerLock> {
        ServerLock::acquire(&self.folder.join("locks"), server)
    }
}

/// The account and the machine, as far as they can be told.
fn who() -> String {
    let set = |names: &[&str]| {
        let values = names.iter().filter_map(|name| std::env::var(name).ok());
        values
            .map(|value| value.trim().to_owned())
            .find(|value| !value.is_empty())
    };
    let account = set(&["LOGNAME", "USER", "USERNAME"])
        .or_else(user_id)
        .unwrap_or_else(|| "somebody".to_owned());
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .or_else(|| set(&["HOSTNAME", "COMPUTERNAME"]));
    match machine {
        Some(machine) => format!("{account}@{machine}"),
        None => account,
    }
}

/// The number of the account that the process runs under, where the system tells it.
#[cfg(unix)]
fn user_id() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let process = std::fs::metadata("/proc/self").ok()?;
    Some(format!("uid {}", process.uid()))
}

#[cfg(not(unix))]
fn user_id() -> Option<String> {
    None
}
