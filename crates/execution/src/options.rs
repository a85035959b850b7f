//! What an executor may be told.

use tokio_util::sync::CancellationToken;

use crate::faults::{RetryPolicy, Timeouts};

/// How large the batches are that a consumer gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchSize {
    /// The guide's 100 MB, or what the budget allows, where the size shows in what the sink makes of them; else as they
    /// arrive, since merging would only take memory and time.
    #[default]
    Automatic,
    /// As they arrive: nothing is merged or split.
    AsReceived,
    /// About this many bytes of rows in memory; a single row that is wider passes alone.
    Bytes(usize),
}

/// The guide's default.
const USUAL_BATCH_BYTES: usize = 100_000_000;

/// What an executor may be told.
#[derive(Clone, Debug, Default)]
pub struct ExecutionOptions {
    pub(crate) batch_size: BatchSize,
    pub(crate) memory_budget_bytes: Option<usize>,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    pub(crate) cancellation: CancellationToken,
}

/// What each part of a run may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    /// The size of batches, of which the consumer has one, and the next is gathered or merged; `None` for those that are
    /// passed as they arrive.
    pub(crate) batch_bytes: Option<usize>,
    /// The bytes in the queues of all slices together.
    pub(crate) queues_bytes: usize,
    /// The bytes that the sink may keep; `None` for as many as it likes.
    pub(crate) sink_bytes: Option<usize>,
}

impl ExecutionOptions {
    /// The defaults: batches of 100 MB where that matters, no limit of memory or time, three retries.
    pub fn new() -> Self {
        Self::default()
    }

    /// With batches of another size.
    #[must_use]
    pub fn with_batch_size(mut self, batch_size: BatchSize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// With a limit, in bytes, on the rows that are held at one time over all streams and slices, decoded; `None` for no
    /// limit.
    ///
    /// A budget that is smaller than the batches asked for makes these smaller, and
    /// [`BatchSizeLowered`](crate::ProgressEvent::BatchSizeLowered) tells so: a batch is at most a quarter of it, or an
    /// eighth in a query that is cut into slices, whose queues get a third. The sink is asked to keep to a quarter or a
    /// sixth. What is left is for the batch that is being decoded, of which each stream has one: a budget holds when
    /// batches arrive in pieces that are small beside it (servers make them of about 2 MB), and one batch a stream passes
    /// however large it is.
    #[must_use]
    pub fn with_memory_budget(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.memory_budget_bytes = bytes.into();
        self
    }

    /// With limits of time.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// With other retries before the first row.
    #[must_use]
    pub fn with_retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// With a token that calls runs off.
    #[must_use]
    pub fn with_cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = token;
        self
    }

    /// What each part may hold, in a run whole or in slices, into a sink that the size of batches matters to or not.
    pub(crate) fn shares(&self, sliced: bool, keeps_batches: bool) -> Shares {
        const QUEUES_WITHOUT_A_BUDGET: usize = 256 * 1024 * 1024;
        let batch_bytes = self.batch_size.bytes(keeps_batches);
        let Some(budget) = self.memory_budget_bytes else {
            return Shares {
                batch_bytes,
                queues_bytes: QUEUES_WITHOUT_A_BUDGET,
                sink_bytes: None,
            };
        };
        let (most_batch, sink) = if sliced {
            (budget / 8, budget / 6)
        } else {
            (budget / 4, budget / 4)
        };
        Shares {
            batch_bytes: batch_bytes.map(|bytes| bytes.min(most_batch.max(1))),
            queues_bytes: budget / 3,
            sink_bytes: Some(sink),
        }
    }
}

impl BatchSize {
    /// What is asked of batches into a sink that their size matters to or not.
    pub(crate) fn bytes(self, keeps_batches: bool) -> Option<usize> {
        match self {
            Self::Automatic => keeps_batches.then_some(USUAL_BATCH_BYTES),
            Self::AsReceived => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_makes_batches_smaller_and_never_larger() {
        let options = ExecutionOptions::new().with_memory_budget(64_000_000);
        assert_eq!(options.shares(false, true).batch_bytes, Some(16_000_000));
        let shares = options.shares(true, true);
        assert_eq!(shares.batch_bytes, Some(8_000_000));
        assert_eq!(shares.queues_bytes, 21_333_333);
        let small = options.with_batch_size(BatchSize::Bytes(1_000));
        assert_eq!(small.shares(false, false).batch_bytes, Some(1_000));
        let as_received = small.with_batch_size(BatchSize::AsReceived);
        assert_eq!(as_received.shares(true, true).batch_bytes, None);
        let automatic = as_received.with_batch_size(BatchSize::Automatic);
        assert_eq!(automatic.shares(false, false).batch_bytes, None);
    }

    #[test]
    fn all_shares_together_leave_room_for_what_is_being_decoded() {
        let budget = 64_000_000;
        let options = ExecutionOptions::new().with_memory_budget(budget);
        for sliced in [false, true] {
            let shares = options.shares(sliced, true);
            let batch = shares.batch_bytes.unwrap();
            let queues = if sliced { shares.queues_bytes } else { 0 };
            let held = 2 * batch + queues + shares.sink_bytes.unwrap();
            assert!(held <= budget * 3 / 4, "{held}");
        }
    }
}
