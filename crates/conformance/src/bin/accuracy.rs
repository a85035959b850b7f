//! Estimates queries on lakes, runs them, and prints how right the estimates were: `cargo xtask accuracy`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use lakepilot_conformance::{EmbeddedLake, Goals, accuracy_markdown, accuracy_table, connect, measure_accuracy};

/// Estimates queries on lakes, runs them, and prints how right the estimates were
#[derive(Parser)]
struct Arguments {
    /// Measure on an embedded lake that is made for it
    #[arg(long)]
    embedded: bool,
    /// Log entries of the embedded lake
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rows: u64,
    /// Measure on the real service: grpc://HOST:PORT
    #[arg(long, value_name = "URL")]
    micromegas: Option<String>,
    /// Write the page of the documentation to this file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match measure(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<bool, String> {
    let mut lakes = Vec::new();
    if arguments.embedded {
        let lake =
            EmbeddedLake::with_rows(arguments.rows).map_err(|error| format!("make an embedded lake: {error}"))?;
        let client = lake.connect().await.map_err(|error| error.to_string())?;
        let measured = measure_accuracy("the generated lake", client).await;
        lakes.push(measured.map_err(|failure| format!("the generated lake: {failure}"))?);
    }
    if let Some(url) = &arguments.micromegas {
        let client = connect(url).await.map_err(|error| error.to_string())?;
        let measured = measure_accuracy("the real service", client).await;
        lakes.push(measured.map_err(|failure| format!("the real service: {failure}"))?);
    }
    if lakes.is_empty() {
        return Err("there is nothing to measure on; give --embedded or --micromegas".to_owned());
    }
    let goals = Goals::default();
    print!("{}", accuracy_table(&lakes, &goals));
    if let Some(page) = &arguments.page {
        std::fs::write(page, accuracy_markdown(&lakes, &goals))
            .map_err(|error| format!("write {}: {error}", page.display()))?;
    }
    Ok(lakes.iter().all(|lake| lake.reaches(&goals)))
}
