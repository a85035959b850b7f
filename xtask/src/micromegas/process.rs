//! A process that outlives the command that started it, told from another one that got its number later.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// How long a process may take to end when it is asked to.
const POLITE: Duration = Duration::from_secs(20);
/// How long the system may take to end it by force.
const FORCED: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) id: u32,
    /// When it was started, as the system writes it: a number is given again, number and time are not.
    started: String,
}

impl Process {
    /// # Errors
    /// When there is no process of that id.
    pub(super) fn of(name: &str, id: u32) -> Result<Self> {
        let started = started(id).with_context(|| format!("the process {id} ({name}) has ended already"))?;
        Ok(Self {
            name: name.to_owned(),
            id,
            started,
        })
    }

    #[cfg(test)]
    pub(super) fn current(name: &str) -> Result<Self> {
        Self::of(name, std::process::id())
    }

    pub(super) fn is_running(&self) -> bool {
        started(self.id).is_some_and(|started| started == self.started)
    }

    /// Asks the process to end, and ends it when it does not; does nothing when it is not there any more.
    pub(super) fn end(&self) -> Result<()> {
        for (signal, patience) in [(Signal::TERM, POLITE), (Signal::KILL, FORCED)] {
            if !self.is_running() {
                return Ok(());
            }
            let pid = i32::try_from(self.id).ok().and_then(Pid::from_raw);
            let pid = pid.with_context(|| format!("{} is not the id of a process", self.id))?;
            // It may end between the look and the signal: what counts is whether it is there afterwards.
            let _ = kill_process(pid, signal);
            wait_for(patience, || !self.is_running());
        }
        ensure!(
            !self.is_running(),
            "the process {} ({}) does not end",
            self.id,
            self.name
        );
        Ok(())
    }
}

/// Looks again and again until the condition holds or the time is over; tells which.
pub(super) fn wait_for(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > patience {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// When a process was started; `None` when it is not there, or has ended and waits to be buried.
fn started(id: u32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        return started_of_stat(&stat);
    }
    let output = std::process::Command::new("ps")
        .args(["-o", "lstart=", "-p", &id.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The 22nd field of Linux's `/proc/PID/stat`. The second, the name, may hold anything, spaces and parentheses too.
fn started_of_stat(stat: &str) -> Option<String> {
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace();
    let is_buried = matches!(fields.next()?, "Z" | "X");
    let started = fields.nth(18)?;
    (!is_buried).then(|| started.to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_start_time_is_read_behind_any_name() {
        let fields: Vec<String> = (4..=25).map(|number| number.to_string()).collect();
        let stat = |name: &str, state: &str| format!("17 ({name}) {state} {}", fields.join(" "));
        assert_eq!(started_of_stat(&stat("a) S (b", "S")), Some("22".to_owned()));
        assert_eq!(started_of_stat(&stat("a", "Z")), None);
        assert_eq!(started_of_stat(""), None);
    }

    #[test]
    fn a_process_is_ended_and_another_of_the_same_number_is_not() {
        let mut child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let process = Process::of("sleep", child.id()).unwrap();
        let namesake = Process {
            started: "another time".to_owned(),
            ..process.clone()
        };
        namesake.end().unwrap();
        assert!(process.is_running());
        process.end().unwrap();
        assert!(!process.is_running());
        child.wait().unwrap();
        assert!(Process::of("sleep", child.id()).is_err());
    }
}
