//! What was retired is told by the listing, not by the answer.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use lakepilot_admin::{
    ApplyOptions, Event, MockObserver, OnDrift, OnFailure, Outcome, RetirementReport, Selection, Silent, StillThere,
    StopSignal, ViewInstance,
};
use lakepilot_catalog::Partition;
use lakepilot_query::{ErrorKind, FixedClock, TimeRange};

use crate::lake::{FakeLake, counts, empty, partition, retirements, time};

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

/// Statements of two partitions are statements of one instance each here.
fn by_twos() -> ApplyOptions {
    ApplyOptions::default().with_statement_size(2)
}

#[tokio::test]
async fn what_was_planned_is_gone_and_nothing_else() {
    let lake = lake();
    lake.state().partitions.push(empty("log_entries", "p3", 30, 40));
    let report = apply_all(&lake, &ApplyOptions::default()).await.unwrap();
    assert!(report.is_complete());
    assert_eq!(counts(&report), (7, 0, 0, 0));
    assert_eq!(lake.partitions(), [partition("log_entries", "global", 0, 20)]);
    assert_eq!(
        lake.state().statements,
        2,
        "files in one, the one without a file in another"
    );
    assert_eq!(lake.calls_of("retire_partition_by_file")[1], ["log_entries/p1/10-20"]);
    assert_eq!(
        lake.calls_of("retire_partition_by_metadata"),
        [[
            "log_entries",
            "p3",
            "1970-01-01T00:00:00.000030Z",
            "1970-01-01T00:00:00.000040Z",
            "04",
            "1970-01-01T00:00:00.000040Z"
        ]]
    );
    assert!(retirements(&lake).is_empty());
}

#[tokio::test]
async fn a_failure_is_told_and_the_others_go_on() {
    let lake = lake();
    lake.state().failing.insert("p2".to_owned(), ErrorKind::Unavailable);
    let report = apply_all(&lake, &by_twos()).await.unwrap();
    assert_eq!(counts(&report), (4, 2, 0, 0));
    let failed = &report.instances()[1];
    assert_eq!(failed.instance(), &ViewInstance::new("log_entries", "p2"));
    assert_eq!(failed.failures()[0].kind(), ErrorKind::Unavailable);
    assert_eq!(failed.failures()[0].message(), "connection lost");
    assert_eq!(report.first_failure(), failed.failures().first());
    assert_eq!(report.partitions()[2].outcome, Outcome::Remaining(StillThere::Failed));
    assert_eq!(report.partitions()[2].said.as_deref(), Some("connection lost"));
}

/// One transaction is all or none; what can be retired is retired without the one that cannot.
#[tokio::test]
async fn one_that_fails_does_not_hold_back_the_others() {
    let lake = FakeLake::new(
        (0..40)
            .map(|at| partition("log_entries", &format!("p{at}"), 0, 10))
            .collect(),
    );
    lake.state().failing.insert("p7".to_owned(), ErrorKind::Internal);
    let report = apply_all(&lake, &ApplyOptions::default()).await.unwrap();
    assert_eq!(counts(&report), (39, 1, 0, 0));
    assert_eq!(lake.partitions(), [partition("log_entries", "p7", 0, 10)]);
    assert!(lake.state().statements < 16, "{}", lake.state().statements);
}

/// Where everything fails, the server is not asked once for each.
#[tokio::test]
async fn when_all_fail_they_are_not_tried_one_by_one() {
    let lake = FakeLake::new(
        (0..100)
            .map(|at| partition("log_entries", &format!("p{at}"), 0, 10))
            .collect(),
    );
    lake.state().failing = (0..100).map(|at| (format!("p{at}"), ErrorKind::Internal)).collect();
    let report = apply_all(&lake, &ApplyOptions::default()).await.unwrap();
    assert_eq!(counts(&report), (0, 100, 0, 0));
    assert!(lake.state().statements < 30, "{}", lake.state().statements);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_made_up_for_by_looking() {
    let lake = lake();
    lake.state().answers_lost = [1].into();
    let report = apply_all(&lake, &by_twos()).await.unwrap();
    assert_eq!(counts(&report), (6, 0, 0, 0));
    assert_eq!(report.first_failure().unwrap().message(), "the connection was lost");
}

#[tokio::test]
async fn the_first_failure_ends_the_work_if_told_so() {
    let lake = lake();
    lake.state().failing.insert("p1".to_owned(), ErrorKind::Unavailable);
    let options = by_twos().with_concurrency(1).with_on_failure(OnFailure::Stop);
    let report = apply_all(&lake, &options).await.unwrap();
    assert_eq!(counts(&report), (0, 6, 0, 0));
    assert_eq!(lake.state().statements, 1);
    assert_eq!(report.partitions()[5].outcome, Outcome::Remaining(StillThere::NotAsked));
}

#[tokio::test]
async fn a_signal_ends_the_work_and_what_was_done_is_seen() {
    let lake = lake();
    let stop = StopSignal::new();
    let plan = lake.admin().plan_non_global().await.unwrap();
    let options = by_twos().with_concurrency(1).with_stop(stop.clone());
    let observer = move |event: &Event| {
        if matches!(event, Event::Answered { .. }) {
            stop.stop();
        }
    };
    let report = lake.admin().apply(&plan, &options, &observer).await.unwrap();
    assert_eq!(counts(&report), (2, 4, 0, 0));
    assert_eq!(lake.state().statements, 1);
}

/// A lower bound, which a slow machine does not break.
#[tokio::test]
async fn the_rate_is_kept() {
    let lake = FakeLake::new(
        (0..6)
            .map(|at| partition("log_entries", &format!("p{at}"), 0, 10))
            .collect(),
    );
    let options = ApplyOptions::default()
        .with_rate(NonZeroU32::new(100))
        .with_statement_size(1);
    let start = std::time::Instant::now();
    let report = apply_all(&lake, &options.with_concurrency(9)).await.unwrap();
    assert!(report.is_complete());
    assert!(start.elapsed().as_millis() >= 50, "{:?}", start.elapsed());

    let slow = ApplyOptions::default().with_rate(NonZeroU32::new(2));
    let lake = FakeLake::new(
        (0..2)
            .map(|at| partition("log_entries", &format!("p{at}"), 0, 10))
            .collect(),
    );
    assert!(apply_all(&lake, &slow).await.unwrap().is_complete());
    assert_eq!(
        lake.state().statements,
        1,
        "no statement is larger than what a second allows"
    );
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
    assert!(retirements(&lake).is_empty());
}

fn leave_out() -> ApplyOptions {
    ApplyOptions::default().with_on_drift(OnDrift::LeaveOut)
}

#[tokio::test]
async fn what_somebody_else_retired_is_told_apart() {
    let lake = lake();
    let plan = lake.admin().plan_process("p1", None).await.unwrap();
    lake.state()
        .partitions
        .retain(|p| p != &partition("log_entries", "p1", 0, 10));
    lake.state().partitions.push(partition("log_entries", "p1", 50, 60));
    let error = lake
        .admin()
        .apply(&plan, &ApplyOptions::default(), &Silent)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error
            .message()
            .contains("1 of its partitions are gone, 0 were written anew (the first is log_entries/p1 from 1970"),
        "{error}"
    );
    assert_eq!(lake.state().statements, 0);
    // A merge, meanwhile.
    lake.state().on_retire = Some(Box::new(|state| {
        state
            .partitions
            .retain(|p| p != &partition("log_entries", "p1", 50, 60));
    }));
    let report = lake.admin().apply(&plan, &leave_out(), &Silent).await.unwrap();
    assert_eq!(counts(&report), (1, 0, 0, 1));
    assert!(report.is_complete());
    assert_eq!(report.appeared(), [partition("log_entries", "p1", 50, 60)]);
    assert_eq!(report.unplanned(), [partition("log_entries", "p1", 50, 60)]);
    assert_eq!(report.counts().unplanned, 1);
    assert_eq!(lake.calls_of("retire_partition_by_file"), [["log_entries/p1/10-20"]]);
}

/// Gone between the look beforehand and the call.
#[tokio::test]
async fn what_goes_during_the_work_is_no_failure() {
    let lake = lake();
    let plan = lake.admin().plan_non_global().await.unwrap();
    lake.state().on_retire = Some(Box::new(|state| {
        state.partitions.retain(|p| p != &partition("log_entries", "p2", 0, 10));
    }));
    let report = lake
        .admin()
        .apply(&plan, &ApplyOptions::default(), &Silent)
        .await
        .unwrap();
    assert_eq!(counts(&report), (5, 0, 0, 1));
    assert!(report.is_complete() && report.first_failure().is_none());
    let gone = report
        .partitions()
        .iter()
        .find(|p| p.outcome == Outcome::AlreadyGone)
        .unwrap();
    assert_eq!(
        gone.said.as_deref(),
        Some("ERROR: Partition not found: log_entries/p2/0-10")
    );
}

/// Written anew in the moment before the call: it has another file, or another date.
#[tokio::test]
async fn what_is_written_anew_during_the_work_stays() {
    let lake = FakeLake::new(vec![partition("measures", "p", 0, 10), empty("measures", "p", 20, 30)]);
    let plan = lake.admin().plan_non_global().await.unwrap();
    lake.state().on_retire = Some(Box::new(|state| {
        for partition in &mut state.partitions {
            partition.file_path = Some(format!("anew/{}", partition.begin_insert_time));
            partition.updated = time(99);
        }
    }));
    let report = lake
        .admin()
        .apply(&plan, &ApplyOptions::default(), &Silent)
        .await
        .unwrap();
    assert_eq!(lake.partitions().len(), 2, "what is there now was not planned");
    assert_eq!(counts(&report), (0, 0, 0, 2));
    assert!(report.is_complete());
    assert!(lake.state().retired.is_empty());
}

#[tokio::test]
async fn a_partition_written_anew_is_another_one() {
    let lake = FakeLake::new(vec![partition("measures", "p", 0, 10)]);
    let plan = lake.admin().plan_non_global().await.unwrap();
    lake.state().partitions[0].updated = time(99);
    lake.state().partitions[0].file_path = Some("anew".to_owned());
    let drift = lake.admin().drift(&plan).await.unwrap();
    assert_eq!((drift.gone.len(), drift.changed.len(), drift.appeared.len()), (0, 1, 1));
    let report = lake.admin().apply(&plan, &leave_out(), &Silent).await.unwrap();
    assert_eq!(counts(&report), (0, 0, 0, 1));
    assert_eq!(lake.partitions().len(), 1);
    assert_eq!(lake.state().statements, 0);
}

#[tokio::test]
async fn a_plan_for_another_server_is_refused() {
    let lake = lake();
    let plan = lake.admin().with_server("grpc://a").plan_non_global().await.unwrap();
    for other in [lake.admin(), lake.admin().with_server("grpc://b")] {
        let error = other.apply(&plan, &ApplyOptions::default(), &Silent).await.unwrap_err();
        assert!(
            error
                .message()
                .starts_with("the plan was made for grpc://a, and this is "),
            "{error}"
        );
    }
    assert_eq!(lake.state().statements, 0);
}

#[tokio::test]
async fn a_straddling_partition_stays() {
    let lake = lake();
    let instance = ViewInstance::new("log_entries", "p1");
    let range = TimeRange::new(time(0), time(15)).unwrap();
    let plan = lake.admin().plan_range(&instance, range).await.unwrap();
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
    observer.expect_observe().times(5).returning(move |event| {
        let line = match event {
            Event::Started { statements, partitions } => format!("started {statements} {partitions}"),
            Event::Asked { request, instance } => format!("asked {request:?} {}", instance.as_ref().unwrap()),
            Event::Message { message, .. } => message.message.clone(),
            Event::Answered {
                done,
                partitions,
                error,
            } => format!("answered {done} of {partitions} {error:?}"),
            Event::Verifying => "verifying".to_owned(),
            other => panic!("{other:?}"),
        };
        log.lock().unwrap().push(line);
    });
    lake.state().on_retire = Some(Box::new(|state| state.partitions.clear()));
    lake.admin()
        .apply(&plan, &ApplyOptions::default(), &observer)
        .await
        .unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "started 1 1",
            "asked File { partitions: 1 } measures/p",
            "ERROR: Partition not found: measures/p/0-10",
            "answered 1 of 1 None",
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
    let admin = lake.admin().with_clock(FixedClock(time(86_400_000_099)));
    let plan = admin.plan_non_global().await.unwrap();
    let report = admin.apply(&plan, &ApplyOptions::default(), &Silent).await.unwrap();
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
