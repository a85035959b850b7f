//! What an executor may be told.

use tokio_util::sync::CancellationToken;

use crate::faults::{RetryPolicy, Timeouts};

/// How large the batches are that a consumer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    /// As they arrive: nothing is merged or split.
    AsReceived,
    /// About this many bytes of rows in memory; a single row that is wider passes alone.
    Bytes(usize),
}

impl Default for BatchSize {
    /// The guide's 100 MB.
    fn default() -> Self {
        Self::Bytes(100_000_000)
    }
}

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
    /// The size of batches: the consumer has one, and the next is gathered or merged.
    pub(crate) batch_size: BatchSize,
    /// The bytes in the queues of all slices together.
    pub(crate) queues_bytes: usize,
    /// The bytes that the sink may keep; `None` for as many as it likes.
    pub(crate) sink_bytes: Option<usize>,
}

impl ExecutionOptions {
    /// The defaults: batches of 100 MB, no limit of memory or time, three retries.
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

    /// What each part may hold, in a run whole or in slices.
    pub(crate) fn shares(&self, sliced: bool) -> Shares {
        const QUEUES_WITHOUT_A_BUDGET: usize = 256 * 1024 * 1024;
        let Some(budget) = self.memory_budget_bytes else {
            return Shares {
                batch_size: self.batch_size,
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
            batch_size: self.batch_size.at_most(most_batch),
            queues_bytes: budget / 3,
            sink_bytes: Some(sink),
        }
    }
}

impl BatchSize {
    /// The size, or a smaller one.
    pub(crate) fn at_most(self, most_bytes: usize) -> Self {
        match self {
            Self::AsReceived => self,
            Self::Bytes(bytes) => Self::Bytes(bytes.min(most_bytes.max(1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_makes_batches_smaller_and_never_larger() {
        let options = ExecutionOptions::new().with_memory_budget(64_000_000);
        assert_eq!(options.shares(false).batch_size, BatchSize::Bytes(16_000_000));
        let shares = options.shares(true);
        assert_eq!(shares.batch_size, BatchSize::Bytes(8_000_000));
        assert_eq!(shares.queues_bytes, 21_333_333);
        let small = options.with_batch_size(BatchSize::Bytes(1_000));
        assert_eq!(small.shares(false).batch_size, BatchSize::Bytes(1_000));
        let as_received = small.with_batch_size(BatchSize::AsReceived);
        assert_eq!(as_received.shares(true).batch_size, BatchSize::AsReceived);
    }

    #[test]
    fn all_shares_together_leave_room_for_what_is_being_decoded() {
        let budget = 64_000_000;
        let options = ExecutionOptions::new().with_memory_budget(budget);
        for sliced in [false, true] {
            let shares = options.shares(sliced);
            let BatchSize::Bytes(batch) = shares.batch_size else {
                panic!("a size was asked for");
            };
            let queues = if sliced { shares.queues_bytes } else { 0 };
            let held = 2 * batch + queues + shares.sink_bytes.unwrap();
            assert!(held <= budget * 3 / 4, "{held}");
        }
    }
}
