//! Runs the program, and serves small lakes with it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Telemetry ends here in every test lake, so that tests can name times.
pub(crate) const END: &str = "2026-03-01T00:00:00Z";
pub(crate) const BEGIN: &str = "2026-02-27T00:00:00Z";
pub(crate) const ROWS: u64 = 2_000;

/// What a run of the program left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The run, which has to have ended well.
    #[track_caller]
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Where the programs of all tests keep their history; a test that looks at it names a folder of its own.
fn state() -> &'static Path {
    static STATE: OnceLock<TempDir> = OnceLock::new();
    STATE.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lakepilot"));
    command.stdin(Stdio::null());
    command.env("LAKEPILOT_STATE", state());
    // The cache of whoever runs the tests is theirs.
    command.env("LAKEPILOT_NO_LEARN", "1");
    // So are their profiles and logins.
    command.env("HOME", empty_home());
    for variable in [
        "MICROMEGAS_ANALYTICS_URI",
        "MICROMEGAS_PROFILE",
        "MICROMEGAS_OIDC_ISSUER",
        "MICROMEGAS_OIDC_CLIENT_ID",
        "MICROMEGAS_OIDC_CLIENT_SECRET",
        "MICROMEGAS_OIDC_AUDIENCE",
        "MICROMEGAS_OIDC_SCOPE",
        "LAKEPILOT_PASSWORD",
        "LAKEPILOT_CA_CERT",
        "LAKEPILOT_CLIENT_CERT",
        "LAKEPILOT_CLIENT_KEY",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "COLUMNS",
        "LAKEPILOT_LOG",
        "RUST_BACKTRACE",
        "RUST_LOG",
    ] {
        command.env_remove(variable);
    }
    // What the program learns from queries is not to be left with whoever runs the tests.
    static CACHE: OnceLock<TempDir> = OnceLock::new();
    command.env(
        "XDG_CACHE_HOME",
        CACHE.get_or_init(|| tempfile::tempdir().unwrap()).path(),
    );
    command
}

/// A home folder with nothing in it.
fn empty_home() -> &'static Path {
    static HOME: OnceLock<TempDir> = OnceLock::new();
    HOME.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

pub(crate) fn run(arguments: &[&str]) -> Ran {
    command().args(arguments).output().unwrap().into()
}

/// Sends a signal to a process.
pub(crate) fn send(signal: &str, child: &Child) {
    let status = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// Waits until something is so, within a bound that is long enough for a slow machine.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let bound = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < bound, "{what} did not happen");
        std::thread::yield_now();
    }
}

/// The names in a directory, in their order.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A lake that all tests share; each works on a copy.
fn original() -> &'static Path {
    static LAKE: OnceLock<TempDir> = OnceLock::new();
    LAKE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let lake = dir.path().join("lake");
        let rows = ROWS.to_string();
        run(&[
            "lake",
            "generate",
            lake.to_str().unwrap(),
            "--rows",
            &rows,
            "--days",
            "2",
            "--processes",
            "4",
            "--seed",
            "7",
            "--end",
            END,
        ])
        .good();
        dir
    })
    .path()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A copy of the lake, which goes with the value.
pub(crate) struct LakeCopy {
    _dir: TempDir,
    pub(crate) path: PathBuf,
}

impl LakeCopy {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lake");
        copy(&original().join("lake"), &path);
        Self { _dir: dir, path }
    }

    pub(crate) fn url(&self) -> String {
        format!("lake:{}", self.path.display())
    }

    /// The file of what a server of the lake says on standard error.
    fn log(&self) -> PathBuf {
        self.path.with_file_name("server.log")
    }
}

/// A server on a copy of the lake, ended when the value goes.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) lake: LakeCopy,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Self {
        let lake = LakeCopy::new();
        let mut child = command()
            .args(["lake", "serve"])
            .arg(&lake.path)
            .args(["--listen", "127.0.0.1:0"])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(lake.log()).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("{line:?}"))
            .to_owned();
        Self { child, url, lake }
    }

    /// Runs the program against the server.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        command()
            .args(["--url", &self.url])
            .args(arguments)
            .output()
            .unwrap()
            .into()
    }

    /// Runs the program against the server as in a terminal of so many columns.
    pub(crate) fn run_wide(&self, columns: usize, arguments: &[&str]) -> Ran {
        command()
            .env("COLUMNS", columns.to_string())
            .env("LC_ALL", "C.UTF-8")
            .args(["--url", &self.url])
            .args(arguments)
            .output()
            .unwrap()
            .into()
    }

    /// Runs the program against the server, over the whole range of the lake.
    pub(crate) fn run_ranged(&self, arguments: &[&str]) -> Ran {
        self.command_ranged(arguments).output().unwrap().into()
    }

    /// What the server has said on standard error; with `-v`, how each query ended.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.lake.log()).unwrap()
    }

    /// The program against the server, over the whole range of the lake, to be started.
    pub(crate) fn command_ranged(&self, arguments: &[&str]) -> Command {
        let mut command = command();
        command
            .args(["--url", &self.url, "--begin", BEGIN, "--end", END])
            .args(arguments);
        command
    }

    /// Asks the server to end, as a service manager does; returns its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        send("TERM", &self.child);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
