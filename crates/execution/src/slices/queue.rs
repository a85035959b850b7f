//! What one slice has fetched and nobody has taken yet.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use lakepilot_query::{Error, Result};
use tokio::sync::Notify;

use crate::size::batch_bytes;

/// Batches on their way from the task of a slice to the merge, at most about `share_bytes` of them.
///
/// Every slice has a share of its own: were it one budget, slices that wait for their turn could hold all of it, and the
/// one whose turn it is could not go on.
pub(super) struct Queue {
    state: Mutex<State>,
    share_bytes: usize,
    /// Wakes the task of the slice.
    room: Notify,
    /// Wakes the merge, which waits for all slices at once.
    arrived: Arc<Notify>,
    queued: Arc<Gauge>,
}

/// How many bytes all queues of a run hold, and have held at most.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        let now = self.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.most.fetch_max(now, Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) {
        self.now.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct State {
    batches: VecDeque<(RecordBatch, usize)>,
    bytes: usize,
    rows: u64,
    handed_over: bool,
    end: Option<Result<()>>,
}

/// What a look into the queue brings.
pub(super) enum Popped {
    Batch(RecordBatch),
    Nothing,
    /// The slice is done, after so many rows.
    End(u64),
    Failed(Error),
}

impl Queue {
    pub(super) fn new(share_bytes: usize, arrived: Arc<Notify>, queued: Arc<Gauge>) -> Self {
        Self {
            state: Mutex::default(),
            share_bytes,
            room: Notify::new(),
            arrived,
            queued,
        }
    }

    /// Puts a batch in, when there is room. There always is in an empty queue.
    pub(super) async fn push(&self, batch: RecordBatch) {
        let bytes = batch_bytes(&batch);
        loop {
            {
                let mut state = self.state();
                if state.batches.is_empty() || state.bytes + bytes <= self.share_bytes {
                    state.bytes += bytes;
                    state.batches.push_back((batch, bytes));
                    self.queued.add(bytes);
                    break;
                }
            }
            self.room.notified().await;
        }
        self.arrived.notify_one();
    }

    /// No more comes. The first end counts.
    pub(super) fn end(&self, how: Result<()>) {
        self.state().end.get_or_insert(how);
        self.arrived.notify_one();
    }

    /// Forgets what is here, if nothing was taken; tells whether it did.
    pub(super) fn forget(&self) -> bool {
        let mut state = self.state();
        if !state.handed_over {
            state.batches.clear();
            self.queued.take(std::mem::take(&mut state.bytes));
        }
        !state.handed_over
    }

    pub(super) fn pop(&self) -> Popped {
        let mut state = self.state();
        if let Some((batch, bytes)) = state.batches.pop_front() {
            state.bytes -= bytes;
            self.queued.take(bytes);
            state.rows += batch.num_rows() as u64;
            state.handed_over = true;
            self.room.notify_one();
            return Popped::Batch(batch);
        }
        match state.end.take() {
            None => Popped::Nothing,
            Some(Ok(())) => Popped::End(state.rows),
            Some(Err(error)) => Popped::Failed(error),
        }
    }

    /// The failure of a slice of which nothing was taken.
    pub(super) fn take_failure(&self) -> Option<Error> {
        let mut state = self.state();
        match state.end.take() {
            Some(Err(error)) => Some(error),
            other => {
                state.end = other;
                None
            }
        }
    }

    /// Wakes the merge: there is something to look at.
    pub(super) fn wake(&self) {
        self.arrived.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
