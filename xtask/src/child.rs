//! Servers that end with what started them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
#[cfg(unix)]
use std::{
    fs::{self, File},
    path::Path,
    thread,
    time::{Duration, Instant},
};

#[cfg(unix)]
use anyhow::bail;
use anyhow::{Context, Result, ensure};

use crate::cargo;

/// A child that ends when this is dropped.
pub(crate) struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody left to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server, and gives the first line that it prints.
pub(crate) fn started(mut command: Command) -> Result<(Ended, String)> {
    // Some servers end when their input does, should this program be killed.
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.env_remove("RUST_BACKTRACE");
    let told = cargo::describe(&command);
    let mut child = Ended(command.spawn().with_context(|| format!("start {told}"))?);
    let output = child.0.stdout.take().context("the output of a child is a pipe")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    ensure!(!line.is_empty(), "{told} ended before it listened");
    Ok((child, line))
}

/// Starts a server that writes into a log, and waits until `ready` finds in the log what it looks for.
#[cfg(unix)]
pub(crate) fn started_with_log<T>(
    mut command: Command,
    log: &Path,
    patience: Duration,
    ready: impl Fn(&str) -> Option<T>,
) -> Result<(Ended, T)> {
    let file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    command.env_remove("RUST_BACKTRACE");
    let told = cargo::describe(&command);
    let mut child = Ended(command.spawn().with_context(|| format!("start {told}"))?);
    let start = Instant::now();
    loop {
        if let Some(found) = fs::read_to_string(log).ok().as_deref().and_then(&ready) {
            return Ok((child, found));
        }
        if let Some(status) = child.0.try_wait()? {
            bail!("{told}: {status}; see {}", log.display());
        }
        ensure!(
            start.elapsed() < patience,
            "{told} did not listen within {} s; see {}",
            patience.as_secs(),
            log.display()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_there_when_its_log_says_so_and_one_that_ends_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        let port = |text: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix("port ")?.parse::<u16>().ok())
        };
        let patience = Duration::from_secs(60);
        let server = shell("echo starting; echo port 7 >&2; exec sleep 600");
        let (server, found) = started_with_log(server, &log, patience, port).unwrap();
        assert_eq!(found, 7);
        drop(server);
        let error = started_with_log(shell("echo oh; exit 3"), &log, patience, port)
            .err()
            .unwrap();
        assert!(error.to_string().contains("exit status: 3"), "{error}");
        assert_eq!(fs::read_to_string(&log).unwrap(), "oh\n");
    }
}
