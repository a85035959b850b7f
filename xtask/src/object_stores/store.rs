//! A server of S3, and what can be asked of it beside its requests.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cargo::Workspace;

/// The program says what it tells and what it is asked.
const PROGRAM: &str = "crates/execution/tests/clouds/s3.py";

/// The server, which ends with this value.
pub(super) struct Store {
    child: Child,
    /// `None` at the end.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    told: Value,
}

impl Store {
    pub(super) fn start(workspace: &Workspace, python: &Path) -> Result<Self> {
        let mut child = Command::new(python)
            .arg(workspace.root().join(PROGRAM))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {PROGRAM}"))?;
        let questions = child.stdin.take();
        let answers = child.stdout.take().context("the store has no output")?;
        let mut store = Self {
            child,
            questions,
            answers: BufReader::new(answers),
            told: Value::Null,
        };
        store.told = store.line()?;
        Ok(store)
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line).context("hear from the store")?;
        serde_json::from_str(&line).with_context(|| format!("the store says '{}'", line.trim()))
    }

    fn text(&self, place: &str) -> Result<String> {
        let found = self.told.pointer(place).and_then(Value::as_str);
        found
            .map(str::to_owned)
            .with_context(|| format!("the store has no {place}"))
    }

    /// The environment of who may write into it.
    pub(super) fn variables(&self) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("AWS_ENDPOINT", self.text("/url")?),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", self.text("/users/writer/id")?),
            ("AWS_SECRET_ACCESS_KEY", self.text("/users/writer/secret")?),
        ])
    }

    pub(super) fn ask(&mut self, question: &str) -> Result<Value> {
        let questions = self.questions.as_mut().context("the store has ended")?;
        writeln!(questions, "{question}").context("ask the store")?;
        self.line()
    }

    /// Whether it has no object, and no upload that is neither complete nor given up.
    pub(super) fn is_empty(&mut self) -> Result<bool> {
        let nothing = Value::Array(Vec::new());
        Ok(self.ask("objects")? == nothing && self.ask("uploads")? == nothing)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // It ends with its standard input.
        self.questions = None;
        let _ = self.child.wait();
    }
}
