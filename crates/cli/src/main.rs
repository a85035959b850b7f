//! `lakepilot`: query and look after a telemetry lake behind Arrow Flight SQL.
//!
//! The program is thin: it reads the command line, joins the crates, and prints. Data goes to standard output, everything
//! else to standard error; [`exit`] alone decides exit codes.

mod args;
mod commands;
mod config;
mod connection;
mod context;
mod exit;
mod guard;
mod inputs;
mod learning;
mod logging;
mod messages;
mod output;
mod progress;
mod retirement;
mod signals;
mod state;
mod terminal;

use std::process::ExitCode;
use std::time::Duration;

use lakepilot_query::{Error, Result};

use crate::context::Context;
use crate::exit::Outcome;

/// DataFusion plans deep queries recursively; the default of two megabytes is less than it likes.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// How long the end of the program waits for what is under way, such as a write to a pipe that nobody reads.
const SHUTDOWN_BOUND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = args::parse(std::env::args_os());
    let in_json = cli.command.reports_in_json();
    logging::start(cli.global.verbose, cli.global.color, in_json);
    let mut context = Context::new(cli.global);
    if in_json {
        context.messages = context.messages.in_json();
    }
    let ended = run(cli.command, &context);
    context.learning().keep();
    let code = match ended {
        Ok(outcome) => {
            if let Outcome::Stopped(signal) = outcome {
                context.messages.stopped(signal);
            }
            outcome.exit_code()
        }
        Err(error) if exit::is_broken_pipe(&error) => 0,
        Err(error) => {
            context.messages.failed(&error);
            exit::exit_code(&error)
        }
    };
    ExitCode::from(code)
}

fn run(command: args::Command, context: &Context) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .map_err(|error| Error::from(error).context("cannot start the runtime"))?;
    let outcome = runtime.block_on(async {
        // A server handles its own signals, so that it can finish what is in flight.
        if command.handles_interrupts() {
            return commands::dispatch(command, context).await;
        }
        tokio::select! {
            // The signal first: its handler has to stand before the command makes its first file.
            biased;
            signal = signals::listen()? => Ok(Outcome::Stopped(signal)),
            outcome = commands::dispatch(command, context) => outcome,
        }
    });
    // Dropping the futures has called the queries off; the connection's tasks have to say so, and a thread that writes has to
    // come to its end. With nothing of that left, it takes no time.
    runtime.shutdown_timeout(SHUTDOWN_BOUND);
    outcome
}
