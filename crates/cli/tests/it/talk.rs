//! What the program says and does not say, and where: data on standard output, the rest on standard error.

use std::fs;

use crate::harness::{BEGIN, END, LakeCopy, Server, command, run};

#[test]
fn secrets_are_not_told_at_any_verbosity() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    fs::write(&token, "battery-staple\n").unwrap();
    let token = token.to_str().unwrap();
    let server = Server::with(&["--token-file", token]);
    for verbosity in ["-v", "-vv", "-vvv"] {
        let ran = server
            .run(&[
                verbosity,
                "--token-file",
                token,
                "--header",
                "x-api-key=hunter2",
                "query",
                "SELECT 1",
            ])
            .good();
        assert!(ran.stderr.contains("lakepilot_flight_client"), "{}", ran.stderr);
        for secret in ["battery-staple", "hunter2"] {
            assert!(!ran.stderr.contains(secret), "{verbosity}: {}", ran.stderr);
        }
        assert!(!ran.stdout.contains("lakepilot_flight_client"), "{}", ran.stdout);
    }
}

#[test]
fn the_server_may_come_from_the_environment() {
    let server = Server::start();
    let query = |url: Option<&str>| {
        let mut command = command();
        command.env("MICROMEGAS_ANALYTICS_URI", &server.url);
        if let Some(url) = url {
            command.args(["--url", url]);
        }
        command
            .args(["query", "SELECT 1 AS one", "--format", "csv"])
            .output()
            .unwrap()
    };
    assert_eq!(String::from_utf8(query(None).stdout).unwrap(), "one\n1\n");
    assert_eq!(query(Some("ftp://nowhere")).status.code(), Some(2));
}

#[test]
fn quiet_leaves_data_and_errors() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.csv");
    let quiet = server
        .run(&["--quiet", "query", "SELECT 1", "-o", path.to_str().unwrap()])
        .good();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let told = server.run(&["query", "SELECT 1", "-o", path.to_str().unwrap()]).good();
    assert_eq!(told.stderr, format!("wrote {}\n", path.display()));
    let failed = server.run(&["--quiet", "query", "SELECT"]);
    assert!(failed.stderr.starts_with("error: "), "{}", failed.stderr);
    let retired = server
        .run(&["--quiet", "partitions", "retire-instances", "--yes"])
        .good();
    assert!(retired.stdout.contains("seen by listing again"), "{}", retired.stdout);
    assert_eq!(retired.stderr, "");
}

#[test]
fn colours_are_for_terminals_unless_asked_for() {
    let arguments = ["--url", "ftp://nowhere", "query", "SELECT 1"];
    assert!(!run(&arguments).stderr.contains('\u{1b}'));
    let mut colored = vec!["--color", "always"];
    colored.extend(arguments);
    let told = run(&colored).stderr;
    assert!(told.starts_with("\u{1b}[1;31merror:\u{1b}[0m "), "{told}");
}

#[test]
fn listings_go_into_files() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    for (words, name) in [
        (vec!["processes"], "processes.csv"),
        (vec!["partitions", "list"], "partitions.parquet"),
    ] {
        let path = dir.path().join(name);
        let mut arguments = words.clone();
        arguments.extend(["-o", path.to_str().unwrap()]);
        let ran = server.run(&arguments).good();
        assert_eq!(ran.stdout, "", "{words:?}");
        assert!(ran.stderr.contains(name), "{}", ran.stderr);
        assert!(fs::metadata(&path).unwrap().len() > 0, "{words:?}");
    }
    let csv = fs::read_to_string(dir.path().join("processes.csv")).unwrap();
    assert!(csv.starts_with("process_id,exe,"), "{csv}");
}

#[test]
fn plans_of_materialisations_can_be_read_by_scripts() {
    let range = ["--begin", BEGIN, "--end", END];
    for (command, action) in [("materialize", "materialize"), ("regenerate", "regenerate")] {
        let mut arguments = range.to_vec();
        arguments.extend([
            "partitions",
            command,
            "log_entries",
            "--step",
            "1h",
            "--dry-run",
            "--format",
            "json",
        ]);
        // No server is asked: the plan is made here.
        let plan = run(&arguments).good().json();
        assert_eq!(plan["action"], action);
        assert_eq!(plan["view_set"], "log_entries");
        assert_eq!(plan["begin_insert_time"], BEGIN);
        assert_eq!(plan["step_seconds"], 3600);
    }
    let mut arguments = range.to_vec();
    arguments.extend(["partitions", "regenerate", "log_entries"]);
    let asked = run(&arguments);
    assert_eq!(asked.code, 14, "{}", asked.stderr);
    assert!(asked.stderr.contains("write anew log_entries"), "{}", asked.stderr);
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
}

#[test]
fn a_lake_may_be_named_by_a_relative_path() {
    let lake = LakeCopy::new();
    let parent = lake.path.parent().unwrap();
    let name = lake.path.file_name().unwrap().to_str().unwrap();
    let output = command()
        .current_dir(parent)
        .args(["--url", &format!("lake:{name}")])
        .args([
            "query",
            "SELECT count(*) > 0 AS some FROM log_entries",
            "--format",
            "csv",
        ])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "some\ntrue\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
