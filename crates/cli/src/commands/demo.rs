//! `lakepilot demo`: the whole main job on an embedded lake, over a loopback port.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use chrono::Utc;
use lakepilot_admin::{ApplyOptions, Guards, PartitionAdmin, RetirementPlan};
use lakepilot_analysis::{Config, analyze_schema, validate};
use lakepilot_catalog::{Catalog, PartitionFilter};
use lakepilot_execution::{BatchSize, BatchedExecutor, CallbackSink, ExecutionOptions, PartitionEstimator};
use lakepilot_flight_client::{ClientConfig, FlightClient};
use lakepilot_local_lake::{FlightServer, GenerateOptions, GenerateReport, Lake, LakeService, ServeOptions};
use lakepilot_query::{Error, ErrorKind, Query, QueryService, QueryServiceExt, Result, TimeRange, quote_literal};

use super::lake::fill_with_progress;
use super::{blocking, check, run, schema};
use crate::args::{DemoArgs, ProgressChoice};
use crate::context::Context;
use crate::exit::Outcome;
use crate::messages::Messages;
use crate::output::{self, text};
use crate::progress::{RowsGo, RunProgress};
use crate::retirement::{self, AdminProgress};
use crate::terminal;

const GOOD: &str = "SELECT time, level, target, msg FROM log_entries WHERE level <= 3 ORDER BY time DESC LIMIT 100";
const BAD: &str = "SELECT time, process_id, level, target, mesage, properties\nFROM log_entries\nORDER BY time DESC";
const LARGE: &str = "SELECT time, process_id, level, target, msg FROM log_entries";
const BATCH_BYTES: usize = 32_000_000;
const DAYS: u32 = 14;
const PROCESSES: u32 = 8;
const SEED: u64 = 42;
/// Levels of errors: 1 is fatal, 2 an error.
const ERROR_LEVEL: i32 = 2;

pub(crate) async fn demo(args: DemoArgs, context: &Context) -> Result<Outcome> {
    let begun = Instant::now();
    let say = Narrator {
        messages: context.messages,
    };
    say.step(
        "1  A lake of its own",
        "Telemetry of eight processes over two weeks, made from a seed, in Parquet partitions.",
    )?;
    let temporary = tempfile::Builder::new().prefix("lakepilot-demo-").tempdir()?;
    let dir = args.keep.clone().unwrap_or_else(|| temporary.path().join("lake"));
    let (lake, made) = make_lake(dir.clone(), args.rows, context.messages).await?;
    say.line(format!(
        "{} log entries, {} measures, {} thread spans, {} async events of {} processes",
        text::count(made.log_entries),
        text::count(made.measures),
        text::count(made.thread_spans),
        text::count(made.async_events),
        made.process_ids.len()
    ))?;
    let service = blocking(move || LakeService::new(lake)).await?;
    let server = FlightServer::bind(Arc::new(service), any_port())?;
    let url = server.url();
    let server = server.spawn();
    let client: Arc<dyn QueryService> = Arc::new(FlightClient::connect(ClientConfig::new(&url)?).await?);
    say.line(format!("served on {url}; everything below goes over that port"))?;

    let range = TimeRange::new(made.begin, made.end)?;
    know_before(&client, range, &say).await?;
    run_large(&client, range, &say, context.messages).await?;
    retire_instances(&client, &say, context.messages).await?;
    retire_process(&client, &made, range, &say, context.messages).await?;

    server.shutdown().await?;
    say.line(format!("\nDone in {}.", text::duration(begun.elapsed())))?;
    say.line(next_steps(args.keep.as_ref()))?;
    Ok(Outcome::Done)
}

/// Tells what each step does, and what came of it.
struct Narrator {
    messages: Messages,
}

impl Narrator {
    fn step(&self, title: &str, what: &str) -> Result<()> {
        self.messages.heading(title);
        self.messages.tell(what);
        Ok(())
    }

    fn line(&self, told: impl AsRef<str>) -> Result<()> {
        let text = text::wrap(told.as_ref().trim_end(), terminal::stdout_width());
        output::print(&(text + "\n"))
    }
}

async fn make_lake(dir: PathBuf, rows: u64, messages: Messages) -> Result<(Lake, GenerateReport)> {
    blocking(move || {
        let lake = Lake::create(&dir)?;
        let options = GenerateOptions {
            rows,
            days: DAYS,
            processes: PROCESSES,
            seed: SEED,
            end: Utc::now(),
        };
        let made = fill_with_progress(&lake, &options, messages)?;
        Ok((lake, made))
    })
    .await
}

async fn know_before(client: &Arc<dyn QueryService>, range: TimeRange, say: &Narrator) -> Result<()> {
    say.step("2  The schema of a query, without running it", LARGE)?;
    let analysis = analyze_schema(client.as_ref(), &Query::new(LARGE)?).await?;
    say.line(schema::describe(&analysis, terminal::stdout_width()))?;

    say.step(
        "3  Validation: a good query, and one with two mistakes",
        "The server's own verdict is among the findings.",
    )?;
    for (sql, range) in [(GOOD, Some(range)), (BAD, None)] {
        let query = Query::new(sql)?.with_time_range(range);
        let findings = validate(client.as_ref(), &query, &Config::default()).await?;
        say.line(match findings.worst() {
            None => format!("{sql}\n  no findings"),
            Some(_) => check::for_people("query.sql", sql, &findings, terminal::stdout_width()),
        })?;
    }
    Ok(())
}

async fn run_large(client: &Arc<dyn QueryService>, range: TimeRange, say: &Narrator, messages: Messages) -> Result<()> {
    say.step(
        "4  A large query in batches",
        &format!(
            "Batches of {} go to a function of ours, which counts errors.",
            text::bytes(BATCH_BYTES as f64)
        ),
    )?;
    let options = ExecutionOptions::new().with_batch_size(BatchSize::Bytes(BATCH_BYTES));
    let executor = BatchedExecutor::new(Arc::clone(client), options).with_estimator(Arc::new(PartitionEstimator::new(
        Arc::clone(client),
        "log_entries",
        "global",
    )));
    let errors = AtomicU64::new(0);
    let mut sink = CallbackSink::new(|_index, batch: RecordBatch| {
        errors.fetch_add(count_errors(&batch)?, Ordering::Relaxed);
        Ok(())
    });
    let query = Query::new(LARGE)?.with_time_range(range);
    let statistics = executor
        .execute(
            &query,
            &mut sink,
            &RunProgress::new(ProgressChoice::Auto, messages, None, RowsGo::Elsewhere),
        )
        .await?;
    say.line(run::describe(&statistics))?;
    say.line(format!(
        "  found       {}",
        text::counted(errors.load(Ordering::Relaxed), "error")
    ))
}

fn count_errors(batch: &RecordBatch) -> Result<u64> {
    let levels = batch
        .column_by_name("level")
        .and_then(|levels| levels.as_primitive_opt::<Int32Type>())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Protocol,
                "the batches have no column level of 32-bit integers",
            )
        })?;
    Ok(levels.iter().flatten().filter(|level| *level <= ERROR_LEVEL).count() as u64)
}

async fn retire_instances(client: &Arc<dyn QueryService>, say: &Narrator, messages: Messages) -> Result<()> {
    say.step(
        "5  Retirement of all non-global partitions",
        "First the plan, then its application, then the listing: only the listing is believed.",
    )?;
    let admin = PartitionAdmin::new(Arc::clone(client)).with_guards(Guards::none());
    let plan = admin.plan_non_global().await?;
    apply(&admin, &plan, say, messages).await?;
    let left = Catalog::new(Arc::clone(client))
        .partitions(&PartitionFilter::all().non_global())
        .await?;
    say.line(format!(
        "list_partitions() now has {} that are not global",
        text::counted(left.len() as u64, "partition")
    ))
}

async fn retire_process(
    client: &Arc<dyn QueryService>,
    made: &GenerateReport,
    range: TimeRange,
    say: &Narrator,
    messages: Messages,
) -> Result<()> {
    let process = made
        .process_ids
        .first()
        .ok_or_else(|| Error::new(ErrorKind::Internal, "the generated lake has no process"))?;
    say.step(
        "6  Retirement of one process",
        "Its view instances are materialised by asking for them, and retired with those of its streams.",
    )?;
    let catalog = Catalog::new(Arc::clone(client));
    let threads = catalog
        .streams_of_process(process)
        .await?
        .into_iter()
        .map(|stream| ("thread_spans", stream.stream_id));
    let views = ["log_entries", "measures", "async_events"].map(|view| (view, process.clone()));
    for (view, instance) in views.into_iter().chain(threads) {
        let sql = format!(
            "SELECT count(*) FROM view_instance({}, {})",
            quote_literal(view),
            quote_literal(&instance)
        );
        client.collect(&Query::new(sql)?.with_time_range(range)).await?;
    }
    let admin = PartitionAdmin::new(Arc::clone(client)).with_guards(Guards::none());
    let plan = admin.plan_process(process, None).await?;
    apply(&admin, &plan, say, messages).await
}

async fn apply(admin: &PartitionAdmin, plan: &RetirementPlan, say: &Narrator, messages: Messages) -> Result<()> {
    let width = terminal::stdout_width();
    say.line(retirement::describe_plan(plan, width))?;
    let observer = AdminProgress::new(messages);
    let report = admin.apply(plan, &ApplyOptions::default(), &observer).await?;
    say.line(retirement::describe_report(&report, width))?;
    if report.is_complete() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Internal,
        "planned partitions are still there, which the demo did not expect",
    ))
}

/// A free loopback port.
fn any_port() -> ServeOptions {
    ServeOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        ..ServeOptions::default()
    }
}

fn next_steps(kept: Option<&PathBuf>) -> String {
    let (make, dir) = match kept {
        Some(dir) => (String::new(), dir.display().to_string()),
        None => (
            "  lakepilot lake generate ./lake --rows 1000000\n".to_owned(),
            "./lake".to_owned(),
        ),
    };
    format!(
        "Try next:\n{make}  lakepilot lake serve {dir}\n  lakepilot --begin 1d query \"SELECT time, level, msg FROM log_entries WHERE level <= 2\" \
         --limit 20\n  lakepilot check \"SELECT * FROM log_entries ORDER BY time DESC\"\n  lakepilot --begin 7d run \"SELECT * FROM \
         log_entries\" -o week.parquet\n  lakepilot partitions list --non-global\n"
    )
}
