//! `lakepilot doctor`: what a server can do, what it says that it can do, and how long it takes.

use lakepilot_flight_client::{CallReport, Claim, Examination, ExaminationOptions, ResultFacts, Verdict, examine};
use lakepilot_query::{Error, ErrorKind, Result};

use crate::args::DoctorArgs;
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::{self, Heading, ReportFormat, printable, text};
use crate::terminal;

/// The width of the table of calls without its details: below it, each call has a line.
const LEAST_TABLE: usize = 66;

pub(crate) async fn doctor(args: &DoctorArgs, context: &Context) -> Result<Outcome> {
    if context.url()?.starts_with("lake:") {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "an embedded lake is no server to examine: serve it with 'lakepilot lake serve', and name that",
        ));
    }
    let options = ExaminationOptions {
        repeats: usize::from(args.repeat),
        patience: args.patience,
        write_table: args.write.clone(),
    };
    let examination = examine(context.client_config()?, &options).await?;
    match args.format {
        ReportFormat::Json => output::print_json(&examination)?,
        ReportFormat::Table => output::print(&describe(&examination, terminal::stdout_width()))?,
    }
    // Last, so that its kind is the exit code and its text is told below the report.
    match examination.failure {
        Some(failure) => Err(failure.context("the server does not answer queries")),
        None => Ok(Outcome::Done),
    }
}

/// The report as people read it.
fn describe(examination: &Examination, width: Option<usize>) -> String {
    let mut report = facts(examination, width);
    report.push('\n');
    report += &calls(&examination.calls, width);
    report += &troubles(&examination.calls, width);
    report.push('\n');
    report += &claims(&examination.claims, width);
    report.push('\n');
    report += &text::wrap(&summary(examination), width);
    report.push('\n');
    report
}

/// Who the server is, and how it is reached.
fn facts(examination: &Examination, width: Option<usize>) -> String {
    let server = &examination.server;
    let name = server.name.as_deref().unwrap_or("it does not say who it is");
    let version = server.version.as_deref().unwrap_or_default();
    let arrow = server
        .arrow_version
        .as_ref()
        .map(|version| format!("(Arrow {version})"))
        .unwrap_or_default();
    let who = [name, version, &arrow];
    let who: Vec<&str> = who.into_iter().filter(|part| !part.is_empty()).collect();
    let connection = &examination.connection;
    let privacy = if server.tls { "TLS" } else { "plain text" };
    let connected = format!("{privacy}, connected in {:.1} ms", connection.connect_ms);
    let warm = connection
        .warm_query_ms
        .map(|time| format!(", a warm SELECT 1 takes {time:.1} ms"))
        .unwrap_or_default();
    let mut lines = vec![
        format!("server: {}", server.url),
        format!("says of itself: {}", printable(&who.join(" "))),
        format!("connection: {connected}{warm}"),
    ];
    lines.extend(connection.result.as_ref().map(result));
    let lines: Vec<String> = lines.iter().map(|line| text::wrap(line, width)).collect();
    lines.join("\n") + "\n"
}

fn result(result: &ResultFacts) -> String {
    let compression = match &result.compression {
        Some(compression) => format!("{} compression", printable(compression)),
        None => "no compression".to_owned(),
    };
    format!(
        "result of it: {}, {}, {}, {}; {} {}, columns {}",
        text::counted(result.rows as u64, "row"),
        batches(result.batches),
        text::bytes(result.wire_bytes as f64),
        compression,
        text::counted(result.endpoints as u64, "endpoint"),
        if result.has_locations {
            "with locations"
        } else {
            "without locations"
        },
        if result.schema_told {
            "told ahead"
        } else {
            "not told ahead"
        },
    )
}

fn batches(count: usize) -> String {
    match count {
        1 => "1 batch".to_owned(),
        count => format!("{count} batches"),
    }
}

fn calls(calls: &[CallReport], width: Option<usize>) -> String {
    if width.is_some_and(|width| width < LEAST_TABLE) {
        return calls_as_lines(calls, width);
    }
    let headings = [
        Heading::text("call"),
        Heading::text("verdict"),
        Heading::number("ms"),
        Heading::text("detail").optional(),
    ];
    // The details of what is not right stand below, whole.
    let detail = |call: &CallReport| match call.verdict {
        Verdict::Works | Verdict::NotTried => call.detail.clone(),
        _ => String::new(),
    };
    let rows: Vec<Vec<String>> = calls
        .iter()
        .map(|call| {
            let time = call.latency_ms.map(|time| format!("{time:.1}")).unwrap_or_default();
            vec![
                call.call.to_owned(),
                call.verdict.as_str().to_owned(),
                time,
                detail(call),
            ]
        })
        .collect();
    output::table(&headings, &rows, width)
}

/// The same where the names of calls would be cut in a table.
fn calls_as_lines(calls: &[CallReport], width: Option<usize>) -> String {
    let mut lines = String::new();
    for call in calls {
        let time = call
            .latency_ms
            .map(|time| format!(", {time:.1} ms"))
            .unwrap_or_default();
        let line = format!("{}: {}{time}", call.call, call.verdict.as_str());
        lines += &text::wrap(&line, width);
        lines.push('\n');
    }
    lines
}

/// What was refused and what went wrong, with the server's words.
fn troubles(calls: &[CallReport], width: Option<usize>) -> String {
    let mut troubles = String::new();
    for verdict in [Verdict::Wrong, Verdict::Refused] {
        for call in calls.iter().filter(|call| call.verdict == verdict) {
            let line = format!("{}: {}: {}", verdict.as_str(), call.call, printable(&call.detail));
            troubles.push('\n');
            troubles += &text::wrap(&line, width);
        }
    }
    if !troubles.is_empty() {
        troubles.push('\n');
    }
    troubles
}

fn claims(claims: &[Claim], width: Option<usize>) -> String {
    let headings = [
        Heading::text("about"),
        Heading::text("says"),
        Heading::text("does"),
        Heading::text("agrees"),
    ];
    let rows: Vec<Vec<String>> = claims
        .iter()
        .map(|claim| {
            let agrees = match claim.agrees {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "-",
            };
            let says = claim.says.clone().unwrap_or_else(|| "-".to_owned());
            vec![claim.claim.clone(), says, claim.does.clone(), agrees.to_owned()]
        })
        .collect();
    output::table(&headings, &rows, width)
}

fn summary(examination: &Examination) -> String {
    let count = |verdict| examination.calls.iter().filter(|call| call.verdict == verdict).count();
    let verdicts = [
        Verdict::Works,
        Verdict::Refused,
        Verdict::Unimplemented,
        Verdict::Wrong,
        Verdict::NotTried,
    ];
    let counts: Vec<String> = verdicts
        .into_iter()
        .map(|verdict| (verdict, count(verdict)))
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| format!("{count} {}", verdict.as_str()))
        .collect();
    let usable = if examination.usable {
        "Lakepilot can use this server"
    } else {
        "Lakepilot cannot use this server"
    };
    format!("{}. {usable}.", counts.join(", "))
}
