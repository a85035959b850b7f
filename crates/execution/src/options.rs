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

/// Beside the batch that the consumer has, one is gathered, and merging needs room for its result; the last part is for
/// what arrives.
const BATCHES_IN_FLIGHT: usize = 4;

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
    /// Batches become smaller where the budget asks for it, down to a quarter of it, or an eighth in a query that is cut
    /// into slices, whose queues get the half. Beyond the budget there is at most one batch a stream, as the server makes
    /// them, and what the sink needs of its own.
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

    /// The size of batches within the budget.
    pub(crate) fn effective_batch_size(&self, sliced: bool) -> BatchSize {
        let budget = self
            .memory_budget_bytes
            .map(|bytes| if sliced { bytes / 2 } else { bytes });
        match (self.batch_size, budget) {
            (BatchSize::Bytes(bytes), Some(budget)) => BatchSize::Bytes(bytes.min(budget / BATCHES_IN_FLIGHT)),
            (batch_size, _) => batch_size,
        }
    }

    /// The bytes that the queues of all slices may hold together.
    pub(crate) fn slice_budget_bytes(&self) -> usize {
        const WITHOUT_A_BUDGET: usize = 256 * 1024 * 1024;
        self.memory_budget_bytes.map_or(WITHOUT_A_BUDGET, |bytes| bytes / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_makes_batches_smaller_and_never_larger() {
        let options = ExecutionOptions::new().with_memory_budget(64_000_000);
        assert_eq!(options.effective_batch_size(false), BatchSize::Bytes(16_000_000));
        assert_eq!(options.effective_batch_size(true), BatchSize::Bytes(8_000_000));
        assert_eq!(options.slice_budget_bytes(), 32_000_000);
        let small = options.with_batch_size(BatchSize::Bytes(1_000));
        assert_eq!(small.effective_batch_size(false), BatchSize::Bytes(1_000));
    }
}
