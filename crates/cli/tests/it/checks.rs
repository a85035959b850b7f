//! `schema`, `check` and `estimate`.

use crate::harness::{ROWS, Server, run};

#[test]
fn the_schema_as_scripts_read_it() {
    let server = Server::start();
    let sql = "SELECT time, process_id, level, msg FROM log_entries";
    let schema = server.run(&["schema", sql, "--format", "json"]).good().json();
    let columns = schema["columns"].as_array().unwrap();
    let names: Vec<_> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["time", "process_id", "level", "msg"]);
    for column in columns {
        assert!(column["type"].is_string() && column["nullable"].is_boolean() && column["estimated_bytes"].is_number());
    }
    let sum: f64 = columns
        .iter()
        .map(|column| column["estimated_bytes"].as_f64().unwrap())
        .sum();
    assert!((schema["estimated_row_bytes"].as_f64().unwrap() - sum).abs() < 1e-6);
    let table = server.run(&["schema", sql]).good().stdout;
    assert!(table.contains("4 columns, estimated row size"), "{table}");
}

#[test]
fn findings_decide_the_exit_code() {
    let bad = "SELECT * FROM log_entries ORDER BY time DESC";
    let ran = run(&["check", "--offline", bad]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert!(
        ran.stdout.contains("order-by-without-limit") && ran.stdout.contains("missing-time-range"),
        "{}",
        ran.stdout
    );
    assert_eq!(run(&["check", "--offline", "--fail-on", "warning", bad]).code, 12);
    assert_eq!(run(&["check", "--offline", "SELEC"]).code, 12);
    assert_eq!(run(&["check", "--offline", "--fail-on", "never", "SELEC"]).code, 0);

    let server = Server::start();
    let ran = server.run_ranged(&["check", "SELECT nope FROM log_entries LIMIT 1", "--format", "json"]);
    assert_eq!(ran.code, 12, "{}", ran.stdout);
    let findings = ran.json()["statements"][0]["findings"].clone();
    assert!(
        findings
            .as_array()
            .unwrap()
            .iter()
            .any(|finding| finding["severity"] == "error"),
        "{findings}"
    );
    let good = "SELECT time, msg FROM log_entries WHERE level <= 2 ORDER BY time LIMIT 10";
    assert_eq!(
        server.run_ranged(&["check", "--fail-on", "hint", good]).good().stdout,
        "no findings\n"
    );
}

#[test]
fn an_estimate_says_what_it_stands_on() {
    let server = Server::start();
    let estimate = server
        .run_ranged(&["estimate", "SELECT * FROM log_entries", "--format", "json"])
        .good()
        .json();
    let rows = estimate["rows"]["rows"].as_u64().unwrap();
    assert!(rows.abs_diff(ROWS) <= ROWS / 10, "{estimate}");
    assert_eq!(estimate["rows"]["basis"], "partition_metadata");
    let filtered = "SELECT msg FROM log_entries WHERE level <= 3";
    let unknown = server
        .run_ranged(&["estimate", filtered, "--format", "json"])
        .good()
        .json();
    assert!(unknown["rows"].is_null(), "{unknown}");
    let counted = server
        .run_ranged(&["estimate", filtered, "--count", "--format", "json"])
        .good()
        .json();
    assert_eq!(counted["rows"]["basis"], "count");
}
