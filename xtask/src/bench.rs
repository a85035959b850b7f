//! The criterion benchmarks: as they are, against an earlier commit, or once through.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;

use crate::cargo::{self, Workspace};

const PACKAGE: &str = "lakepilot-benches";
/// Where criterion keeps what it measured.
const HOME_VARIABLE: &str = "CRITERION_HOME";
/// What the measurements of the earlier commit are kept under.
const BASELINE: &str = "baseline";

#[derive(Args)]
pub(crate) struct Options {
    /// Run every benchmark once, without optimisation and on few rows, to see that it runs
    #[arg(long, conflicts_with = "baseline")]
    smoke: bool,
    /// Measure this commit first, and tell the difference from it
    #[arg(long, value_name = "REV")]
    baseline: Option<String>,
    /// What goes to the benchmarks after `--`, such as part of a name
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.smoke {
        return smoke(workspace);
    }
    match &options.baseline {
        Some(revision) => compare(workspace, revision, &options.arguments),
        None => cargo::run(
            workspace
                .cargo(["bench", "--locked", "--package", PACKAGE, "--benches", "--"])
                .args(&options.arguments),
        ),
    }
}

/// `cargo test` starts a benchmark without `--bench`, and criterion then runs each function once. With the features of the
/// whole workspace, so that nothing is built a second time.
pub(crate) fn smoke(workspace: &Workspace) -> Result<()> {
    cargo::run(&mut workspace.cargo(["test", "--locked", "--workspace", "--bench", "*"]))
}

/// The earlier commit is checked out beside, and measured right before the present one: on a machine that does other
/// things too, a measurement of last week says nothing.
fn compare(workspace: &Workspace, revision: &str, arguments: &[String]) -> Result<()> {
    let target = workspace.target_folder()?;
    let before = target.join("bench-baseline");
    let results = target.join("criterion");
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.current_dir(workspace.root()).args(arguments);
        git
    };
    let folder = before.to_string_lossy().into_owned();
    cargo::run(&mut git(&["worktree", "add", "--force", "--detach", &folder, revision]))
        .with_context(|| format!("check out {revision}"))?;
    let measured = bench(workspace, &before, &results, "--save-baseline", arguments)
        .and_then(|()| bench(workspace, workspace.root(), &results, "--baseline-lenient", arguments));
    cargo::run(&mut git(&["worktree", "remove", "--force", &folder]))?;
    measured
}

/// Both commits share the target folder: most of what they depend on is the same.
fn bench(workspace: &Workspace, source: &Path, results: &Path, how: &str, arguments: &[String]) -> Result<()> {
    let mut command = workspace.cargo([
        "bench",
        "--locked",
        "--package",
        PACKAGE,
        "--benches",
        "--",
        how,
        BASELINE,
    ]);
    command
        .args(arguments)
        .current_dir(source)
        .env("CARGO_TARGET_DIR", workspace.target_folder()?)
        .env(HOME_VARIABLE, results);
    cargo::run(&mut command).with_context(|| format!("the benchmarks in {}", source.display()))
}
