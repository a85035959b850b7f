//! The catalogue: rows of `list_partitions()` as typed values, and which of them are meant.

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lakepilot_benches::{MemoryService, partition_rows, scaled};
use lakepilot_catalog::{Catalog, PartitionFilter};
use tokio::runtime::Runtime;

fn listing(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("list partitions");
    group.sample_size(20);
    for count in [100, 10_000, 100_000].map(scaled) {
        let rows = partition_rows(count).expect("the fixture is valid");
        let catalog = Catalog::new(Arc::new(MemoryService::new(rows)));
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(BenchmarkId::new("all", count), &catalog, |bencher, catalog| {
            bencher.iter(|| {
                let listed = runtime.block_on(catalog.partitions(&PartitionFilter::all()));
                assert_eq!(listed.expect("the rows are partitions").len(), count);
            });
        });
    }
    group.finish();
}

fn filtering(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let count = scaled(10_000);
    let rows = partition_rows(count).expect("the fixture is valid");
    let catalog = Catalog::new(Arc::new(MemoryService::new(rows)));
    let listed = runtime
        .block_on(catalog.partitions(&PartitionFilter::all()))
        .expect("the rows are partitions");
    let filter = PartitionFilter::all()
        .with_view_sets(["log_entries"])
        .with_instances((0..50).map(|number| format!("8d1f0000-0000-4000-8000-{number:012}")))
        .older_than(listed[listed.len() / 2].end_insert_time);
    let mut group = criterion.benchmark_group("filter partitions");
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function("matches", |bencher| {
        bencher.iter(|| listed.iter().filter(|partition| filter.matches(partition)).count());
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("to SQL", |bencher| bencher.iter(|| filter.to_sql()));
    group.finish();
}

criterion_group!(benches, listing, filtering);
criterion_main!(benches);
