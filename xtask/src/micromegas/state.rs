//! What is up, as a file.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Process;
use super::fill::Filled;
use super::postgres::Cluster;

/// Everything that one `up` started.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) cluster: Cluster,
    pub(super) processes: Vec<Process>,
    /// Further Flight SQL roles, which may end without the service being down.
    #[serde(default)]
    pub(super) replicas: Vec<Process>,
    pub(super) ingestion_url: String,
    pub(super) flight_sql_url: String,
    pub(super) filled: Vec<Filled>,
}

impl State {
    pub(super) fn new(cluster: &Cluster) -> Self {
        Self {
            cluster: cluster.clone(),
            ..Self::default()
        }
    }

    /// `None` when there is no such file.
    pub(super) fn read(file: &Path) -> Result<Option<Self>> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", file.display())),
        };
        let state = serde_json::from_str(&text).with_context(|| format!("read {}", file.display()))?;
        Ok(Some(state))
    }

    /// Writes the file for its owner only: it holds the password of the database.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        let unfinished = file.with_extension("json.new");
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut open| open.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&unfinished, file))
            .with_context(|| format!("write {}", file.display()))
    }

    /// Notes a process that was just started, so that it can be ended whatever comes next.
    pub(super) fn add(&mut self, process: Process, file: &Path) -> Result<()> {
        self.processes.push(process);
        self.write(file)
    }

    pub(super) fn is_running(&self) -> bool {
        !self.flight_sql_url.is_empty() && self.processes.iter().all(Process::is_running)
    }

    /// The environment of every role.
    pub(super) fn variables(&self, objects: &Path) -> Result<Vec<(&'static str, String)>> {
        let objects = fs::canonicalize(objects).with_context(|| format!("find {}", objects.display()))?;
        Ok(vec![
            ("MICROMEGAS_SQL_CONNECTION_STRING", self.cluster.url()),
            ("MICROMEGAS_OBJECT_STORE_URI", format!("file://{}/", objects.display())),
        ])
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Flight SQL  {}", self.flight_sql_url)?;
        writeln!(f, "ingestion   {}", self.ingestion_url)?;
        writeln!(
            f,
            "PostgreSQL  127.0.0.1:{} in {}",
            self.cluster.port,
            self.cluster.folder.display()
        )?;
        let replicas = self.replicas.iter().filter(|replica| replica.is_running());
        for process in self.processes.iter().chain(replicas) {
            writeln!(f, "{:11} process {}", process.name, process.id)?;
        }
        for filled in &self.filled {
            writeln!(
                f,
                "filled      {} ({}): {} log entries, {} measures, {} thread spans, {} async spans",
                filled.process_id,
                filled.role,
                filled.log_entries,
                filled.measures,
                filled.thread_spans,
                filled.async_spans
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_state_survives_its_file_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        assert!(State::read(&file).unwrap().is_none());

        let mut state = State {
            flight_sql_url: "grpc://127.0.0.1:1".to_owned(),
            ..State::default()
        };
        state.add(Process::current("flight-sql").unwrap(), &file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

        let read = State::read(&file).unwrap().unwrap();
        assert!(read.is_running());
        assert_eq!(read.to_string(), state.to_string());

        fs::write(&file, "{").unwrap();
        assert!(State::read(&file).is_err());
    }
}
