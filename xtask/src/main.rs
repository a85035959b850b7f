//! What developers of Lakepilot run: `cargo xtask`.
//!
//! Every check of the repository is a function of what it reads (a manifest, a lock file, a source text) to a list of
//! [`Violation`](violation::Violation)s, so that its tests can show it failing on a made-up input; the same functions run
//! over the real repository in `cargo xtask layers`, `cargo xtask rules` and the tests of this crate. `ci` strings the
//! checks, the tests and the commands of the README together, and is all that `.ci/run` does.
//!
//! Nothing of Lakepilot is a dependency here, so that `cargo xtask` builds in seconds on a fresh machine.

mod accuracy;
mod bench;
mod cargo;
mod child;
mod ci;
mod compare;
mod conformance;
mod fuzz;
#[cfg(unix)]
mod interop;
mod layers;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(unix)]
mod micromegas;
#[cfg(unix)]
mod object_stores;
mod python_env;
mod readme;
mod rules;
mod test;
mod violation;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::cargo::Workspace;

/// What developers of Lakepilot run
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All checks, the tests, and README's own commands, as `.ci/run` does
    Ci(ci::Options),
    /// The Python environment, then the tests and doc tests of the workspace
    Test(test::Options),
    /// Who may depend on whom, and one version of what the ecosystem stands on
    Layers,
    /// The rules of the repository: manifests, sources, rooms, licences
    Rules,
    /// The real service on this machine: a private PostgreSQL and the roles of Micromegas
    #[cfg(unix)]
    #[command(subcommand)]
    Micromegas(micromegas::Command),
    /// One suite of cases on the embedded lake and on the real service
    Conformance(conformance::Options),
    /// The client with Flight SQL servers of other makers, from the registries; writes docs/interop.md
    #[cfg(unix)]
    Interop(interop::Options),
    /// How right estimates are, on a generated lake and on the real service
    Accuracy(accuracy::Options),
    /// Peak memory of the release program over a large result, with and without a budget
    #[cfg(target_os = "linux")]
    Memory(memory::Options),
    /// Sinks into S3, Google Cloud Storage and Azure, against servers on this machine
    #[cfg(unix)]
    ObjectStores(object_stores::Options),
    /// The fuzz targets: of the analyser, and of what a server sends
    Fuzz(fuzz::Options),
    /// The criterion benchmarks
    Bench(bench::Options),
    /// The same work by Lakepilot and by every published client, in turns; writes docs/performance.md
    Compare(compare::Options),
    /// Makes the virtual environment of the published Python clients, and prints its folder
    PythonEnv,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::locate()?;
    match command {
        Command::Ci(options) => ci::run(&workspace, &options),
        Command::Test(options) => test::run(&workspace, &options),
        Command::Layers => violation::report("layers", layers::check(&workspace)?),
        Command::Rules => violation::report("rules", rules::check(&workspace)?),
        #[cfg(unix)]
        Command::Micromegas(command) => micromegas::run(&workspace, &command),
        Command::Conformance(options) => conformance::run(&workspace, &options),
        #[cfg(unix)]
        Command::Interop(options) => interop::run(&workspace, &options),
        Command::Accuracy(options) => accuracy::run(&workspace, &options),
        #[cfg(target_os = "linux")]
        Command::Memory(options) => memory::run(&workspace, &options),
        #[cfg(unix)]
        Command::ObjectStores(options) => object_stores::run(&workspace, &options),
        Command::Fuzz(options) => fuzz::run(&workspace, &options),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Compare(options) => compare::run(&workspace, &options),
        Command::PythonEnv => {
            println!("{}", python_env::ensure(&workspace)?.display());
            Ok(())
        }
    }
}
