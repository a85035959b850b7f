//! Servers of object stores on this machine, each a program of Python in `tests/clouds`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

/// A server, which ends with this value.
pub(super) struct Server {
    child: Child,
    /// `None` at the end.
    talk: Mutex<Option<Talk>>,
    /// What it tells of itself.
    told: Value,
}

struct Talk {
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Server {
    /// S3, with a look at who asks.
    pub(super) fn s3() -> Self {
        Self::start("s3.py", &[])
    }

    /// S3 for anyone.
    pub(super) fn open_s3() -> Self {
        Self::start("s3.py", &["anyone"])
    }

    pub(super) fn azure() -> Self {
        Self::start("azurite.py", &[&variable("LAKEPILOT_AZURITE").to_string_lossy()])
    }

    fn start(program: &str, arguments: &[&str]) -> Self {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clouds");
        let mut child = Command::new(variable("LAKEPILOT_OBJECT_STORES_PYTHON"))
            .arg(programs.join(program))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut talk = Talk {
            questions: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
        };
        let told = talk.answer();
        Self {
            child,
            talk: Mutex::new(Some(talk)),
            told,
        }
    }

    pub(super) fn url(&self) -> &str {
        self.text("/url")
    }

    /// What it tells at a place of its first line.
    pub(super) fn text(&self, place: &str) -> &str {
        self.told.pointer(place).and_then(Value::as_str).unwrap()
    }

    pub(super) fn ask(&self, question: &str) -> Value {
        let mut talk = self.talk.lock().unwrap();
        let talk = talk.as_mut().unwrap();
        writeln!(talk.questions, "{question}").unwrap();
        talk.answer()
    }

    /// The names of the objects.
    pub(super) fn objects(&self) -> Vec<String> {
        serde_json::from_value(self.ask("objects")).unwrap()
    }

    /// The names of what is neither an object nor given up.
    pub(super) fn uploads(&self) -> Vec<String> {
        serde_json::from_value(self.ask("uploads")).unwrap()
    }
}

impl Talk {
    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: the server said '{line}'"))
    }
}

fn variable(name: &str) -> PathBuf {
    let value = std::env::var_os(name);
    value
        .unwrap_or_else(|| panic!("{name} is not set: run these tests by `cargo xtask object-stores`"))
        .into()
}

impl Drop for Server {
    fn drop(&mut self) {
        // With its standard input the program ends, and what it has started.
        if let Ok(talk) = self.talk.get_mut() {
            *talk = None;
        }
        let _ = self.child.wait();
    }
}
