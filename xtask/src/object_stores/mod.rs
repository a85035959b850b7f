//! Sinks into object stores: the tests of the library with the feature `cloud`, and the program with it, against servers of
//! S3 and of Azure blobs on this machine.
//!
//! The feature changes what stands below DataFusion, so all of it is built in a target folder of its own, and the program
//! without the embedded lake.

mod program;
mod store;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::cargo::{self, Workspace};
use crate::python_env::{self, Environment};

const PYTHON: Environment = Environment {
    folder: "object-stores/python-env",
    requirements: "crates/execution/tests/clouds/requirements.txt",
};

const AZURITE: &str = "azurite@3.35.0";

#[derive(Args)]
pub(crate) struct Options {
    /// Program that serves the lake, instead of a release build of the checkout
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let folder = workspace.target_folder()?.join("object-stores");
    let python = python_env::python(&python_env::ensure_one(workspace, &PYTHON)?);
    let azurite = azurite(&folder)?;
    test_the_library(workspace, &folder, &python, &azurite)?;
    let served_by = match &options.program {
        Some(program) => program.clone(),
        None => build(workspace)?,
    };
    let with_cloud = build_with_cloud(workspace, &folder)?;
    program::check(&program::Programs { served_by, with_cloud }, workspace, &python)
}

/// The program of Azurite, installed by npm.
fn azurite(folder: &Path) -> Result<PathBuf> {
    let home = folder.join(AZURITE);
    let program = home.join("node_modules/.bin/azurite-blob");
    if !program.exists() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-fund", "--no-audit", "--loglevel=error", "--prefix"]);
        cargo::run(npm.arg(&home).arg(AZURITE)).context("install Azurite, which needs Node.js with npm")?;
    }
    ensure!(program.exists(), "{AZURITE} has no {}", program.display());
    Ok(program)
}

fn target(folder: &Path) -> [OsString; 2] {
    ["--target-dir".into(), folder.join("target").into()]
}

fn test_the_library(workspace: &Workspace, folder: &Path, python: &Path, azurite: &Path) -> Result<()> {
    let mut test = workspace.cargo([
        "test",
        "--locked",
        "--package",
        "lakepilot-execution",
        "--features",
        "cloud",
    ]);
    test.args(target(folder))
        .args(["--test", "it", "--", "clouds", "objects"]);
    test.env("LAKEPILOT_OBJECT_STORES_PYTHON", python);
    cargo::run(test.env("LAKEPILOT_AZURITE", azurite))
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    cargo::run(&mut workspace.cargo(["build", "--locked", "--release", "--package", "lakepilot-cli"]))?;
    Ok(workspace.target_folder()?.join("release/lakepilot"))
}

fn build_with_cloud(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let mut build = workspace.cargo(["build", "--locked", "--package", "lakepilot-cli"]);
    build.args(["--no-default-features", "--features", "cloud"]);
    cargo::run(build.args(target(folder)))?;
    Ok(folder.join("target/debug/lakepilot"))
}
