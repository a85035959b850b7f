//! The programs that do the work, built or installed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::cargo::{Workspace, run};
use crate::python_env;

const PEERS: &str = "benches/python/peers.py";
const CRATE_CLIENT: &str = "benches/micromegas-client/Cargo.toml";

pub(super) struct Clients {
    /// `lakepilot`.
    pub(super) program: PathBuf,
    /// The library and the floors.
    pub(super) measure: PathBuf,
    pub(super) blast: PathBuf,
    /// The client of the `micromegas` crate.
    pub(super) micromegas: PathBuf,
    /// The Python of the virtual environment.
    pub(super) python: PathBuf,
    /// The script that runs in it.
    pub(super) peers: PathBuf,
}

impl Clients {
    /// Builds all of ours for release, and installs the others.
    pub(super) fn build(workspace: &Workspace, program: Option<&Path>) -> Result<Self> {
        let target = workspace.target_folder()?;
        let release = target.join("release");
        let named = |name: &str| release.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        run(&mut workspace.cargo([
            "build",
            "--locked",
            "--release",
            "--package",
            "lakepilot-benches",
            "--bins",
        ]))?;
        let program = match program {
            Some(program) => program.to_owned(),
            None => {
                run(&mut workspace.cargo(["build", "--locked", "--release", "--package", "lakepilot-cli"]))?;
                named("lakepilot")
            }
        };
        ensure!(program.is_file(), "there is no program {}", program.display());
        // A workspace of its own, so that nothing of it is in ours; its folder is its own, too.
        let apart = target.join("micromegas-client");
        run(workspace
            .cargo([
                "build",
                "--locked",
                "--release",
                "--manifest-path",
                CRATE_CLIENT,
                "--target-dir",
            ])
            .arg(&apart))?;
        let environment = python_env::ensure(workspace).context("the published Python clients")?;
        Ok(Self {
            program,
            measure: named("lakepilot-measure"),
            blast: named("lakepilot-blast"),
            micromegas: apart
                .join("release")
                .join(format!("lakepilot-micromegas-client{}", std::env::consts::EXE_SUFFIX)),
            python: python_env::python(&environment),
            peers: workspace.root().join(PEERS),
        })
    }
}
