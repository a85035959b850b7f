//! What is asked of a server that runs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::Outcome;
use super::programs::Programs;
use super::servers::Server;

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Finding {
    /// The case, or the call.
    #[serde(alias = "case", alias = "call")]
    pub(super) name: String,
    #[serde(default)]
    pub(super) proves: String,
    pub(super) verdict: Verdict,
    #[serde(default)]
    pub(super) detail: String,
    /// Why it is no fault of the client, for a failure that is known.
    #[serde(skip)]
    pub(super) known: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    #[serde(alias = "works")]
    Good,
    #[serde(alias = "unimplemented")]
    NotOffered,
    #[serde(alias = "wrong")]
    Failed,
    /// The server has the call, and did not accept what it was asked.
    Refused,
    #[serde(rename = "not_tried")]
    NotTried,
}

impl Finding {
    pub(super) fn is_unknown_failure(&self) -> bool {
        self.verdict == Verdict::Failed && self.known.is_none()
    }
}

pub(super) fn probe(programs: &Programs, server: &Server) -> Result<Outcome> {
    // Before the cases: they may end a replica.
    let mut calls = calls(programs, server)?;
    let mut cases = cases(programs, server)?;
    for finding in cases.iter_mut().chain(&mut calls) {
        finding.known = server.kind.known_failure(&finding.name);
        println!(
            "  {:22} {:?} {}",
            finding.name,
            finding.verdict,
            super::page::one_line(&finding.detail)
        );
    }
    Ok(Outcome::Ran { cases, calls })
}

/// Has `lakepilot doctor` make every call. It exits with a code of its own where something is wrong, so that only what it
/// prints counts.
fn calls(programs: &Programs, server: &Server) -> Result<Vec<Finding>> {
    #[derive(Deserialize)]
    struct Report {
        calls: Vec<Finding>,
    }
    let Some(url) = server.urls.first() else {
        return Ok(Vec::new());
    };
    let told = Command::new(&programs.lakepilot)
        .args(["--url", url, "doctor", "--format", "json"])
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", programs.lakepilot.display()))?;
    let report: Report = serde_json::from_slice(&told.stdout).with_context(|| {
        let errors = String::from_utf8_lossy(&told.stderr).into_owned();
        format!("lakepilot doctor printed no report: {errors}")
    })?;
    Ok(report.calls)
}

/// Runs the cases, and ends replicas when they ask for it.
fn cases(programs: &Programs, server: &Server) -> Result<Vec<Finding>> {
    let mut command = Command::new(&programs.interop);
    command.args(["--dialect", server.kind.dialect()]);
    for url in &server.urls {
        command.args(["--url", url]);
    }
    if !server.replicas.is_empty() {
        command.arg("--end-on-request");
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", programs.interop.display()))?;
    let mut answers = child.stdin.take().context("the input of a child is a pipe")?;
    let output = child.stdout.take().context("the output of a child is a pipe")?;
    let mut findings = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        match serde_json::from_str(&line).with_context(|| format!("the program of the cases said: {line}"))? {
            Line::Finding(finding) => findings.push(finding),
            Line::End { end } => {
                let replica = server.replicas.iter().find(|replica| replica.url == end);
                replica.with_context(|| format!("{end} is no replica"))?.end()?;
                writeln!(answers, "ended")?;
            }
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "{}: {status}", programs.interop.display());
    Ok(findings)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Finding(Finding),
    End { end: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_lines_are_read() {
        let line = r#"{"case":"rows","proves":"x","verdict":"not-offered","detail":"y"}"#;
        let Line::Finding(finding) = serde_json::from_str(line).unwrap() else {
            panic!("{line}");
        };
        assert_eq!((finding.name.as_str(), finding.verdict), ("rows", Verdict::NotOffered));
        let line = r#"{"call":"DoExchange","verdict":"not_tried","detail":"","latency_ms":null}"#;
        let Line::Finding(finding) = serde_json::from_str(line).unwrap() else {
            panic!("{line}");
        };
        assert_eq!(
            (finding.name.as_str(), finding.verdict),
            ("DoExchange", Verdict::NotTried)
        );
        let line = r#"{"end":"grpc://127.0.0.1:1"}"#;
        assert!(matches!(serde_json::from_str(line).unwrap(), Line::End { end } if end == "grpc://127.0.0.1:1"));
    }
}
