//! The client: draining a result over loopback, decoding included, and small calls. The server answers from memory, on a
//! thread of its own.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::TryStreamExt;
use lakepilot_benches::blast::{Answers, Blast};
use lakepilot_benches::scaled;
use lakepilot_flight_client::{ClientConfig, FlightClient};
use lakepilot_query::{Dictionaries, Query, QueryService};
use tokio::runtime::Runtime;

const BATCH_ROWS: usize = 8_192;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Starts the server, and connects to it; gives the bytes of a row, flattened and with dictionaries.
fn connected(runtime: &Runtime, rows: usize) -> (FlightClient, [f64; 2]) {
    let (told, url) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        self::runtime().block_on(async {
            let distinct = (rows / BATCH_ROWS).clamp(1, 16);
            let answers = Answers::build(rows, BATCH_ROWS, distinct, 1)
                .await
                .expect("the fixture is valid");
            let row_bytes = [answers.row_bytes(false), answers.row_bytes(true)];
            let blast = Blast::listen("127.0.0.1:0".parse().expect("an address"), answers.into());
            let blast = blast.await.expect("loopback has a free port");
            told.send((format!("grpc://{}", blast.address().expect("it has a port")), row_bytes))
                .expect("the benchmark waits");
            blast.serve().await.expect("the server serves");
        });
    });
    let (url, row_bytes) = url.recv_timeout(Duration::from_secs(60)).expect("the server starts");
    let config = ClientConfig::new(url).expect("the server's address is one");
    let client = runtime
        .block_on(FlightClient::connect(config))
        .expect("the server listens");
    (client, row_bytes)
}

async fn drain(client: &FlightClient, query: &Query) -> usize {
    let stream = client.run(query).await.expect("the server answers");
    stream
        .try_fold(0, async |rows, batch| Ok(rows + batch.num_rows()))
        .await
        .expect("the result is whole")
}

fn draining(criterion: &mut Criterion) {
    let runtime = runtime();
    let rows = scaled(200 * BATCH_ROWS);
    let (client, row_bytes) = connected(&runtime, rows);
    let mut group = criterion.benchmark_group("flight drain");
    group.sample_size(20);
    for (name, dictionaries, row_bytes) in [
        ("plain", Dictionaries::Flattened, row_bytes[0]),
        ("dictionary columns", Dictionaries::Preserved, row_bytes[1]),
    ] {
        let query = Query::new("SELECT * FROM log_entries")
            .expect("the text is not blank")
            .with_dictionaries(dictionaries);
        let sent = runtime.block_on(drain(&client, &query));
        assert!(sent >= rows, "{sent} rows came of {rows}");
        group.throughput(Throughput::Bytes((sent as f64 * row_bytes) as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(drain(&client, &query)));
        });
    }
    group.finish();
}

fn small_calls(criterion: &mut Criterion) {
    let runtime = runtime();
    let (client, _) = connected(&runtime, BATCH_ROWS);
    let one = Query::new("SELECT 1").expect("the text is not blank");
    let all = Query::new("SELECT * FROM log_entries").expect("the text is not blank");
    let mut group = criterion.benchmark_group("flight calls");
    group.bench_function("one row", |bencher| {
        bencher.iter(|| runtime.block_on(drain(&client, &one)));
    });
    group.bench_function("schema", |bencher| {
        bencher.iter(|| runtime.block_on(client.prepare(&all)).expect("the server answers"));
    });
    group.throughput(Throughput::Elements(64));
    group.bench_function("one row, 64 at once", |bencher| {
        let at_once = || futures::future::join_all((0..64).map(|_| drain(&client, &one)));
        bencher.iter(|| runtime.block_on(at_once()));
    });
    group.finish();
}

criterion_group!(benches, draining, small_calls);
criterion_main!(benches);
