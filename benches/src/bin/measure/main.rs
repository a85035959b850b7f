//! One piece of work by one client, measured: what `cargo xtask compare` starts for Lakepilot's library, for the floors
//! that it is held against, and for whole processes.
//!
//! It prints one line of JSON: seconds (or those of each call), processor seconds of this process, its peak resident
//! memory, rows, and the time to the first batch. Connecting is part of the work; starting the process is not, but for
//! `process`, which measures another program from start to end.

mod client;
mod floor;
mod meter;
mod process;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::meter::Measured;

/// Does one piece of work and measures it
#[derive(Parser)]
struct Arguments {
    /// Threads of the runtime; 1 is a runtime on this thread alone
    #[arg(long, default_value_t = 1)]
    threads: usize,
    #[command(subcommand)]
    work: Work,
}

#[derive(Args)]
struct Asked {
    /// The server
    url: String,
    /// The statement
    #[arg(long)]
    sql: String,
    /// Ask for dictionary columns as dictionaries
    #[arg(long)]
    preserve_dictionary: bool,
}

#[derive(Subcommand)]
enum Work {
    /// Reads a result and drops it
    Drain(Asked),
    /// Reads a result through the executor and drops it
    Run(Asked),
    /// Reads a result into a Parquet file
    Parquet {
        #[command(flatten)]
        asked: Asked,
        #[arg(long)]
        output: PathBuf,
    },
    /// Asks a small query again and again on one connection
    Warm {
        #[command(flatten)]
        asked: Asked,
        #[arg(long, default_value_t = 200)]
        calls: usize,
    },
    /// Asks for the schema of a query again and again on one connection
    Schema {
        #[command(flatten)]
        asked: Asked,
        #[arg(long, default_value_t = 200)]
        calls: usize,
    },
    /// Asks small queries side by side on one client, again and again
    AtOnce {
        #[command(flatten)]
        asked: Asked,
        #[arg(long, default_value_t = 64)]
        queries: usize,
        #[arg(long, default_value_t = 20)]
        calls: usize,
    },
    /// Lists the partitions of a lake
    Partitions { url: String },
    /// Reads a result in slices of its time range, two at a time
    Sliced {
        #[command(flatten)]
        asked: Asked,
        #[arg(long)]
        slices: usize,
    },
    /// Reads the HTTP/2 stream of a result and decodes nothing
    FloorHttp2 {
        #[command(flatten)]
        asked: Asked,
        /// The largest frame that the server may send
        #[arg(long, default_value_t = 256)]
        frame_kib: u32,
        /// What the server may have under way on the stream; twice as much on the connection
        #[arg(long, default_value_t = 32)]
        window_mib: u32,
    },
    /// Reads bytes from a socket, with no protocol on it
    FloorSocket {
        address: String,
        #[arg(long)]
        bytes: u64,
    },
    /// Runs a program from start to end; its output is dropped
    Process {
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(measured) => {
            println!("{}", measured.to_json());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<Measured> {
    if let Work::Process { command } = &arguments.work {
        return process::run(command);
    }
    let mut runtime = match arguments.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    let runtime = runtime.enable_all().build().context("start the runtime")?;
    runtime.block_on(work(arguments.work))
}

async fn work(work: Work) -> Result<Measured> {
    match work {
        Work::Drain(asked) => client::drain(&asked).await,
        Work::Run(asked) => client::run(&asked, None).await,
        Work::Parquet { asked, output } => client::run(&asked, Some(output)).await,
        Work::Warm { asked, calls } => client::warm(&asked, calls).await,
        Work::Schema { asked, calls } => client::schema(&asked, calls).await,
        Work::AtOnce { asked, queries, calls } => client::at_once(&asked, queries, calls).await,
        Work::Partitions { url } => client::partitions(&url).await,
        Work::Sliced { asked, slices } => client::sliced(&asked, slices).await,
        Work::FloorHttp2 {
            asked,
            frame_kib,
            window_mib,
        } => floor::http2(&asked, frame_kib << 10, window_mib << 20).await,
        Work::FloorSocket { address, bytes } => floor::socket(&address, bytes).await,
        Work::Process { command } => process::run(&command),
    }
}
