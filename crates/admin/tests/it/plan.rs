//! What a plan takes, and what it leaves.

use lakepilot_admin::{InstancePlan, Request, RetirementPlan, Selection, ViewInstance};
use lakepilot_query::{FixedClock, TimeRange};

use crate::lake::{FakeLake, by_range_only, partition, retirements, time};

const DAY: i64 = 86_400_000_000;

/// `view set/instance what is asked for ...` for each instance, and what stays.
fn summary(plan: &RetirementPlan) -> Vec<String> {
    let micros = |time: chrono::DateTime<chrono::Utc>| time.timestamp_micros();
    let line = |instance: &InstancePlan| {
        let requests = instance.requests().iter().map(|request| match request {
            Request::Range { range, .. } => format!(" {}..{}", micros(range.begin()), micros(range.end())),
            Request::File { partitions } => format!(" {partitions} by file"),
            Request::Metadata { partitions } => format!(" {partitions} by metadata"),
        });
        let staying = instance.staying().iter().map(|stays| {
            let p = &stays.partition;
            let (begin, end) = (micros(p.begin_insert_time), micros(p.end_insert_time));
            format!(" ({begin}..{end} {:?})", stays.reason)
        });
        format!("{}{}", instance.instance(), requests.chain(staying).collect::<String>())
    };
    plan.instances().iter().map(line).collect()
}

fn lake() -> FakeLake {
    let lake = by_range_only(vec![
        partition("log_entries", "global", 0, 100),
        partition("log_entries", "p1", 0, 10),
        partition("log_entries", "p1", 20, 30),
        partition("log_entries", "p2", 0, 10),
        partition("async_events", "p1", 5, 5),
        partition("thread_spans", "s1", 0, 10),
        partition("thread_spans", "s2", 10, 40),
        partition("thread_spans", "s3", 0, 10),
    ]);
    lake.state().streams = [("s1", "p1"), ("s2", "p1"), ("s3", "p2"), ("unused", "p1")]
        .map(|(stream, process)| (stream.to_owned(), process.to_owned()))
        .to_vec();
    lake
}

#[tokio::test]
async fn everything_but_global() {
    let lake = lake();
    let plan = lake.admin().plan_non_global().await.unwrap();
    assert_eq!(
        summary(&plan),
        [
            "async_events/p1 5..5",
            "log_entries/p1 0..30",
            "log_entries/p2 0..10",
            "thread_spans/s1 0..10",
            "thread_spans/s2 10..40",
            "thread_spans/s3 0..10",
        ]
    );
    let totals = plan.totals();
    assert_eq!((totals.instances, totals.partitions), (6, 7));
    assert_eq!((totals.rows, totals.file_size_bytes), (70, 700));
    assert!(!plan.takes_global() && !plan.is_empty());
    assert_eq!(retirements(&lake), Vec::<Vec<String>>::new(), "a plan asks for nothing");
}

#[tokio::test]
async fn a_process_with_its_streams() {
    let plan = lake().admin().plan_process("p1", None).await.unwrap();
    assert_eq!(
        summary(&plan),
        [
            "async_events/p1 5..5",
            "log_entries/p1 0..30",
            "thread_spans/s1 0..10",
            "thread_spans/s2 10..40",
        ]
    );
}

#[tokio::test]
async fn older_than_is_everything_older() {
    let plan = lake().admin().plan_process("p1", time(25)).await.unwrap();
    assert_eq!(
        summary(&plan),
        [
            "async_events/p1 5..5",
            "log_entries/p1 0..10 (20..30 Straddling)",
            "thread_spans/s1 0..10",
            "thread_spans/s2 (10..40 Straddling)",
        ]
    );
    assert_eq!((plan.totals().instances, plan.totals().staying), (3, 2));
    let instance = &plan.instances()[1];
    assert_eq!(instance.summary().insert_range, Some((time(0), time(10))));
    assert_eq!(instance.summary().event_range, Some((time(0), time(10))));
    assert_eq!(plan.instances()[3].summary().insert_range, None);
}

#[tokio::test]
async fn an_unknown_process_is_an_empty_plan() {
    let lake = lake();
    let plan = lake.admin().plan_process("nobody", None).await.unwrap();
    assert!(plan.is_empty());
    let report = lake
        .admin()
        .apply(&plan, &Default::default(), &lakepilot_admin::Silent)
        .await
        .unwrap();
    assert!(report.is_complete());
    assert_eq!(lake.partitions().len(), 8);
}

#[tokio::test]
async fn a_range_of_an_instance() {
    let range = TimeRange::new(time(0), time(25)).unwrap();
    let admin = lake().admin();
    let plan = admin
        .plan_range(&ViewInstance::new("log_entries", "p1"), range)
        .await
        .unwrap();
    assert_eq!(summary(&plan), ["log_entries/p1 0..10 (20..30 Straddling)"]);
    let plan = admin
        .plan_range(&ViewInstance::new("log_entries", "nobody"), range)
        .await
        .unwrap();
    assert!(plan.is_empty());
}

#[tokio::test]
async fn global_goes_only_by_its_name() {
    let lake = lake();
    lake.state().streams.push(("global".to_owned(), "p1".to_owned()));
    let admin = lake.admin();
    for selection in [
        Selection::non_global(),
        Selection::of_process("global"),
        Selection::of_process("p1"),
        Selection::non_global().in_view_sets(["log_entries"]),
    ] {
        let plan = admin.plan(selection.clone()).await.unwrap();
        assert!(!plan.takes_global(), "{selection:?}");
    }
    let whole = TimeRange::new(time(0), time(100)).unwrap();
    let plan = admin
        .plan_range(&ViewInstance::new("log_entries", "global"), whole)
        .await
        .unwrap();
    assert_eq!(summary(&plan), ["log_entries/global 0..100"]);
    assert!(plan.takes_global());
}

#[tokio::test]
async fn view_sets_by_whole_names() {
    let selection = Selection::of_instances(["p1", "s1"]).in_view_sets(["async_events", "thread_"]);
    let plan = lake().admin().plan(selection).await.unwrap();
    assert_eq!(summary(&plan), ["async_events/p1 5..5"]);
}

/// The range of the plan ends with the first partition, and not with the time that was given: what an older schema left
/// within the one that stays would go with it otherwise.
#[tokio::test]
async fn a_range_is_no_wider_than_what_goes() {
    let mut old_schema = partition("log_entries", "p", 12, 14);
    old_schema.file_schema_hash = vec![3];
    let lake = by_range_only(vec![
        partition("log_entries", "p", 0, 10),
        partition("log_entries", "p", 10, 20),
        old_schema,
    ]);
    let instance = ViewInstance::new("log_entries", "p");
    let range = TimeRange::new(time(0), time(13)).unwrap();
    let plan = lake.admin().plan_range(&instance, range).await.unwrap();
    assert_eq!(
        summary(&plan),
        ["log_entries/p 0..10 (10..20 Straddling) (12..14 Straddling)"]
    );
}

#[tokio::test]
async fn a_plan_as_json() {
    let selection = Selection::of_process("p1")
        .older_than(time(25))
        .in_view_sets(["log_entries"]);
    let admin = lake()
        .admin()
        .with_server("grpc://lake")
        .with_clock(FixedClock(time(DAY + 40)));
    let plan = admin.plan(selection).await.unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap());
}
