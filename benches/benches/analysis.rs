//! The analyser: validations a second, time by the length of the text, and the size of rows.

use std::hint::black_box;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lakepilot_analysis::{Analyzer, CallRange, SchemaAnalysis, SizeModel};

/// Ten lines, as people write them.
const TEN_LINES: &str = "\
SELECT l.time,
       l.level,
       l.target,
       l.msg,
       p.exe
FROM log_entries l
JOIN processes p ON l.process_id = p.process_id
WHERE l.time BETWEEN '2026-01-31T00:00:00Z' AND '2026-01-31T06:00:00Z'
  AND l.level <= 3 AND l.msg LIKE '%timeout%' AND p.exe <> 'probe'
ORDER BY l.time DESC LIMIT 1000";

fn validation(criterion: &mut Criterion) {
    let analyzer = Analyzer::default();
    let mut group = criterion.benchmark_group("validate");
    group.throughput(Throughput::Elements(1));
    group.bench_function("ten lines", |bencher| {
        bencher.iter(|| analyzer.check(black_box(TEN_LINES), CallRange::default()))
    });
    group.bench_function("one line", |bencher| {
        let sql = "SELECT time, msg FROM log_entries ORDER BY time DESC";
        bencher.iter(|| analyzer.check(black_box(sql), CallRange::default()))
    });
    group.finish();
}

/// A name, and what writes a text of so many bytes.
type Shape = (&'static str, fn(usize) -> String);

/// Texts of any length, each long in another way.
fn shapes() -> [Shape; 4] {
    [
        ("statements", |bytes| {
            let statement = format!("{TEN_LINES};\n");
            statement.repeat((bytes / statement.len()).max(1))
        }),
        ("columns", |bytes| {
            let columns = vec!["level"; (bytes / 7).max(1)].join(", ");
            format!("SELECT {columns} FROM log_entries LIMIT 10")
        }),
        ("list", |bytes| {
            let list = vec!["'8d1f0000'"; (bytes / 12).max(1)].join(", ");
            format!("SELECT count(*) FROM processes WHERE process_id IN ({list})")
        }),
        ("string", |bytes| format!("SELECT '{}'", "x".repeat(bytes))),
    ]
}

fn lengths(criterion: &mut Criterion) {
    let analyzer = Analyzer::default();
    let mut group = criterion.benchmark_group("length");
    group.sample_size(20);
    for (shape, make) in shapes() {
        for bytes in [1_000, 10_000, 100_000, 1_000_000] {
            let sql = make(bytes);
            group.throughput(Throughput::Bytes(sql.len() as u64));
            group.bench_with_input(BenchmarkId::new(shape, bytes), &sql, |bencher, sql| {
                bencher.iter(|| analyzer.check(black_box(sql), CallRange::default()))
            });
        }
    }
    group.finish();
}

fn row_sizes(criterion: &mut Criterion) {
    let dictionary = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let texts = [
        "process_id",
        "stream_id",
        "block_id",
        "exe",
        "username",
        "computer",
        "target",
    ];
    let mut fields: Vec<Field> = texts
        .iter()
        .map(|name| Field::new(*name, dictionary(), false))
        .collect();
    fields.push(Field::new("level", DataType::Int32, false));
    fields.push(Field::new("msg", DataType::Utf8, false));
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    fields.extend(["time", "insert_time"].map(|name| Field::new(name, time.clone(), false)));
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    fields.push(Field::new("tags", DataType::List(item), true));
    let schema = Schema::new(fields);
    let model = SizeModel::default().with_text_bytes("msg", 90.0);
    let mut group = criterion.benchmark_group("row size");
    group.throughput(Throughput::Elements(1));
    group.bench_function("twelve columns", |bencher| {
        bencher.iter(|| model.row_bytes(black_box(&schema)))
    });
    group.bench_function("twelve columns, told by column", |bencher| {
        bencher.iter(|| SchemaAnalysis::new(black_box(&schema), &model))
    });
    group.finish();
}

criterion_group!(benches, validation, lengths, row_sizes);
criterion_main!(benches);
