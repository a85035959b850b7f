//! SQL made from values, and times read from text.

use std::hint::black_box;

use chrono::{DateTime, Utc};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lakepilot_query::{parse_time, quote_identifier, quote_literal, quote_time};

fn quoting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("quote");
    let texts = [
        ("id", "8d1f0000-0000-4000-8000-000000000001".to_owned()),
        ("text of 10 kB", "no quotes in here ".repeat(570)),
        ("quotes of 10 kB", "it's ''quoted'' ".repeat(640)),
    ];
    for (name, text) in &texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::new("literal", name), text, |bencher, text| {
            bencher.iter(|| quote_literal(black_box(text)));
        });
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("identifier", |bencher| {
        bencher.iter(|| quote_identifier(black_box("process \"properties\"")));
    });
    let now = now();
    group.bench_function("time", |bencher| bencher.iter(|| quote_time(black_box(now))));
    group.finish();
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 123_456_789).expect("a time in 2026")
}

fn times(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse time");
    group.throughput(Throughput::Elements(1));
    for text in ["2026-01-31T12:00:00.123456789Z", "15m", "now"] {
        group.bench_function(text, |bencher| {
            bencher.iter(|| parse_time(black_box(text), now()).expect("a time"));
        });
    }
    group.finish();
}

criterion_group!(benches, quoting, times);
criterion_main!(benches);
