//! `lakepilot check`: findings about a query before it runs.

use lakepilot_analysis::{Analysis, Analyzer, Config, Severity};
use lakepilot_query::Result;

use crate::args::{CheckArgs, FailOn};
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::{self, ReportFormat, text};
use crate::terminal;

pub(crate) async fn check(args: CheckArgs, context: &Context) -> Result<Outcome> {
    let sql = context.sql(&args.sql)?;
    let range = context.time_range()?;
    let config = Config {
        max_columns: args.max_columns,
        max_row_bytes: args.max_row_bytes as f64,
        ..Config::default()
    };
    let analyzer = Analyzer::new(config);
    let analysis = if args.offline {
        analyzer.check(&sql, range)
    } else {
        let service = context.service().await?;
        analyzer.check_online(service.as_ref(), &sql, range).await?
    };
    match args.format {
        ReportFormat::Json => output::print_json(&analysis)?,
        ReportFormat::Table => output::print(&text::wrap(&describe(&sql, &analysis), terminal::stdout_width()))?,
    }
    Ok(if fails(&analysis, args.fail_on) {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn fails(analysis: &Analysis, fail_on: FailOn) -> bool {
    let least = match fail_on {
        FailOn::Error => Severity::Error,
        FailOn::Warning => Severity::Warning,
        FailOn::Hint => Severity::Hint,
        FailOn::Never => return false,
    };
    analysis.worst().is_some_and(|worst| worst >= least)
}

/// Every finding with the line that it is about, and a summary.
pub(crate) fn describe(sql: &str, analysis: &Analysis) -> String {
    let lines: Vec<&str> = sql.lines().collect();
    let mut told = String::new();
    for finding in analysis.findings() {
        let start = finding.span.start;
        told.push_str(&format!(
            "{}: {} [{}] at line {}, column {}\n",
            finding.severity, finding.message, finding.rule, start.line, start.column
        ));
        if let Some(line) = lines.get(start.line.saturating_sub(1)) {
            told.push_str(&format!("    {}\n", output::printable(line.trim_end())));
        }
        if !finding.why.is_empty() {
            told.push_str(&format!("    why: {}\n", finding.why));
        }
        if let Some(help) = &finding.help {
            told.push_str(&format!("    help: {help}\n"));
        }
    }
    let count = |severity| {
        analysis
            .findings()
            .filter(|finding| finding.severity == severity)
            .count() as u64
    };
    told.push_str(&match analysis.worst() {
        None => "no findings\n".to_owned(),
        Some(_) => format!(
            "{}, {}, {}\n",
            text::counted(count(Severity::Error), "error"),
            text::counted(count(Severity::Warning), "warning"),
            text::counted(count(Severity::Hint), "hint")
        ),
    });
    told
}
