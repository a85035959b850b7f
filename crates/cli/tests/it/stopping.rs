//! Signals: the query ends on the server, and nothing half-written remains.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::harness::{Server, names, send, until};
use crate::running::ENDLESS;

/// How often a query on the server was given up by its client.
fn dropped(server: &Server) -> usize {
    server
        .log()
        .lines()
        .filter(|line| line.contains("CROSS JOIN") && line.contains("dropped"))
        .count()
}

/// Sends the signal to a program whose query is running, and looks at what is left of it.
fn check_stopped(server: &Server, child: Child, directory: &Path, signal: &str) {
    let before = dropped(server);
    let (code, word) = match signal {
        "INT" => (130, "interrupted"),
        _ => (143, "terminated"),
    };
    send(signal, &child);
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(word), "{told}");
    assert!(names(directory).is_empty(), "{:?}", names(directory));
    until("the end of the query on the server", || dropped(server) == before + 1);
}

#[test]
fn a_signal_ends_the_query_on_the_server_and_leaves_no_file() {
    let server = Server::with(&["-v"]);
    for signal in ["INT", "TERM"] {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("rows.csv");
        let child = server
            .command_ranged(&["query", ENDLESS, "-o", output.to_str().unwrap()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        until("a row in the temporary file", || {
            let sizes = fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().metadata().unwrap().len());
            sizes.sum::<u64>() > 0
        });
        check_stopped(&server, child, dir.path(), signal);

        let output = dir.path().join("rows.parquet");
        let options = ["--batch-size-mb", "0.1", "--progress", "json"];
        let mut child = server
            .command_ranged(&["run", ENDLESS, "-o", output.to_str().unwrap()])
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Standard error is read on, so that the program is not held up by it.
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("\"batch\"")));
        let rest = std::thread::spawn(move || lines.last().unwrap());
        let before = dropped(&server);
        send(signal, &child);
        let last: Value = serde_json::from_str(&rest.join().unwrap()).unwrap();
        assert_eq!((&last["event"], &last["kind"]), (&"failed".into(), &"cancelled".into()));
        assert_eq!(last["exit_code"], child.wait().unwrap().code().unwrap());
        assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
        until("the end of the query on the server", || dropped(&server) == before + 1);
    }
}

#[test]
fn a_signal_ends_all_slices() {
    let server = Server::with(&["-vv"]);
    let sql = "SELECT time, msg FROM log_entries";
    let mut child = server
        .command_ranged(&[
            "run",
            sql,
            "--slices",
            "4",
            "--parallel",
            "4",
            "--ordered",
            "--format",
            "ndjson",
            "--progress",
            "json",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Nobody reads standard output, so that the run does not come to its end.
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let mut lines = stderr.lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("\"first_batch\"")));
    let queries = |what: &str| {
        server
            .log()
            .lines()
            .filter(|line| line.contains(sql) && line.contains(what))
            .count()
    };
    // The first batch may come before the other slices were asked for.
    until("the plan of every slice", || queries("planned") >= 4);
    send("TERM", &child);
    let last = lines.last().unwrap();
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&last["event"], &last["kind"]), (&"failed".into(), &"cancelled".into()));
    assert_eq!(
        (&last["exit_code"], &last["message"]),
        (&143.into(), &"terminated".into())
    );
    assert_eq!(child.wait().unwrap().code(), Some(143));
    until("the end of every slice", || queries("outcome") >= 4);
}
