//! The page in headless Chromium: a script walks through it as a person does, and tells what it saw.
//!
//! It needs Python with Playwright, which `cargo xtask python-env` installs, and the machine's Chromium. Where one of them
//! is not there the test says so and is left out, unless `LAKEPILOT_PYTHON` and `LAKEPILOT_CHROMIUM` name them.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_catalog::Partition;
use lakepilot_partition_map::{MapOptions, PartitionMap};
use serde_json::{Value, json};

const HOSTILE: &str =
    "'); DROP <script>window.hacked = 1</script><img src=x onerror=\"window.hacked = 2\">\n%_\u{202e}";

fn hour(at: i64) -> DateTime<Utc> {
    let first: DateTime<Utc> = "2026-02-01T00:00:00Z".parse().unwrap();
    first + TimeDelta::hours(at)
}

fn partition(view_set: &str, instance: &str, begin: i64, end: i64, rows: u64) -> Partition {
    Partition {
        view_set_name: view_set.to_owned(),
        view_instance_id: instance.to_owned(),
        begin_insert_time: hour(begin),
        end_insert_time: hour(end),
        min_event_time: (rows > 0).then(|| hour(begin)),
        max_event_time: (rows > 0).then(|| hour(end)),
        updated: hour(end) + TimeDelta::microseconds(123_456),
        file_path: (rows > 0).then(|| format!("views/{view_set}/{begin}.parquet")),
        file_size_bytes: rows * 40,
        file_schema_hash: vec![4],
        source_data_hash: Vec::new(),
        num_rows: rows,
        partition_format_version: 2,
        sort_order: None,
        max_sort_key_time: None,
    }
}

/// Two weeks with a gap, an overlap, empty partitions, instants, and names that try to break out; a plan for the first
/// days of it.
fn small() -> PartitionMap {
    let mut all = Vec::new();
    for day in (0..14).filter(|day| !(6..8).contains(day)) {
        all.push(partition(
            "log_entries",
            "global",
            day * 24,
            day * 24 + 24,
            1_000 << (day % 7),
        ));
        for part in 0..24 {
            let rows = if part % 7 == 0 { 0 } else { (part * 50) as u64 };
            all.push(partition(
                "measures",
                "global",
                day * 24 + part,
                day * 24 + part + 1,
                rows,
            ));
        }
    }
    all.push(partition("log_entries", "global", 230, 260, 500));
    for process in [
        "0b7c9a52-66f1-4f39-8a51-7c1a9e8d5d10",
        "77f0e3b8-0a9e-4f5c-a50a-0c4f1b2d6e93",
    ] {
        all.extend((0..10).map(|n| partition("thread_spans", process, n * 7, n * 7, 90 + n as u64)));
        all.extend((2..9).map(|n| partition("thread_spans", process, n * 30, n * 30 + 12, 9_000)));
    }
    all.extend((0..3).map(|n| partition(HOSTILE, HOSTILE, n * 50, n * 50 + 40, 1)));
    let planned: Vec<_> = all
        .iter()
        .filter(|partition| partition.end_insert_time <= hour(96) && partition.view_set_name != "log_entries")
        .cloned()
        .collect();
    PartitionMap::new(&all, &planned, &options())
}

/// Ten thousand partitions of a thousand instances.
fn large() -> PartitionMap {
    let all: Vec<_> = (0..10_000)
        .map(|n| {
            let (instance, part) = (n / 10, n % 10);
            let name = format!("{instance:08x}-1111-4222-8333-444444444444");
            partition(
                "thread_spans",
                &name,
                part * 100 + instance / 10,
                part * 100 + instance / 10 + 60,
                1 + n as u64,
            )
        })
        .collect();
    PartitionMap::new(&all, &all[..500], &options())
}

fn options() -> MapOptions {
    MapOptions::new(hour(24 * 60)).with_title(format!("Partitions of {HOSTILE}"))
}

/// The interpreter of the virtual environment; `None` when it was not named and is not there.
fn python() -> Option<PathBuf> {
    if let Some(python) = std::env::var_os("LAKEPILOT_PYTHON") {
        return Some(PathBuf::from(python));
    }
    let test = std::env::current_exe().unwrap();
    // <target>/<profile>/deps/<test>
    let target = test.ancestors().nth(3).expect("a target folder");
    let python = target.join("python-env/bin/python");
    python.is_file().then_some(python)
}

/// The machine's Chromium; `None` when it was not named and is not there.
fn chromium() -> Option<PathBuf> {
    if let Some(chromium) = std::env::var_os("LAKEPILOT_CHROMIUM") {
        return Some(PathBuf::from(chromium));
    }
    let folders = std::env::var_os("PATH")?;
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "chromium-headless-shell",
    ];
    std::env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

/// Tells what was left out, past the test harness, which keeps what a good test prints to itself.
fn left_out(why: &str) {
    let _ = writeln!(
        io::stderr(),
        "\nLEFT OUT: the page of a partition map was not opened in a browser: {why}"
    );
}

fn write(name: &str, content: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(python) = python() else {
        return left_out("there is no Python with Playwright; `cargo xtask python-env` makes the environment");
    };
    let Some(chromium) = chromium() else {
        return left_out("there is no Chromium; install it (Debian: chromium), or name it in LAKEPILOT_CHROMIUM");
    };
    let pages = ["small", "large"].map(|name| {
        let map = if name == "small" { small() } else { large() };
        write(&format!("map-{name}.svg"), &map.to_svg());
        write(&format!("map-{name}.html"), &map.to_html())
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/page.py");
    let output = Command::new(&python)
        .arg("-B")
        .arg(script)
        .arg(&chromium)
        .args(&pages)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "page.py failed:\n{errors}");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    check_small(&seen["small"]);
    check_keys(&seen["small"]);
    check_looks(&seen["small"]);
    check_large(&seen["large"]);
}

#[track_caller]
fn check_lines(hint: &Value, lines: &[&str]) {
    let told: Vec<&str> = hint
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    for line in lines {
        assert!(told.contains(line), "'{line}' in {told:#?}");
    }
}

fn check_small(seen: &Value) {
    for quiet in ["errors", "requests", "dialogs"] {
        assert_eq!(seen[quiet], json!([]), "{quiet}");
    }
    assert_eq!(seen["hacked"], Value::Null);
    let title = seen["title"].as_str().unwrap();
    assert!(
        title.contains("<script>window.hacked = 1</script>"),
        "it is text: {title}"
    );
    assert!(title.contains("\\u{202e}") && !title.contains('\u{202e}'), "{title}");
    let labels: Vec<&str> = seen["labels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|label| label.as_str().unwrap())
        .collect();
    assert_eq!(labels.len(), 5, "{labels:#?}");
    assert_eq!(
        labels[1],
        "log_entries, global, 13 partitions, 189,500 rows, 7.6 MB, 1 gap, 1 overlap"
    );
    assert!(
        labels[2].starts_with("measures, global, 288 partitions, "),
        "{}",
        labels[2]
    );
    assert!(labels[2].ends_with(", 96 planned to be retired"), "{}", labels[2]);
    check_lines(
        &seen["hovered"],
        &[
            "log_entries / global",
            "insert time 2026-02-01T00:00:00Z to 2026-02-02T00:00:00Z",
            "event time 2026-02-01T00:00:00Z to 2026-02-02T00:00:00Z",
            "1,000 rows, 40 kB",
            "written 2026-02-02T00:00:00.123456Z, 58 d before this page",
            "views/log_entries/0.parquet",
        ],
    );
    assert_eq!(seen["hint_after_leaving"], false);
    assert_eq!(seen["filtered"], json!(["2 of 5 lines", 2]));
    assert_eq!(seen["filtered_to_nothing"], json!(["0 of 5 lines", true]));
    assert_eq!(seen["planned_only"], json!(["4 of 5 lines", 4]));
    let by_rows = seen["legend"].as_str().unwrap();
    let by_age = seen["legend_by_age"].as_str().unwrap();
    assert!(
        by_rows.contains("rows ≥ 1") && by_rows.contains("planned to be retired"),
        "{by_rows}"
    );
    assert!(by_age.contains("age ≥ 45 d"), "{by_age}");
}

fn check_keys(seen: &Value) {
    check_lines(
        &seen["second_bar"],
        &[
            "log_entries / global",
            "insert time 2026-02-02T00:00:00Z to 2026-02-03T00:00:00Z",
        ],
    );
    let said = seen["said"].as_str().unwrap();
    assert!(
        said.contains("insert time 2026-02-02T00:00:00Z to 2026-02-03T00:00:00Z"),
        "{said}"
    );
    check_lines(
        &seen["last_bar_of_next_row"],
        &[
            "measures / global",
            "insert time 2026-02-14T23:00:00Z to 2026-02-15T00:00:00Z",
        ],
    );
    check_lines(&seen["planned_bar"], &["planned to be retired"]);
    assert_eq!(seen["hint_after_escape"], false);
    let widths: Vec<f64> = seen["widths"]
        .as_array()
        .unwrap()
        .iter()
        .map(|width| width.as_f64().unwrap())
        .collect();
    let [whole, zoomed, back] = widths[..] else {
        panic!("{widths:?}");
    };
    assert!((zoomed / whole - 4.0).abs() < 0.1, "{widths:?}");
    assert!((back - whole).abs() < 0.1, "{widths:?}");
    assert_ne!(seen["axis"], seen["axis_zoomed"]);
    assert_ne!(seen["axis_dragged"], seen["axis_zoomed"]);
    assert_eq!(seen["focused_by_slash"], "filter");
    assert_eq!(seen["tab_stops"], 1, "one row takes the focus, arrows go on from there");
}

fn check_looks(seen: &Value) {
    assert_eq!(seen["background_light"], "rgb(255, 255, 255)");
    assert_ne!(seen["background_dark"], seen["background_light"]);
    assert_eq!(seen["overflow_at_360"], 0, "a narrow page does not scroll sideways");
    assert_eq!(seen["names_without_a_label"], json!([]));
}

fn check_large(seen: &Value) {
    assert_eq!(seen["errors"], json!([]));
    assert_eq!(seen["rows"], 1_000);
    let drawn = seen["rows_drawn"].as_u64().unwrap();
    assert!(
        0 < drawn && drawn < 200,
        "what is not on the screen is not drawn: {drawn}"
    );
    assert_eq!(seen["bars_of_last_row"], 10);
    assert_eq!(seen["filtered"], json!(["1 of 1,000 lines", 1]));
}
