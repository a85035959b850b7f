//! Retirements on a served lake: plan, apply, look again; what goes wrong in between is caught.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Ran, Server, command};

/// A server, and a folder for plans and state.
struct Desk {
    server: Server,
    dir: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(options: &[&str]) -> Self {
        Self {
            server: Server::with(options),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = command();
        command
            .current_dir(self.dir.path())
            .env("LAKEPILOT_STATE", self.dir.path().join("state"))
            .args(["--url", &self.server.url, "partitions"])
            .args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    fn list(&self, options: &[&str]) -> Vec<Value> {
        let mut arguments = vec!["list", "--format", "json"];
        arguments.extend(options);
        serde_json::from_value(self.run(&arguments).good().json()).unwrap()
    }

    /// Plans the retirement of all that is not global into a file, and gives the partitions of the plan.
    fn plan(&self, file: &str) -> u64 {
        self.run(&["plan-retire", "--non-global", "--plan", file]).good();
        let plan: Value = serde_json::from_slice(&fs::read(self.dir.path().join(file)).unwrap()).unwrap();
        plan["totals"]["partitions"].as_u64().unwrap()
    }
}

/// What a terminal of so many columns shows, without what differs from run to run.
fn shown(desk: &Desk, columns: usize, arguments: &[&str]) -> String {
    let output = desk
        .command(arguments)
        .env("COLUMNS", columns.to_string())
        .output()
        .unwrap();
    let told = format!(
        "exit code {}\n{}{}",
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap()
    );
    let told = told
        .replace(&desk.server.url, "grpc://SERVER")
        .replace(desk.dir.path().to_str().unwrap(), "DIR");
    // A word that is too long by itself stays whole.
    for line in told.lines().filter(|line| line.trim().contains(' ')) {
        assert!(line.chars().count() <= columns, "{columns}: {line}");
    }
    let words = told.split_inclusive(char::is_whitespace).map(|word| {
        let bare = word.trim_end();
        let tail = &word[bare.len()..];
        match bare {
            digest if digest.starts_with("sha256:") => format!("DIGEST{tail}"),
            // Of this year, and not of the lake's.
            time if time.starts_with("20") && !time.starts_with("2026-02") && !time.starts_with("2026-03") => {
                format!("TIME{tail}")
            }
            _ => word.to_owned(),
        }
    });
    words.collect()
}

#[test]
fn a_plan_is_shown_saved_applied_and_verified() {
    let desk = Desk::new();
    let global = desk.list(&["--instance", "global"]);
    let before = desk.list(&["--non-global"]);
    for columns in [80, 40] {
        let told = shown(&desk, columns, &["plan-retire", "--non-global"]);
        insta::assert_snapshot!(format!("plan_{columns}"), told);
    }
    assert_eq!(desk.plan("old.plan"), before.len() as u64);
    assert_eq!(desk.list(&["--non-global"]), before, "a plan retires nothing");
    let still = desk.run(&["verify", "--plan", "old.plan", "--format", "json"]);
    assert_eq!(still.code, 13, "{}", still.stderr);
    assert_eq!(still.json()["remaining"], before.len());

    let refused = desk.run(&["apply", "--plan", "old.plan"]);
    assert_eq!(refused.code, 14, "{}", refused.stderr);
    assert!(refused.stderr.contains("--yes") && refused.stderr.contains("nothing was retired"));
    assert_eq!(desk.list(&["--non-global"]), before);

    let report = desk
        .run(&["apply", "--plan", "old.plan", "--yes", "--format", "json"])
        .good()
        .json();
    assert_eq!(report["retired"], before.len());
    assert_eq!(
        (&report["remaining"], &report["unknown"]),
        (&Value::from(0), &Value::from(0))
    );
    assert_eq!(report["partitions"].as_array().unwrap().len(), before.len());
    assert!(
        report["partitions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|partition| partition["outcome"] == "retired")
    );
    assert_eq!(desk.list(&["--non-global"]), Vec::<Value>::new());
    assert_eq!(desk.list(&["--instance", "global"]), global);
    desk.run(&["verify", "--plan", "old.plan"]).good();

    // Applied once more, it repeats nothing.
    let again = desk.run(&["apply", "--plan", "old.plan", "--yes"]).good();
    assert!(again.stderr.contains("taking up the run before"), "{}", again.stderr);
    let history = desk.run(&["history", "--format", "json"]).good().json();
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert_eq!(history[0]["result"]["counts"]["retired"], before.len());
    assert_eq!(history[0]["planned"]["partitions"], before.len());
    assert_eq!(history[0]["server"], desk.server.url.as_str());
    for columns in [80, 40] {
        let told = desk
            .command(&["history"])
            .env("COLUMNS", columns.to_string())
            .output()
            .unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        assert!(told.contains("verified"), "{told}");
        assert!(told.lines().all(|line| line.chars().count() <= columns), "{told}");
    }
}

#[test]
fn a_selection_is_wanted_and_guards_hold() {
    let desk = Desk::new();
    let all = desk.run(&["plan-retire"]);
    assert_eq!(all.code, 2);
    assert!(all.stderr.contains("--non-global"), "{}", all.stderr);
    let planned = |options: &[&str]| -> Value {
        let mut arguments = vec!["plan-retire", "--format", "json"];
        arguments.extend(options);
        desk.run(&arguments).good().json()["totals"].clone()
    };
    // A pattern does not name global, and its partitions stay.
    let logs = planned(&["--view-set", "log_*"]);
    let named = planned(&["--view-set", "log_entries", "--instance", "global"]);
    assert!(
        logs["partitions"].as_u64().unwrap() > 0 && logs["staying"].as_u64().unwrap() > 0,
        "{logs}"
    );
    assert!(named["partitions"].as_u64().unwrap() > 0, "{named}");
    assert_eq!(planned(&["--non-global", "--min-age", "10000w"])["partitions"], 0);
    let kept = planned(&["--non-global", "--keep-newest", "1"]);
    assert!(kept["staying"].as_u64().unwrap() > 0, "{kept}");
    assert_eq!(planned(&["--non-global", "--protect", "*/*"])["partitions"], 0);
    let beyond = desk.run(&["plan-retire", "--non-global", "--max-partitions", "1"]);
    assert_eq!(beyond.code, 2);
    assert!(beyond.stderr.contains("more than the limit of 1"), "{}", beyond.stderr);
    let wrong = desk.run(&["plan-retire", "--non-global", "--protect", "log_entries"]);
    assert!(
        wrong.code == 2 && wrong.stderr.contains("VIEW_SET/INSTANCE"),
        "{}",
        wrong.stderr
    );

    let config = desk.dir.path().join("lakepilot.toml");
    fs::write(&config, "[partitions]\nprotect = [\"thread_spans/*\"]\n").unwrap();
    let plan = desk.run(&["plan-retire", "--non-global", "--format", "json"]).good();
    assert!(
        plan.stderr.contains("protected by") && plan.stderr.contains("thread_spans/*"),
        "{}",
        plan.stderr
    );
    let touched = |plan: &Value| -> Vec<Value> {
        let instances = plan["instances"].as_array().unwrap().iter();
        let losing = instances.filter(|instance| instance["summary"]["partitions"] != 0);
        losing.map(|instance| instance["view_set_name"].clone()).collect()
    };
    let touched = touched(&plan.json());
    assert!(
        !touched.is_empty() && !touched.contains(&Value::from("thread_spans")),
        "{touched:?}"
    );
}

#[test]
fn a_server_that_swallows_failures_is_caught_every_time() {
    let desk = Desk::with(&["--fault", "swallow-retirement"]);
    let planned = desk.plan("old.plan");
    let ran = desk.run(&["apply", "--plan", "old.plan", "--yes", "--format", "json"]);
    assert_eq!(ran.code, 13, "{}", ran.stderr);
    let report = ran.json();
    let (retired, remaining) = (
        report["retired"].as_u64().unwrap(),
        report["remaining"].as_u64().unwrap(),
    );
    assert_eq!(retired + remaining, planned);
    assert!(remaining > 0);
    assert_eq!(desk.list(&["--non-global"]).len() as u64, remaining);
    for columns in [80, 40] {
        let told = shown(
            &desk,
            columns,
            &["retire-instances", "--view-set", "log_*", "--quiet", "--yes"],
        );
        insta::assert_snapshot!(format!("swallowed_{columns}"), told);
    }
    assert_eq!(desk.run(&["verify", "--plan", "old.plan"]).code, 13);
    let history = desk.run(&["history"]).good().stdout;
    assert!(history.contains("not verified"), "{history}");
}

#[test]
fn a_lake_that_has_changed_since_the_plan_is_told() {
    let desk = Desk::new();
    let planned = desk.plan("old.plan");
    let first = desk.list(&["--non-global"])[0].clone();
    let text = |name: &str| first[name].as_str().unwrap();
    let (begin, end) = (text("begin_insert_time"), text("end_insert_time"));
    desk.run(&[
        "retire",
        text("view_set"),
        text("instance"),
        "--begin",
        begin,
        "--end",
        end,
        "--yes",
    ])
    .good();
    let left = desk.list(&["--non-global"]);
    assert!((left.len() as u64) < planned);

    let refused = desk.run(&["apply", "--plan", "old.plan", "--yes"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("not as it was when the plan was made"),
        "{}",
        refused.stderr
    );
    assert_eq!(desk.list(&["--non-global"]), left, "nothing was asked for");
    let report = desk
        .run(&[
            "apply",
            "--plan",
            "old.plan",
            "--yes",
            "--leave-out-changed",
            "--format",
            "json",
        ])
        .good()
        .json();
    assert_eq!(report["retired"], left.len());
    assert_eq!(report["already_gone"], planned - left.len() as u64);
}

#[test]
fn a_plan_that_was_edited_or_is_for_another_server_is_refused() {
    let desk = Desk::new();
    desk.plan("old.plan");
    let path = desk.dir.path().join("old.plan");
    let text = fs::read_to_string(&path).unwrap();
    let before = desk.list(&[]);
    let instance = before
        .iter()
        .find(|partition| partition["instance"] != "global")
        .unwrap();
    let id = instance["instance"].as_str().unwrap();
    for edited in [
        text.replacen(id, "global", 1),
        text.replacen("\"num_rows\": ", "\"num_rows\": 1", 1),
        text.replacen("\"version\": 1", "\"version\": 2", 1),
        text[..text.len() / 2].to_owned(),
        "no plan".to_owned(),
    ] {
        fs::write(desk.dir.path().join("edited.plan"), edited).unwrap();
        for arguments in [
            &["apply", "--plan", "edited.plan", "--yes"][..],
            &["verify", "--plan", "edited.plan"],
            &["map", "--plan", "edited.plan"],
        ] {
            let ran = desk.run(arguments);
            assert_eq!(ran.code, 2, "{}", ran.stderr);
            assert!(ran.stderr.contains("edited.plan"), "{}", ran.stderr);
        }
    }
    assert_eq!(desk.run(&["apply", "--plan", "nowhere.plan", "--yes"]).code, 4);
    let other = Desk::new();
    let plan = path.to_str().unwrap();
    let ran = other.run(&["apply", "--plan", plan, "--yes", "--journal", &other.path("j")]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains(&desk.server.url), "{}", ran.stderr);
    assert_eq!(desk.list(&[]), before);
}

/// Waits, with a bound, until something holds.
#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        std::thread::yield_now();
    }
}

fn answers_in(journal: &Path) -> usize {
    let text = fs::read_to_string(journal).unwrap_or_default();
    text.matches("\"answered\"").count()
}

#[test]
fn a_run_that_was_killed_is_taken_up() {
    let desk = Desk::new();
    let planned = desk.plan("old.plan");
    let journal: PathBuf = desk.dir.path().join("old.plan.journal");
    // Two partitions a second, a statement each second: it cannot have ended when the second is answered.
    let mut child = desk
        .command(&[
            "apply",
            "--plan",
            "old.plan",
            "--yes",
            "--rate",
            "2",
            "--concurrency",
            "1",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("two statements are answered", || answers_in(&journal) >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let left = desk.list(&["--non-global"]).len() as u64;
    assert!(0 < left && left < planned, "{left} of {planned}");
    let unfinished = desk.run(&["history"]).good().stdout;
    assert!(unfinished.contains("unfinished"), "{unfinished}");

    let report = desk
        .run(&["apply", "--plan", "old.plan", "--yes", "--format", "json"])
        .good()
        .json();
    assert_eq!(
        report["retired"], planned,
        "what the first run retired counts as retired"
    );
    assert_eq!(report["already_gone"], 0);
    assert!(desk.list(&["--non-global"]).is_empty());
}

#[test]
fn ctrl_c_finishes_what_is_in_flight_and_reports() {
    let desk = Desk::new();
    let planned = desk.plan("old.plan");
    let journal = desk.dir.path().join("old.plan.journal");
    let child = desk
        .command(&[
            "apply",
            "--plan",
            "old.plan",
            "--yes",
            "--rate",
            "2",
            "--concurrency",
            "1",
            "--format",
            "json",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("a statement is answered", || answers_in(&journal) >= 1);
    // While it runs, another one is kept out.
    let second = desk.run(&["retire-instances", "--yes"]);
    assert_eq!(second.code, 6, "{}", second.stderr);
    assert!(second.stderr.contains("another run is working"), "{}", second.stderr);
    let id = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, 13, "{}", ran.stderr);
    assert!(ran.stderr.contains("stopping"), "{}", ran.stderr);
    let report = ran.json();
    let retired = report["retired"].as_u64().unwrap();
    assert!(0 < retired && retired < planned, "{report}");
    assert_eq!(desk.list(&["--non-global"]).len() as u64, planned - retired);
    let not_asked = report["partitions"].as_array().unwrap().iter();
    let not_asked = not_asked.filter(|partition| partition["reason"] == "not_asked").count() as u64;
    assert_eq!(not_asked, planned - retired);

    // People are told what to do next, and where there is no trouble they are not sent to look for it.
    let child = desk
        .command(&["retire-instances", "--yes", "--rate", "2", "--concurrency", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let left = || desk.list(&["--non-global"]).len() as u64;
    wait_until("a partition is gone", || left() < planned - retired);
    let id = child.id().to_string();
    let signal = std::process::Command::new("kill").args(["-INT", &id]).status();
    assert!(signal.unwrap().success());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, 13, "{}", ran.stderr);
    assert!(ran.stdout.contains("run the command again to go on"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("log for why"), "{}", ran.stdout);
}

#[test]
fn retention_is_quiet_and_keeps_what_the_policy_says() {
    let desk = Desk::new();
    let write = |text: &str| fs::write(desk.dir.path().join("retention.toml"), text).unwrap();
    write("version = 1\n[[rule]]\nkeep_for = \"1000w\"\n");
    let arguments = ["retention", "apply", "--policy", "retention.toml", "--yes"];
    let nothing = desk.run(&arguments).good();
    assert_eq!(
        (nothing.stdout.as_str(), nothing.stderr.as_str()),
        ("", ""),
        "cron has nothing to mail"
    );
    let mut as_json = arguments.to_vec();
    as_json.extend(["--format", "json"]);
    let report = desk.run(&as_json).good().json();
    assert_eq!(
        (&report["retired"], &report["remaining"]),
        (&Value::from(0), &Value::from(0))
    );

    write("version = 1\n[[rule]]\nview_sets = [\"thread_spans\"]\nkeep_for = \"7d\"\nkeep_newest = 1\n");
    let before = desk.list(&[]);
    let spans = |list: &[Value]| {
        list.iter()
            .filter(|partition| partition["view_set"] == "thread_spans")
            .count()
    };
    let plan = desk
        .run(&[
            "retention",
            "plan",
            "--policy",
            "retention.toml",
            "--plan",
            "spans.plan",
        ])
        .good();
    assert!(
        plan.stdout.contains("among the newest that are kept"),
        "{}",
        plan.stdout
    );
    assert_eq!(desk.list(&[]), before);
    let declined = desk.run(&arguments[..4]);
    assert_eq!(declined.code, 14, "{}", declined.stderr);
    desk.run(&as_json).good();
    let after = desk.list(&[]);
    let instances: std::collections::BTreeSet<_> = before
        .iter()
        .filter(|partition| partition["view_set"] == "thread_spans")
        .map(|partition| partition["instance"].as_str().unwrap())
        .collect();
    assert_eq!(spans(&after), instances.len(), "the newest of each is kept");
    assert_eq!(
        before.len() - spans(&before),
        after.len() - spans(&after),
        "nothing else is touched"
    );
    desk.run(&["verify", "--plan", "spans.plan"]).good();

    write("version = 1\n[[rule]]\nkeep_fro = \"7d\"\n");
    let wrong = desk.run(&arguments);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains("keep_fro") && wrong.stderr.contains("retention.toml"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn names_that_try_to_break_out_reach_the_server_as_themselves() {
    let desk = Desk::new();
    let before = desk.list(&[]);
    for name in [
        "'); DROP TABLE partitions; --",
        "it's",
        "100%_of\\it",
        "two\nlines",
        "漢字 ünïcode \u{202e}",
        "\"quoted\"",
        "* OR 1=1",
    ] {
        let plan = desk
            .run(&["plan-retire", "--process", name, "--format", "json"])
            .good()
            .json();
        assert_eq!(plan["basis"]["selection"]["process"], name);
        assert_eq!(plan["totals"]["partitions"], 0);
        for arguments in [
            &["retire-process", name, "--yes"][..],
            &[
                "retire",
                name,
                name,
                "--begin",
                "1990-01-01T00:00:00Z",
                "--end",
                "now",
                "--yes",
            ],
            &[
                "list",
                "--view-set",
                &name.replace(['*', '\\'], "?"),
                "--format",
                "json",
            ],
        ] {
            let ran = desk.run(arguments).good();
            assert!(
                ["nothing to retire\n", "[]\n", "[\n]\n"].contains(&ran.stdout.as_str()),
                "{name:?}: {}",
                ran.stdout
            );
        }
    }
    assert_eq!(desk.list(&[]), before);
}

#[test]
fn missing_rights_are_seen_in_the_plan_and_refused() {
    let desk = Desk::with(&["--no-admin"]);
    let plan = desk.run(&["plan-retire", "--non-global", "--plan", "old.plan"]).good();
    assert!(plan.stderr.contains("takes an administrator"), "{}", plan.stderr);
    let ran = desk.run(&["apply", "--plan", "old.plan", "--yes"]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("administrator rights are missing"),
        "{}",
        ran.stderr
    );
    let history = desk.run(&["history"]).good().stdout;
    assert!(history.contains("refused"), "{history}");
}

#[test]
fn a_saved_plan_is_marked_in_the_map() {
    let desk = Desk::new();
    let planned = desk.plan("old.plan");
    let strip = desk.run(&["map", "--non-global", "--plan", "old.plan"]).good().stdout;
    assert!(
        strip.contains(&format!("the plan retires {planned} partitions of these")),
        "{strip}"
    );
    let page = desk.path("map.html");
    desk.run(&["map", "--plan", "old.plan", "-o", &page]).good();
    assert!(
        fs::read_to_string(page)
            .unwrap()
            .contains(&format!("the plan retires {planned} partitions"))
    );
}
