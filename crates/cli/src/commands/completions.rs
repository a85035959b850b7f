//! `lakepilot completions`: the completion script of a shell.

use clap::CommandFactory;
use lakepilot_query::Result;

use crate::args::Cli;
use crate::exit::Outcome;
use crate::output;

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lakepilot", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Done)
}
