//! Administration of a lake of 10,000 view instances: making a plan, writing and reading it, applying it. The lake is one in
//! memory, so that what is measured is ours.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use lakepilot_admin::{ApplyOptions, FakeLake, Guards, RetirementPlan, Selection, Silent};
use lakepilot_catalog::Partition;
use lakepilot_query::Result;
use tokio::runtime::Runtime;

const INSTANCES: i64 = 10_000;

/// Two partitions of each instance, one of them without rows.
fn partitions() -> Vec<Partition> {
    let of = |instance: i64| {
        let id = format!("8d1f0000-0000-4000-8000-{instance:012}");
        let full = FakeLake::partition("log_entries", &id, 0, 1_000_000);
        let mut empty = FakeLake::partition("log_entries", &id, 1_000_000, 2_000_000);
        empty.num_rows = 0;
        empty.file_path = None;
        [full, empty]
    };
    (0..INSTANCES).flat_map(of).collect()
}

async fn planned(lake: &FakeLake) -> Result<RetirementPlan> {
    lake.admin()
        .with_guards(Guards::none())
        .plan(Selection::non_global())
        .await
}

fn administration(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let lake = FakeLake::new(partitions());
    let mut group = criterion.benchmark_group("admin");
    group.sample_size(10);
    group.throughput(Throughput::Elements(INSTANCES as u64));
    group.bench_function("plan 10000 instances", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let plan = planned(&lake).await.expect("the lake answers");
            black_box(plan).totals().partitions
        });
    });
    let plan = runtime.block_on(planned(&lake)).expect("the lake answers");
    group.bench_function("write the plan", |bencher| {
        bencher.iter(|| serde_json::to_vec(&plan).expect("a plan is JSON").len());
    });
    let text = serde_json::to_string(&plan).expect("a plan is JSON");
    group.bench_function("read the plan", |bencher| {
        bencher.iter(|| {
            RetirementPlan::from_json(&text)
                .expect("it was just written")
                .totals()
                .partitions
        });
    });
    group.bench_function("apply the plan", |bencher| {
        bencher.to_async(&runtime).iter_batched(
            || FakeLake::new(partitions()),
            |lake| {
                let plan = &plan;
                async move {
                    let report = lake.admin().apply(plan, &ApplyOptions::default(), &Silent).await;
                    report.expect("the lake answers").counts().retired
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, administration);
criterion_main!(benches);
