//! The program that writes into a store, as a person runs it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::store::Store;
use crate::cargo::{self, Workspace};

const SQL: &str = "SELECT * FROM log_entries";

/// So many that the program is still at it when a signal comes.
const ROWS: &str = "400000";

/// How long something that is waited for may take.
const BOUND: Duration = Duration::from_secs(60);

/// How long the program may take to end after a signal: what it may clean up in, and some for the machine.
const END_BOUND: Duration = Duration::from_secs(5);

pub(super) struct Programs {
    /// With the embedded lake, and without object stores.
    pub(super) served_by: PathBuf,
    /// With object stores, and without the embedded lake.
    pub(super) with_cloud: PathBuf,
}

/// One thing to show.
struct Case {
    name: &'static str,
    check: fn(&mut Room<'_>) -> Result<()>,
}

const CASES: &[Case] = &[
    Case {
        name: "run -o s3://... has the bytes of run -o FILE",
        check: |room| room.has_what_a_file_has("run", "parquet"),
    },
    Case {
        name: "query -o s3://... has the bytes of query -o FILE",
        check: |room| room.has_what_a_file_has("query", "csv"),
    },
    Case {
        name: "Ctrl-C in run leaves nothing",
        check: |room| room.leaves_nothing("run", Signal::INT, 130),
    },
    Case {
        name: "Ctrl-C in query leaves nothing",
        check: |room| room.leaves_nothing("query", Signal::INT, 130),
    },
    Case {
        name: "SIGTERM in run leaves nothing",
        check: |room| room.leaves_nothing("run", Signal::TERM, 143),
    },
    Case {
        name: "a missing bucket is told",
        check: |room| room.is_refused(&["-o", "s3://no-lake/a.parquet"], &[], "is there such a bucket"),
    },
    Case {
        name: "a wrong secret is told, and not shown",
        check: |room| {
            let secret = ("AWS_SECRET_ACCESS_KEY", "not-the-secret");
            room.is_refused(&["-o", "s3://lake/a.parquet"], &[secret], "check AWS_ACCESS_KEY_ID")
        },
    },
    Case {
        name: "parts are refused",
        check: |room| room.is_refused(&["--output-dir", "s3://lake/parts"], &[], "a directory of this machine"),
    },
    Case {
        name: "a program without object stores says so",
        check: |room| room.without_the_feature(),
    },
];

/// What the cases work with.
struct Room<'a> {
    programs: &'a Programs,
    store: Store,
    variables: Vec<(&'static str, String)>,
    lake: Lake,
    folder: PathBuf,
}

pub(super) fn check(programs: &Programs, workspace: &Workspace, python: &Path) -> Result<()> {
    let folder = workspace.target_folder()?.join("object-stores/room");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let store = Store::start(workspace, python)?;
    let mut room = Room {
        variables: store.variables()?,
        lake: Lake::start(&programs.served_by, &folder)?,
        programs,
        store,
        folder,
    };
    for case in CASES {
        (case.check)(&mut room).with_context(|| case.name.to_owned())?;
        println!("good: {}", case.name);
    }
    Ok(())
}

impl Room<'_> {
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).args(["--url", &self.lake.url, SQL]);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    fn has_what_a_file_has(&mut self, command: &str, format: &str) -> Result<()> {
        let file = self.folder.join(format!("rows.{format}"));
        let program = &self.programs.with_cloud;
        let place = file.to_string_lossy();
        cargo::output(&mut self.command(program, &[command, "--quiet", "-o", &place]))?;
        let object = format!("some/rows.{format}");
        let url = format!("s3://lake/{object}");
        cargo::output(&mut self.command(program, &[command, "--quiet", "-o", &url]))?;
        let expected = cargo::output(Command::new("sha256sum").arg(&file))?;
        let expected = expected.split_whitespace().next().unwrap_or_default();
        let found = self.store.ask(&format!("sha256 {object}"))?;
        ensure!(found == expected, "the object has {found}, the file {expected}");
        fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
        self.store.ask(&format!("remove {object}"))?;
        ensure!(self.store.is_empty()?, "something else is in the store");
        Ok(())
    }

    fn leaves_nothing(&mut self, command: &str, signal: Signal, code: i32) -> Result<()> {
        let url = "s3://lake/cut.parquet";
        let mut command = self.command(&self.programs.with_cloud, &[command, "--quiet", "-o", url]);
        let mut child = command.spawn().context("start the program")?;
        let begun = Instant::now();
        while self.store.ask("uploads")? != Value::from(vec!["cut.parquet"]) {
            ensure!(child.try_wait()?.is_none(), "the program has ended before the signal");
            ensure!(begun.elapsed() < BOUND, "no upload begins");
        }
        let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        kill_process(process.context("the program has no id")?, signal).context("send the signal")?;
        let status = end_of(&mut child)?;
        ensure!(status == Some(code), "the program ends with {status:?}, not {code}");
        ensure!(self.store.is_empty()?, "something is left in the store");
        Ok(())
    }

    fn is_refused(&mut self, place: &[&str], other: &[(&str, &str)], words: &str) -> Result<()> {
        let mut command = self.command(&self.programs.with_cloud, &[&["run"], place].concat());
        let told = refused(command.envs(other.iter().copied()))?;
        ensure!(told.contains(words), "'{words}' is not in:\n{told}");
        ensure!(
            other.iter().all(|(_, value)| !told.contains(value)),
            "a secret is in:\n{told}"
        );
        ensure!(self.store.is_empty()?, "something is left in the store");
        Ok(())
    }

    fn without_the_feature(&mut self) -> Result<()> {
        let arguments = ["run", "-o", "s3://lake/a.parquet"];
        let told = refused(&mut self.command(&self.programs.served_by, &arguments))?;
        ensure!(told.contains("build it with the feature cloud"), "it says:\n{told}");
        Ok(())
    }
}

/// What a command says that fails.
fn refused(command: &mut Command) -> Result<String> {
    let Output { status, stderr, .. } = command.output().context("start the program")?;
    let told = String::from_utf8_lossy(&stderr).into_owned();
    ensure!(!status.success(), "it ends well: {told}");
    Ok(told)
}

fn end_of(child: &mut Child) -> Result<Option<i32>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        if begun.elapsed() > END_BOUND {
            child.kill().context("end the program")?;
            bail!(
                "the program does not end within {} s of the signal",
                END_BOUND.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A server of a generated lake, which ends with this value.
struct Lake {
    child: Child,
    url: String,
}

impl Lake {
    fn start(program: &Path, folder: &Path) -> Result<Self> {
        let lake = folder.join(format!("lake-{ROWS}"));
        if !lake.exists() {
            // Its name is given to a lake that is whole only.
            let unfinished = folder.join("unfinished");
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished).with_context(|| format!("remove {}", unfinished.display()))?;
            }
            let mut generate = Command::new(program);
            generate.args(["lake", "generate", "--quiet", "--rows", ROWS]);
            cargo::output(generate.arg(&unfinished))?;
            fs::rename(&unfinished, &lake).with_context(|| format!("make {}", lake.display()))?;
        }
        let mut child = Command::new(program)
            .args(["lake", "serve", "--listen", "127.0.0.1:0"])
            .arg(&lake)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let output = child.stdout.take();
        let mut server = Self {
            child,
            url: String::new(),
        };
        let mut line = String::new();
        let mut output = BufReader::new(output.context("the server has no output")?);
        output.read_line(&mut line).context("read where the server listens")?;
        server.url = line.trim().trim_start_matches("listening on ").to_owned();
        ensure!(server.url.starts_with("grpc://"), "the server says '{}'", line.trim());
        Ok(server)
    }
}

impl Drop for Lake {
    fn drop(&mut self) {
        // It has nothing to lose, and may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
