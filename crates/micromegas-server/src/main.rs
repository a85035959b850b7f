//! Launcher of the real Micromegas service, for `cargo xtask micromegas`.
//!
//! The roles of the service are subcommands, each as the `micromegas` crate builds it, with authentication left out. Which
//! PostgreSQL and which object store they share is told by the service's own variables,
//! `MICROMEGAS_SQL_CONNECTION_STRING` and `MICROMEGAS_OBJECT_STORE_URI`. A role that listens does so on loopback, and says
//! `listening on URL` on standard output when it answers.

mod fill;
mod ready;
mod roles;

use std::net::SocketAddr;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use micromegas::chrono::{DateTime, Utc};
use micromegas::telemetry_sink::TelemetryGuardBuilder;
use micromegas::tracing::levels::LevelFilter;
use micromegas::tracing::runtime::TracingRuntimeExt;

/// What the service is measured with upstream, too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The roles of the real Micromegas service, without authentication
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Takes telemetry over HTTP
    Ingestion(Listen),
    /// Answers queries over Flight SQL
    FlightSql(Listen),
    /// Materialises partitions and deletes old data for as long as it runs
    Maintenance,
    /// Materialises the global views of a range of insert time once
    Materialise(Materialise),
    /// Sends telemetry of several processes to an ingestion role, and prints a line of JSON for each
    Fill(fill::Options),
    /// Sends the telemetry of one process: what `fill` starts
    #[command(hide = true)]
    FillProcess(fill::ProcessOptions),
}

#[derive(Args)]
struct Listen {
    /// Where to listen; port 0 chooses a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[derive(Args)]
struct Materialise {
    /// Begin of the insert time range (RFC 3339)
    #[arg(long)]
    begin: DateTime<Utc>,
    /// End of the insert time range (RFC 3339); a rest that is shorter than the step is left out
    #[arg(long)]
    end: DateTime<Utc>,
    /// Length of a partition in seconds
    #[arg(long, default_value_t = 60)]
    step_seconds: u32,
}

fn main() -> Result<()> {
    match Arguments::parse().role {
        Role::Fill(options) => fill::run(&options),
        Role::FillProcess(options) => fill::run_process(&options),
        Role::Ingestion(Listen { listen }) => serve(roles::ingestion(listen)),
        Role::FlightSql(Listen { listen }) => serve(roles::flight_sql(listen)),
        Role::Maintenance => serve(roles::maintenance()),
        Role::Materialise(range) => serve(roles::materialise(range.begin, range.end, range.step_seconds)),
    }
}

/// Runs a role with the service's own log on standard output, warnings and up.
fn serve(role: impl Future<Output = Result<()>>) -> Result<()> {
    let _telemetry = TelemetryGuardBuilder::default()
        .with_local_sink_max_level(LevelFilter::Warn)
        .with_system_metrics_enabled(false)
        .build()?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .with_tracing_callbacks()
        .build()?
        .block_on(role)
}
