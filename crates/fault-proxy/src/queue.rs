//! Bytes under way in one direction.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How many bytes may have arrived and not been taken before no more are read.
const MOST_WAITING_BYTES: usize = 1024 * 1024;

/// Chunks between the task half that reads and the one that writes, each with the moment at which it arrives.
///
/// Any number may be under way; only those whose moment has come and that nobody takes hold up the sender.
#[derive(Debug)]
pub(crate) struct Queue {
    delay: Duration,
    state: Mutex<State>,
    filled: Notify,
    taken: Notify,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<(Instant, Bytes)>,
    ended: bool,
}

impl Queue {
    pub(crate) fn new(delay: Duration) -> Self {
        Self {
            delay,
            state: Mutex::default(),
            filled: Notify::new(),
            taken: Notify::new(),
        }
    }

    /// Puts a chunk on its way.
    pub(crate) fn push(&self, chunk: Bytes) {
        let arrival = Instant::now() + self.delay;
        self.state().chunks.push_back((arrival, chunk));
        self.filled.notify_one();
    }

    /// No more comes.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.filled.notify_one();
    }

    /// Waits until the receiver has taken enough of what has arrived.
    pub(crate) async fn room(&self) {
        while self.waiting_bytes() >= MOST_WAITING_BYTES {
            self.taken.notified().await;
        }
    }

    fn waiting_bytes(&self) -> usize {
        let now = Instant::now();
        let state = self.state();
        let mut bytes = 0;
        for (arrival, chunk) in &state.chunks {
            if *arrival > now || bytes >= MOST_WAITING_BYTES {
                break;
            }
            bytes += chunk.len();
        }
        bytes
    }

    /// The next chunk, when its moment has come; `None` after the last.
    pub(crate) async fn next(&self) -> Option<Bytes> {
        loop {
            let arrival = {
                let state = self.state();
                match state.chunks.front() {
                    Some((arrival, _)) => Some(*arrival),
                    None if state.ended => return None,
                    None => None,
                }
            };
            let Some(arrival) = arrival else {
                self.filled.notified().await;
                continue;
            };
            // What is due goes on at once; a timer would round it up to the next millisecond.
            if arrival > Instant::now() {
                tokio::time::sleep_until(arrival).await;
            }
            let chunk = self.state().chunks.pop_front().map(|(_, chunk)| chunk);
            self.taken.notify_one();
            return chunk;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
