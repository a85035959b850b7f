//! Nothing outside a plan is ever retired, whatever the lake and the names in it.

use lakepilot_admin::{ApplyOptions, ByMetadata, Capabilities, OnDrift, Selection, Silent};
use lakepilot_catalog::Partition;
use lakepilot_query::TimeRange;
use proptest::prelude::*;

use crate::lake::{FakeLake, by_range_only, empty, partition, retirements, time};

const CORPUS: &[&str] = &[
    "it's",
    "'",
    "\\'; --",
    "'); DROP TABLE log_entries; --",
    "' OR '1'='1",
    "line\nbreak\r\n",
    "tab\tnul\0end",
    "%",
    "_",
    "ünïcödé 漢字 🚀 \u{202e}rtl",
    "",
];

fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

#[test]
fn names_reach_the_server_as_themselves() {
    check_names(false);
    check_names(true);
}

/// With and without files, by name and by range.
fn check_names(by_range: bool) {
    let mut partitions: Vec<Partition> = CORPUS
        .iter()
        .flat_map(|view_set| {
            CORPUS.iter().enumerate().map(|(at, instance)| match at % 2 {
                0 => partition(view_set, instance, 1, 2),
                _ => empty(view_set, instance, 1, 2),
            })
        })
        .collect();
    partitions.push(partition("log_entries", "global", 1, 2));
    let lake = if by_range {
        by_range_only(partitions)
    } else {
        FakeLake::new(partitions)
    };
    let admin = lake.admin();
    let process = "'); DROP TABLE log_entries; --";
    lake.state().streams = vec![("%".to_owned(), process.to_owned()), ("_".to_owned(), "_".to_owned())];

    let plan = block_on(admin.plan_process(process, None)).unwrap();
    assert_eq!(plan.totals().instances, 2 * CORPUS.len() as u64);
    let report = block_on(admin.apply(&plan, &ApplyOptions::default(), &Silent)).unwrap();
    assert!(report.is_complete());
    let asked = retirements(&lake);
    for view_set in CORPUS {
        for instance in [process, "%"] {
            let by_name =
                |partition: &Partition| partition.view_set_name == *view_set && partition.view_instance_id == instance;
            assert!(lake.state().retired.iter().any(by_name), "{view_set:?} {instance:?}");
            assert_eq!(by_range, asked.iter().any(|call| call[..2] == [*view_set, instance]));
        }
    }
    assert_eq!(lake.partitions().len(), CORPUS.len() * (CORPUS.len() - 2) + 1);

    let plan = block_on(admin.plan_non_global()).unwrap();
    assert!(
        block_on(admin.apply(&plan, &ApplyOptions::default(), &Silent))
            .unwrap()
            .is_complete()
    );
    assert_eq!(lake.partitions(), [partition("log_entries", "global", 1, 2)]);
}

prop_compose! {
    fn any_partition()(
        view_set in proptest::sample::select(vec!["log_entries", "thread_spans", "it's"]),
        instance in proptest::sample::select(vec!["global", "p1", "p2", "s1"]),
        begin in 0_i64..40,
        length in 0_i64..12,
        schema in 1_u8..3,
        version in 0_i64..2,
    ) -> Partition {
        let mut partition = partition(view_set, instance, begin, begin + length);
        partition.file_schema_hash = vec![schema];
        partition.updated = time(100 + version);
        partition.file_path = (version == 0).then(|| format!("{view_set}/{instance}/{begin}/{length}/{schema}"));
        partition
    }
}

fn any_lake(partitions: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<Partition>> {
    proptest::collection::hash_set(any_partition(), partitions).prop_map(|partitions| partitions.into_iter().collect())
}

prop_compose! {
    fn any_selection()(
        owner in 0..4,
        view_sets in proptest::option::of(proptest::sample::subsequence(vec!["log_entries", "thread_spans", "it's"], 1..3)),
        range in proptest::option::of((0_i64..50, 0_i64..50)),
        cutoff in proptest::option::of(0_i64..50),
    ) -> Selection {
        let selection = match owner {
            0 => Selection::non_global(),
            1 => Selection::of_process("p1"),
            2 => Selection::of_instances(["p2", "s1"]),
            _ => Selection::of_instances(["global"]),
        };
        let selection = match view_sets {
            Some(names) => selection.in_view_sets(names),
            None => selection,
        };
        let selection = match range {
            Some((a, b)) => selection.within(TimeRange::new(time(a.min(b)), time(a.max(b))).unwrap()),
            None => selection,
        };
        selection.older_than(cutoff.map(time))
    }
}

fn any_offer() -> impl Strategy<Value = Capabilities> {
    let by_metadata = prop_oneof![
        Just(ByMetadata::No),
        Just(ByMetadata::WithoutSchema),
        Just(ByMetadata::WithSchema)
    ];
    (any::<bool>(), by_metadata).prop_map(|(by_file, by_metadata)| Capabilities {
        by_file,
        by_metadata,
        by_range: true,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever appears or goes between plan and application, and whatever the server swallows.
    #[test]
    fn nothing_outside_the_plan_is_retired(
        at_first in any_lake(0..30),
        appears in any_lake(0..8),
        goes in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        selection in any_selection(),
        swallow: bool,
        offers in any_offer(),
        concurrency in 0_usize..5,
        statement_size in 0_usize..7,
    ) {
        let lake = FakeLake::new(at_first.clone());
        lake.state().offers = Some(offers);
        lake.state().streams = vec![("s1".to_owned(), "p1".to_owned())];
        let admin = lake.admin();
        let plan = block_on(admin.plan(selection.clone())).unwrap();
        let planned: Vec<&Partition> = plan.instances().iter().flat_map(|instance| instance.partitions()).collect();
        let by_name = selection == Selection::of_instances(["global"]) || plan.takes_global();
        prop_assert!(planned.iter().all(|partition| at_first.contains(partition)));
        prop_assert!(by_name || planned.iter().all(|partition| !partition.is_global()));

        {
            let mut state = lake.state();
            state.swallow = swallow;
            for index in goes {
                if !state.partitions.is_empty() {
                    let at = index.index(state.partitions.len());
                    state.partitions.swap_remove(at);
                }
            }
            let new: Vec<_> = appears.into_iter().filter(|partition| !at_first.contains(partition)).collect();
            state.partitions.extend(new);
        }
        let before = lake.partitions();
        let options = ApplyOptions::default()
            .with_concurrency(concurrency)
            .with_statement_size(statement_size)
            .with_on_drift(OnDrift::LeaveOut);
        let report = block_on(admin.apply(&plan, &options, &Silent)).unwrap();
        let after = lake.partitions();
        for partition in &before {
            prop_assert!(
                after.contains(partition) || planned.contains(&partition),
                "{:?} was not planned, and is gone; asked: {:?}", partition, retirements(&lake)
            );
        }
        // The report says what the lake shows.
        let count = |test: &dyn Fn(&Partition) -> bool| planned.iter().filter(|partition| test(partition)).count() as u64;
        let counts = report.counts();
        prop_assert_eq!(counts.retired, count(&|p| before.contains(p) && !after.contains(p)));
        prop_assert_eq!(counts.remaining, count(&|p| after.contains(p)));
        prop_assert_eq!(counts.already_gone, count(&|p| !before.contains(p)));
        prop_assert_eq!(report.is_complete(), counts.remaining == 0);
        prop_assert_eq!(report.unplanned(), []);
        prop_assert!(report.instances().iter().all(|instance| instance.found_too_many() == 0));
    }

    /// On a lake that nobody else touches, all that is selected and lies within the times goes.
    #[test]
    fn everything_selected_goes_and_straddlers_stay(partitions in any_lake(0..30), cutoff in 0_i64..50) {
        let lake = FakeLake::new(partitions.clone());
        let admin = lake.admin();
        let plan = block_on(admin.plan(Selection::non_global().older_than(time(cutoff)))).unwrap();
        let report = block_on(admin.apply(&plan, &ApplyOptions::default(), &Silent)).unwrap();
        prop_assert!(report.is_complete());
        let after = lake.partitions();
        for partition in &partitions {
            let goes = !partition.is_global() && partition.end_insert_time <= time(cutoff);
            prop_assert_eq!(!after.contains(partition), goes);
        }
    }
}
