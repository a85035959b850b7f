//! `lakepilot doctor` on a server that is there, on one that is not, and on what is no server.

use serde_json::Value;

use crate::harness::{Server, command, run};

/// The report without what is another at every run: times, the port and versions.
fn steady(mut report: Value) -> Value {
    report["server"]["url"] = "URL".into();
    report["server"]["version"] = "VERSION".into();
    report["server"]["arrow_version"] = "VERSION".into();
    for time in ["connect_ms", "warm_query_ms"] {
        assert!(report["connection"][time].as_f64().unwrap() > 0.0);
        report["connection"][time] = 1.into();
    }
    for call in report["calls"].as_array_mut().unwrap() {
        let works = call["verdict"] == "works";
        assert_eq!(
            call["latency_ms"].as_f64().is_some_and(|time| time > 0.0),
            works,
            "{call}"
        );
        if works {
            call["latency_ms"] = 1.into();
        }
    }
    report
}

#[test]
fn an_embedded_lake_that_is_served_is_examined() {
    let server = Server::start();
    let report = server.run(&["doctor", "--format", "json"]).good().json();
    let report = serde_json::to_string_pretty(&steady(report)).unwrap();
    insta::assert_snapshot!("doctor_json", report);
}

#[test]
fn people_read_it_in_80_and_in_40_columns() {
    let server = Server::start();
    for columns in ["80", "40"] {
        let output = command()
            .args(["--url", &server.url, "doctor", "--repeat", "1"])
            .env("COLUMNS", columns)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        for line in text.lines() {
            assert!(line.chars().count() <= columns.parse().unwrap(), "{line}");
        }
        // Every call and every claim is there whole, whatever the width.
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in [
            "plain text, connected in",
            "Lakepilot embedded lake",
            "PreparedStatementQuery with parameters",
            "StatementUpdate in a transaction",
            "GetCrossReference",
            "bulk ingestion",
            "Lakepilot can use this server.",
        ] {
            assert!(words.contains(expected), "no '{expected}' in:\n{text}");
        }
    }
}

#[test]
fn what_is_not_there_or_no_server_has_no_report() {
    // Nothing listens on a port that was just given back.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let ran = run(&["--url", &format!("grpc://{address}"), "doctor", "--format", "json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (6, ""), "{}", ran.stderr);

    let ran = run(&["--url", "lake:somewhere", "doctor"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("lake serve"), "{}", ran.stderr);
    for patience in ["0s", "soon"] {
        assert_eq!(run(&["doctor", "--patience", patience]).code, 2);
    }
}
