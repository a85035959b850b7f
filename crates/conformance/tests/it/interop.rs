//! The cases of interoperability on the servers that need no download: pyarrow's C++ stack, and the embedded lake.

use std::io;
use std::sync::{Arc, Mutex};

use lakepilot_conformance::{
    Dialect, EmbeddedLake, InteropReport, InteropTarget, PyarrowServer, Verdict, interop_cases, run_interop,
};

use crate::python::python;

async fn reports(target: &InteropTarget) -> Vec<InteropReport> {
    let mut reports = Vec::new();
    run_interop(target, &[], |report| reports.push(report)).await;
    reports
}

fn ensure_good(reports: &[InteropReport], not_offered: &[&str]) {
    let bad: Vec<&InteropReport> = reports
        .iter()
        .filter(|report| match report.verdict {
            Verdict::Good => false,
            Verdict::NotOffered => !not_offered.contains(&report.case),
            Verdict::Failed => true,
        })
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_pyarrow_sends_is_understood() {
    let server = PyarrowServer::start(&python()).await.unwrap();
    let reports = reports(&InteropTarget::new("pyarrow", Dialect::Pyarrow, server.url())).await;
    ensure_good(&reports, &[]);
    assert!(reports.len() + 2 >= interop_cases().len(), "cases were left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_lakes_may_end_while_it_is_asked() {
    let lakes = [EmbeddedLake::start().unwrap(), EmbeddedLake::start().unwrap()];
    let urls: Vec<String> = lakes.iter().map(|lake| lake.url().to_owned()).collect();
    let lakes = Mutex::new(Vec::from(lakes));
    let end = move |url: &str| {
        let mut lakes = lakes.lock().unwrap();
        let before = lakes.len();
        lakes.retain(|lake| lake.url() != url);
        if lakes.len() + 1 == before {
            Ok(())
        } else {
            Err(io::Error::other("no such lake"))
        }
    };
    let target = InteropTarget {
        name: "embedded".to_owned(),
        dialect: Dialect::DataFusion,
        urls,
        end_server: Some(Arc::new(end)),
    };
    let reports = reports(&target).await;
    assert!(reports.iter().any(|report| report.case == "failover"));
    ensure_good(&reports, &[]);
}
