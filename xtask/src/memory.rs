//! How much memory the program takes for a large result, measured from outside: the release program as a child, against a
//! server that is another one, and what the system says was the most that it held.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use crate::cargo::{self, Workspace};

const SQL: &str = "SELECT * FROM log_entries";

/// The days that the lake is of, with `DAYS`: slices are pieces of a time range, and a lake that is kept has the same one.
const BEGIN: &str = "2026-01-01T00:00:00Z";
const END: &str = "2026-01-15T00:00:00Z";
const DAYS: &str = "14";

/// The budget that the promise is about, in megabytes, as `--memory-mb` has it.
const BUDGET_MB: &str = "64";

/// What a run within the budget may take at most, the program itself included.
const PROMISE_BYTES: u64 = 200_000_000;

/// How often the peak is looked at. It only grows, so that no more is missed than the growth of the last moment.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What the slow consumer reads before it sleeps, and how long that is: 50 MB/s at most.
const SIP_BYTES: usize = 1_000_000;
const SLEEP: Duration = Duration::from_millis(20);

#[derive(Args)]
pub(crate) struct Options {
    /// Log entries of the generated lake; 6 million are over two gigabytes of rows
    #[arg(long, value_name = "N", default_value_t = 6_000_000)]
    rows: u64,
    /// Program to measure, instead of a release build of the checkout
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// A run to measure.
struct Case {
    name: &'static str,
    arguments: &'static [&'static str],
    consumer: Consumer,
    /// Whether the promise is about it.
    is_promised: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Consumer {
    /// Rows are dropped.
    None,
    Parquet,
    /// The rows go into a pipe, whose reader sleeps.
    Slow,
}

const CASES: [Case; 5] = [
    Case {
        name: "counted, as by default",
        arguments: &[],
        consumer: Consumer::None,
        is_promised: false,
    },
    Case {
        name: "Parquet, as by default",
        arguments: &[],
        consumer: Consumer::Parquet,
        is_promised: false,
    },
    Case {
        name: "Parquet, 64 MB",
        arguments: &["--memory-mb", BUDGET_MB],
        consumer: Consumer::Parquet,
        is_promised: true,
    },
    Case {
        name: "Parquet, 64 MB, slices",
        arguments: &["--memory-mb", BUDGET_MB, "--slices", "auto", "--parallel", "4"],
        consumer: Consumer::Parquet,
        is_promised: true,
    },
    Case {
        name: "a pipe that sleeps, 64 MB",
        arguments: &["--memory-mb", BUDGET_MB],
        consumer: Consumer::Slow,
        is_promised: true,
    },
];

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let program = match &options.program {
        Some(program) => program.clone(),
        None => build(workspace)?,
    };
    let folder = workspace.target_folder()?.join("memory");
    let lake = generated(&program, &folder, options.rows)?;
    let server = Server::start(&program, &lake)?;
    println!(
        "{:28} {:>9} {:>12} {:>12} {:>12}",
        "run", "seconds", "decoded", "held", "peak RSS"
    );
    let mut broken = Vec::new();
    for case in &CASES {
        let measured = measure(&program, &server, &folder, case).with_context(|| case.name.to_owned())?;
        println!(
            "{:28} {:>9.1} {:>12} {:>12} {:>12}",
            case.name,
            measured.time.as_secs_f64(),
            megabytes(measured.decoded_bytes),
            megabytes(measured.held_bytes),
            megabytes(measured.peak_bytes),
        );
        if case.is_promised && measured.peak_bytes > PROMISE_BYTES {
            broken.push(case.name);
        }
    }
    println!("{:28} {:>61}", "the server", megabytes(server.peak_bytes()?));
    ensure!(
        broken.is_empty(),
        "more than {} were held in: {}",
        megabytes(PROMISE_BYTES),
        broken.join("; ")
    );
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    cargo::run(&mut workspace.cargo(["build", "--locked", "--release", "--package", "lakepilot-cli"]))?;
    Ok(workspace.target_folder()?.join("release").join("lakepilot"))
}

/// A lake of so many rows, which is kept for the next time.
fn generated(program: &Path, folder: &Path, rows: u64) -> Result<PathBuf> {
    let lake = folder.join(format!("lake-{rows}"));
    // Its name is given to a lake that is whole only.
    let unfinished = folder.join("unfinished");
    if !lake.exists() {
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).with_context(|| format!("remove {}", unfinished.display()))?;
        }
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        cargo::output(Command::new(program).args(["lake", "generate"]).arg(&unfinished).args([
            "--rows",
            &rows.to_string(),
            "--days",
            DAYS,
            "--end",
            END,
        ]))?;
        fs::rename(&unfinished, &lake).with_context(|| format!("make {}", lake.display()))?;
    }
    Ok(lake)
}

/// A server of the lake, which ends with this value.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(program: &Path, lake: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .args(["lake", "serve"])
            .arg(lake)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let mut line = String::new();
        let told = child.stdout.take().map(BufReader::new);
        let read = told.context("the server has no output")?.read_line(&mut line);
        let server = Self {
            url: line.trim().trim_start_matches("listening on ").to_owned(),
            child,
        };
        read.context("read where the server listens")?;
        ensure!(server.url.starts_with("grpc://"), "the server says '{}'", line.trim());
        Ok(server)
    }

    fn peak_bytes(&self) -> Result<u64> {
        peak_bytes(self.child.id()).context("the server has ended")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to lose, and may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Measured {
    time: Duration,
    peak_bytes: u64,
    decoded_bytes: u64,
    /// What the program says that it held, in rows.
    held_bytes: u64,
}

fn measure(program: &Path, server: &Server, folder: &Path, case: &Case) -> Result<Measured> {
    let statistics = folder.join("statistics.json");
    let rows = folder.join("rows.parquet");
    let mut command = Command::new(program);
    command
        .args(["run", "--quiet", "--estimate", "none", "--url", &server.url])
        .args(["--begin", BEGIN, "--end", END])
        .arg("--stats")
        .arg(&statistics)
        .args(case.arguments);
    match case.consumer {
        Consumer::None => {}
        Consumer::Parquet => {
            command.arg("--output").arg(&rows);
        }
        Consumer::Slow => {
            command.args(["--format", "arrow"]).stdout(Stdio::piped());
        }
    }
    command.arg(SQL);
    let begun = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let reader = child.stdout.take().map(|stdout| thread::spawn(move || sip(stdout)));
    let mut peak = 0;
    let status = loop {
        peak = peak_bytes(child.id()).unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait().context("wait for the program")? {
            break status;
        }
        thread::sleep(LOOK_EVERY);
    };
    let time = begun.elapsed();
    if let Some(reader) = reader {
        let read = reader.join().unwrap_or_else(|_| bail!("the reader ended early"));
        read.context("read the rows")?;
    }
    ensure!(status.success(), "{}: {status}", cargo::describe(&command));
    if rows.exists() {
        fs::remove_file(&rows).with_context(|| format!("remove {}", rows.display()))?;
    }
    let told = fs::read(&statistics).with_context(|| format!("read {}", statistics.display()))?;
    let told: Value = serde_json::from_slice(&told).context("the statistics")?;
    let count = |name: &str| {
        told.get(name)
            .and_then(Value::as_u64)
            .with_context(|| format!("the statistics have no {name}"))
    };
    Ok(Measured {
        time,
        peak_bytes: peak,
        decoded_bytes: count("decoded_bytes")?,
        held_bytes: count("peak_in_flight_bytes")?,
    })
}

/// Reads to the end, with a sleep after every sip.
fn sip(mut stdout: ChildStdout) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut sipped = 0;
    loop {
        match stdout.read(&mut buffer)? {
            0 => return Ok(()),
            bytes => sipped += bytes,
        }
        if sipped >= SIP_BYTES {
            sipped = 0;
            thread::sleep(SLEEP);
        }
    }
}

/// The most memory that a process has held so far; `None` when it has ended.
fn peak_bytes(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    peak_in(&status)
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_as_the_system_writes_it() {
        let status = "Name:\tlakepilot\nVmPeak:\t  900000 kB\nVmHWM:\t  123456 kB\nVmRSS:\t   10000 kB\n";
        assert_eq!(peak_in(status), Some(123_456 * 1024));
        assert_eq!(peak_in("Name:\tzombie\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn this_process_has_a_peak() {
        assert!(peak_bytes(std::process::id()).is_some_and(|bytes| bytes > 0));
    }
}
