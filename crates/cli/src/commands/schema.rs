//! `lakepilot schema`: the columns of a query and the size of its rows, without running it.

use lakepilot_analysis::{ColumnEstimate, SchemaAnalysis, analyze_schema};
use lakepilot_query::Result;

use crate::args::SchemaArgs;
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::{self, Heading, ReportFormat, text};
use crate::terminal;

pub(crate) async fn schema(args: SchemaArgs, context: &Context) -> Result<Outcome> {
    let query = context.query(&args.sql)?;
    let service = context.service().await?;
    let analysis = analyze_schema(service.as_ref(), &query).await?;
    match args.format {
        ReportFormat::Json => output::print_json(&analysis)?,
        ReportFormat::Table => output::print(&describe(&analysis, terminal::stdout_width()))?,
    }
    Ok(Outcome::Done)
}

/// The analysis as a table, and the row size below it.
pub(crate) fn describe(analysis: &SchemaAnalysis, width: Option<usize>) -> String {
    let headings = [
        Heading::text("column"),
        Heading::text("type"),
        Heading::text("nullable").optional(),
        Heading::number("bytes"),
        Heading::number("share"),
        Heading::text("from"),
    ];
    let rows: Vec<Vec<String>> = analysis
        .columns
        .iter()
        .map(|column| {
            vec![
                column.name.clone(),
                column.data_type.clone(),
                if column.nullable { "yes" } else { "no" }.to_owned(),
                format!("{:.1}", column.estimated_bytes),
                share(column, analysis),
                column.basis.as_str().to_owned(),
            ]
        })
        .collect();
    output::table(&headings, &rows, width) + &row_size(analysis)
}

/// The share of a row that a column takes.
pub(crate) fn share(column: &ColumnEstimate, analysis: &SchemaAnalysis) -> String {
    let whole = analysis.estimated_row_bytes.max(f64::MIN_POSITIVE);
    format!("{:.0} %", column.estimated_bytes / whole * 100.0)
}

/// How many columns there are, and the size of a row, as a line.
pub(crate) fn row_size(analysis: &SchemaAnalysis) -> String {
    format!(
        "{}, estimated row size {}\n",
        text::counted(analysis.columns.len() as u64, "column"),
        text::bytes(analysis.estimated_row_bytes)
    )
}
