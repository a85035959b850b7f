//! The conformance suite on the embedded lake, on the real service, or on any server.

use anyhow::{Result, bail};
use clap::Args;

use crate::cargo::{self, Workspace};

const RECORDING: &str = "crates/conformance/recorded/micromegas-0.33.json";

#[derive(Args)]
pub(crate) struct Options {
    /// What to run it on: `embedded`, `micromegas` (started and filled when it is not up), or the address of a server;
    /// may be given several times. Both lakes when it is not
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
    /// Run only these cases
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    only: Vec<String>,
    /// Record what the real service does, which every lake is compared with from then on
    #[arg(long, conflicts_with = "only")]
    record: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let both = ["embedded".to_owned(), "micromegas".to_owned()];
    let targets = match (options.target.as_slice(), options.record) {
        ([], false) => &both[..],
        ([], true) => &both[1..],
        (named, _) => named,
    };
    if options.record && targets != &both[1..] {
        bail!("only the real service is recorded; leave --target out, or say --target micromegas");
    }
    let mut command = workspace.cargo(["run", "--locked", "--quiet", "--package", "lakepilot-conformance", "--"]);
    for target in targets {
        match target.as_str() {
            "embedded" => command.arg("--embedded"),
            "micromegas" => command.arg("--micromegas").arg(micromegas(workspace)?),
            url => command.arg("--url").arg(url),
        };
    }
    if !options.only.is_empty() {
        command.arg("--only").arg(options.only.join(","));
    }
    if options.record {
        command.arg("--record").arg(workspace.root().join(RECORDING));
    }
    cargo::run(&mut command)
}

/// The address of the real service, which is started and filled when it is not up.
#[cfg(unix)]
fn micromegas(workspace: &Workspace) -> Result<String> {
    crate::micromegas::ensure_up(workspace)
}

#[cfg(not(unix))]
fn micromegas(_: &Workspace) -> Result<String> {
    bail!("the real service is started on Unix only; name a server by its address")
}
