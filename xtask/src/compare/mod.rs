//! The same work by every client, in turns, in one run: `cargo xtask compare`.
//!
//! A machine is never as fast twice, so that no time means much by itself. Each round lets every client do the work once, the
//! first one of the round being another one each time; what is told are medians, and the ratios within the rounds.

mod chart;
mod clients;
mod growth;
mod report;
mod rounds;
mod servers;
mod statistics;
mod works;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use self::clients::Clients;
use self::rounds::Outcome;
use self::servers::Servers;
use crate::cargo::Workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// How often every client does every work
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Only the works whose names begin so
    #[arg(long, value_name = "WORK", value_delimiter = ',')]
    only: Vec<String>,
    /// What to ask [default: all three; the real service only where its launcher was built]
    #[arg(long, value_enum, value_delimiter = ',')]
    server: Vec<ServerKind>,
    /// Rows of a large result from the blast server
    #[arg(long, default_value_t = 4_000_000)]
    rows: u64,
    /// Also measure how times grow with bytes, concurrent queries, partitions and slices
    #[arg(long)]
    growth: bool,
    /// The program to measure, instead of building it
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Print the tables, and leave docs/performance.md as it is
    #[arg(long)]
    no_docs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum ServerKind {
    /// Batches that were built beforehand, streamed from memory
    Blast,
    /// The embedded lake, served
    Lake,
    /// The real service
    Micromegas,
}

impl Options {
    fn wants(&self, server: ServerKind) -> bool {
        self.server.is_empty() || self.server.contains(&server)
    }

    fn names(&self, work: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| work.starts_with(name.as_str()))
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.rounds == 0 {
        bail!("no round measures nothing; say --rounds 1 or more");
    }
    let clients = Clients::build(workspace, options.program.as_deref())?;
    let folder = workspace.target_folder()?.join("compare");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let mut outcomes: BTreeMap<ServerKind, Vec<Outcome>> = BTreeMap::new();
    for kind in [ServerKind::Blast, ServerKind::Lake, ServerKind::Micromegas] {
        if !options.wants(kind) {
            continue;
        }
        let Some(servers) = Servers::start(workspace, kind, &clients, options.rows, &folder)? else {
            println!("the launcher of the real service was not built: left out");
            continue;
        };
        for work in works::of(kind, &servers, &clients, &folder) {
            if !options.names(work.name) {
                continue;
            }
            let outcome = rounds::run(&work, options.rounds)?;
            print!("\n{}", report::table(&outcome));
            outcomes.entry(kind).or_default().push(outcome);
        }
    }
    let all: Vec<&Outcome> = outcomes.values().flatten().collect();
    println!("\n{}", report::summary(&all));
    let curves = if options.growth {
        growth::measure(&clients, &folder, options.rounds)?
    } else {
        Vec::new()
    };
    if options.no_docs {
        return Ok(());
    }
    report::write(workspace, &all, &curves)
}
