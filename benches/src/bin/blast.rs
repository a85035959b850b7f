//! The server of `lakepilot_benches::blast` as a program, for `cargo xtask compare`.
//!
//! It prints one line of JSON when it listens, and ends when its standard input is closed.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use lakepilot_benches::blast::{Answers, Blast};
use lakepilot_fault_proxy::{FaultProxy, Schedule};
use serde_json::json;
use tokio::sync::oneshot;

/// Streams batches that were built beforehand
#[derive(Parser)]
struct Arguments {
    /// Rows of `log_entries` when a statement has no LIMIT
    #[arg(long, default_value_t = 4_000_000)]
    rows: usize,
    /// Rows of a batch
    #[arg(long, default_value_t = 8_192)]
    batch_rows: usize,
    /// Batches that are different from one another; they repeat after that
    #[arg(long, default_value_t = 48)]
    distinct: usize,
    /// Partitions that `list_partitions()` tells
    #[arg(long, default_value_t = 1_000)]
    partitions: usize,
    /// Round trips, in milliseconds, of proxies before the server
    #[arg(long, value_delimiter = ',')]
    round_trips: Vec<u64>,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thread: it is enough for a stream from memory, and leaves the other processors to the client.
fn run(arguments: &Arguments) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?
        .block_on(serve(arguments))
}

async fn serve(arguments: &Arguments) -> Result<()> {
    let Arguments {
        rows,
        batch_rows,
        distinct,
        partitions,
        ..
    } = *arguments;
    let answers = Arc::new(Answers::build(rows, batch_rows, distinct, partitions).await?);
    let blast = Blast::listen(arguments.listen, Arc::clone(&answers)).await?;
    let address = blast.address()?;
    let proxies = arguments
        .round_trips
        .iter()
        .map(|millis| {
            let schedule = Schedule::new().with_round_trip(Duration::from_millis(*millis));
            let proxy = FaultProxy::start(address, schedule).context("start a proxy")?;
            anyhow::Ok((*millis, proxy))
        })
        .collect::<Result<Vec<_>>>()?;
    let delayed: Vec<(u64, String)> = proxies
        .iter()
        .map(|(millis, proxy)| (*millis, format!("grpc://{}", proxy.address())))
        .collect();
    println!(
        "{}",
        json!({
            "url": format!("grpc://{address}"),
            "bytes_address": blast.bytes_address()?.to_string(),
            "delayed": delayed,
            "rows": answers.default_rows(),
            "plain_row_bytes": answers.row_bytes(false),
            "dictionary_row_bytes": answers.row_bytes(true),
        })
    );
    tokio::select! {
        served = blast.serve() => served,
        () = end_of_input() => Ok(()),
    }
}

/// On a thread of its own: a runtime cannot end while it reads standard input.
async fn end_of_input() {
    let (ended, wait) = oneshot::channel();
    std::thread::spawn(move || {
        // An error ends the wait as the end does.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    // A thread that is gone has no input to wait for either.
    let _ = wait.await;
}
