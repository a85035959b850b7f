//! `lakepilot partitions history`: what was retired and written, by whom, and what came of it.

use lakepilot_admin::{History, HistoryEntry, HistoryWork, WritingOrder};
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
            output::print(&format!("nothing was retired or written yet, by {}\n", path.display()))?;
        }
        ReportFormat::Table => output::print(&describe(latest, terminal::stdout_width()))?,
    }
    Ok(Outcome::Done)
}

fn describe(entries: &[HistoryEntry], width: Option<usize>) -> String {
    let headings = [
        Heading::text("started"),
        Heading::text("action"),
        Heading::text("outcome"),
        Heading::number("asked"),
        Heading::number("done"),
        Heading::number("left").optional(),
        Heading::text("who").optional(),
        Heading::text("what").optional(),
        Heading::text("server").optional(),
    ];
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    let mut told = table(&headings, &rows, width);
    for entry in entries {
        if let Some(error) = entry.result.as_ref().and_then(|result| result.error.as_ref()) {
            told.push_str(&format!("{}: {}\n", to_rfc3339(entry.started), printable(error)));
        }
    }
    text::wrap(&told, width)
}

/// Of a retirement: the partitions of the plan, those that are gone, and those that are not; of a writing: its steps, the
/// partitions that are new, and the stretches that have none.
fn row(entry: &HistoryEntry) -> Vec<String> {
    let (action, asked, what) = match &entry.work {
        HistoryWork::Retire { plan, planned, .. } => {
            let digits = plan.trim_start_matches("sha256:").chars().take(DIGITS).collect();
            ("retire", Some(planned.partitions), digits)
        }
        HistoryWork::Materialize(order) => ("materialise", Some(steps(order)), describe_order(order)),
        HistoryWork::Regenerate(order) => ("regenerate", Some(steps(order)), describe_order(order)),
        _ => ("?", None, String::new()),
    };
    let result = entry.result.as_ref();
    let retired = result.and_then(|result| result.counts);
    let written = result.and_then(|result| result.written);
    let done = retired
        .map(|counts| counts.retired)
        .or(written.map(|counts| counts.created));
    let left = retired
        .map(|counts| counts.remaining + counts.unknown)
        .or(written.map(|counts| counts.gaps));
    let told = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), text::count);
    vec![
        to_rfc3339(entry.started).chars().take(19).collect(),
        action.to_owned(),
        outcome(entry).to_owned(),
        told(asked),
        told(done),
        told(left),
        entry.who.clone(),
        what,
        entry.server.clone().unwrap_or_default(),
    ]
}

fn steps(order: &WritingOrder) -> u64 {
    let seconds = (order.end_insert_time - order.begin_insert_time).num_seconds();
    seconds.unsigned_abs() / order.step_seconds.max(1)
}

fn describe_order(order: &WritingOrder) -> String {
    let range = text::range(Some((order.begin_insert_time, order.end_insert_time)));
    format!("{} from {range}", printable(&order.view_set))
}

fn outcome(entry: &HistoryEntry) -> &'static str {
    match &entry.result {
        None => "unfinished",
        Some(result) if result.complete => "verified",
        Some(result) if result.counts.is_none() && result.written.is_none() => "refused",
        Some(_) => "not verified",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakepilot_admin::{HistoryResult, WrittenCounts};

    /// What a file of a history has: a plan that was applied, one that was killed, and two writings.
    const RECORDS: &str = include_str!("history.ndjson");

    fn entries() -> Vec<HistoryEntry> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        std::fs::write(&path, RECORDS).unwrap();
        History::read(&path).unwrap()
    }

    #[test]
    fn at_80_columns() {
        insta::assert_snapshot!(describe(&entries(), Some(80)));
    }

    #[test]
    fn at_40_columns() {
        insta::assert_snapshot!(describe(&entries(), Some(40)));
    }

    #[test]
    fn at_200_columns() {
        insta::assert_snapshot!(describe(&entries(), Some(200)));
    }

    #[test]
    fn what_was_killed_is_unfinished_and_what_was_not_begun_is_refused() {
        let mut entry = entries().remove(0);
        let result = HistoryResult {
            complete: false,
            counts: None,
            written: None,
            ..entry.result.take().unwrap()
        };
        assert_eq!(outcome(&entry), "unfinished");
        entry.result = Some(result.clone());
        assert_eq!(outcome(&entry), "refused");
        let written = WrittenCounts {
            created: 1,
            replaced: 0,
            kept: 0,
            gaps: 1,
        };
        entry.result = Some(HistoryResult {
            written: Some(written),
            ..result
        });
        assert_eq!(outcome(&entry), "not verified");
    }
}
