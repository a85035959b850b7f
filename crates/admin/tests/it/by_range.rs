//! Servers that can be asked by range only: nothing else may lie in a range.

use lakepilot_admin::{
    ApplyOptions, ByMetadata, Capabilities, Outcome, RetirementReport, Silent, StillThere, ViewInstance,
};
use lakepilot_query::TimeRange;

use crate::lake::{FakeLake, by_range_only, counts, partition, retirements, time};

/// Three instances of two partitions, and `global`.
fn lake() -> FakeLake {
    let mut partitions = vec![partition("log_entries", "global", 0, 20)];
    for process in ["p1", "p2", "p3"] {
        partitions.push(partition("log_entries", process, 0, 10));
        partitions.push(partition("log_entries", process, 10, 20));
    }
    by_range_only(partitions)
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
    let asked = retirements(&lake);
    assert_eq!(asked.len(), 3, "one request an instance");
    assert_eq!(asked[0][2], "1970-01-01T00:00:00.000000Z");
    assert_eq!(asked[0][3], "1970-01-01T00:00:00.000020Z");
    let said = report.instances()[0].messages();
    assert!(said.kept()[0].message.starts_with("[RETIRE_FOUND]"));
    assert_eq!(report.instances()[0].found_too_many(), 0);
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
async fn a_partition_written_after_the_plan_stays() {
    let lake = by_range_only(vec![
        partition("measures", "p", 0, 10),
        partition("measures", "p", 20, 30),
        partition("measures", "p", 40, 50),
    ]);
    let plan = lake.admin().plan_non_global().await.unwrap();
    assert_eq!(plan.instances()[0].requests().len(), 1);
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
    let lake = by_range_only(vec![
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

/// A plan that was made without rights knows no better way, and one is taken when there is one.
#[tokio::test]
async fn a_better_way_is_taken_when_there_is_one() {
    let lake = lake();
    lake.state().not_an_administrator = true;
    let plan = lake.admin().plan_non_global().await.unwrap();
    assert!(plan.capabilities().is_none());
    lake.state().not_an_administrator = false;
    lake.state().offers = None;
    let report = lake
        .admin()
        .apply(&plan, &ApplyOptions::default(), &Silent)
        .await
        .unwrap();
    assert_eq!(counts(&report), (6, 0, 0, 0));
    assert_eq!(lake.calls_of("retire_partition_by_file").len(), 6);
    assert!(retirements(&lake).is_empty());
}

/// Up to 0.30 the function by metadata does not know the schema: twins have to go by range, together or not at all.
#[tokio::test]
async fn twins_are_not_told_apart_by_old_servers() {
    let mut twin = partition("log_entries", "p1", 0, 10);
    twin.file_schema_hash = vec![9];
    twin.file_path = Some("twin".to_owned());
    let lake = FakeLake::new(vec![
        partition("log_entries", "p1", 0, 10),
        twin.clone(),
        partition("log_entries", "p1", 10, 20),
    ]);
    lake.state().offers = Some(Capabilities {
        by_metadata: ByMetadata::WithoutSchema,
        by_range: true,
        by_file: false,
    });
    lake.state().view_sets = vec![("log_entries".to_owned(), vec![4])];
    let incompatible = lakepilot_admin::Selection::everything().incompatible();
    let plan = lake.admin().plan(incompatible).await.unwrap();
    assert!(plan.is_empty(), "{plan:?}");
    assert_eq!(plan.totals().staying, 1);
    let report = apply_all(&lake, &ApplyOptions::default()).await.unwrap();
    assert_eq!(counts(&report), (3, 0, 0, 0));
    assert_eq!(lake.calls_of("retire_partition_by_metadata").len(), 1);
    assert_eq!(retirements(&lake).len(), 1);
}
