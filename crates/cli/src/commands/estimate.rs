//! `lakepilot estimate`: how large a result would be.

use chrono::SecondsFormat;
use lakepilot_analysis::{
    ColumnEstimate, EstimateBasis, EstimateOptions, ResultEstimate, RowEstimate, ScanEstimate, SchemaAnalysis,
    SizeBasis, estimate_result,
};
use lakepilot_query::Result;

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
        ReportFormat::Table => output::print(&describe(&estimate, args.sample.is_some(), terminal::stdout_width()))?,
    }
    guard::check(args.limits, &estimate, context.messages)?;
    Ok(Outcome::Done)
}

fn describe(estimate: &ResultEstimate, is_sampled: bool, width: Option<usize>) -> String {
    let mut told = sizes(&estimate.schema, width);
    let mut notes = String::new();
    let is_guessed = |column: &ColumnEstimate| matches!(column.basis, SizeBasis::Typical | SizeBasis::Assumed);
    if estimate.schema.columns.iter().any(is_guessed) {
        notes.push_str("  lengths that are typical or assumed: --sample measures them, and every query teaches them\n");
    }
    for scan in &estimate.scans {
        notes.push_str(&reads(scan));
    }
    notes.push_str(&result(estimate, is_sampled));
    told.push_str(&text::wrap(&notes, width));
    told
}

/// The rows and the bytes of the result.
fn result(estimate: &ResultEstimate, is_sampled: bool) -> String {
    if is_unknown(&estimate.rows) {
        return "\nrows   unknown: nothing tells them but --count, which runs the query as a COUNT(*)\nbytes  unknown\n".to_owned();
    }
    let (expected, interval) = rows(&estimate.rows);
    format!(
        "\nrows   {expected}{interval}\n       from {}\nbytes  {}\n       the expected rows times the size of one\n",
        basis(estimate.rows.basis, is_sampled),
        text::bytes(estimate.estimated_bytes),
    )
}

/// Whether nothing is known of the rows, not even a guess.
fn is_unknown(rows: &RowEstimate) -> bool {
    rows.basis == EstimateBasis::Unknown && rows.high.is_none() && rows.expected == 0.0
}

/// The columns, with the share of a row that each takes, and what its size stands on.
fn sizes(schema: &SchemaAnalysis, width: Option<usize>) -> String {
    let headings = [
        Heading::text("column"),
        Heading::number("bytes"),
        Heading::number("share"),
        Heading::text("from"),
        Heading::text("type").optional(),
    ];
    let rows: Vec<Vec<String>> = schema
        .columns
        .iter()
        .map(|column| {
            vec![
                column.name.clone(),
                format!("{:.1}", column.estimated_bytes),
                schema::share(column, schema),
                column.basis.as_str().to_owned(),
                column.data_type.clone(),
            ]
        })
        .collect();
    output::table(&headings, &rows, width) + &schema::row_size(schema)
}

/// What the service would read of a view, as list_partitions() has it.
fn reads(scan: &ScanEstimate) -> String {
    let instance = scan.instance.as_deref().unwrap_or("an instance that is not a literal");
    let seen = match is_unknown(&scan.rows) {
        true => "nothing is known of its rows".to_owned(),
        false => {
            let (expected, interval) = rows(&scan.rows);
            format!("{expected} rows in that time{interval}")
        }
    };
    format!(
        "\nreads  {} ({instance}), {}\n       {} touched, {} pruned by the range of the call\n       {} of {}, of which {} are read\n       \
         {seen}\n       from list_partitions()\n",
        scan.view_set,
        bounds(scan),
        text::counted(scan.partitions_touched, "partition"),
        text::count(scan.partitions_pruned),
        text::counted(scan.files, "file"),
        text::bytes(scan.file_bytes as f64),
        text::bytes(scan.read_bytes),
    )
}

/// The time of what is read, to the second.
fn bounds(scan: &ScanEstimate) -> String {
    let time = |nanos: Option<i64>| {
        let time = chrono::DateTime::from_timestamp_nanos(nanos?);
        Some(time.to_rfc3339_opts(SecondsFormat::Secs, true))
    };
    match (time(scan.time_bounds.begin_nanos), time(scan.time_bounds.end_nanos)) {
        (None, None) => "of all time".to_owned(),
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
        None => (
            format!("about {expected}"),
            format!(", at least {}", text::count(rows.low)),
        ),
    }
}

fn basis(basis: EstimateBasis, is_sampled: bool) -> &'static str {
    match basis {
        EstimateBasis::Exact => "an exact count, or the form of the query",
        EstimateBasis::PartitionMetadata => "the row counts of partitions, clipped to the time range",
        EstimateBasis::SampledSelectivity => "partitions, and the share of a sample that the filters let through",
        EstimateBasis::Unknown if is_sampled => {
            "a guess, which no sample betters: --count runs the query as a COUNT(*)"
        }
        EstimateBasis::Unknown => "a guess: --sample measures filters, --count runs the query as a COUNT(*)",
        _ => basis.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use lakepilot_analysis::TimeBounds;

    use super::*;

    fn rows(low: u64, expected: f64, high: Option<u64>, basis: EstimateBasis) -> RowEstimate {
        RowEstimate {
            low,
            expected,
            high,
            basis,
        }
    }

    fn column(name: &str, data_type: &str, estimated_bytes: f64, basis: SizeBasis) -> ColumnEstimate {
        ColumnEstimate {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            nullable: false,
            estimated_bytes,
            basis,
        }
    }

    fn estimate() -> ResultEstimate {
        ResultEstimate {
            schema: SchemaAnalysis {
                columns: vec![
                    column("time", "Timestamp(ns, \"+00:00\")", 8.0, SizeBasis::Type),
                    column("msg", "Utf8", 84.0, SizeBasis::Typical),
                ],
                estimated_row_bytes: 92.0,
            },
            rows: rows(0, 1_197.6, Some(3_665), EstimateBasis::Unknown),
            estimated_bytes: 110_179.2,
            scans: vec![ScanEstimate {
                view_set: "log_entries".to_owned(),
                instance: Some("global".to_owned()),
                time_bounds: TimeBounds {
                    begin_nanos: Some(1_772_323_200_000_000_001),
                    end_nanos: None,
                },
                partitions_touched: 11,
                partitions_pruned: 1_026,
                files: 1,
                file_bytes: 256_700,
                read_bytes: 53_900.0,
                rows: rows(3_514, 3_607.0, Some(3_665), EstimateBasis::PartitionMetadata),
            }],
        }
    }

    #[test]
    fn estimates_fit_the_terminal() {
        for width in [40, 80] {
            let told = describe(&estimate(), false, Some(width));
            assert!(told.lines().all(|line| line.chars().count() <= width), "{told}");
            insta::assert_snapshot!(format!("estimate_{width}"), told);
        }
    }

    #[test]
    fn what_is_not_known_is_not_a_number() {
        let mut estimate = estimate();
        estimate.rows = rows(0, 0.0, None, EstimateBasis::Unknown);
        estimate.scans[0].rows = estimate.rows;
        let told = describe(&estimate, true, None);
        assert!(
            told.contains("rows   unknown") && told.contains("bytes  unknown"),
            "{told}"
        );
        assert!(told.contains("nothing is known of its rows"), "{told}");
        estimate.rows = rows(7, 7.0, Some(7), EstimateBasis::Exact);
        assert!(describe(&estimate, true, None).contains("rows   7\n       from an exact count"));
        estimate.rows = rows(0, 9.0, None, EstimateBasis::Unknown);
        let guessed = describe(&estimate, true, None);
        assert!(guessed.contains("about 9, at least 0") && !guessed.contains("--sample measures filters"));
    }
}
