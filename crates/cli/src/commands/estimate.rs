//! `lakepilot estimate`: how large a result would be.

use std::sync::Arc;

use lakepilot_analysis::{SchemaAnalysis, analyze_schema};
use lakepilot_execution::{CountEstimator, Estimate, RowEstimator};
use lakepilot_query::Result;
use serde::Serialize;

use super::run::estimator;
use super::schema;
use crate::args::{EstimateArgs, EstimateSource};
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::{self, ReportFormat, text};
use crate::terminal;

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    schema: SchemaAnalysis,
    /// The rows to expect and what the number stands on; `null` when nothing is known.
    rows: Option<Estimate>,
    /// The rows times the size of one.
    estimated_bytes: Option<f64>,
}

pub(crate) async fn estimate(args: EstimateArgs, context: &Context) -> Result<Outcome> {
    let query = context.query(&args.sql)?;
    let service = context.service().await?;
    let schema = analyze_schema(service.as_ref(), &query).await?;
    let estimator: Option<Arc<dyn RowEstimator>> = if args.count {
        Some(Arc::new(CountEstimator::new(Arc::clone(&service))))
    } else {
        estimator(EstimateSource::Partitions, &service, query.sql())
    };
    let rows = match estimator {
        Some(estimator) => estimator.estimate(&query).await?,
        None => None,
    };
    let report = Report {
        estimated_bytes: rows.as_ref().map(|rows| rows.rows as f64 * schema.estimated_row_bytes),
        schema,
        rows,
    };
    match args.format {
        ReportFormat::Json => output::print_json(&report)?,
        ReportFormat::Table => output::print(&text::wrap(&describe(&report), terminal::stdout_width()))?,
    }
    Ok(Outcome::Done)
}

fn describe(report: &Report) -> String {
    let mut told = schema::describe(&report.schema, terminal::stdout_width());
    told.push_str(&match (&report.rows, report.estimated_bytes) {
        (Some(rows), Some(bytes)) => format!(
            "{}, {} (rows from {})\n",
            text::counted(rows.rows, "row"),
            text::bytes(bytes),
            rows.basis
        ),
        _ => "rows unknown: partitions tell the rows of a scan with no filter but time; --count runs the query as a COUNT(*)\n"
            .to_owned(),
    });
    told
}
