//! The executor: what it adds to draining a stream, batches by size, slices, and the sinks.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{TimeDelta, TimeZone, Utc};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt;
use lakepilot_benches::{EncodedService, MemoryService, log_entries, scaled};
use lakepilot_execution::{
    BatchSize, BatchedExecutor, DiscardSink, ExecutionOptions, FileFormat, NoProgress, Rebatcher, SliceRule, Slicing,
    WriterSink, batch_bytes,
};
use lakepilot_query::{Query, QueryService, TimeRange};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
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
    let small = log_entries(scaled(500_000), 8_192).expect("the fixture is valid");
    group.throughput(Throughput::Bytes(bytes_of(&small)));
    group.bench_function("merge 8192 rows to 16 MB", |bencher| {
        bencher.iter(|| rebatch(&small, 16_000_000))
    });
    let large = log_entries(scaled(500_000), 500_000).expect("the fixture is valid");
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
    let batches = log_entries(scaled(1_000_000), 8_192).expect("the fixture is valid");
    let service: Arc<dyn QueryService> = Arc::new(EncodedService::new(&batches).expect("the fixture is valid"));
    let query = Query::new("SELECT * FROM log_entries").expect("the text is not blank");
    let mut group = criterion.benchmark_group("drain");
    group.sample_size(20);
    group.throughput(Throughput::Elements(scaled(1_000_000) as u64));
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
        ("executor, batches of 100 MB", BatchSize::Bytes(100_000_000)),
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

/// Each slice has all rows, so that four slices are four times the work of one.
fn slicing(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let batches = log_entries(scaled(250_000), 8_192).expect("the fixture is valid");
    let service: Arc<dyn QueryService> = Arc::new(EncodedService::new(&batches).expect("the fixture is valid"));
    let begin = Utc.timestamp_nanos(0);
    let range = TimeRange::new(begin, begin + TimeDelta::hours(1)).expect("the end is later");
    let query = Query::new("SELECT * FROM log_entries")
        .expect("the text is not blank")
        .with_time_range(range);
    let options = ExecutionOptions::new().with_batch_size(BatchSize::AsReceived);
    let executor = BatchedExecutor::new(service, options);
    let mut group = criterion.benchmark_group("slices");
    group.sample_size(20);
    group.throughput(Throughput::Elements(4 * scaled(250_000) as u64));
    for parallel in [1, 2, 4] {
        let slicing = Slicing::new(SliceRule::Points, range.split(4))
            .expect("the slices follow each other")
            .with_parallel(parallel);
        group.bench_function(format!("4 slices, {parallel} at a time"), |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let mut sink = DiscardSink;
                let run = executor.execute_sliced(&query, &slicing, &mut sink, &NoProgress);
                run.await.expect("nothing can fail in memory").rows_processed
            });
        });
    }
    group.finish();
}

fn sinks(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let batches = log_entries(scaled(500_000), 8_192).expect("the fixture is valid");
    let service: Arc<dyn QueryService> = Arc::new(MemoryService::new(batches.clone()));
    let query = Query::new("SELECT * FROM log_entries").expect("the text is not blank");
    let executor = BatchedExecutor::new(service, ExecutionOptions::new());
    let mut group = criterion.benchmark_group("sink");
    group.sample_size(10);
    group.throughput(Throughput::Elements(scaled(500_000) as u64));
    for (name, format) in [
        ("parquet, zstd", FileFormat::Parquet),
        ("arrow file", FileFormat::ArrowFile),
        ("csv", FileFormat::Csv),
        ("ndjson", FileFormat::Ndjson),
    ] {
        group.bench_function(name, |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let mut sink = WriterSink::new(Vec::new(), format, "memory");
                let run = executor.execute(&query, &mut sink, &NoProgress);
                run.await.expect("nothing can fail in memory").bytes_written
            });
        });
    }
    // The yardstick of the Parquet sink: its crate's own writer, on one thread.
    group.bench_function("parquet, zstd, one thread", |bencher| {
        bencher.iter(|| {
            let compression = Compression::ZSTD(ZstdLevel::try_new(1).expect("a level"));
            let properties = WriterProperties::builder()
                .set_compression(compression)
                .set_max_row_group_row_count(Some(256 * 1024))
                .build();
            let mut writer =
                ArrowWriter::try_new(Vec::new(), batches[0].schema(), Some(properties)).expect("the fixture is valid");
            for batch in &batches {
                writer.write(batch).expect("memory takes all");
            }
            writer.into_inner().expect("memory takes all").len()
        });
    });
    group.finish();
}

criterion_group!(benches, rebatching, draining, slicing, sinks);
criterion_main!(benches);
