//! The commands, one file each.

mod check;
mod completions;
#[cfg(feature = "lake")]
mod demo;
mod doctor;
mod estimate;
#[cfg(feature = "lake")]
mod lake;
mod listing;
mod login;
mod partitions;
mod profiles;
mod query;
mod rules;
mod run;
mod schema;

use lakepilot_query::{Error, ErrorKind, Result};

use crate::args::Command;
use crate::context::Context;
use crate::exit::Outcome;

/// Carries out a command.
pub(crate) async fn dispatch(command: Command, context: &Context) -> Result<Outcome> {
    match command {
        Command::Query(args) => query::query(args, context).await,
        Command::Schema(args) => schema::schema(args, context).await,
        Command::Check(args) => check::check(args, context).await,
        Command::Rules(args) => rules::rules(&args),
        Command::Estimate(args) => estimate::estimate(args, context).await,
        Command::Run(args) => run::run(args, context).await,
        Command::Partitions { command } => partitions::partitions(command, context).await,
        Command::Processes(args) => listing::processes(args, context).await,
        Command::Streams(args) => listing::streams(args, context).await,
        Command::Doctor(args) => doctor::doctor(&args, context).await,
        Command::Login(args) => login::login(args, context).await,
        Command::Logout => login::logout(context),
        Command::Whoami(args) => login::whoami(&args, context),
        Command::Profiles { command } => profiles::profiles(command, context).await,
        #[cfg(feature = "lake")]
        Command::Lake { command } => lake::lake(command, context).await,
        #[cfg(feature = "lake")]
        Command::Demo(args) => demo::demo(args, context).await,
        Command::Completions { shell } => completions::completions(shell),
    }
}

/// Runs work that blocks (files, SQLite) beside the runtime's own threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(ErrorKind::Internal, "a blocking task ended early").with_source(error))?
}
