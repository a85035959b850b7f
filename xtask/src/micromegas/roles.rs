//! Starts the roles of the service.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Process;
use super::process::wait_for;
use crate::cargo::output;

/// How long a role may take until it listens: the first one migrates an empty database.
const PATIENCE: Duration = Duration::from_secs(120);

/// What every role has in common.
pub(super) struct Roles<'a> {
    pub(super) binary: &'a Path,
    pub(super) logs: &'a Path,
    pub(super) variables: Vec<(&'static str, String)>,
}

impl Roles<'_> {
    /// Starts a role that listens, and gives its address when it does.
    pub(super) fn start(&self, role: &str) -> Result<(Process, String)> {
        self.start_as(role, role)
    }

    /// As [`start`](Self::start), under a name of its own: that of its log.
    pub(super) fn start_as(&self, role: &str, name: &str) -> Result<(Process, String)> {
        let mut child = self.spawn(role, name)?;
        let log = self.logs.join(format!("{name}.log"));
        let mut url = None;
        let mut ended = None;
        wait_for(PATIENCE, || {
            url = fs::read_to_string(&log).ok().as_deref().and_then(announced);
            ended = child.try_wait().ok().flatten();
            url.is_some() || ended.is_some()
        });
        match (url, ended) {
            (Some(url), None) => Ok((Process::of(name, child.id())?, url)),
            (_, Some(status)) => bail!("the {role} role has ended: {status}; see {}", log.display()),
            (None, None) => {
                Process::of(role, child.id())?.end()?;
                child.wait()?;
                bail!(
                    "the {role} role did not listen within {} s; see {}",
                    PATIENCE.as_secs(),
                    log.display()
                )
            }
        }
    }

    /// Starts a role that does not listen.
    pub(super) fn start_silent(&self, role: &str) -> Result<Process> {
        Process::of(role, self.spawn(role, role)?.id())
    }

    /// Runs a role to its end, and gives what it wrote on standard output.
    pub(super) fn run(&self, role: &str, arguments: &[&str]) -> Result<String> {
        output(self.command(role).args(arguments))
    }

    fn spawn(&self, role: &str, name: &str) -> Result<Child> {
        let path = self.logs.join(format!("{name}.log"));
        let log = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        self.command(role)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C in the terminal is not for it.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {} {role}", self.binary.display()))
    }

    fn command(&self, role: &str) -> Command {
        let mut command = Command::new(self.binary);
        command.arg(role).envs(self.variables.iter().cloned());
        // Backtraces would end up in the service's error messages.
        command.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
        command
    }
}

fn announced(log: &str) -> Option<String> {
    // A line that is still being written has no end yet.
    log.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
        .find_map(|line| line.strip_prefix("listening on "))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_counts_when_its_line_is_whole() {
        assert_eq!(announced("WARN x\nlistening on grpc://127.0.0.1:50"), None);
        assert_eq!(
            announced("WARN x\nlistening on grpc://127.0.0.1:50051\n").as_deref(),
            Some("grpc://127.0.0.1:50051")
        );
    }

    #[test]
    fn a_role_that_ends_is_told_from_one_that_listens() {
        let logs = tempfile::tempdir().unwrap();
        let roles = Roles {
            binary: Path::new("false"),
            logs: logs.path(),
            variables: vec![],
        };
        let error = roles.start("flight-sql").unwrap_err();
        assert!(error.to_string().contains("the flight-sql role has ended"), "{error}");
    }
}
