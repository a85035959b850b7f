//! `run`: its options, its progress and its statistics.

use std::fs;
use std::process::Stdio;

use lakepilot_fault_proxy::FaultProxy;
use serde_json::Value;

use crate::harness::{BEGIN, END, ROWS, Ran, Server, command, names, run};

const ALL: &str = "SELECT time, level, target, msg FROM log_entries";

/// Too many rows to end before anything that a test does.
pub(crate) const ENDLESS: &str = "SELECT a.msg FROM log_entries a CROSS JOIN log_entries b CROSS JOIN log_entries c";

/// Plans at once, and has no row for a long time.
const SILENT: &str =
    "SELECT count(a.msg || b.msg || c.msg) FROM log_entries a CROSS JOIN log_entries b CROSS JOIN log_entries c";

/// The objects on standard error, which has nothing else.
pub(crate) fn objects(ran: &Ran) -> Vec<Value> {
    ran.stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn progress_and_statistics_are_told_on_stderr() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let stats = dir.path().join("stats.json");
    let out = dir.path().join("rows.parquet");
    let ran = server
        .run_ranged(&[
            "run",
            "SELECT * FROM log_entries",
            "--batch-size-mb",
            "0.05",
            "-o",
            out.to_str().unwrap(),
            "--stats",
            stats.to_str().unwrap(),
            // With a limit the estimate is there before the query begins, and so before it ends.
            "--max-rows",
            "100000",
        ])
        .good();
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("completed: 2,000 rows"), "{}", ran.stderr);
    assert!(
        ran.stderr.ends_with(&format!("wrote {}\n", out.display())),
        "{}",
        ran.stderr
    );
    let stats: Value = serde_json::from_str(&fs::read_to_string(stats).unwrap()).unwrap();
    assert_eq!(stats["rows_processed"], ROWS);
    assert!(stats["batches_processed"].as_u64().unwrap() > 5, "{stats}");
    assert_eq!(stats["bytes_written"], fs::metadata(&out).unwrap().len());
    assert_eq!(stats["sql"], "SELECT * FROM log_entries");
    assert_eq!((&stats["begin"], &stats["end"]), (&BEGIN.into(), &END.into()));
    assert_eq!(stats["estimate"]["rows"], ROWS);
    assert_eq!(stats["estimate"]["q_error"], 1.0);
    for number in [
        "total_time",
        "avg_batch_time",
        "wire_bytes",
        "decoded_bytes",
        "time_to_first_batch",
        "planning_time",
        "waiting_time",
        "decode_time",
        "consumer_time",
        "sink_time",
        "peak_in_flight_bytes",
        "rows_per_second",
        "bytes_per_second",
    ] {
        assert!(stats[number].as_f64().unwrap() > 0.0, "{number}: {stats}");
    }
    for percentile in ["p50", "p95", "p99", "max"] {
        assert!(stats["batch_latency"][percentile].as_f64().unwrap() > 0.0, "{stats}");
    }
    assert_eq!((&stats["slices"], &stats["retries"]), (&1.into(), &0.into()));
    assert!(stats["query_ids"].is_array() && stats["parts"].is_null(), "{stats}");
}

#[test]
fn quiet_runs_say_nothing() {
    let server = Server::start();
    let quiet = server
        .run_ranged(&["--quiet", "run", "SELECT * FROM log_entries", "--slices", "3"])
        .good();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let none = server.run_ranged(&["run", "SELECT 1", "--progress", "none"]).good();
    assert!(none.stderr.starts_with("completed: 1 row"), "{}", none.stderr);
}

#[test]
fn progress_for_programs_is_json_and_nothing_else() {
    let server = Server::start();
    let ran = server
        .run_ranged(&[
            "run",
            ALL,
            "--progress",
            "json",
            "--slices",
            "4",
            "--batch-size-mb",
            "0.05",
            "--format",
            "csv",
            "--max-rows",
            "100000",
        ])
        .good();
    let objects = objects(&ran);
    let of = |name: &str| -> Vec<&Value> { objects.iter().filter(|object| object["event"] == name).collect() };
    let count = |name| of(name).len();
    assert_eq!((count("slice_started"), count("slice_finished")), (4, 4));
    for once in ["started", "estimate", "first_batch", "finished"] {
        assert_eq!(count(once), 1, "{once}: {}", ran.stderr);
    }
    assert_eq!(of("started")[0]["slices"], 4);
    assert_eq!(of("started")[0]["columns"][1]["name"], "level");
    assert_eq!(of("estimate")[0]["rows"], ROWS);
    let batches = of("batch");
    assert!(batches.len() > 3, "{}", ran.stderr);
    assert_eq!(batches.last().unwrap()["total_rows"], ROWS);
    let rows: u64 = of("slice_finished")
        .iter()
        .map(|object| object["rows"].as_u64().unwrap())
        .sum();
    assert_eq!(rows, ROWS);
    assert!(count("progress") >= 1);
    for object in of("progress") {
        assert!(
            object["share_done"].as_f64().is_none_or(|share| share <= 0.99),
            "{object}"
        );
    }
    let last = objects.last().unwrap();
    assert_eq!(
        (&last["event"], &last["statistics"]["rows_processed"]),
        (&"finished".into(), &ROWS.into())
    );
    // A message may have several lines, so that there are more of them than rows.
    assert!(ran.stdout.lines().count() as u64 > ROWS);

    let failed = server.run_ranged(&["run", "SELECT nope FROM log_entries", "--progress", "json"]);
    assert_eq!(failed.code, 3, "{}", failed.stderr);
    let objects = self::objects(&failed);
    let last = objects.last().unwrap();
    assert_eq!(last["event"], "failed");
    assert_eq!(
        (&last["kind"], &last["exit_code"]),
        (&"invalid_query".into(), &3.into())
    );
    assert!(last["message"].as_str().unwrap().contains("nope"), "{last}");
}

/// The rows of a query as CSV.
fn csv(server: &Server, sql: &str, options: &[&str]) -> String {
    let mut arguments = vec!["run", sql, "--format", "csv"];
    arguments.extend(options);
    server.run_ranged(&arguments).good().stdout
}

#[test]
fn any_cut_has_the_rows_of_the_whole() {
    let server = Server::start();
    let whole = csv(&server, ALL, &[]);
    assert!(whole.lines().count() as u64 > ROWS);
    for cut in ["7", "auto", "6h"] {
        let sliced = csv(&server, ALL, &["--slices", cut, "--parallel", "3"]);
        assert_eq!(sorted(&sliced), sorted(&whole), "{cut}");
    }
}

#[test]
fn spans_that_cross_a_cut_come_once() {
    let server = Server::start();
    let listed = server
        .run(&["partitions", "list", "--view-set", "thread_spans", "--format", "json"])
        .good()
        .json();
    let stream = listed[0]["instance"].as_str().unwrap();
    let spans = format!("SELECT id, name, duration FROM view_instance('thread_spans', '{stream}') WHERE depth >= 0");
    let whole = csv(&server, &spans, &[]);
    assert!(whole.lines().count() > 100, "{whole}");
    for cut in ["7", "auto"] {
        let sliced = csv(&server, &spans, &["--slices", cut, "--parallel", "3"]);
        assert_eq!(sorted(&sliced), sorted(&whole), "{cut}");
    }
}

#[test]
fn slices_keep_the_order_of_the_query() {
    let server = Server::start();
    let times = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split(',').next().unwrap().to_owned())
            .collect()
    };
    for (order, options) in [
        ("ASC", &["--slices", "9"][..]),
        ("ASC", &["--slices", "auto", "--memory-mb", "0.2"]),
        ("DESC", &["--slices", "9", "--ordered", "--parallel", "2"]),
    ] {
        let sql = format!("SELECT time, msg FROM log_entries ORDER BY time {order}");
        let whole = csv(&server, &sql, &[]);
        assert_eq!(
            times(&csv(&server, &sql, options)),
            times(&whole),
            "{order} {options:?}"
        );
    }
    let sql = "SELECT time, msg FROM log_entries ORDER BY time";
    let unordered = csv(&server, sql, &["--slices", "9", "--unordered"]);
    assert_eq!(sorted(&unordered), sorted(&csv(&server, sql, &[])));
}

#[test]
fn a_query_that_cannot_be_cut_is_refused_with_the_place() {
    let server = Server::start();
    let ran = server.run_ranged(&["run", "SELECT msg\nFROM log_entries\nLIMIT 5", "--slices", "4"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert_eq!(
        ran.stderr,
        "error: the query cannot be cut into slices: LIMIT counts the rows of the whole range\n  \
         at line 3, column 1\n    LIMIT 5\n    ^^^^^\n  run it whole, without --slices\n"
    );
    let wide = format!("SELECT {}, count(*) FROM log_entries", ["msg AS m"; 20].join(", "));
    let ran = server.run_ranged(&["run", &wide, "--slices", "4"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let marked = lines[3].find('^').unwrap();
    assert!(lines[2][marked..].starts_with("count"), "{}", ran.stderr);
    assert!(lines[2].len() <= 40, "{}", ran.stderr);

    for (arguments, says) in [
        (vec!["run", ALL, "--slices", "4"], "--begin"),
        (vec!["run", ALL, "--slices", "0"], "number of slices"),
        (vec!["run", "SELECT 1; SELECT 2", "--slices", "2"], "one query"),
        (
            vec!["run", ALL, "--slices", "2", "--ordered", "--unordered"],
            "--unordered",
        ),
    ] {
        let ran = server.run(&arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
    }
    let ran = server.run_ranged(&["run", ALL, "--slices", "4", "--limit", "5"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("limit"), "{}", ran.stderr);
}

#[test]
fn the_range_of_slices_may_be_that_of_the_filters() {
    let server = Server::start();
    let sql = format!("{ALL} WHERE time >= '{BEGIN}' AND time <= '{END}'");
    let ran = server
        .run(&["run", &sql, "--slices", "5", "--progress", "json", "--format", "csv"])
        .good();
    let began: Vec<Value> = objects(&ran)
        .into_iter()
        .filter(|object| object["event"] == "slice_started")
        .collect();
    assert_eq!(began.len(), 5);
    assert_eq!((&began[0]["begin"], &began[4]["end"]), (&BEGIN.into(), &END.into()));
    assert!(ran.stderr.contains("\"rows_processed\":2000,"), "{}", ran.stderr);
}

#[test]
fn results_that_are_too_large_are_refused_before_they_run() {
    let server = Server::with(&["-v"]);
    for command in ["query", "run"] {
        for limit in [["--max-rows", "10"], ["--max-bytes", "1kB"]] {
            let ran = server.run_ranged(&[command, ALL, limit[0], limit[1], "--format", "csv"]);
            assert_eq!(ran.code, 8, "{command} {limit:?}: {}", ran.stderr);
            assert!(ran.stderr.contains("more than the 10"), "{}", ran.stderr);
            assert_eq!(ran.stdout, "");
        }
        server
            .run_ranged(&[
                command,
                ALL,
                "--max-rows",
                "5000",
                "--max-bytes",
                "10MB",
                "--format",
                "csv",
            ])
            .good();
    }
    let ran = server
        .log()
        .lines()
        .filter(|line| line.contains("rows=2000") && line.contains("complete"))
        .count();
    assert_eq!(ran, 2, "{}", server.log());
}

#[test]
fn limits_of_time_end_what_hangs() {
    let server = Server::with(&["-v"]);
    for (options, says) in [
        (["--deadline", "1s"], "did not end within 1s"),
        (["--first-batch-timeout", "1s"], "first batch did not arrive within 1s"),
    ] {
        for command in ["query", "run"] {
            let ran = server.run_ranged(&[command, SILENT, options[0], options[1], "--format", "csv"]);
            assert_eq!(ran.code, 7, "{command} {options:?}: {}", ran.stderr);
            assert!(ran.stderr.contains(says), "{command} {options:?}: {}", ran.stderr);
        }
    }
    for option in ["--deadline", "--first-batch-timeout", "--idle-timeout"] {
        for wrong in ["0s", "soon"] {
            let ran = run(&["run", "SELECT 1", option, wrong]);
            assert_eq!(ran.code, 2, "{option} {wrong}: {}", ran.stderr);
        }
    }
}

/// A proxy before the server, and its URL.
fn through_proxy(server: &Server, schedule: &str) -> (FaultProxy, String) {
    let address = server.url.strip_prefix("grpc://").unwrap().parse().unwrap();
    let proxy = FaultProxy::start(address, schedule.parse().unwrap()).unwrap();
    let url = format!("grpc://{}", proxy.address());
    (proxy, url)
}

#[test]
fn a_stream_that_stalls_runs_into_the_idle_timeout() {
    let server = Server::start();
    let (proxy, url) = through_proxy(&server, "connection 0 to-client byte 60000 stall");
    let ran = run(&[
        "--url",
        &url,
        "--begin",
        BEGIN,
        "--end",
        END,
        "run",
        "SELECT * FROM log_entries",
        "--idle-timeout",
        "1s",
    ]);
    assert_eq!(proxy.fired().len(), 1);
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("nothing arrived from the server for 1s"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_connection_that_breaks_before_the_rows_is_tried_again() {
    let server = Server::start();
    let run_through = |retries: &str| {
        // The first query goes over a connection that is cut when its answer begins.
        let (proxy, url) = through_proxy(&server, "connection 0 to-client byte 400 reset");
        let ran = run(&[
            "--url",
            &url,
            "--begin",
            BEGIN,
            "--end",
            END,
            "run",
            ALL,
            "--retries",
            retries,
            "--progress",
            "json",
            "--estimate",
            "none",
        ]);
        assert_eq!(proxy.fired().len(), 1, "{}", ran.stderr);
        ran
    };
    let ran = run_through("3").good();
    let objects = objects(&ran);
    let retried: Vec<&Value> = objects.iter().filter(|object| object["event"] == "retried").collect();
    assert_eq!(retried.len(), 1, "{}", ran.stderr);
    assert_eq!(retried[0]["retry"], 1);
    let statistics = &objects.last().unwrap()["statistics"];
    assert_eq!(
        (&statistics["retries"], &statistics["rows_processed"]),
        (&1.into(), &ROWS.into())
    );
    assert_eq!(run_through("0").code, 6);
}

#[test]
fn the_estimate_may_be_counted_or_left_out() {
    let server = Server::start();
    let sql = "SELECT msg FROM log_entries WHERE level <= 3";
    let estimates = |source: &str| {
        let ran = server
            .run_ranged(&["run", sql, "--estimate", source, "--progress", "json"])
            .good();
        let objects = objects(&ran);
        let estimates = objects.iter().filter(|object| object["event"] == "estimate").cloned();
        (
            estimates.collect::<Vec<_>>(),
            objects.last().unwrap()["statistics"].clone(),
        )
    };
    let (none, statistics) = estimates("none");
    assert!(none.is_empty() && statistics["estimate"].is_null());
    // A query that ends before its estimate arrives has none.
    let (counted, statistics) = estimates("count");
    if let [counted] = counted.as_slice() {
        assert_eq!(counted["basis"], "count");
        assert_eq!(counted["rows"], statistics["rows_processed"]);
    }
    // A filter that is not of time: nothing is claimed.
    let (unknown, _) = estimates("partitions");
    assert!(unknown.iter().all(|estimate| estimate["rows"].is_null()), "{unknown:?}");
}

#[test]
fn files_are_compressed_as_asked_for() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let size = |command: &str, name: &str, compression: &str| {
        let path = dir.path().join(name);
        let output = path.to_str().unwrap();
        server
            .run_ranged(&[command, ALL, "-o", output, "--compression", compression])
            .good();
        fs::metadata(&path).unwrap().len()
    };
    for command in ["query", "run"] {
        for name in ["rows.parquet", "rows.arrow"] {
            let plain = size(command, name, "none");
            for compression in ["zstd", "zstd:9", "lz4"] {
                assert!(
                    size(command, name, compression) < plain,
                    "{command} {name} {compression}"
                );
            }
        }
    }
    let parts = dir.path().join("parts/");
    let parts = parts.to_str().unwrap();
    let into_parts = ["run", ALL, "-o", parts, "--slices", "2", "--compression", "snappy"];
    server.run_ranged(&into_parts).good();

    for arguments in [
        vec!["query", ALL, "--compression", "zstd"],
        vec!["query", ALL, "--format", "csv", "--compression", "zstd"],
        vec!["run", ALL, "--format", "arrow", "--compression", "snappy"],
        vec!["run", ALL, "--format", "parquet", "--compression", "zstd:23"],
        vec!["run", ALL, "--format", "parquet", "--compression", "gzip"],
    ] {
        let ran = server.run_ranged(&arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("compress"), "{arguments:?}: {}", ran.stderr);
    }
}

#[test]
fn parts_do_not_go_to_a_url() {
    for option in [["-o", "s3://bucket/rows/"], ["--output-dir", "file:///tmp/rows"]] {
        let ran = run(&["--begin", BEGIN, "--end", END, "run", ALL, option[0], option[1]]);
        assert_eq!(ran.code, 2, "{option:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("a directory of this machine"),
            "{option:?}: {}",
            ran.stderr
        );
    }
}

#[test]
fn sizes_that_are_none_are_refused() {
    for option in ["--batch-size-mb", "--memory-mb"] {
        for wrong in ["0", "-1", "NaN", "1e300"] {
            let ran = run(&["run", "SELECT 1", &format!("{option}={wrong}")]);
            assert_eq!(ran.code, 2, "{option} {wrong}: {}", ran.stderr);
            assert!(ran.stderr.contains("is not a size"), "{option} {wrong}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_reader_of_a_run_that_goes_away_is_no_failure() {
    let server = Server::start();
    for options in [&[][..], &["--slices", "4"]] {
        let mut arguments = vec!["run", ALL, "--format", "ndjson", "--batch-size-mb", "0.01"];
        arguments.extend(options);
        let mut child = server
            .command_ranged(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert_eq!(told, "");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_and_a_forbidden_place_are_told() {
    let server = Server::start();
    for (output, code) in [("/dev/full", 8), ("/sys/rows.csv", 11), ("/nowhere/rows.csv", 4)] {
        for slices in [&[][..], &["--slices", "3"]] {
            let mut arguments = vec!["run", ALL, "--format", "csv", "-o", output];
            arguments.extend(slices);
            let ran = server.run_ranged(&arguments);
            assert_eq!(ran.code, code, "{output}: {}", ran.stderr);
            assert!(ran.stderr.contains(output), "{}", ran.stderr);
        }
    }
}

/// A limit on the size of files is a disk that is full in the middle of one.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_grow_leaves_nothing() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_lakepilot");
    let mut limited = command();
    limited.current_dir(dir.path());
    let ran: Ran = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "sh", program])
        .args([
            "--url",
            &server.url,
            "--begin",
            BEGIN,
            "--end",
            END,
            "run",
            ALL,
            "-o",
            "rows.csv",
        ])
        .current_dir(dir.path())
        .output()
        .unwrap()
        .into();
    assert_eq!(ran.code, 11, "{}", ran.stderr);
    assert!(ran.stderr.contains("rows.csv"), "{}", ran.stderr);
    assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
}
