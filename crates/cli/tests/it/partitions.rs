//! Partitions: nothing goes without a plan, a yes, and a look afterwards.

use crate::harness::{BEGIN, END, Server};

fn listed(server: &Server, options: &[&str]) -> Vec<serde_json::Value> {
    let mut arguments = vec!["partitions", "list", "--format", "json"];
    arguments.extend(options);
    serde_json::from_value(server.run(&arguments).good().json()).unwrap()
}

#[test]
fn all_instances_are_retired_after_a_yes() {
    let server = Server::start();
    let before = listed(&server, &["--non-global"]);
    assert!(!before.is_empty());
    let global = listed(&server, &["--instance", "global"]);

    let plan = server
        .run(&["partitions", "retire-instances", "--dry-run"])
        .good()
        .stdout;
    assert!(plan.contains("to retire from ") && plan.contains("in all"), "{plan}");
    assert_eq!(listed(&server, &["--non-global"]), before);

    let refused = server.run(&["partitions", "retire-instances"]);
    assert_eq!(refused.code, 14, "{}", refused.stderr);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    assert_eq!(listed(&server, &["--non-global"]), before);

    let report = server.run(&["partitions", "retire-instances", "--yes"]).good();
    assert!(report.stdout.contains("seen by listing again"), "{}", report.stdout);
    assert!(listed(&server, &["--non-global"]).is_empty());
    assert_eq!(listed(&server, &["--instance", "global"]), global);
    let nothing = server.run(&["partitions", "retire-instances", "--yes"]).good();
    assert_eq!(nothing.stdout, "nothing to retire\n");
}

#[test]
fn a_process_is_retired_with_its_streams() {
    let server = Server::start();
    let before = listed(&server, &["--non-global"]);
    let process = before
        .iter()
        .find(|partition| partition["view_set"] == "log_entries")
        .map(|partition| partition["instance"].as_str().unwrap().to_owned())
        .unwrap();
    let streams = server.run(&["streams", &process, "--format", "json"]).good().json();
    let of_process = |partition: &serde_json::Value| {
        partition["instance"] == process.as_str()
            || streams
                .as_array()
                .unwrap()
                .iter()
                .any(|stream| stream["stream_id"] == partition["instance"])
    };
    assert!(
        before
            .iter()
            .any(|partition| partition["view_set"] == "thread_spans" && of_process(partition))
    );
    let report = server
        .run(&["partitions", "retire-process", &process, "--yes", "--format", "json"])
        .good()
        .json();
    assert!(
        report["counts"]["retired"]
            .as_u64()
            .or(report["retired"].as_u64())
            .unwrap()
            > 0,
        "{report}"
    );
    let after = listed(&server, &["--non-global"]);
    let expected: Vec<_> = before
        .iter()
        .filter(|partition| !of_process(partition))
        .cloned()
        .collect();
    assert_eq!(after, expected);
}

#[test]
fn a_server_that_swallows_the_failure_is_caught() {
    let server = Server::with(&["--fault", "swallow-retirement"]);
    let ran = server.run(&["partitions", "retire-instances", "--yes"]);
    assert_eq!(ran.code, 13, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("not everything is gone"), "{}", ran.stdout);
    assert!(!listed(&server, &["--non-global"]).is_empty());
}

#[test]
fn missing_rights_are_told_as_such() {
    let server = Server::with(&["--no-admin"]);
    let ran = server.run(&["partitions", "retire-instances", "--yes"]);
    assert_eq!(ran.code, 5, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("administrator"), "{}", ran.stderr);
}

#[test]
fn what_was_retired_can_be_materialised_again() {
    let server = Server::start();
    let count = |server: &Server| {
        server
            .run_ranged(&["query", "SELECT count(*) AS n FROM log_entries", "--format", "json"])
            .good()
            .json()[0]["n"]
            .clone()
    };
    let before = count(&server);
    let list = listed(&server, &["--view-set", "log_entries", "--instance", "global"]);
    let last = list.last().unwrap();
    let begin = last["begin_insert_time"].as_str().unwrap();
    let end = last["end_insert_time"].as_str().unwrap();
    let ranged = ["--begin", begin, "--end", end];
    let with = |rest: &[&str]| {
        let mut arguments = ranged.to_vec();
        arguments.extend(rest);
        server.run(&arguments)
    };
    with(&["partitions", "retire", "log_entries", "global", "--yes"]).good();
    assert_ne!(count(&server), before);
    let report = with(&["partitions", "materialize", "log_entries", "--step", "1h"]).good();
    assert!(report.stdout.contains("created"), "{}", report.stdout);
    assert_eq!(count(&server), before);
    let missing = server.run(&["partitions", "retire", "log_entries", "global", "--yes"]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);
    let ranged = server.run(&[
        "--begin",
        BEGIN,
        "--end",
        END,
        "partitions",
        "regenerate",
        "nowhere",
        "--yes",
        "--step",
        "1d",
    ]);
    assert_ne!(ranged.code, 0, "{}", ranged.stdout);
}
