//! `schema`, `check` and `estimate`.

use crate::harness::{BEGIN, END, ROWS, Ran, Server, command, run};

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
    let rows = estimate["rows"]["expected"].as_f64().unwrap();
    assert!((rows - ROWS as f64).abs() <= ROWS as f64 / 10.0, "{estimate}");
    assert_eq!(estimate["rows"]["basis"], "partition-metadata");
    assert!(
        estimate["scans"][0]["partitions_touched"].as_u64().unwrap() > 0,
        "{estimate}"
    );
    let filtered = "SELECT msg FROM log_entries WHERE level <= 3";
    let basis = |options: &[&str]| {
        let mut arguments = vec!["estimate", filtered, "--format", "json"];
        arguments.extend(options);
        server.run_ranged(&arguments).good().json()["rows"]["basis"].clone()
    };
    assert_eq!(basis(&[]), "unknown");
    assert_eq!(basis(&["--sample", "100"]), "sampled-selectivity");
    assert_eq!(basis(&["--count"]), "exact");
    let table = server.run_ranged(&["estimate", filtered]).good().stdout;
    for part in ["msg", "log_entries", "from a guess", "estimated row size"] {
        assert!(table.contains(part), "{table}");
    }
}

#[test]
fn a_result_that_would_be_too_large_is_refused() {
    let server = Server::start();
    let estimate = |limit: &[&str]| {
        let mut arguments = vec!["estimate", "SELECT time, msg FROM log_entries"];
        arguments.extend(limit);
        server.run_ranged(&arguments)
    };
    for limit in [["--max-rows", "100"], ["--max-bytes", "1kB"]] {
        let refused = estimate(&limit);
        assert_eq!(refused.code, 8, "{}", refused.stderr);
        assert!(refused.stderr.contains("more than the"), "{}", refused.stderr);
    }
    let sql = "SELECT time, msg FROM log_entries";
    for command in [&["query", sql, "--format", "csv"][..], &["run", sql]] {
        let refused = server.run_ranged(&[command, &["--max-rows", "100"]].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (8, ""), "{}", refused.stderr);
        server.run_ranged(&[command, &["--max-rows", "100000"]].concat()).good();
    }
    // A table shows some rows, and those are what is limited.
    server
        .run_ranged(&["query", sql, "--max-display-rows", "9", "--max-rows", "10"])
        .good();
    let allowed = estimate(&["--max-rows", "100000", "--max-bytes", "1GB"]).good();
    assert_eq!(allowed.stderr, "");
    assert_eq!(estimate(&["--max-bytes", "much"]).code, 2);
}

#[test]
fn queries_teach_what_estimates_assume() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    let sql = "SELECT time, msg FROM log_entries LIMIT 500";
    let learning = |arguments: &[&str]| -> Ran {
        let mut command = command();
        command
            .env_remove("LAKEPILOT_NO_LEARN")
            .env("XDG_CACHE_HOME", cache.path());
        command.args(["--url", &server.url, "--begin", BEGIN, "--end", END]);
        command.args(arguments).output().unwrap().into()
    };
    let basis = |options: &[&str]| {
        let mut arguments = vec!["estimate", sql, "--format", "json"];
        arguments.extend(options);
        learning(&arguments).good().json()["columns"][1]["basis"].clone()
    };
    learning(&["--no-learn", "query", sql]).good();
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
    assert_eq!(basis(&[]), "typical");
    learning(&["query", sql]).good();
    assert_eq!(basis(&[]), "learnt");
    assert_eq!(basis(&["--no-learn"]), "typical");
    assert_eq!(basis(&["--sample", "100"]), "sampled");
    let table = learning(&["estimate", sql]).good().stdout;
    assert!(table.contains("earlier results"), "{table}");
}
