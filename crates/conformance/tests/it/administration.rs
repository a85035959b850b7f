//! Administration of an embedded lake in states that a healthy one does not get into.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_admin::{
    ApplyOptions, Guards, Outcome, PartitionAdmin, RetirementReport, Selection, Silent, StayReason, StillThere,
};
use lakepilot_catalog::{Partition, PartitionFilter};
use lakepilot_local_lake::{Fault, GenerateOptions, Lake, LakeService, ServiceOptions, generate, view_set};
use lakepilot_query::{Dictionaries, Query, QueryServiceExt};
use tempfile::TempDir;

struct SmallLake {
    lake: Lake,
    folder: TempDir,
}

impl SmallLake {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::create(folder.path().join("lake")).unwrap();
        let options = GenerateOptions {
            rows: 3_000,
            days: 2,
            processes: 3,
            ..GenerateOptions::until(DateTime::<Utc>::from_timestamp_nanos(1_768_003_200_000_000_000))
        };
        generate(&lake, &options, &|_, _| ()).unwrap();
        Self { lake, folder }
    }

    fn service(&self, fault: Option<Fault>) -> Arc<LakeService> {
        let options = ServiceOptions {
            fault,
            ..ServiceOptions::default()
        };
        Arc::new(LakeService::with_options(self.lake.clone(), options).unwrap())
    }

    fn admin(&self, fault: Option<Fault>) -> PartitionAdmin {
        PartitionAdmin::new(self.service(fault)).with_guards(Guards::none())
    }

    /// What an update of the server leaves: partitions whose files have an older schema.
    fn age_every_third(&self) {
        let catalogue = rusqlite::Connection::open(self.folder.path().join("lake/catalogue.sqlite")).unwrap();
        let changed = catalogue
            .execute("UPDATE partitions SET schema_hash = x'fe' WHERE id % 3 = 0", [])
            .unwrap();
        assert!(changed > 3, "{changed}");
    }
}

async fn listed(admin: &PartitionAdmin) -> Vec<Partition> {
    admin.catalog().partitions(&PartitionFilter::all()).await.unwrap()
}

async fn apply(admin: &PartitionAdmin, selection: Selection) -> RetirementReport {
    let plan = admin.plan(selection).await.unwrap();
    assert!(!plan.is_empty());
    admin.apply(&plan, &ApplyOptions::default(), &Silent).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn incompatible_partitions_are_retired_and_no_others() {
    let lake = SmallLake::new();
    lake.age_every_third();
    let admin = lake.admin(None);
    let is_old = |partition: &&Partition| partition.file_schema_hash == [0xfe];
    let before = listed(&admin).await;
    let plan = admin.plan(Selection::everything().incompatible()).await.unwrap();
    let staying: Vec<_> = plan
        .instances()
        .iter()
        .flat_map(|instance| instance.staying())
        .collect();
    assert!(
        staying
            .iter()
            .all(|stays| stays.reason == StayReason::GlobalNotNamed && stays.partition.is_global())
    );
    let old_and_global = before
        .iter()
        .filter(is_old)
        .filter(|partition| partition.is_global())
        .count();
    assert_eq!(staying.len(), old_and_global);

    let report = apply(&admin, Selection::everything().incompatible()).await;
    assert!(report.is_complete(), "{:?}", report.first_failure());
    let expected: Vec<Partition> = before
        .iter()
        .filter(|partition| partition.is_global() || !is_old(partition))
        .cloned()
        .collect();
    assert_eq!(listed(&admin).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_swallowed_retirement_is_told() {
    let lake = SmallLake::new();
    let admin = lake.admin(Some(Fault::SwallowRetirement));
    let before = listed(&admin).await;
    let report = apply(&admin, Selection::non_global()).await;
    let after = listed(&admin).await;
    assert!(!report.is_complete());
    assert!(
        report.counts().remaining > 0 && report.counts().retired > 0,
        "{:?}",
        report.counts()
    );
    for outcome in report.partitions() {
        let expected = match after.contains(&outcome.partition) {
            true => Outcome::Remaining(StillThere::Swallowed),
            false => Outcome::Retired,
        };
        assert_eq!(outcome.outcome, expected);
    }
    let gone = before.iter().filter(|partition| !after.contains(partition)).count();
    assert_eq!(gone as u64, report.counts().retired);
}

/// The engine reads the statements here, and not a parser of ours.
#[tokio::test(flavor = "multi_thread")]
async fn names_reach_the_engine_as_themselves() {
    let lake = SmallLake::new();
    let query = Query::new("SELECT * FROM log_entries LIMIT 1")
        .unwrap()
        .with_dictionaries(Dictionaries::Preserved);
    let row = lake.service(None).collect(&query).await.unwrap().to_batch().unwrap();
    let log_entries = view_set("log_entries").unwrap();
    let begin = DateTime::<Utc>::from_timestamp_nanos(1_600_000_000_000_001_000);
    let hour = TimeDelta::hours(1);
    let names = [
        "it's",
        "'); DROP TABLE log_entries; --",
        "line\nbreak\r\n",
        "100%_",
        "\\",
        "ünï 漢字 🚀",
        "\"q\"",
        ";",
    ];
    lake.lake
        .transaction(|changes| {
            for name in names {
                changes.add(log_entries, name, (begin, begin + hour), std::slice::from_ref(&row))?;
                changes.add(log_entries, name, (begin + hour, begin + hour), &[])?;
            }
            Ok(())
        })
        .unwrap();
    let admin = lake.admin(None);
    let before = listed(&admin).await;
    for name in names {
        let report = apply(&admin, Selection::of_instances([name])).await;
        assert_eq!((report.counts().retired, report.is_complete()), (2, true), "{name:?}");
    }
    let expected: Vec<Partition> = before
        .into_iter()
        .filter(|partition| !names.contains(&partition.view_instance_id.as_str()))
        .collect();
    assert_eq!(listed(&admin).await, expected);
}
