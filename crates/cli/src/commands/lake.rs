//! `lakepilot lake`: embedded lakes.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use lakepilot_local_lake::{
    BearerToken, Fault, FlightServer, GenerateOptions, ImportOptions, InstanceInfo, Lake, LakeService, ServeOptions,
    ServiceOptions, TlsIdentity, generate as fill, import_file,
};
use lakepilot_query::{Error, ErrorKind, Result, to_rfc3339};

use super::blocking;
use crate::args::{FaultArg, GenerateArgs, ImportArgs, InfoArgs, LakeCommand, ServeArgs};
use crate::connection::{read_file, read_token};
use crate::context::Context;
use crate::exit::Outcome;
use crate::messages::Messages;
use crate::output::{self, Heading, ReportFormat, text};
use crate::{signals, terminal};

pub(crate) async fn lake(command: LakeCommand, context: &Context) -> Result<Outcome> {
    match command {
        LakeCommand::Serve(args) => serve(args, context).await,
        LakeCommand::Generate(args) => generate(args, context).await,
        LakeCommand::Import(args) => import(args, context).await,
        LakeCommand::Info(args) => info(args).await,
    }
}

async fn serve(args: ServeArgs, context: &Context) -> Result<Outcome> {
    let listen: SocketAddr = args.listen.parse().map_err(|error| {
        Error::new(
            ErrorKind::InvalidInput,
            format!(
                "--listen {} is not an address: write it as 127.0.0.1:50051",
                args.listen
            ),
        )
        .with_source(error)
    })?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(TlsIdentity::from_pem(
            read_file(certificate, "certificate")?,
            read_file(key, "private key")?,
        )),
        _ => None,
    };
    let token = context
        .token_file()
        .map(|path| BearerToken::new(read_token(path)?))
        .transpose()?;
    let service_options = ServiceOptions {
        administration: !args.no_admin,
        fault: args.fault.map(|FaultArg::SwallowRetirement| Fault::SwallowRetirement),
        ..ServiceOptions::default()
    };
    let dir = args.dir;
    let service = blocking(move || LakeService::with_options(Lake::open(&dir)?, service_options)).await?;
    let options = ServeOptions {
        listen,
        tls,
        token,
        ..ServeOptions::default()
    };
    let server = FlightServer::bind(Arc::new(service), options)?;
    let url = server.url();
    let handle = server.spawn();
    // Before the line that says that all is ready, since who reads it may send a signal at once.
    let shutdown = signals::listen()?;
    // The one line that scripts wait for.
    output::print(&format!("listening on {url}\n"))?;
    let signal = shutdown.await;
    context.messages.tell(format!("{signal}: finishing what is in flight"));
    handle.shutdown().await?;
    Ok(Outcome::Done)
}

async fn generate(args: GenerateArgs, context: &Context) -> Result<Outcome> {
    let options = GenerateOptions {
        rows: args.rows,
        days: args.days,
        processes: args.processes,
        seed: args.seed,
        end: context.end_or_now()?,
    };
    let messages = context.messages;
    let dir = args.dir;
    let shown = dir.display().to_string();
    let report = blocking(move || fill_with_progress(&Lake::create(&dir)?, &options, messages)).await?;
    context.messages.tell(format!(
        "made the lake {shown}: {} log entries, {}, {}, {} of {} processes from {} to {}",
        text::count(report.log_entries),
        text::counted(report.measures, "measure"),
        text::counted(report.thread_spans, "thread span"),
        text::counted(report.async_events, "async event"),
        report.process_ids.len(),
        to_rfc3339(report.begin),
        to_rfc3339(report.end),
    ));
    Ok(Outcome::Done)
}

/// Fills a lake, with a bar on a terminal.
pub(crate) fn fill_with_progress(
    lake: &Lake,
    options: &GenerateOptions,
    messages: Messages,
) -> Result<lakepilot_local_lake::GenerateReport> {
    let bar = if messages.is_quiet() || !std::io::stderr().is_terminal() {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(0)
    };
    bar.set_style(
        ProgressStyle::with_template("{bar:20} {pos} of {len} steps, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars(terminal::BarCharacters::of_locale().all()),
    );
    let report = fill(lake, options, &|done, steps| {
        bar.set_length(steps as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    report
}

async fn import(args: ImportArgs, context: &Context) -> Result<Outcome> {
    let options = ImportOptions {
        ignore_unknown_columns: args.ignore_unknown_columns,
        ..ImportOptions::new(&args.view_set, &args.instance)
    };
    let (dir, input) = (args.dir, args.input);
    let told = format!("{} into {}/{}", input.display(), args.view_set, args.instance);
    let report = blocking(move || import_file(&open_or_create(&dir)?, &input, &options)).await?;
    context
        .messages
        .tell(format!("imported {} of {told}", text::counted(report.rows, "row")));
    Ok(Outcome::Done)
}

fn open_or_create(dir: &Path) -> Result<Lake> {
    match Lake::open(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Lake::create(dir),
        opened => opened,
    }
}

async fn info(args: InfoArgs) -> Result<Outcome> {
    let dir = args.dir;
    let info = blocking(move || Lake::open(&dir)?.info()).await?;
    match args.format {
        ReportFormat::Table => output::print(&describe(&info))?,
        ReportFormat::Json => {
            let rows: Vec<serde_json::Value> = info.iter().map(as_json).collect();
            output::print_json(&rows)?;
        }
    }
    Ok(Outcome::Done)
}

fn as_json(info: &InstanceInfo) -> serde_json::Value {
    serde_json::json!({
        "view_set": info.view_set_name,
        "instance": info.view_instance_id,
        "partitions": info.partitions,
        "rows": info.rows,
        "bytes": info.bytes,
        "begin_insert_time": to_rfc3339(info.begin_insert_time),
        "end_insert_time": to_rfc3339(info.end_insert_time),
        "min_event_time": info.min_event_time.map(to_rfc3339),
        "max_event_time": info.max_event_time.map(to_rfc3339),
    })
}

fn describe(info: &[InstanceInfo]) -> String {
    let headings = [
        Heading::text("view set"),
        Heading::text("instance"),
        Heading::number("partitions"),
        Heading::number("rows"),
        Heading::number("bytes").optional(),
        Heading::text("insert time").optional(),
    ];
    let rows: Vec<Vec<String>> = info
        .iter()
        .map(|info| {
            vec![
                info.view_set_name.clone(),
                info.view_instance_id.clone(),
                text::count(info.partitions),
                text::count(info.rows),
                text::bytes(info.bytes as f64),
                text::range(Some((info.begin_insert_time, info.end_insert_time))),
            ]
        })
        .collect();
    let bytes: u64 = info.iter().map(|info| info.bytes).sum();
    format!(
        "{}{}, {}\n",
        output::table(&headings, &rows, terminal::stdout_width()),
        text::counted(info.len() as u64, "view instance"),
        text::bytes(bytes as f64)
    )
}
