//! What one slice has fetched and nobody has taken yet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use lakepilot_query::{Error, Result};
use tokio::sync::Notify;

use crate::memory::{Held, Memory};
use crate::size::batch_bytes;

/// Batches on their way from the task of a slice to the merge: at most `share_bytes` of them, the one that is being decoded
/// included, or that one alone.
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
}

struct State {
    batches: VecDeque<(RecordBatch, usize)>,
    bytes: usize,
    /// The bytes that are here, and those of the batch that is on its way.
    held: Held,
    /// The largest batch so far: what the next one is expected to take.
    largest_bytes: usize,
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
    pub(super) fn new(share_bytes: usize, arrived: Arc<Notify>, memory: &Arc<Memory>) -> Self {
        let state = State {
            batches: VecDeque::new(),
            bytes: 0,
            held: Held::nothing(memory),
            largest_bytes: 0,
            rows: 0,
            handed_over: false,
            end: None,
        };
        Self {
            state: Mutex::new(state),
            share_bytes,
            room: Notify::new(),
            arrived,
        }
    }

    /// Waits until a batch as large as the largest so far has room. It always has in an empty queue.
    pub(super) async fn has_room(&self) {
        loop {
            {
                let mut state = self.state();
                let with_next = state.bytes + state.largest_bytes;
                if state.batches.is_empty() || with_next <= self.share_bytes {
                    return state.held.set(with_next);
                }
            }
            self.room.notified().await;
        }
    }

    /// Puts a batch in, for which there was room before it was asked for.
    pub(super) fn push(&self, batch: RecordBatch) {
        let bytes = batch_bytes(&batch);
        {
            let mut state = self.state();
            state.bytes += bytes;
            state.largest_bytes = state.largest_bytes.max(bytes);
            state.batches.push_back((batch, bytes));
            let held = state.bytes;
            state.held.set(held);
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
            state.bytes = 0;
            state.held.set(0);
        }
        !state.handed_over
    }

    pub(super) fn pop(&self) -> Popped {
        let mut state = self.state();
        if let Some((batch, bytes)) = state.batches.pop_front() {
            state.bytes -= bytes;
            let held = state.bytes;
            state.held.set(held);
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
