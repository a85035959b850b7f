//! What a process of the lake does: logs, measures, and spends its time in spans.

use std::thread;

use anyhow::{Result, anyhow};
use micromegas::tracing::dispatch;
use micromegas::tracing::prelude::*;

/// How often the buffers are sent on the way, so that a stream has several blocks.
const BLOCKS: u32 = 8;
const WORKER_THREADS: u32 = 2;

const WORDS: &[&str] = &[
    "session", "opened", "closed", "player", "asset", "texture", "shader", "cache", "miss", "hit", "retry", "socket",
    "request", "response", "slow", "frame", "budget", "exceeded", "loaded", "saved", "queue", "full", "worker", "idle",
];

/// What was sent, in rows of the views it will be.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) log_entries: u64,
    pub(crate) measures: u64,
    pub(crate) spans: u64,
}

pub(crate) fn role(index: u32) -> &'static str {
    ["frontend", "backend", "worker"][index as usize % 3]
}

/// SplitMix64: the same numbers from the same seed, on every machine and in every release.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Logs and measures on this thread, while others are in spans.
pub(crate) fn threads(role: &'static str, log_entries: u32, seed: u64) -> Result<Sent> {
    let workers: Vec<_> = (0..WORKER_THREADS)
        .map(|worker| {
            thread::Builder::new()
                .name(format!("{role}-{worker}"))
                .spawn(move || frames(log_entries / 20, seed ^ u64::from(worker)))
        })
        .collect::<Result<_, _>>()?;
    let mut numbers = Numbers(seed);
    let mut sent = Sent::default();
    for entry in 0..log_entries {
        log_one(&mut numbers);
        sent.log_entries += 1;
        if entry % 4 == 0 {
            measure(&mut numbers);
            sent.measures += 2;
        }
        if entry % (log_entries / BLOCKS).max(1) == 0 {
            dispatch::flush_log_buffer();
            dispatch::flush_metrics_buffer();
        }
    }
    for worker in workers {
        sent.spans += worker.join().map_err(|_| anyhow!("a worker thread panicked"))?;
    }
    Ok(sent)
}

/// Mostly short messages at info and debug, a few long ones, errors rare.
fn log_one(numbers: &mut Numbers) {
    let words = match numbers.below(100) {
        0 => 80 + numbers.below(150),
        1..20 => 12 + numbers.below(30),
        _ => 2 + numbers.below(8),
    };
    let mut message = String::new();
    for _ in 0..words {
        if !message.is_empty() {
            message.push(' ');
        }
        message.push_str(WORDS[numbers.below(WORDS.len() as u64) as usize]);
    }
    let user = numbers.below(1000);
    match numbers.below(1000) {
        0 => fatal!(target: "engine::crash", "{message}"),
        1..20 => error!(target: "net::http", status = "500", "{message} user={user}"),
        20..100 => warn!(target: "render::frame", "{message}"),
        100..600 => info!(target: "game::session", region = "eu", "{message} user={user}"),
        _ => debug!(target: "engine::asset", "{message}"),
    }
}

fn measure(numbers: &mut Numbers) {
    fmetric!("frame_time", "ms", 8.0 + numbers.below(1600) as f64 / 100.0);
    imetric!("memory", "bytes", (1 << 30) + numbers.below(1 << 28));
}

/// Frames with an update and a render in each; gives the number of spans.
fn frames(count: u32, seed: u64) -> u64 {
    dispatch::init_thread_stream();
    let mut numbers = Numbers(seed);
    let mut spans = 0;
    for frame in 0..count {
        {
            span_scope!("frame");
            spans += 3;
            {
                span_scope!("update");
                std::hint::black_box(numbers.next());
            }
            {
                span_scope!("render");
                if numbers.below(4) == 0 {
                    span_scope!("upload");
                    spans += 1;
                }
            }
        }
        if frame % (count / BLOCKS).max(1) == 0 {
            dispatch::flush_thread_buffer();
        }
    }
    dispatch::flush_thread_buffer();
    dispatch::unregister_thread_stream();
    spans
}

/// Requests that query a database each; gives the number of spans.
pub(crate) async fn requests(count: u32) -> u64 {
    for _ in 0..count {
        // On a worker thread: the thread that waits here has no stream of its own to put events into.
        let request = span_async_named!("handle_request", async {
            tokio::task::yield_now().await;
            span_async_named!("query_database", tokio::task::yield_now()).await;
        });
        if tokio::spawn(request).await.is_err() {
            return 0;
        }
    }
    u64::from(count) * 2
}
