//! How right estimates are: the program `accuracy` on a generated lake, and on the real service.

use anyhow::Result;
#[cfg(not(unix))]
use anyhow::bail;
use clap::Args;

use crate::cargo::{self, Workspace};

const PAGE: &str = "docs/accuracy.md";

#[derive(Args)]
pub(crate) struct Options {
    /// Also on the real service, started and filled when it is not up; writes docs/accuracy.md
    #[arg(long)]
    real: bool,
    /// Log entries of the generated lake; there are measures and spans in proportion
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rows: u64,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut command = workspace.cargo(["run", "--locked", "--quiet", "--package", "lakepilot-conformance"]);
    command.args(["--bin", "accuracy", "--", "--embedded", "--rows"]);
    command.arg(options.rows.to_string());
    if options.real {
        command.arg("--micromegas").arg(micromegas(workspace)?);
        // A page with one lake of two would be less than what is there.
        command.arg("--page").arg(workspace.root().join(PAGE));
    }
    cargo::run(&mut command)
}

#[cfg(unix)]
fn micromegas(workspace: &Workspace) -> Result<String> {
    crate::micromegas::ensure_up_spread(workspace)
}

#[cfg(not(unix))]
fn micromegas(_: &Workspace) -> Result<String> {
    bail!("the real service is started on Unix only; leave --real out")
}
