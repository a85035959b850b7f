//! Tables of Markdown, and the page that they stand on.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::chart::{self, Mark, Row};
use super::growth::Curve;
use super::rounds::{Outcome, Side};
use super::statistics::Spread;
use crate::cargo::{Workspace, output};

const PAGE: &str = "docs/performance.md";
const RATIOS: &str = "docs/performance-ratios.svg";

pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds if seconds >= 0.1 => format!("{:.0} ms", seconds * 1e3),
        seconds if seconds >= 0.001 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{:.0} µs", seconds * 1e6),
    }
}

fn times(spread: Spread) -> String {
    format!(
        "{} ({} to {})",
        seconds(spread.median),
        seconds(spread.least),
        seconds(spread.most)
    )
}

fn ratio(spread: Spread) -> String {
    format!("{:.2} ({:.2} to {:.2})", spread.median, spread.least, spread.most)
}

fn or_dash<T>(value: Option<T>, told: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), told)
}

/// Processor time: per gigabyte where the bytes are known, else of the work or the call.
fn processor(outcome: &Outcome, side: &Side) -> String {
    or_dash(side.processor(), |spread| match outcome.bytes {
        Some(bytes) => format!("{:.2} s/GB", spread.median / (bytes / 1e9)),
        None => seconds(spread.median),
    })
}

/// One work, a line for each client.
pub(super) fn table(outcome: &Outcome) -> String {
    let mut text = format!(
        "### {}\n\n`{}`, {} rounds. The ratio is the time in units of that of {}.\n\n",
        outcome.title,
        outcome.name,
        outcome.sides.first().map_or(0, |side| side.samples.len()),
        outcome.reference
    );
    text.push_str(
        "| client | time: median (range) | ratio: median (range) | processor | peak memory | first batch |\n",
    );
    text.push_str("|---|---|---|---|---|---|\n");
    for side in &outcome.sides {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            side.client,
            or_dash(side.time(), times),
            or_dash(outcome.ratio(side), ratio),
            processor(outcome, side),
            or_dash(side.peak_bytes(), |spread| format!("{:.0} MB", spread.most / 1e6)),
            or_dash(side.first_batch(), |spread| seconds(spread.median)),
        );
    }
    text
}

/// A line for each work: how much longer the fastest published client took.
pub(super) fn summary(outcomes: &[&Outcome]) -> String {
    let mut text = "| work | ours | fastest published client | takes so many times as long | its processor time, in units of ours |\n|---|---|---|---|---|\n".to_owned();
    for outcome in outcomes {
        let Some((ours, other)) = outcome.side(outcome.reference).zip(outcome.fastest_published()) else {
            continue;
        };
        let processors = ours.processor().zip(other.processor());
        let _ = writeln!(
            text,
            "| `{}` | {} | {}, {} | {} | {} |",
            outcome.name,
            or_dash(ours.time(), |spread| seconds(spread.median)),
            other.client,
            or_dash(other.time(), |spread| seconds(spread.median)),
            or_dash(outcome.ratio(other), ratio),
            or_dash(processors, |(ours, other)| format!("{:.1}", other.median / ours.median)),
        );
    }
    text
}

fn ratios_chart(outcomes: &[&Outcome]) -> String {
    let rows: Vec<Row> = outcomes
        .iter()
        .map(|outcome| Row {
            label: outcome.name.to_owned(),
            marks: outcome
                .sides
                .iter()
                .filter_map(|side| {
                    let spread = outcome.ratio(side)?;
                    Some(Mark {
                        series: side.client.to_string(),
                        value: spread.median,
                        least: spread.least,
                        most: spread.most,
                    })
                })
                .collect(),
        })
        .collect();
    chart::marks("Time in units of Lakepilot's (median and range; less is faster)", &rows)
}

/// What it was measured on, so far as the system tells.
fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown processor".to_owned());
    let system = output(Command::new("uname").arg("-sr")).unwrap_or_else(|_| std::env::consts::OS.to_owned());
    let rustc = output(Command::new("rustc").arg("--version")).unwrap_or_default();
    format!(
        "Measured {} on {processors} × {model}, {}, {}.",
        chrono::Utc::now().format("%Y-%m-%d"),
        system.trim(),
        rustc.trim()
    )
}

/// Puts the tables and charts into the page, between the marks that are there for them.
pub(super) fn write(workspace: &Workspace, outcomes: &[&Outcome], curves: &[Curve]) -> Result<()> {
    let root = workspace.root();
    let path = root.join(PAGE);
    let mut page = fs::read_to_string(&path).with_context(|| format!("read {PAGE}"))?;
    if !outcomes.is_empty() {
        let mut text = format!(
            "{}\n\n{}\n![Ratios](performance-ratios.svg)\n",
            machine(),
            summary(outcomes)
        );
        for outcome in outcomes {
            text.push('\n');
            text.push_str(&table(outcome));
        }
        page = replaced(&page, "compare", &text)?;
        save(workspace, RATIOS, &ratios_chart(outcomes))?;
    }
    if !curves.is_empty() {
        let mut text = format!("{}\n", machine());
        for curve in curves {
            let file = format!("performance-{}.svg", curve.name);
            let _ = write!(
                text,
                "\n### {}\n\n![{}]({file})\n\n{}",
                curve.title,
                curve.title,
                curve.table()
            );
            save(workspace, &format!("docs/{file}"), &curve.chart())?;
        }
        page = replaced(&page, "growth", &text)?;
    }
    save(workspace, PAGE, &page)
}

/// The page with other text between the two marks of a name.
fn replaced(page: &str, name: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let Some((before, rest)) = page.split_once(&begin) else {
        bail!("{PAGE} has no {begin}");
    };
    let Some((_, after)) = rest.split_once(&end) else {
        bail!("{PAGE} has no {end}");
    };
    Ok(format!("{before}{begin}\n{}\n{end}{after}", text.trim_end()))
}

fn save(workspace: &Workspace, path: &str, text: &str) -> Result<()> {
    let unfinished = workspace.root().join(format!("{path}.new"));
    fs::write(&unfinished, text)
        .and_then(|()| fs::rename(&unfinished, workspace.root().join(path)))
        .with_context(|| format!("write {path}"))?;
    println!("wrote {path}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::rounds::tests::side;
    use super::super::works::Client;
    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            name: "drain",
            title: "Draining".to_owned(),
            bytes: Some(2e9),
            reference: Client::Library,
            sides: vec![
                side(Client::Library, &[1.0, 1.2, 1.1], 7),
                side(Client::PythonStream, &[2.0, 2.4, 2.2], 7),
                side(Client::Http2, &[0.9, 1.0, 1.0], 0),
            ],
        }
    }

    #[test]
    fn a_table_tells_medians_ranges_and_what_a_gigabyte_costs() {
        let text = table(&outcome());
        assert!(
            text.contains("| micromegas (Python) | 2.20 s (2.00 s to 2.40 s) | 2.00 (2.00 to 2.00) | 0.55 s/GB | 50 MB | 10.0 ms |"),
            "{text}"
        );
    }

    #[test]
    fn the_summary_is_held_against_published_clients_only() {
        let text = summary(&[&outcome()]);
        assert!(
            text.contains("| `drain` | 1.10 s | micromegas (Python), 2.20 s | 2.00 (2.00 to 2.00) | 2.0 |"),
            "{text}"
        );
    }

    #[test]
    fn a_part_of_the_page_is_replaced_and_the_rest_is_kept() {
        let page = "a\n<!-- growth: begin -->\nold\n<!-- growth: end -->\nb\n";
        let new = replaced(page, "growth", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- growth: begin -->\nnew\n<!-- growth: end -->\nb\n");
        assert!(replaced(page, "compare", "new").is_err());
    }

    #[test]
    fn times_are_told_in_their_own_unit() {
        assert_eq!(
            [12.345, 0.5, 0.0123, 0.000_045].map(seconds),
            ["12.35 s", "500 ms", "12.3 ms", "45 µs"]
        );
    }
}
