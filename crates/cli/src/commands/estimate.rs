//! `lakepilot estimate`: how large a result would be.

use lakepilot_analysis::{
    EstimateBasis, EstimateOptions, ResultEstimate, RowEstimate, ScanEstimate, SizeBasis, estimate_result,
};
use lakepilot_query::{Result, to_rfc3339};

use super::schema;
use crate::args::EstimateArgs;
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::{self, Heading, ReportFormat, text};
use crate::{guard, terminal};

pub(crate) async fn estimate(args: EstimateArgs, context: &Context) -> Result<Outcome> {
    let query = context.query(&args.sql)?;
    let service = context.service().await?;
    let options = EstimateOptions::default()
        .with_sample_rows(args.sample)
        .with_count(args.count)
        .with_learnt(context.learning().known());
    let estimate = estimate_result(service.as_ref(), &query, &options).await?;
    match args.format {
        ReportFormat::Json => output::print_json(&estimate)?,
        ReportFormat::Table => output::print(&describe(&estimate, terminal::stdout_width()))?,
    }
    guard::check(args.limits, &estimate, context.messages)?;
    Ok(Outcome::Done)
}

fn describe(estimate: &ResultEstimate, width: Option<usize>) -> String {
    let mut told = schema::describe(&estimate.schema, width);
    if estimate
        .schema
        .columns
        .iter()
        .any(|column| column.basis == SizeBasis::Assumed)
    {
        told.push_str(&text::wrap(
            "  lengths that are assumed are measured by --sample, and learnt from every query\n",
            width,
        ));
    }
    if !estimate.scans.is_empty() {
        told.push('\n');
        told.push_str(&scans(&estimate.scans, width));
        told.push_str(&text::wrap(
            "  from list_partitions() and the time range of the call\n",
            width,
        ));
    }
    let (expected, interval) = rows(&estimate.rows);
    let closing = format!(
        "\nrows   {expected}{interval}\n       from {}\nbytes  {}\n       {}\n",
        basis(estimate.rows.basis),
        text::bytes(estimate.estimated_bytes),
        "the expected rows times the size of one",
    );
    told.push_str(&text::wrap(&closing, width));
    told
}

/// What the service would read, a row for each view that the query names.
fn scans(scans: &[ScanEstimate], width: Option<usize>) -> String {
    let headings = [
        Heading::text("view"),
        Heading::text("instance"),
        Heading::text("time"),
        Heading::number("partitions"),
        Heading::number("pruned"),
        Heading::number("files"),
        Heading::number("file size"),
        Heading::number("read"),
        Heading::number("rows"),
    ];
    let rows: Vec<Vec<String>> = scans
        .iter()
        .map(|scan| {
            vec![
                scan.view_set.clone(),
                scan.instance.clone().unwrap_or_else(|| "(not a literal)".to_owned()),
                bounds(scan),
                text::count(scan.partitions_touched),
                text::count(scan.partitions_pruned),
                text::count(scan.files),
                text::bytes(scan.file_bytes as f64),
                text::bytes(scan.read_bytes),
                rows(&scan.rows).0,
            ]
        })
        .collect();
    output::table(&headings, &rows, width)
}

fn bounds(scan: &ScanEstimate) -> String {
    let time = |nanos: Option<i64>| nanos.map(|nanos| to_rfc3339(chrono::DateTime::from_timestamp_nanos(nanos)));
    match (time(scan.time_bounds.begin_nanos), time(scan.time_bounds.end_nanos)) {
        (None, None) => "all".to_owned(),
        (Some(begin), None) => format!("from {begin}"),
        (None, Some(end)) => format!("up to {end}"),
        (Some(begin), Some(end)) => format!("{begin} to {end}"),
    }
}

/// The number of rows to expect, and the interval in which it lies.
fn rows(rows: &RowEstimate) -> (String, String) {
    let expected = text::count(rows.expected.round() as u64);
    match rows.high {
        Some(high) if high == rows.low => (expected, String::new()),
        Some(high) => {
            let interval = format!(", between {} and {}", text::count(rows.low), text::count(high));
            (format!("about {expected}"), interval)
        }
        None if rows.expected > 0.0 => (
            format!("about {expected}"),
            format!(", at least {}", text::count(rows.low)),
        ),
        None => ("unknown".to_owned(), String::new()),
    }
}

fn basis(basis: EstimateBasis) -> &'static str {
    match basis {
        EstimateBasis::Exact => "an exact count, or the form of the query",
        EstimateBasis::PartitionMetadata => "the row counts of partitions, clipped to the time range",
        EstimateBasis::SampledSelectivity => "partitions, and the share of a sample that the filters let through",
        EstimateBasis::Unknown => "a guess: --sample measures filters, --count runs the query as a COUNT(*)",
        _ => basis.as_str(),
    }
}
