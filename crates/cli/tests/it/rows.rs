//! Rows in every format, in files and in pipes.

use std::fs;
use std::process::Stdio;

use crate::harness::{LakeCopy, Server, command, run};

const SQL: &str = "SELECT time, level, target, msg FROM log_entries ORDER BY time LIMIT 5";

#[test]
fn every_format_over_the_port_and_in_process() {
    let server = Server::start();
    let over_port = server.run_ranged(&["query", SQL, "--format", "csv"]).good();
    assert_eq!(over_port.stderr, "");
    assert!(
        over_port.stdout.starts_with("time,level,target,msg\n"),
        "{}",
        over_port.stdout
    );

    let rows: Vec<serde_json::Value> =
        serde_json::from_value(server.run_ranged(&["query", SQL, "--format", "json"]).good().json()).unwrap();
    assert_eq!(rows.len(), 5);
    assert!(
        rows[0]["msg"].is_string() && rows[0]["level"].is_number(),
        "{}",
        rows[0]
    );
    let lines = server.run_ranged(&["query", SQL, "--format", "ndjson"]).good().stdout;
    let parsed: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(parsed, rows);

    let table = server.run_ranged(&["query", SQL]).good().stdout;
    assert!(table.ends_with("(5 rows)\n"), "{table}");

    let lake = LakeCopy::new();
    let in_process = run(&["--url", &lake.url(), "query", SQL, "--format", "csv"]).good();
    assert_eq!(in_process.stdout, over_port.stdout);
}

#[test]
fn files_take_their_format_from_their_name() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "rows.parquet",
        "rows.arrow",
        "rows.csv",
        "rows.ndjson",
        "rows.json",
        "rows.txt",
    ] {
        let path = dir.path().join(name);
        let ran = server.run_ranged(&["query", SQL, "-o", path.to_str().unwrap()]).good();
        assert_eq!(ran.stdout, "");
        assert!(fs::metadata(&path).unwrap().len() > 0, "{name}");
    }
    let magic = fs::read(dir.path().join("rows.parquet")).unwrap();
    assert_eq!(&magic[..4], b"PAR1");
    let ran = server.run(&["query", SQL, "-o", dir.path().join("rows.xyz").to_str().unwrap()]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

#[test]
fn a_place_may_be_a_url() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rows.csv");
    let url = format!("file://{}", file.display());
    server.run_ranged(&["query", SQL, "-o", &url]).good();
    let written = fs::read_to_string(&file).unwrap();
    // A message may have several lines.
    assert!(
        written.starts_with("time,level,target,msg\n") && written.lines().count() > 5,
        "{written}"
    );
    let ran = server.run(&["query", SQL, "-o", "ftp://host/rows.csv"]);
    assert!(ran.stderr.contains("names no place to write to"), "{}", ran.stderr);
}

#[test]
fn a_query_that_fails_leaves_no_file() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.parquet");
    let sql = "SELECT 1 / (level - level) FROM log_entries";
    let ran = server.run_ranged(&["query", sql, "-o", path.to_str().unwrap()]);
    assert_ne!(ran.code, 0);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{}", ran.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let server = Server::start();
    for format in ["csv", "ndjson", "json", "arrow", "table"] {
        // Enough rows that they do not all fit into the pipe.
        let sql = "SELECT a.msg, b.msg AS other FROM log_entries a CROSS JOIN log_entries b LIMIT 20000";
        let mut child = command()
            .args([
                "--url",
                &server.url,
                "query",
                sql,
                "--format",
                format,
                "--max-display-rows",
                "20000",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{format}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{format}");
    }
}

#[test]
fn processes_and_their_streams() {
    let server = Server::start();
    let processes = server.run(&["processes", "--format", "json"]).good().json();
    assert_eq!(processes.as_array().unwrap().len(), 4);
    let id = processes[0]["process_id"].as_str().unwrap();
    let streams = server.run(&["streams", id, "--format", "json"]).good().json();
    assert!(!streams.as_array().unwrap().is_empty());
    assert!(
        streams
            .as_array()
            .unwrap()
            .iter()
            .all(|stream| stream["process_id"] == id),
        "{streams}"
    );
}
