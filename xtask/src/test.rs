//! The tests of the workspace, with what they need.

use anyhow::Result;
use clap::Args;

use crate::cargo::{self, Workspace};
use crate::python_env;

/// What tells the tests where the Python of the virtual environment is.
pub(crate) const PYTHON_VARIABLE: &str = "LAKEPILOT_PYTHON";

#[derive(Args)]
pub(crate) struct Options {
    /// Leave out the published Python clients; their test then says so
    #[arg(long)]
    without_python: bool,
    /// What goes to `cargo test` after `--`, such as the name of a test
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut command = workspace.cargo(["test", "--locked", "--workspace"]);
    if !options.without_python {
        command.env(PYTHON_VARIABLE, python_env::python(&python_env::ensure(workspace)?));
    }
    if !options.arguments.is_empty() {
        command.arg("--").args(&options.arguments);
    }
    cargo::run(&mut command)
}
