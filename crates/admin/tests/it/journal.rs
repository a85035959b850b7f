//! A run that was killed is taken up where it was, and repeats nothing.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lakepilot_admin::{
    ApplyOptions, History, HistoryEntry, HistoryWork, Journal, Outcome, RetirementPlan, RetirementReport, Silent,
    StillThere, StopSignal,
};
use lakepilot_catalog::Partition;
use lakepilot_query::{ErrorKind, Result};

use crate::kept_lake::{Kept, KeptLake};
use crate::lake::{FakeLake, counts, partition};

/// Names the folder to a child.
const FOLDER: &str = "LAKEPILOT_TEST_FOLDER";

const KILLS: usize = 30;

const PARTITIONS: i64 = 200;

/// Small, so that there are many moments between statements.
const STATEMENT_SIZE: usize = 1;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

fn options(folder: &Path, plan: &RetirementPlan) -> Result<ApplyOptions> {
    let journal = Journal::open(&folder.join("journal"), plan)?;
    Ok(ApplyOptions::default()
        .with_statement_size(STATEMENT_SIZE)
        .with_journal(Arc::new(journal))
        .with_history(History::new(folder.join("history"), "a test")))
}

fn apply_kept(folder: &Path) -> Result<RetirementReport> {
    let plan = RetirementPlan::load(&folder.join("plan.json"))?;
    let options = options(folder, &plan)?;
    block_on(KeptLake::admin(folder).apply(&plan, &options, &Silent))
}

/// What the children of the next test run; nothing when it is run by itself.
#[test]
fn as_a_child() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        apply_kept(Path::new(&folder)).unwrap();
    }
}

fn child(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "journal::as_a_child"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn lines(folder: &Path) -> usize {
    let journal = std::fs::read(folder.join("journal")).unwrap_or_default();
    journal.iter().filter(|byte| **byte == b'\n').count()
}

/// Waits until the journal has grown, and a moment more; kills the child, wherever it is then.
fn kill_after(folder: &Path, mut child: Child, more_lines: usize, moment: Duration) {
    let start = Instant::now();
    let until = lines(folder) + more_lines;
    while lines(folder) < until && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "the child does nothing");
        std::thread::park_timeout(Duration::from_micros(300));
    }
    let start = Instant::now();
    while start.elapsed() < moment {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn thirty_kills_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let planned: Vec<Partition> = (0..PARTITIONS)
        .map(|at| partition("log_entries", &format!("p{}", at / 10), at, at + 1))
        .collect();
    let others: Vec<Partition> = (0..20)
        .map(|at| partition("log_entries", "global", at, at + 1))
        .collect();
    Kept {
        partitions: planned.iter().chain(&others).cloned().collect(),
        ..Kept::default()
    }
    .save(folder);
    let plan = block_on(KeptLake::admin(folder).plan_non_global()).unwrap();
    plan.save(&folder.join("plan.json")).unwrap();

    // Any order of numbers will do; this one is the same each time.
    let mut chance: u64 = 7;
    let mut next = |below: u64| {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % below
    };
    for _ in 0..KILLS {
        let (more_lines, micros) = (next(6), next(4_000));
        kill_after(
            folder,
            child(folder),
            more_lines as usize,
            Duration::from_micros(micros),
        );
        let kept = Kept::load(folder);
        assert!(others.iter().all(|partition| kept.partitions.contains(partition)));
    }
    let before = Kept::load(folder).retired.len();
    assert!((1..planned.len()).contains(&before), "{before} were retired under way");

    let report = apply_kept(folder).unwrap();
    assert!(report.is_complete(), "{:?}", report.counts());
    assert_eq!(counts(&report), (PARTITIONS as u64, 0, 0, 0));
    let kept = Kept::load(folder);
    assert_eq!(kept.partitions, others);
    assert_eq!(kept.asked_in_vain, 0, "what was gone was asked for again");
    let retired: HashSet<&Partition> = kept.retired.iter().collect();
    assert_eq!(
        (retired.len(), kept.retired.len()),
        (planned.len(), planned.len()),
        "each once"
    );

    let history = History::read(&folder.join("history")).unwrap();
    let (last, killed) = history.split_last().unwrap();
    assert!(last.result.as_ref().unwrap().complete);
    assert!(killed.iter().all(|entry| entry.result.is_none() && is_of(entry, &plan)));
}

fn lake() -> FakeLake {
    FakeLake::new(
        (0..6)
            .map(|at| partition("log_entries", &format!("p{at}"), 0, 10))
            .collect(),
    )
}

#[test]
fn what_was_done_is_no_drift_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake();
    let plan = block_on(lake.admin().plan_non_global()).unwrap();
    let stop = StopSignal::new();
    let end = stop.clone();
    let observer = move |event: &lakepilot_admin::Event| {
        if matches!(event, lakepilot_admin::Event::Answered { .. }) {
            end.stop();
        }
    };
    let first = options(folder.path(), &plan)
        .unwrap()
        .with_concurrency(1)
        .with_stop(stop);
    let report = block_on(lake.admin().apply(&plan, &first, &observer)).unwrap();
    assert_eq!(counts(&report), (1, 5, 0, 0));
    drop(first);

    let second = options(folder.path(), &plan).unwrap();
    let report = block_on(lake.admin().apply(&plan, &second, &Silent)).unwrap();
    assert_eq!(counts(&report), (6, 0, 0, 0));
    assert_eq!(lake.state().retired.len(), 6);
    assert_eq!(lake.state().statements, 6);
}

/// What was answered and is still there is asked for again once it has been seen, and told to somebody.
#[test]
fn what_the_server_swallowed_is_asked_for_again_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake();
    lake.state().swallow = true;
    let plan = block_on(lake.admin().plan_non_global()).unwrap();
    let run = || {
        let options = options(folder.path(), &plan).unwrap().with_statement_size(6);
        block_on(lake.admin().apply(&plan, &options, &Silent)).unwrap()
    };
    let report = run();
    assert_eq!(counts(&report), (3, 3, 0, 0));
    assert_eq!(
        report.partitions()[0].outcome,
        Outcome::Remaining(StillThere::Swallowed)
    );
    lake.state().swallow = false;
    assert_eq!(counts(&run()), (6, 0, 0, 0));
    assert_eq!(lake.state().retired.len(), 6);
}

#[test]
fn a_journal_belongs_to_one_plan_and_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let lake = lake();
    let plan = block_on(lake.admin().plan_non_global()).unwrap();
    let first = Journal::open(&path, &plan).unwrap();
    assert!(!first.is_resumed());
    let error = Journal::open(&path, &plan).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    drop(first);
    assert!(Journal::open(&path, &plan).unwrap().is_resumed());

    let other = block_on(lake.admin().plan_process("p1", None)).unwrap();
    let error = Journal::open(&path, &other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("it belongs to the plan sha256:"), "{error}");
    for damaged in [
        "{}\n",
        "{\"event\":\"seen\",\"remaining\":[],\"unknown\":0,\"at\":\"2026-01-01T00:00:00Z\"}\n",
    ] {
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(Journal::open(&path, &plan).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

/// Half a line is what a killed process leaves: it had not acted on it.
#[test]
fn a_line_that_was_not_finished_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let lake = lake();
    let plan = block_on(lake.admin().plan_non_global()).unwrap();
    drop(Journal::open(&path, &plan).unwrap());
    let mut text = std::fs::read(&path).unwrap();
    text.extend(b"{\"event\":\"asked\",\"sta");
    std::fs::write(&path, text).unwrap();
    let options = options(folder.path(), &plan).unwrap();
    let report = block_on(lake.admin().apply(&plan, &options, &Silent)).unwrap();
    assert_eq!(counts(&report), (6, 0, 0, 0));
}

fn is_of(entry: &HistoryEntry, plan: &RetirementPlan) -> bool {
    matches!(&entry.work, HistoryWork::Retire { plan: digest, .. } if digest == plan.digest())
}
