//! Policies, guards, locks and the history, on a lake.

use std::time::Duration;

use lakepilot_admin::{
    ApplyOptions, Basis, FakeLake, Guards, History, HistoryWork, InstancePlan, Protected, RetentionPolicy, Selection,
    Silent, StayReason,
};
use lakepilot_catalog::{NamePattern, Partition};
use lakepilot_query::{ErrorKind, FixedClock};
use proptest::prelude::*;

use crate::lake::{partition, time};

const DAY: i64 = 86_400_000_000;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

/// A partition a day for ten days, of each instance.
fn ten_days(instances: &[(&str, &str)]) -> FakeLake {
    let of = |(view_set, instance): &(&str, &str)| -> Vec<Partition> {
        (0..10)
            .map(|day| partition(view_set, instance, day * DAY, (day + 1) * DAY))
            .collect()
    };
    FakeLake::new(instances.iter().flat_map(of).collect())
}

fn left(lake: &FakeLake, view_set: &str, instance: &str) -> usize {
    let of = |p: &&Partition| p.view_set_name == view_set && p.view_instance_id == instance;
    lake.partitions().iter().filter(of).count()
}

#[test]
fn a_policy_keeps_what_it_says() {
    let lake = ten_days(&[
        ("thread_spans", "s1"),
        ("log_entries", "p1"),
        ("log_entries", "kept"),
        ("log_entries", "global"),
        ("measures", "global"),
    ]);
    let policy = RetentionPolicy::from_toml(
        r#"
        version = 1
        [[rule]]
        view_sets = ["*_spans"]
        keep_for = "1d"
        keep_newest = 3
        [[rule]]
        view_sets = ["measures"]
        instances = ["global"]
        keep_for = "6d"
        [[rule]]
        keep_for = "2d"
        [[except]]
        instances = ["kept"]
        "#,
    )
    .unwrap();
    let admin = lake.admin().with_clock(FixedClock(time(10 * DAY)));
    let plan = block_on(admin.plan_retention(&policy)).unwrap();
    assert!(matches!(plan.basis(), Basis::Retention(_)));
    let report = block_on(admin.apply(&plan, &ApplyOptions::default(), &Silent)).unwrap();
    assert!(report.is_complete());
    assert_eq!(left(&lake, "thread_spans", "s1"), 3);
    assert_eq!(left(&lake, "log_entries", "p1"), 2);
    assert_eq!(left(&lake, "log_entries", "kept"), 10);
    assert_eq!(left(&lake, "log_entries", "global"), 10);
    assert_eq!(left(&lake, "measures", "global"), 6);
    assert!(
        block_on(admin.plan_retention(&policy)).unwrap().is_empty(),
        "once is enough"
    );
}

#[test]
fn a_policys_guards_hold_too() {
    let lake = ten_days(&[("log_entries", "p1")]);
    let admin = lake.admin().with_clock(FixedClock(time(10 * DAY)));
    let text = "version = 1\n[guards]\nmin_age = \"4d\"\nmax_partitions = 6\n[[rule]]\nkeep_for = \"1d\"";
    let plan = block_on(admin.plan_retention(&RetentionPolicy::from_toml(text).unwrap())).unwrap();
    assert_eq!(plan.totals().partitions, 6);
    let stays: Vec<StayReason> = plan.instances()[0].staying().iter().map(|stays| stays.reason).collect();
    assert_eq!(stays, [StayReason::TooYoung; 3]);
    let text = text.replace("max_partitions = 6", "max_partitions = 5");
    let error = block_on(admin.plan_retention(&RetentionPolicy::from_toml(&text).unwrap())).unwrap_err();
    assert!(
        error.message().contains("6 partitions, more than the limit of 5"),
        "{error}"
    );
    // What the administration protects is protected from a policy as well.
    let all = Protected {
        view_set: "*".parse().unwrap(),
        instance: NamePattern::exact("p1"),
    };
    let admin = admin.with_guards(Guards::none().with_protected([all]));
    let plan = block_on(admin.plan_retention(&RetentionPolicy::from_toml(&text).unwrap())).unwrap();
    assert!(plan.is_empty());
}

fn reasons(instance: &InstancePlan) -> Vec<(i64, StayReason)> {
    let staying = instance.staying().iter();
    staying
        .map(|stays| (stays.partition.begin_insert_time.timestamp_micros() / DAY, stays.reason))
        .collect()
}

#[test]
fn guards_tell_what_they_keep() {
    let lake = ten_days(&[("log_entries", "p1"), ("log_entries", "global"), ("measures", "p1")]);
    let protected = Protected {
        view_set: "meas*".parse().unwrap(),
        instance: "*".parse().unwrap(),
    };
    let guards = Guards::default()
        .with_min_age(Duration::from_hours(72))
        .with_keep_newest(1)
        .with_protected([protected]);
    let admin = lake.admin().with_clock(FixedClock(time(10 * DAY))).with_guards(guards);
    let plan = block_on(admin.plan(Selection::everything().newer_than(time(5 * DAY)))).unwrap();
    use StayReason::{GlobalNotNamed, Newest, Protected as Denied, TooYoung};
    assert_eq!(
        reasons(&plan.instances()[0]),
        (5..10).map(|day| (day, GlobalNotNamed)).collect::<Vec<_>>()
    );
    assert_eq!(
        reasons(&plan.instances()[1]),
        [(7, TooYoung), (8, TooYoung), (9, Newest)]
    );
    assert_eq!(
        reasons(&plan.instances()[2]),
        (5..10).map(|day| (day, Denied)).collect::<Vec<_>>()
    );
    assert_eq!(plan.totals().partitions, 2);
    assert_eq!(plan.totals().staying, 13);

    let named = Selection::of_instances(["global"]).in_view_sets(["log_entries"]);
    assert_eq!(block_on(admin.plan(named)).unwrap().totals().partitions, 7);
}

#[test]
fn every_application_is_in_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state/history.jsonl");
    assert_eq!(History::read(&file).unwrap(), []);
    let lake = ten_days(&[("log_entries", "p1")]);
    let admin = lake.admin().with_server("grpc://lake");
    let plan = block_on(admin.plan_non_global()).unwrap();
    let options = ApplyOptions::default().with_history(History::new(&file, "ada@lab"));
    block_on(admin.apply(&plan, &options, &Silent)).unwrap();
    let again = block_on(admin.apply(&plan, &options, &Silent)).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::InvalidInput);

    let history = History::read(&file).unwrap();
    assert_eq!(history.len(), 2);
    let (first, second) = (&history[0], &history[1]);
    assert_eq!(
        (first.who.as_str(), first.server.as_deref()),
        ("ada@lab", Some("grpc://lake"))
    );
    let HistoryWork::Retire {
        plan: digest, planned, ..
    } = &first.work
    else {
        panic!("{:?}", first.work);
    };
    assert_eq!((digest.as_str(), *planned), (plan.digest(), plan.totals()));
    let result = first.result.as_ref().unwrap();
    assert_eq!((result.complete, result.counts.unwrap().retired), (true, 10));
    let result = second.result.as_ref().unwrap();
    assert_eq!((result.complete, result.counts), (false, None));
    assert!(result.error.as_ref().unwrap().contains("the lake is not as it was"));
    assert_ne!(first.run, second.run);

    // A run that was killed while it wrote its line.
    let mut text = std::fs::read(&file).unwrap();
    text.extend(b"{\"record\":\"star");
    std::fs::write(&file, &text).unwrap();
    assert_eq!(History::read(&file).unwrap().len(), 2);
    text.extend(b"\n");
    std::fs::write(&file, &text).unwrap();
    let error = History::read(&file).unwrap_err();
    assert!(error.message().starts_with("line 5 of "), "{error}");
}

/// Without the record of its beginning, nothing is begun.
#[test]
fn nothing_is_asked_without_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let lake = ten_days(&[("log_entries", "p1")]);
    let plan = block_on(lake.admin().plan_non_global()).unwrap();
    let options = ApplyOptions::default().with_history(History::new(folder.path(), "ada"));
    let error = block_on(lake.admin().apply(&plan, &options, &Silent)).unwrap_err();
    assert!(error.message().starts_with("keep the history in "), "{error}");
    assert_eq!(lake.partitions().len(), 10);
}

#[test]
fn orphans_and_incompatible_partitions_are_found() {
    let mut old = partition("log_entries", "p1", 0, DAY);
    old.file_schema_hash = vec![3];
    let lake = FakeLake::new(vec![
        old.clone(),
        partition("log_entries", "p1", DAY, 2 * DAY),
        partition("log_entries", "gone", 0, DAY),
        partition("thread_spans", "s1", 0, DAY),
        partition("thread_spans", "s-of-gone", 0, DAY),
        partition("log_entries", "global", 0, DAY),
    ]);
    let selected = |selection: Selection| -> Vec<String> {
        let listed = block_on(lake.admin().list(&selection)).unwrap();
        listed.into_iter().map(|p| p.file_path.unwrap()).collect()
    };
    let error = block_on(lake.admin().list(&Selection::everything().orphaned())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "no process at all");
    lake.state().processes = vec!["p1".to_owned()];
    lake.state().streams = vec![
        ("s1".to_owned(), "p1".to_owned()),
        ("s-of-gone".to_owned(), "gone".to_owned()),
    ];
    lake.state().view_sets = vec![("log_entries".to_owned(), vec![4])];
    assert_eq!(
        selected(Selection::everything().orphaned()),
        ["log_entries/gone/0-86400000000", "thread_spans/s-of-gone/0-86400000000"]
    );
    assert_eq!(
        selected(Selection::everything().incompatible()),
        [old.file_path.unwrap()]
    );
}

prop_compose! {
    fn any_partition()(
        view_set in prop::sample::select(vec!["log_entries", "thread_spans", "100%_it's"]),
        instance in prop::sample::select(vec!["global", "p1", "p2", "s1"]),
        begin in 0_i64..40,
        length in 0_i64..12,
        rows in 0_u64..2,
        bytes in 0_u64..5,
        schema in 3_u8..5,
    ) -> Partition {
        let mut partition = partition(view_set, instance, begin, begin + length);
        partition.num_rows = rows;
        partition.file_size_bytes = bytes;
        partition.file_schema_hash = vec![schema];
        partition.file_path = (rows > 0).then(|| format!("{view_set}/{instance}/{begin}/{length}/{bytes}/{schema}"));
        partition
    }
}

prop_compose! {
    fn any_selection()(
        process in prop::option::of(Just("p1")),
        pattern in prop::option::of(prop::sample::select(vec!["p?", "*1", "global", r"100%\*"])),
        view_sets in prop::option::of(prop::sample::select(vec!["*_*", "100%*", "log_entries", "?hread*"])),
        older in prop::option::of(0_i64..50),
        newer in prop::option::of(0_i64..50),
        min in prop::option::of(0_u64..5),
        empty in prop::option::of(any::<bool>()),
        (non_global, incompatible) in (any::<bool>(), any::<bool>()),
    ) -> Selection {
        let mut selection = Selection::everything()
            .older_than(older.map(time)).newer_than(newer.map(time)).with_min_bytes(min).with_empty(empty);
        if let Some(process) = process { selection = selection.with_process(process) }
        if let Some(pattern) = pattern { selection = selection.with_instances_like([pattern.parse().unwrap()]) }
        if let Some(pattern) = view_sets { selection = selection.in_view_sets_like([pattern.parse().unwrap()]) }
        if non_global { selection = selection.without_global() }
        if incompatible { selection = selection.incompatible() }
        selection
    }
}

proptest! {
    /// What is listed is what the selection matches, and what is planned is that without `global`, unless it is named.
    #[test]
    fn listing_and_planning_go_by_the_same_selection(
        partitions in prop::collection::hash_set(any_partition(), 0..30),
        selection in any_selection(),
    ) {
        let partitions: Vec<Partition> = partitions.into_iter().collect();
        let lake = FakeLake::new(partitions.clone());
        lake.state().streams = vec![("s1".to_owned(), "p1".to_owned())];
        lake.state().view_sets = ["log_entries", "thread_spans"].map(|name| (name.to_owned(), vec![4])).to_vec();
        let admin = lake.admin();
        let facts = block_on(admin.facts(&selection)).unwrap();
        let listed = block_on(admin.list(&selection)).unwrap();
        let matched = partitions.iter().filter(|partition| selection.matches(partition, &facts));
        prop_assert_eq!(listed.len(), matched.count());
        let plan = block_on(admin.plan(selection.clone())).unwrap();
        let named = plan.takes_global();
        let expected: Vec<&Partition> = listed.iter().filter(|partition| named || !partition.is_global()).collect();
        let planned: Vec<&Partition> = plan.partitions().collect();
        prop_assert_eq!(planned.len(), expected.len());
        prop_assert!(expected.iter().all(|partition| planned.contains(partition)));
        let not_named = plan.instances().iter().flat_map(|instance| instance.staying())
            .filter(|stays| stays.reason == StayReason::GlobalNotNamed).count();
        prop_assert_eq!(not_named + planned.len(), listed.len());
    }
}
