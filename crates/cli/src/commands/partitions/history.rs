//! `lakepilot partitions history`: which plans were applied, and what came of them.

use lakepilot_admin::{History, HistoryEntry};
use lakepilot_query::{Result, to_rfc3339};

use crate::args::HistoryArgs;
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::{self, Heading, ReportFormat, printable, table, text};
use crate::state::State;
use crate::terminal;

/// Digits of a digest that tell plans apart for a person.
const DIGITS: usize = 12;

pub(super) fn history(args: &HistoryArgs, context: &Context) -> Result<Outcome> {
    context.refuse_time_range("--limit says how many runs are told")?;
    let path = State::of_environment()?.history_path();
    let entries = History::read(&path)?;
    let latest = &entries[entries.len().saturating_sub(args.limit)..];
    match args.format {
        ReportFormat::Json => output::print_json(&latest)?,
        ReportFormat::Table if latest.is_empty() => {
            output::print(&format!("no plan was applied yet, by {}\n", path.display()))?;
        }
        ReportFormat::Table => output::print(&describe(latest, terminal::stdout_width()))?,
    }
    Ok(Outcome::Done)
}

fn describe(entries: &[HistoryEntry], width: Option<usize>) -> String {
    let headings = [
        Heading::text("started"),
        Heading::text("outcome"),
        Heading::number("planned"),
        Heading::number("retired"),
        Heading::number("remaining").optional(),
        Heading::text("who").optional(),
        Heading::text("plan").optional(),
        Heading::text("server").optional(),
    ];
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let counts = entry.result.as_ref().and_then(|result| result.counts);
            let told = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), text::count);
            vec![
                to_rfc3339(entry.started).chars().take(19).collect(),
                outcome(entry).to_owned(),
                text::count(entry.planned.partitions),
                told(counts.map(|counts| counts.retired)),
                told(counts.map(|counts| counts.remaining + counts.unknown)),
                entry.who.clone(),
                entry.plan.trim_start_matches("sha256:").chars().take(DIGITS).collect(),
                entry.server.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let mut told = table(&headings, &rows, width);
    for entry in entries {
        if let Some(error) = entry.result.as_ref().and_then(|result| result.error.as_ref()) {
            told.push_str(&format!("{}: {}\n", to_rfc3339(entry.started), printable(error)));
        }
    }
    text::wrap(&told, width)
}

fn outcome(entry: &HistoryEntry) -> &'static str {
    match &entry.result {
        None => "unfinished",
        Some(result) if result.complete => "verified",
        Some(result) if result.counts.is_none() => "refused",
        Some(_) => "not verified",
    }
}
