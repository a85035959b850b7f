//! Sends telemetry through the service's own ingestion path.
//!
//! The instrumentation library knows one process, its own: so every process of the lake is a process here, started one
//! after another. What is sent follows from the seed; ids and times are those of the moment. The sink that carries it adds
//! one or two log entries of its own.

mod delivery;
mod workload;

use std::env;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use micromegas::telemetry_sink::TelemetryGuardBuilder;
use micromegas::tracing::dispatch;
use micromegas::tracing::levels::LevelFilter;
use micromegas::tracing::runtime::TracingRuntimeExt;

#[derive(Args)]
pub(crate) struct Options {
    /// The ingestion role: http://HOST:PORT
    #[arg(long)]
    url: String,
    /// Processes to be
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    processes: u32,
    /// Log entries of each process; measures and spans are in proportion
    #[arg(long, default_value_t = 20_000)]
    log_entries: u32,
    /// Chooses messages, levels, values
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

#[derive(Args)]
pub(crate) struct ProcessOptions {
    #[arg(long)]
    url: String,
    #[arg(long)]
    index: u32,
    #[arg(long)]
    log_entries: u32,
    #[arg(long)]
    seed: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    for index in 0..options.processes {
        let process = Command::new(env::current_exe()?)
            .arg("fill-process")
            .args(["--url", &options.url])
            .args(["--index", &index.to_string()])
            .args(["--log-entries", &options.log_entries.to_string()])
            .args(["--seed", &options.seed.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("start a process that sends")?;
        ensure!(
            process.status.success(),
            "the process {index} that sends telemetry: {}",
            process.status
        );
        print!("{}", String::from_utf8(process.stdout)?);
    }
    delivery::check(options.processes, options.log_entries)
}

pub(crate) fn run_process(options: &ProcessOptions) -> Result<()> {
    let role = workload::role(options.index);
    let guard = TelemetryGuardBuilder::default()
        .with_local_sink_enabled(false)
        .with_install_tracing_capture(false)
        .with_system_metrics_enabled(false)
        .with_cpu_tracing_enabled(true)
        .with_telemetry_sink_url(options.url.clone())
        // At `Trace` the sink would send a log entry for every block that it sends.
        .with_telemetry_sink_max_level(LevelFilter::Debug)
        // Nothing is to be dropped, however slow the other side is.
        .with_max_queue_bytes(usize::MAX / 4)
        .with_hard_queue_bytes(usize::MAX / 2)
        .with_process_property("role".to_owned(), role.to_owned())
        .with_process_property("fill_index".to_owned(), options.index.to_string())
        .with_process_property("fill_seed".to_owned(), options.seed.to_string())
        .build()?;
    let process_id = dispatch::process_id().context("the instrumentation did not start")?;

    let seed = options.seed ^ u64::from(options.index).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let sent = workload::threads(role, options.log_entries, seed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .with_tracing_callbacks()
        .build()?;
    let async_spans = runtime.block_on(workload::requests(options.log_entries / 40));
    // The worker threads send their last spans when they end.
    drop(runtime);
    dispatch::flush_log_buffer();
    dispatch::flush_metrics_buffer();
    dispatch::flush_thread_buffer();
    drop(guard);

    println!(
        "{{\"process_id\":\"{process_id}\",\"role\":\"{role}\",\"log_entries\":{},\"measures\":{},\"thread_spans\":{},\
         \"async_spans\":{async_spans}}}",
        sent.log_entries, sent.measures, sent.spans
    );
    Ok(())
}
