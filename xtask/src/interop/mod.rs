//! The client with Flight SQL servers of other makers, all of them on loopback and from the registries.
//!
//! The servers are started one after the other; the program `interop` runs the cases on each, `lakepilot doctor` every call,
//! and a page tells what came of it. A server that is not there is told as not run, and why.

mod page;
mod probe;
mod programs;
mod servers;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use self::programs::Programs;
use self::servers::{Kind, Place};
use crate::cargo::Workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// Run only these servers, and print the page instead of writing it
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',')]
    server: Vec<Kind>,
    /// Build the servers that are crates where they are not built: Ballista and dft, half an hour each
    #[arg(long)]
    build: bool,
    /// The folder of `interop` and `lakepilot`, where they are built already
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

/// What came of a server.
struct Column {
    kind: Kind,
    outcome: Outcome,
}

enum Outcome {
    Ran {
        /// What the cases found.
        cases: Vec<probe::Finding>,
        /// What `lakepilot doctor` found.
        calls: Vec<probe::Finding>,
    },
    /// Why not.
    NotRun(String),
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let kinds = match options.server.as_slice() {
        [] => Kind::value_variants(),
        named => named,
    };
    let programs = Programs::find(workspace, options.programs.as_deref())?;
    let place = Place::new(workspace, &programs, options.build)?;
    let mut columns = Vec::new();
    for kind in kinds {
        println!("{}", kind.name());
        let outcome = match place.start(*kind) {
            Ok(server) => probe::probe(&programs, &server)?,
            Err(error) => Outcome::NotRun(format!("{error:#}")),
        };
        if let Outcome::NotRun(reason) = &outcome {
            println!("  not run: {reason}");
        }
        columns.push(Column { kind: *kind, outcome });
    }
    if options.server.is_empty() {
        page::write(workspace, &columns)?;
    } else {
        println!("\n{}", page::text(&columns));
    }
    // A call that fails is a fact about the server, which the page tells; a case is about the client.
    let failed = columns
        .iter()
        .flat_map(Column::cases)
        .filter(|finding| finding.is_unknown_failure());
    let failed: Vec<&str> = failed.map(|finding| finding.name.as_str()).collect();
    ensure!(
        failed.is_empty(),
        "cases that nothing explains failed: {}",
        failed.join(", ")
    );
    Ok(())
}
