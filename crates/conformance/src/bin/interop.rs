//! Runs the cases of interoperability on one server, and prints a line of JSON for each: `cargo xtask interop`.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use lakepilot_conformance::{Dialect, EndServer, InteropTarget, run_interop};

/// Runs the cases of interoperability on a server, or on replicas of one
#[derive(Parser)]
struct Arguments {
    /// What the server understands: datafusion, spark or pyarrow
    #[arg(long)]
    dialect: Dialect,
    /// Where it is: grpc://HOST:PORT. Several addresses are replicas
    #[arg(long, value_name = "URL", required = true)]
    url: Vec<String>,
    /// A replica may be ended: the line `{"end":"URL"}` asks for it on standard output, and a line on standard input says
    /// that it was done
    #[arg(long)]
    end_on_request: bool,
    /// Run only these cases
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    only: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let target = InteropTarget {
        name: "the server".to_owned(),
        dialect: arguments.dialect,
        urls: arguments.url,
        end_server: arguments.end_on_request.then(|| Arc::new(ask_to_end) as EndServer),
    };
    let mut failure = None;
    run_interop(&target, &arguments.only, |report| {
        let line = serde_json::to_string(&report).map_err(io::Error::from);
        let printed = line.and_then(|line| writeln!(io::stdout().lock(), "{line}"));
        failure = failure.take().or(printed.err());
    })
    .await;
    match failure {
        None => ExitCode::SUCCESS,
        Some(error) => {
            eprintln!("error: write what came of a case: {error}");
            ExitCode::FAILURE
        }
    }
}

fn ask_to_end(url: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{}", serde_json::json!({ "end": url }))?;
    output.flush()?;
    let mut answer = String::new();
    match io::stdin().lock().read_line(&mut answer)? {
        0 => Err(io::Error::other("nobody ends servers here")),
        _ => Ok(()),
    }
}
