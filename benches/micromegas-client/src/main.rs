//! One piece of work by the client of the `micromegas` crate, measured: its side of `cargo xtask compare`.
//!
//! It prints one line of JSON, the same as `lakepilot-measure` does. The crate asks for dictionaries when its own factory
//! makes the client; without them, the client is made as the factory would, but for that header.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use futures::StreamExt;
use futures::future::try_join_all;
use micromegas::client::flightsql_client::Client;
use micromegas::client::flightsql_client_factory::normalize_channel_scheme;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use tonic::transport::Channel;

/// Does one piece of work and measures it
#[derive(Parser)]
struct Arguments {
    work: Work,
    url: String,
    #[arg(long)]
    sql: String,
    #[arg(long)]
    preserve_dictionary: bool,
    #[arg(long, default_value_t = 200)]
    calls: usize,
    #[arg(long, default_value_t = 64)]
    queries: usize,
    /// Threads of the runtime; 1 is a runtime on this thread alone
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Work {
    Drain,
    Warm,
    Schema,
    AtOnce,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(measured) => {
            println!("{measured}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Value> {
    let mut builder = match arguments.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if arguments.threads > 1 {
        builder.worker_threads(arguments.threads);
    }
    let runtime = builder.enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        if arguments.work == Work::Drain {
            drain(arguments).await
        } else {
            calls(arguments).await
        }
    })
}

async fn channel(arguments: &Arguments) -> Result<Channel> {
    let url = normalize_channel_scheme(&arguments.url);
    Channel::from_shared(url)?.connect().await.context("connect")
}

fn client(channel: Channel, arguments: &Arguments) -> Client {
    let mut client = Client::new(channel);
    if arguments.preserve_dictionary {
        client.inner_mut().set_header("preserve_dictionary", "true");
    }
    client
}

async fn drain(arguments: &Arguments) -> Result<Value> {
    let before = usage()?.0;
    let start = Instant::now();
    let mut client = client(channel(arguments).await?, arguments);
    let mut stream = client.query_stream(arguments.sql.clone(), None).await?;
    let mut first = None;
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch?.num_rows();
        first.get_or_insert_with(|| start.elapsed());
    }
    let seconds = start.elapsed();
    let (processor, peak_bytes) = usage()?;
    Ok(json!({
        "seconds": seconds.as_secs_f64(),
        "calls": [],
        "cpu_seconds": (processor - before).as_secs_f64(),
        "peak_rss_bytes": peak_bytes,
        "rows": rows,
        "bytes": 0,
        "first_batch_seconds": first.map(|time| time.as_secs_f64()),
    }))
}

async fn calls(arguments: &Arguments) -> Result<Value> {
    let channel = channel(arguments).await?;
    let mut rows = call(&channel, arguments).await.context("the first call")?;
    let before = usage()?.0;
    let start = Instant::now();
    let mut taken = Vec::with_capacity(arguments.calls);
    for _ in 0..arguments.calls {
        let start = Instant::now();
        rows = call(&channel, arguments).await?;
        taken.push(start.elapsed().as_secs_f64());
    }
    let seconds = start.elapsed();
    let (processor, peak_bytes) = usage()?;
    Ok(json!({
        "seconds": seconds.as_secs_f64(),
        "calls": taken,
        "cpu_seconds": (processor - before).as_secs_f64(),
        "peak_rss_bytes": peak_bytes,
        "rows": rows,
        "bytes": 0,
        "first_batch_seconds": null,
    }))
}

/// The clients of the crate are cheap to make, and share a channel.
async fn call(channel: &Channel, arguments: &Arguments) -> Result<usize> {
    let sql = || arguments.sql.clone();
    match arguments.work {
        Work::Schema => {
            let prepared = client(channel.clone(), arguments).prepare_statement(sql()).await?;
            ensure!(!prepared.schema.fields().is_empty(), "the schema is empty");
            Ok(0)
        }
        Work::AtOnce => {
            let all = (0..arguments.queries).map(|_| async {
                let mut client = client(channel.clone(), arguments);
                let batches = client.query(sql(), None).await?;
                anyhow::Ok(batches.iter().map(|batch| batch.num_rows()).sum::<usize>())
            });
            Ok(try_join_all(all).await?.iter().sum())
        }
        Work::Drain | Work::Warm => {
            let batches = client(channel.clone(), arguments).query(sql(), None).await?;
            Ok(batches.iter().map(|batch| batch.num_rows()).sum())
        }
    }
}

/// Processor time of this process, and the most memory that was resident, in bytes.
fn usage() -> Result<(Duration, u64)> {
    /// Linux counts memory in units of 1,024 bytes, macOS in bytes.
    const MEMORY_UNIT: u64 = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64)
        .sum();
    Ok((Duration::from_micros(micros), usage.max_rss() as u64 * MEMORY_UNIT))
}
