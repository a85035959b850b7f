//! Bad input: one clear message and the right exit code each time.

use std::fs;
use std::net::TcpListener;

use crate::harness::{LakeCopy, Server, command, run};

#[track_caller]
fn check(arguments: &[&str], code: i32, says: &str) {
    let ran = run(arguments);
    assert_eq!(ran.code, code, "{arguments:?}\n{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: "), "{arguments:?}\n{}", ran.stderr);
    assert!(ran.stderr.contains(says), "{arguments:?}\n{}", ran.stderr);
    assert_eq!(ran.stdout, "", "{arguments:?}");
}

#[test]
fn an_unreachable_server() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("grpc://127.0.0.1:{port}");
    check(&["--url", &url, "query", "SELECT 1"], 6, &url);
}

#[test]
fn urls_that_are_none() {
    check(&["--url", "ftp://127.0.0.1:1", "query", "SELECT 1"], 2, "ftp");
    check(&["--url", "grpc://", "query", "SELECT 1"], 2, "");
}

#[test]
fn times_and_ranges() {
    for (arguments, says) in [
        (["--begin", "yesterday", "--end", "now"], "'yesterday' is not a time"),
        (["--begin", "2026-01-01", "--end", "now"], "a date alone is ambiguous"),
        (["--begin", "1h", "--end", "2h"], "begins"),
    ] {
        let mut all = arguments.to_vec();
        all.extend(["query", "SELECT 1"]);
        check(&all, 2, says);
    }
    check(&["--end", "now", "query", "SELECT 1"], 2, "--end needs --begin");
}

#[test]
fn ranges_that_would_be_ignored() {
    check(
        &["--begin", "1h", "partitions", "retire-process", "p", "--yes"],
        2,
        "--older-than",
    );
    check(
        &["--begin", "1h", "lake", "generate", "/nowhere/lake", "--rows", "1"],
        2,
        "--days",
    );
    check(
        &["partitions", "retire", "log_entries", "global"],
        2,
        "--begin is needed",
    );
}

#[test]
fn empty_sql() {
    check(&["query", ""], 2, "the SQL text is empty");
    check(&["schema", "  "], 2, "the SQL text is empty");
    check(&["query", "--file", "/nowhere/query.sql"], 4, "/nowhere/query.sql");
}

#[test]
fn sql_that_the_server_does_not_accept() {
    let server = Server::start();
    for (sql, says) in [
        ("SELECT", "sql error"),
        ("SELECT nope FROM log_entries", "nope"),
        ("SELECT 1 FROM nowhere", "nowhere"),
    ] {
        let ran = server.run(&["query", sql]);
        assert_eq!(ran.code, 3, "{sql}: {}", ran.stderr);
        assert!(ran.stderr.to_lowercase().contains(says), "{sql}: {}", ran.stderr);
        assert!(ran.stderr.contains("query_id="), "{sql}: {}", ran.stderr);
    }
}

#[test]
fn headers_and_tokens() {
    check(&["--header", "no-equals-sign", "query", "SELECT 1"], 2, "KEY=VALUE");
    let ran = run(&["--header", "hunter2secret", "query", "SELECT 1"]);
    assert!(!ran.stderr.contains("hunter2secret"), "{}", ran.stderr);
    check(
        &["--token-file", "/nowhere/token", "query", "SELECT 1"],
        4,
        "/nowhere/token",
    );
}

#[test]
fn a_wrong_token_and_none() {
    let dir = tempfile::tempdir().unwrap();
    let right = dir.path().join("right");
    let wrong = dir.path().join("wrong");
    fs::write(&right, "correct-horse\n").unwrap();
    fs::write(&wrong, "battery-staple\n").unwrap();
    let (right, wrong) = (right.to_str().unwrap(), wrong.to_str().unwrap());
    let server = Server::with(&["--token-file", right]);
    server.run(&["--token-file", right, "query", "SELECT 1"]).good();
    for arguments in [
        vec!["query", "SELECT 1"],
        vec!["--token-file", wrong, "query", "SELECT 1"],
    ] {
        let ran = server.run(&arguments);
        assert_eq!(ran.code, 5, "{}", ran.stderr);
        assert!(
            !ran.stderr.contains("battery") && !ran.stderr.contains("horse"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn certificates() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = write("cert.pem", &made.cert.pem());
    let key = write("key.pem", &made.signing_key.serialize_pem());
    let stranger = write("other.pem", &other.cert.pem());
    let garbage = write("garbage.pem", "no certificate");
    let server = Server::with(&["--tls-cert", &certificate, "--tls-key", &key]);
    assert!(server.url.starts_with("grpc+tls://"), "{}", server.url);
    server.run(&["--ca-cert", &certificate, "query", "SELECT 1"]).good();
    for ca in [vec![], vec!["--ca-cert", &stranger]] {
        let mut arguments = ca.clone();
        arguments.extend(["query", "SELECT 1"]);
        let ran = server.run(&arguments);
        assert_eq!(ran.code, 10, "{ca:?}: {}", ran.stderr);
        assert!(ran.stderr.to_lowercase().contains("certificate"), "{}", ran.stderr);
    }
    let ran = server.run(&["--ca-cert", &garbage, "query", "SELECT 1"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

#[test]
fn directories_that_are_no_lakes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    check(
        &["--url", &format!("lake:{path}"), "query", "SELECT 1"],
        2,
        "is not a lake",
    );
    check(&["lake", "serve", path, "--listen", "127.0.0.1:0"], 2, "is not a lake");
    check(&["lake", "info", "/nowhere"], 4, "/nowhere");
    fs::write(dir.path().join("file"), "x").unwrap();
    check(&["lake", "generate", path, "--rows", "10"], 2, "is not empty");
    fs::write(
        dir.path().join("catalogue.sqlite"),
        "not a database at all, though it has the name",
    )
    .unwrap();
    check(&["lake", "info", path], 2, "not");
}

#[test]
fn a_lake_that_another_process_has_open() {
    let server = Server::start();
    check(
        &["--url", &server.lake.url(), "query", "SELECT 1"],
        6,
        "is open in another process",
    );
    let path = server.lake.path.to_str().unwrap();
    check(
        &["lake", "serve", path, "--listen", "127.0.0.1:0"],
        6,
        "is open in another process",
    );
}

#[test]
fn addresses_that_cannot_be_served() {
    let lake = LakeCopy::new();
    let path = lake.path.to_str().unwrap();
    check(&["lake", "serve", path, "--listen", "nonsense"], 2, "nonsense");
    check(&["lake", "serve", path, "--listen", "0.0.0.0:0"], 2, "token");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(&["lake", "serve", path, "--listen", &address], 2, &address);
}

/// The tests may run as root, whom permissions do not stop; nobody can make a file in `/sys`, though, and `/dev/full` is
/// a disk that is full.
#[cfg(target_os = "linux")]
#[test]
fn places_that_cannot_be_written() {
    let server = Server::start();
    let ran = server.run(&["query", "SELECT 1", "-o", "/sys/rows.csv"]);
    assert_eq!(ran.code, 11, "{}", ran.stderr);
    assert!(ran.stderr.contains("/sys/rows.csv"), "{}", ran.stderr);
    let ran = server.run(&["query", "SELECT 1", "-o", "/nowhere/rows.csv"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    let ran = server.run(&["query", "SELECT 1", "--format", "csv", "-o", "/dev/full"]);
    assert_eq!(ran.code, 8, "{}", ran.stderr);
    assert!(ran.stderr.contains("/dev/full"), "{}", ran.stderr);
    check(&["lake", "generate", "/sys/lake", "--rows", "10"], 11, "/sys/lake");
}

#[test]
fn wrong_usage_is_told_by_clap() {
    for arguments in [
        vec!["qurey", "SELECT 1"],
        vec!["query"],
        vec!["query", "SELECT 1", "--format", "xml"],
        vec![],
    ] {
        let output = command().args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}
