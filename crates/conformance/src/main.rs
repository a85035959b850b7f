//! Runs the suite on lakes and prints a table: `cargo xtask conformance`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use lakepilot_conformance::{CaseReport, EmbeddedLake, Recording, connect, run, table};
use lakepilot_query::QueryService;

/// Runs one suite of cases on lakes, and compares what they do with what was recorded of the real service
#[derive(Parser)]
struct Arguments {
    /// Run it on an embedded lake that is made for it
    #[arg(long)]
    embedded: bool,
    /// Run it on the real service of the recorded version: grpc://HOST:PORT
    #[arg(long, value_name = "URL")]
    micromegas: Option<String>,
    /// Run it on another server
    #[arg(long, value_name = "URL")]
    url: Vec<String>,
    /// Run only these cases
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    only: Vec<String>,
    /// Record what the real service does into this file, instead of comparing
    #[arg(long, value_name = "FILE", requires = "micromegas", conflicts_with_all = ["embedded", "url", "only"])]
    record: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run_all(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run_all(arguments: &Arguments) -> Result<bool, String> {
    let expected = match arguments.record {
        Some(_) => None,
        None => Some(Recording::of_micromegas().map_err(|error| format!("read what was recorded: {error}"))?),
    };
    let mut embedded = None;
    let mut targets: Vec<(String, Arc<dyn QueryService>)> = Vec::new();
    if arguments.embedded {
        let lake = EmbeddedLake::start().map_err(|error| format!("make an embedded lake: {error}"))?;
        let client = lake.connect().await.map_err(|error| error.to_string())?;
        targets.push(("embedded".to_owned(), client));
        embedded = Some(lake);
    }
    let named = arguments.micromegas.iter().map(|url| ("micromegas", url));
    for (name, url) in named.chain(arguments.url.iter().map(|url| (url.as_str(), url))) {
        let client = connect(url).await.map_err(|error| error.to_string())?;
        targets.push((name.to_owned(), client));
    }
    if targets.is_empty() {
        return Err("there is nothing to run the suite on; give --embedded, --micromegas or --url".to_owned());
    }
    let mut reports: Vec<(String, Vec<CaseReport>)> = Vec::new();
    for (target, client) in targets {
        let report = run(&target, client, expected.as_ref(), &arguments.only)
            .await
            .map_err(|failure| format!("{target}: {failure}"))?;
        reports.push((target, report));
    }
    drop(embedded);
    print!("{}", table(&reports));
    let is_good = reports.iter().flat_map(|(_, cases)| cases).all(CaseReport::is_good);
    if let (Some(file), true) = (&arguments.record, is_good) {
        let mut recording = Recording::default();
        for case in reports.iter().flat_map(|(_, cases)| cases) {
            recording.add(case.name, &case.observations);
        }
        recording
            .write(file)
            .map_err(|error| format!("write {}: {error}", file.display()))?;
    }
    Ok(is_good)
}
