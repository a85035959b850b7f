//! `run` into a directory: a file a slice, which is taken up after any end and can be checked.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{BEGIN, END, LakeCopy, ROWS, Ran, Server, names, run, send};
use crate::running::objects;

const ALL: &str = "SELECT time, level, target, msg FROM log_entries";
const SLICES: usize = 12;

/// The run of these tests, into a directory.
fn arguments(directory: &Path) -> Vec<&str> {
    vec![
        "run",
        ALL,
        "--slices",
        "12",
        "--parallel",
        "2",
        "--format",
        "csv",
        "--output-dir",
        directory.to_str().unwrap(),
    ]
}

/// The rows of all parts, as the lines of one file.
fn rows(directory: &Path) -> Vec<String> {
    let parts = names(directory).into_iter().filter(|name| name.starts_with("part-"));
    let mut rows: Vec<String> = parts
        .flat_map(|name| {
            let text = fs::read_to_string(directory.join(name)).unwrap();
            text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    rows.sort_unstable();
    rows
}

fn whole(server: &Server) -> Vec<String> {
    let text = server.run_ranged(&["query", ALL, "--format", "csv"]).good().stdout;
    let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

/// What the journal tells of the parts, in their order. Without their checksums: the server reads several partitions at a
/// time, so that the rows of a query with no order come in any.
fn journal(directory: &Path) -> Vec<Value> {
    let text = fs::read_to_string(directory.join("parts.ndjson")).unwrap();
    let mut parts: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for part in &mut parts {
        assert_eq!(
            part.as_object_mut()
                .unwrap()
                .remove("sha256")
                .unwrap()
                .as_str()
                .unwrap()
                .len(),
            64
        );
    }
    parts.sort_by_key(|part| part["index"].as_u64());
    parts
}

fn verify(directory: &Path) -> Ran {
    run(&["run", "--verify", directory.to_str().unwrap()])
}

#[test]
fn a_run_that_is_killed_is_taken_up_and_comes_to_the_same() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let undisturbed = dir.path().join("undisturbed");
    let ran = server.run_ranged(&arguments(&undisturbed)).good();
    assert!(ran.stderr.contains("has 12 parts: 2,000 rows"), "{}", ran.stderr);
    let whole = whole(&server);
    assert_eq!(rows(&undisturbed), whole);

    // Killed when so many parts are there, as often as it takes; then taken up in both ways.
    for (kills, resume) in [(&[1usize, 2, 3][..], false), (&[5, 4], true)] {
        let target = dir.path().join(format!("killed-{}", kills.len()));
        for parts in kills {
            let mut arguments = arguments(&target);
            arguments.extend(["--progress", "json"]);
            let mut child = server
                .command_ranged(&arguments)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let finished = BufReader::new(child.stderr.take().unwrap())
                .lines()
                .filter(|line| line.as_ref().unwrap().contains("\"slice_finished\""));
            assert_eq!(finished.take(*parts).count(), *parts);
            send("KILL", &child);
            child.wait().unwrap();
            let found = verify(&target);
            assert_eq!(found.code, 13, "{}", found.stdout);
            assert!(found.stdout.contains("missing: "), "{}", found.stdout);
        }
        let least: usize = kills.iter().sum();
        let ran = if resume {
            server.run(&["run", "--resume", target.to_str().unwrap(), "--progress", "json"])
        } else {
            let mut arguments = arguments(&target);
            arguments.extend(["--progress", "json"]);
            server.run_ranged(&arguments)
        }
        .good();
        let objects = objects(&ran);
        let kept = objects.iter().find(|object| object["event"] == "parts_kept").unwrap()["parts"]
            .as_u64()
            .unwrap() as usize;
        let fetched = objects
            .iter()
            .filter(|object| object["event"] == "slice_finished")
            .count();
        assert!(kept >= least, "{kept} of {least}: {}", ran.stderr);
        assert_eq!(kept + fetched, SLICES);
        assert_eq!(journal(&target), journal(&undisturbed), "rows and sizes");
        assert_eq!(rows(&target), whole);
        assert_eq!(verify(&target).code, 0);
    }
}

#[test]
fn a_run_that_is_stopped_says_how_to_go_on() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("parts");
    let mut child = server
        .command_ranged(&arguments(&target))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    crate::harness::until("a part", || target.join("part-00000.csv").exists());
    send("INT", &child);
    let mut told = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{told}");
    assert!(
        told.contains(&format!("lakepilot run --resume {}", target.display())),
        "{told}"
    );
    let left = names(&target);
    assert!(left.iter().all(|name| !name.contains("partial")), "{left:?}");
    server.run(&["run", "--resume", target.to_str().unwrap()]).good();
    assert_eq!(rows(&target), whole(&server));
}

#[test]
fn a_directory_is_of_one_run() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("parts");
    let name = target.to_str().unwrap();
    server.run_ranged(&arguments(&target)).good();
    let before = journal(&target);
    let refused = |ran: Ran, says: &str| {
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
        assert_eq!(journal(&target), before);
    };
    let with = |sql: &str, options: &[&str]| {
        let mut arguments = vec!["run", sql, "--output-dir", name, "--format", "csv"];
        arguments.extend(options);
        server.run_ranged(&arguments)
    };
    refused(
        with("SELECT msg FROM log_entries", &["--slices", "12"]),
        "another SQL text",
    );
    refused(with(ALL, &["--slices", "13"]), "another cut into slices");
    refused(
        with(ALL, &["--preserve-dictionary"]),
        "another treatment of dictionaries",
    );
    let mut other_range = vec!["--begin", "2026-02-27T12:00:00Z", "--end", END];
    let again = arguments(&target);
    other_range.extend(&again);
    let ran = server.run(&other_range);
    assert!(ran.stderr.contains(&format!("--resume {name}")), "{}", ran.stderr);
    refused(ran, "2026-02-27T12:00:00Z to 2026-03-01T00:00:00Z is asked for");
    let other = Server::start();
    refused(other.run_ranged(&again), "another server");
    refused(other.run(&["run", "--resume", name]), "another server");
    refused(
        server.run_ranged(&["run", ALL, "--slices", "12", "-o", &format!("{name}/")]),
        "another format",
    );
    refused(server.run_ranged(&["run", "--resume", name]), "--begin");
    refused(server.run(&["run", "--resume", name, "--format", "parquet"]), "csv");

    // As it was asked for, with the cut that it has or said again, there is nothing to do.
    for options in [&[][..], &["--slices", "auto"], &["--slices", "12"]] {
        let ran = with(ALL, options).good();
        assert!(ran.stderr.contains("nothing is missing"), "{}", ran.stderr);
    }
}

#[test]
fn another_schema_is_refused() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("parts");
    server.run_ranged(&arguments(&target)).good();
    // As if the server had answered with another type at that time.
    let manifest = target.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.contains("\"Int32\""), "{text}");
    fs::write(&manifest, text.replace("\"Int32\"", "\"Int64\"")).unwrap();
    fs::remove_file(target.join("part-00003.csv")).unwrap();
    let ran = server.run_ranged(&arguments(&target));
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("another schema"), "{}", ran.stderr);
}

#[test]
fn damage_is_found_and_repaired() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("parts");
    server.run_ranged(&arguments(&target)).good();
    let before = journal(&target);
    let good = verify(&target).good();
    assert!(
        good.stdout.starts_with("12 of 12 parts whole, 2,000 rows"),
        "{}",
        good.stdout
    );

    let flipped = target.join("part-00004.csv");
    let mut bytes = fs::read(&flipped).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&flipped, bytes).unwrap();
    fs::remove_file(target.join("part-00007.csv")).unwrap();
    fs::write(target.join("part-00099.csv"), "foreign").unwrap();

    let found = verify(&target);
    assert_eq!(found.code, 13, "{}", found.stdout);
    for says in [
        "damaged: part-00004.csv: its checksum",
        "damaged: part-00007.csv: ",
        "not of the run: part-00099.csv",
        "10 of 12 parts whole",
        "lakepilot run --resume ",
    ] {
        assert!(found.stdout.contains(says), "{says}: {}", found.stdout);
    }
    let json = run(&["run", "--verify", target.to_str().unwrap(), "--format", "json"]);
    assert_eq!(
        (json.code, json.json()["foreign"][0].clone()),
        (13, "part-00099.csv".into())
    );

    server.run(&["run", "--resume", target.to_str().unwrap()]).good();
    assert_eq!(journal(&target), before);
    let left = verify(&target);
    assert_eq!((left.code, left.stdout.lines().count()), (13, 2), "{}", left.stdout);
    fs::remove_file(target.join("part-00099.csv")).unwrap();
    assert_eq!(verify(&target).code, 0);

    assert_eq!(verify(dir.path()).code, 4);
    assert_eq!(run(&["run", "--resume", dir.path().to_str().unwrap()]).code, 4);
}

#[test]
fn a_query_that_cannot_be_cut_is_one_part() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("parts");
    let output = format!("{}/", target.display());
    let sql = "SELECT level, count(*) AS n FROM log_entries GROUP BY level";
    let stats = dir.path().join("stats.json");
    let ran = server
        .run_ranged(&["run", sql, "-o", &output, "--stats", stats.to_str().unwrap()])
        .good();
    assert!(
        ran.stderr.contains("one part, since the query cannot be cut"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        names(&target),
        [".lock", "manifest.json", "part-00000.parquet", "parts.ndjson"]
    );
    let stats: Value = serde_json::from_str(&fs::read_to_string(stats).unwrap()).unwrap();
    assert_eq!(stats["parts"]["files"][0]["file"], "part-00000.parquet");
    assert_eq!(stats["parts"]["kept"], 0);
    assert_eq!(stats["parts"]["rows"], stats["rows_processed"]);

    let refused = server.run_ranged(&["run", ALL, "-o", &output, "--format", "table"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let no_range = server.run(&["run", ALL, "--output-dir", dir.path().join("other").to_str().unwrap()]);
    assert_eq!(no_range.code, 2, "{}", no_range.stderr);
    assert!(no_range.stderr.contains("--begin"), "{}", no_range.stderr);
    assert!(!dir.path().join("other").exists());
}

#[test]
fn an_embedded_lake_is_run_into_a_directory() {
    let lake = LakeCopy::new();
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("parts");
    let target = target.to_str().unwrap();
    run(&[
        "--url",
        &lake.url(),
        "--begin",
        BEGIN,
        "--end",
        END,
        "run",
        ALL,
        "--output-dir",
        target,
        "--slices",
        "3",
    ])
    .good();
    let found = run(&["run", "--verify", target, "--format", "json"]).good().json();
    let rows: u64 = found["whole"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["rows"].as_u64().unwrap())
        .sum();
    assert_eq!(rows, ROWS);
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_cannot_be_written() {
    let server = Server::start();
    let ran = server.run_ranged(&["run", ALL, "--output-dir", "/sys/parts"]);
    assert_eq!(ran.code, 11, "{}", ran.stderr);
    assert!(ran.stderr.contains("/sys/parts"), "{}", ran.stderr);

    // A limit on the size of files: the parts that fit stay, and nothing half-written does.
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("parts");
    let program = env!("CARGO_BIN_EXE_lakepilot");
    let ran: Ran = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "sh", program])
        .args(["--url", &server.url, "--begin", BEGIN, "--end", END])
        .args(arguments(&target))
        .output()
        .unwrap()
        .into();
    assert_eq!(ran.code, 11, "{}", ran.stderr);
    assert!(ran.stderr.contains("lakepilot run --resume"), "{}", ran.stderr);
    let left = names(&target);
    assert!(
        left.iter()
            .all(|name| !name.starts_with("part-") && !name.contains("partial")),
        "{left:?}"
    );
    server.run(&["run", "--resume", target.to_str().unwrap()]).good();
    assert_eq!(verify(&target).code, 0);
}
