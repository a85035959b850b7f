//! The executor: what it adds to draining a stream, batches by size, and the Parquet sink.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::RecordBatch;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt;
use lakepilot_benches::{MemoryService, log_entries};
use lakepilot_execution::{
    BatchSize, BatchedExecutor, DiscardSink, ExecutionOptions, FileFormat, NoProgress, Rebatcher, WriterSink,
    batch_bytes,
};
use lakepilot_query::{Query, QueryService};
use tokio::runtime::Runtime;

fn rebatch(batches: &[RecordBatch], target_bytes: usize) -> usize {
    let mut rebatcher = Rebatcher::new(batches[0].schema(), target_bytes);
    let mut count = 0;
    for batch in batches {
        rebatcher.push(batch.clone()).expect("the batches have one schema");
        while let Some(batch) = rebatcher.pop() {
            black_box(batch);
            count += 1;
        }
    }
    while let Some(batch) = rebatcher.finish() {
        black_box(batch);
        count += 1;
    }
    count
}

fn bytes_of(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(batch_bytes).sum::<usize>() as u64
}

fn rebatching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rebatch");
    let small = log_entries(500_000, 8_192).expect("the fixture is valid");
    group.throughput(Throughput::Bytes(bytes_of(&small)));
    group.bench_function("merge 8192 rows to 16 MB", |bencher| {
        bencher.iter(|| rebatch(&small, 16_000_000))
    });
    let large = log_entries(500_000, 500_000).expect("the fixture is valid");
    group.throughput(Throughput::Bytes(bytes_of(&large)));
    group.bench_function("split 500000 rows to 1 MB", |bencher| {
        bencher.iter(|| rebatch(&large, 1_000_000))
    });
    // The yardstick of merging: the same bytes, copied.
    let bytes = vec![1u8; bytes_of(&small) as usize];
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("copy of as many bytes", |bencher| {
        bencher.iter(|| black_box(bytes.clone()))
    });
    group.finish();
}

fn draining(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let batches = log_entries(2_000_000, 8_192).expect("the fixture is valid");
    let service: Arc<dyn QueryService> = Arc::new(MemoryService::new(batches.clone()));
    let query = Query::new("SELECT * FROM log_entries").expect("the text is not blank");
    let mut group = criterion.benchmark_group("drain");
    group.throughput(Throughput::Elements(2_000_000));
    group.bench_function("raw stream", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let mut stream = service.run(&query).await.expect("the service has batches");
            let mut rows = 0;
            while let Some(batch) = stream.next().await {
                // What any consumer does at the least: look at the rows.
                rows += black_box(batch.expect("the service has batches")).num_rows();
            }
            rows
        });
    });
    for (name, batch_size) in [
        ("executor, batches as received", BatchSize::AsReceived),
        ("executor, batches of 16 MB", BatchSize::Bytes(16_000_000)),
    ] {
        let options = ExecutionOptions::new().with_batch_size(batch_size);
        let executor = BatchedExecutor::new(Arc::clone(&service), options);
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let mut sink = DiscardSink;
                let run = executor.execute(&query, &mut sink, &NoProgress);
                run.await.expect("nothing can fail in memory").rows_processed
            });
        });
    }
    group.finish();
}

fn parquet(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let batches = log_entries(500_000, 8_192).expect("the fixture is valid");
    let service: Arc<dyn QueryService> = Arc::new(MemoryService::new(batches));
    let query = Query::new("SELECT * FROM log_entries").expect("the text is not blank");
    let executor = BatchedExecutor::new(service, ExecutionOptions::new());
    let mut group = criterion.benchmark_group("sink");
    group.sample_size(10);
    group.throughput(Throughput::Elements(500_000));
    group.bench_function("parquet, zstd", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let mut sink = WriterSink::new(Vec::new(), FileFormat::Parquet, "memory");
            let run = executor.execute(&query, &mut sink, &NoProgress);
            run.await.expect("nothing can fail in memory").bytes_written
        });
    });
    group.finish();
}

criterion_group!(benches, rebatching, draining, parquet);
criterion_main!(benches);
