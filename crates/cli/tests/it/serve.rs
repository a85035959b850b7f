//! Lakes: made, served, described and imported into.

use std::fs;

use crate::harness::{LakeCopy, ROWS, Server, run};

#[test]
fn a_server_ends_cleanly_when_it_is_told_to() {
    let server = Server::start();
    assert!(server.url.starts_with("grpc://127.0.0.1:"), "{}", server.url);
    server.run(&["query", "SELECT 1"]).good();
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_lake_tells_what_it_holds() {
    let lake = LakeCopy::new();
    let path = lake.path.to_str().unwrap();
    let info = run(&["lake", "info", path, "--format", "json"]).good().json();
    let logs = info
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["view_set"] == "log_entries" && row["instance"] == "global")
        .unwrap();
    assert_eq!(logs["rows"], ROWS);
    let table = run(&["lake", "info", path]).good().stdout;
    assert!(
        table.contains("log_entries") && table.contains("view instances"),
        "{table}"
    );
}

#[test]
fn a_file_is_imported_as_a_view_instance() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let lake = lake.to_str().unwrap();
    let file = dir.path().join("logs.ndjson");
    let line = |second: u32, msg: &str| {
        format!(r#"{{"process_id":"p","time":"2026-01-01T00:00:{second:02}Z","target":"t","level":3,"msg":"{msg}"}}"#)
    };
    fs::write(&file, format!("{}\n{}\n", line(1, "one"), line(2, "two"))).unwrap();
    let file = file.to_str().unwrap();
    run(&["lake", "import", lake, file, "--view-set", "log_entries"]).good();
    let rows = run(&[
        "--url",
        &format!("lake:{lake}"),
        "query",
        "SELECT msg FROM log_entries ORDER BY time",
        "--format",
        "json",
    ])
    .good()
    .json();
    assert_eq!(rows[1]["msg"], "two");
    let ran = run(&["lake", "import", lake, file, "--view-set", "nowhere"]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("nowhere"), "{}", ran.stderr);
}

#[test]
fn completions_know_the_commands() {
    let script = run(&["completions", "bash"]).good().stdout;
    assert!(script.contains("lakepilot") && script.contains("retire-process"));
}
