//! What was retired is told by the listing, not by the answer.

use std::sync::{Arc, Mutex};

use lakepilot_admin::{
    ApplyOptions, Event, MockObserver, OnFailure, Outcome, RetirementReport, Selection, Silent, StillThere, StopSignal,
    ViewInstance,
};
use lakepilot_catalog::Partition;
use lakepilot_query::{ErrorKind, TimeRange};

use crate::fake_lake::{FakeLake, partition, time};

fn counts(report: &RetirementReport) -> (u64, u64, u64, u64) {
    let counts = report.counts();
    (counts.retired, counts.remaining, counts.unknown, counts.already_gone)
}

/// Three instances of two partitions, and `global`.
fn lake() -> FakeLake {
    let mut partitions = vec![partition("log_entries", "global", 0, 20)];
    for process in ["p1", "p2", "p3"] {
        partitions.push(partition("log_entries", process, 0, 10));
        partitions.push(partition("log_entries", process, 10, 20));
    }
    FakeLake::new(partitions)
}

async fn apply_all(lake: &FakeLake, options: &ApplyOptions) -> lakepilot_query::Result<RetirementReport> {
    let plan = lake.admin().plan_non_global().await.unwrap();
    lake.admin().apply(&plan, options, &Silent).await
}

#[tokio::test]
async fn what_was_planned_is_gone_and_nothing_else() {
    let lake = lake();
    let report = apply_all(&lake, &ApplyOptions::default()).await.unwrap();
    assert!(report.is_complete());
    assert_eq!(counts(&report), (6, 0, 0, 0));
    assert_eq!(lake.partitions(), [partition("log_entries", "global", 0, 20)]);
    let asked = lake.retirements();
    assert_eq!(asked.len(), 3, "one request an instance");
    assert_eq!(asked[0][2], "1970-01-01T00:00:00.000000Z");
    assert_eq!(asked[0][3], "1970-01-01T00:00:00.000020Z");
    let said = report.instances()[0].messages();
    assert!(said.kept()[0].message.starts_with("[RETIRE_FOUND]"));
    assert_eq!(report.instances()[0].found_too_many(), 0);
}

#[tokio::test]
async fn a_swallowed_failure_is_seen() {
    let lake = lake();
    lake.state().swallow = true;
    let report = apply_all(&lake, &ApplyOptions::default()).await.unwrap();
    assert!(!report.is_complete());
    assert_eq!(counts(&report), (3, 3, 0, 0));
    assert_eq!(report.first_failure(), None, "the server told of none");
    let swallowed = |outcome: &Outcome| *outcome == Outcome::Remaining(StillThere::Swallowed);
    assert!(swallowed(&report.partitions()[0].outcome));
    assert_eq!(report.partitions()[1].outcome, Outcome::Retired);
}

#[tokio::test]
async fn what_is_committed_after_its_answer_is_waited_for() {
    for listings in [1, 3, 10] {
        let lake = lake();
        lake.state().commits_late_by = listings;
        let report = apply_all(&lake, &ApplyOptions::default()).await.unwrap();
        assert!(report.is_complete(), "{listings} listings: {:?}", report.counts());
        assert_eq!(lake.partitions().len(), 1);
    }
}

#[tokio::test]
async fn a_failure_is_told_and_the_others_go_on() {
    let lake = lake();
    lake.state().failing.insert("p2".to_owned(), ErrorKind::Unavailable);
    let report = apply_all(&lake, &ApplyOptions::default()).await.unwrap();
    assert_eq!(counts(&report), (4, 2, 0, 0));
    let failed = &report.instances()[1];
    assert_eq!(failed.instance(), &ViewInstance::new("log_entries", "p2"));
    assert_eq!(failed.failures()[0].kind(), ErrorKind::Unavailable);
    assert_eq!(
        failed.failures()[0].message(),
        "retire log_entries/p2 from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00.000020Z: connection lost"
    );
    assert_eq!(report.first_failure(), failed.failures().first());
    assert_eq!(report.partitions()[2].outcome, Outcome::Remaining(StillThere::Failed));
}

#[tokio::test]
async fn the_first_failure_ends_the_work_if_told_so() {
    let lake = lake();
    lake.state().failing.insert("p1".to_owned(), ErrorKind::Internal);
    let options = ApplyOptions::default()
        .with_concurrency(1)
        .with_on_failure(OnFailure::Stop);
    let report = apply_all(&lake, &options).await.unwrap();
    assert_eq!(counts(&report), (0, 6, 0, 0));
    assert_eq!(lake.retirements().len(), 1);
    assert_eq!(report.partitions()[5].outcome, Outcome::Remaining(StillThere::NotAsked));
}

#[tokio::test]
async fn a_signal_ends_the_work_and_what_was_done_is_seen() {
    let lake = lake();
    let stop = StopSignal::new();
    let plan = lake.admin().plan_non_global().await.unwrap();
    let options = ApplyOptions::default().with_concurrency(1).with_stop(stop.clone());
    let observer = move |event: &Event| {
        if matches!(event, Event::InstanceDone { .. }) {
            stop.stop();
        }
    };
    let report = lake.admin().apply(&plan, &options, &observer).await.unwrap();
    assert_eq!(counts(&report), (2, 4, 0, 0));
    assert_eq!(lake.retirements().len(), 1);
}

#[tokio::test]
async fn missing_rights_are_told_as_that_and_at_once() {
    let lake = lake();
    let plan = lake.admin().plan_non_global().await.unwrap();
    lake.state().not_an_administrator = true;
    let error = lake
        .admin()
        .apply(&plan, &ApplyOptions::default(), &Silent)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.message().contains("administrator rights are missing"), "{error}");
    assert_eq!(lake.partitions().len(), 7);
}

#[tokio::test]
async fn a_listing_that_fails_leaves_it_unknown() {
    let lake = lake();
    // Planning, looking before, and then twice in vain.
    lake.state().listings_fail_from = Some(2);
    let report = apply_all(&lake, &ApplyOptions::default()).await.unwrap();
    assert!(!report.is_complete());
    assert_eq!(counts(&report), (0, 0, 6, 0));
    assert_eq!(lake.state().listings, 4);
    assert_eq!(report.unverified().unwrap().kind(), ErrorKind::Unavailable);
    assert!(report.partitions().iter().all(|p| p.outcome == Outcome::Unknown));
}

#[tokio::test]
async fn nothing_is_asked_when_the_lake_cannot_be_looked_at_before() {
    let lake = lake();
    lake.state().listings_fail_from = Some(1);
    let error = apply_all(&lake, &ApplyOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error
            .message()
            .starts_with("look at the partitions before retiring any: "),
        "{error}"
    );
    assert!(lake.retirements().is_empty());
}

#[tokio::test]
async fn a_partition_written_after_the_plan_stays() {
    let lake = FakeLake::new(vec![
        partition("measures", "p", 0, 10),
        partition("measures", "p", 20, 30),
        partition("measures", "p", 40, 50),
    ]);
    let plan = lake.admin().plan_non_global().await.unwrap();
    assert_eq!(plan.instances()[0].ranges().len(), 1);
    let late = [partition("measures", "p", 12, 14), partition("measures", "p", 41, 42)];
    lake.state().partitions.extend(late.clone());
    let report = lake
        .admin()
        .apply(&plan, &ApplyOptions::default(), &Silent)
        .await
        .unwrap();
    // The last one cannot be retired without what has appeared within it.
    assert_eq!(counts(&report), (2, 1, 0, 0));
    assert_eq!(
        report.partitions()[2].outcome,
        Outcome::Remaining(StillThere::Inseparable)
    );
    assert_eq!(report.unplanned(), []);
    let left = lake.partitions();
    assert!(late.iter().all(|partition| left.contains(partition)), "{left:?}");
}

#[tokio::test]
async fn a_partition_written_during_the_work_is_told() {
    let lake = FakeLake::new(vec![
        partition("measures", "p", 0, 10),
        partition("measures", "p", 20, 30),
    ]);
    let plan = lake.admin().plan_non_global().await.unwrap();
    lake.state().on_retire = Some(Box::new(|state| {
        state.partitions.push(partition("measures", "p", 12, 14))
    }));
    let report = lake
        .admin()
        .apply(&plan, &ApplyOptions::default(), &Silent)
        .await
        .unwrap();
    assert_eq!(counts(&report), (2, 0, 0, 0));
    assert_eq!(report.instances()[0].found_too_many(), 1);
}

#[tokio::test]
async fn what_somebody_else_retired_is_told_apart() {
    let lake = lake();
    let plan = lake.admin().plan_process("p1", None).await.unwrap();
    lake.state()
        .partitions
        .retain(|p| p != &partition("log_entries", "p1", 0, 10));
    lake.state().partitions.push(partition("log_entries", "p1", 50, 60));
    // A merge, meanwhile.
    lake.state().on_retire = Some(Box::new(|state| {
        state
            .partitions
            .retain(|p| p != &partition("log_entries", "p1", 50, 60));
    }));
    let report = lake
        .admin()
        .apply(&plan, &ApplyOptions::default(), &Silent)
        .await
        .unwrap();
    assert_eq!(counts(&report), (1, 0, 0, 1));
    assert!(report.is_complete());
    assert_eq!(report.unplanned(), [partition("log_entries", "p1", 50, 60)]);
    assert_eq!(report.counts().unplanned, 1);
    assert_eq!(
        lake.retirements()[0][2..],
        ["1970-01-01T00:00:00.000010Z", "1970-01-01T00:00:00.000020Z"]
    );
}

#[tokio::test]
async fn a_partition_written_anew_is_another_one() {
    let lake = FakeLake::new(vec![partition("measures", "p", 0, 10)]);
    let plan = lake.admin().plan_non_global().await.unwrap();
    lake.state().partitions[0].updated = time(99);
    lake.state().partitions[0].file_path = Some("anew".to_owned());
    let report = lake
        .admin()
        .apply(&plan, &ApplyOptions::default(), &Silent)
        .await
        .unwrap();
    assert_eq!(counts(&report), (0, 0, 0, 1));
    assert_eq!(lake.partitions().len(), 1);
    assert!(lake.retirements().is_empty());
}

#[tokio::test]
async fn a_straddling_partition_stays() {
    let lake = lake();
    let instance = ViewInstance::new("log_entries", "p1");
    let plan = lake
        .admin()
        .plan_range(&instance, TimeRange::new(time(0), time(15)).unwrap())
        .await
        .unwrap();
    let report = lake
        .admin()
        .apply(&plan, &ApplyOptions::default(), &Silent)
        .await
        .unwrap();
    assert_eq!(counts(&report), (1, 0, 0, 0));
    assert!(lake.partitions().contains(&partition("log_entries", "p1", 10, 20)));
}

#[tokio::test]
async fn the_observer_sees_it_in_order() {
    let lake = FakeLake::new(vec![partition("measures", "p", 0, 10)]);
    let plan = lake.admin().plan_non_global().await.unwrap();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut observer = MockObserver::new();
    let log = Arc::clone(&seen);
    observer.expect_observe().times(6).returning(move |event| {
        let line = match event {
            Event::Started { instances, partitions } => format!("started {instances} {partitions}"),
            Event::Asked { instance, range } => format!("asked {instance} {}", range.end().timestamp_micros()),
            Event::Message { instance, message } => format!("{instance} said {}", message.message.len() > 5),
            Event::InstanceDone { instance, error, .. } => format!("done {instance} {error:?}"),
            Event::Verifying => "verifying".to_owned(),
            other => panic!("{other:?}"),
        };
        log.lock().unwrap().push(line);
    });
    lake.admin()
        .apply(&plan, &ApplyOptions::default(), &observer)
        .await
        .unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "started 1 1",
            "asked measures/p 10",
            "measures/p said true",
            "measures/p said true",
            "done measures/p None",
            "verifying",
        ]
    );
}

#[tokio::test]
async fn a_report_as_json() {
    let lake = FakeLake::new(vec![
        partition("measures", "it's", 0, 10),
        partition("measures", "it's", 10, 20),
    ]);
    lake.state().swallow = true;
    let report = apply_all(&lake, &ApplyOptions::default()).await.unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
}

/// The future has to travel between threads.
#[tokio::test]
async fn it_can_be_spawned() {
    let lake = lake();
    let report = tokio::spawn(async move {
        let plan = lake.admin().plan_non_global().await?;
        lake.admin().apply(&plan, &ApplyOptions::default(), &Silent).await
    });
    assert!(report.await.unwrap().unwrap().is_complete());
}

/// More than go into one condition, so that the listing is filtered on this side.
#[tokio::test]
async fn thousands_of_instances() {
    let mut partitions: Vec<Partition> = (0..2_000)
        .map(|instance| partition("log_entries", &instance.to_string(), 0, 10))
        .collect();
    let untouched = [
        partition("log_entries", "global", 0, 10),
        partition("log_entries", "2", 20, 30),
    ];
    partitions.extend(untouched.clone());
    let lake = FakeLake::new(partitions);
    let selection = Selection::non_global().older_than(time(10));
    let plan = lake.admin().plan(selection).await.unwrap();
    assert_eq!(plan.totals().instances, 2_000);
    let options = ApplyOptions::default().with_concurrency(16);
    let report = lake.admin().apply(&plan, &options, &Silent).await.unwrap();
    assert_eq!(counts(&report), (2_000, 0, 0, 0));
    assert_eq!(lake.partitions(), untouched);
    let planned = plan.instances().iter().map(|instance| instance.instance());
    let reported = report.instances().iter().map(|instance| instance.instance());
    assert!(planned.eq(reported), "the report is in the plan's order");
}
