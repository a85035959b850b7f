//! How a plan is applied.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{History, Journal};

/// How many partitions a statement names when nothing else is said. Each costs the server two statements of its own in one
/// transaction; a few hundred take a fraction of a second and make the round trip small.
const STATEMENT_SIZE: usize = 250;

/// How a plan is applied: by default four statements at a time of up to 250 partitions each, as fast as the server
/// answers, carrying on after a failure, and not at all when the lake has changed.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    concurrency: usize,
    statement_size: usize,
    rate: Option<NonZeroU32>,
    on_failure: OnFailure,
    on_drift: OnDrift,
    stop: StopSignal,
    journal: Option<Arc<Journal>>,
    history: Option<History>,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            concurrency: 4,
            statement_size: STATEMENT_SIZE,
            rate: None,
            on_failure: OnFailure::default(),
            on_drift: OnDrift::default(),
            stop: StopSignal::default(),
            journal: None,
            history: None,
        }
    }
}

impl ApplyOptions {
    /// With this many statements at a time; zero counts as one. The ranges of one instance are asked one after the
    /// other.
    #[must_use]
    pub fn with_concurrency(mut self, statements: usize) -> Self {
        self.concurrency = statements.max(1);
        self
    }

    /// With statements of up to so many partitions, each a transaction; zero counts as one.
    #[must_use]
    pub fn with_statement_size(mut self, partitions: usize) -> Self {
        self.statement_size = partitions.max(1);
        self
    }

    /// With no more than so many partitions asked for in a second, on average; `None`: as fast as the server answers.
    /// Needs a tokio runtime with its timer.
    #[must_use]
    pub fn with_rate(mut self, partitions_per_second: impl Into<Option<NonZeroU32>>) -> Self {
        self.rate = partitions_per_second.into();
        self
    }

    /// With another behaviour when the server answers with an error.
    #[must_use]
    pub fn with_on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// With another behaviour when the lake has changed since the plan was made.
    #[must_use]
    pub fn with_on_drift(mut self, on_drift: OnDrift) -> Self {
        self.on_drift = on_drift;
        self
    }

    /// With a signal that ends the work early.
    #[must_use]
    pub fn with_stop(mut self, stop: StopSignal) -> Self {
        self.stop = stop;
        self
    }

    /// With a journal of the plan, so that a run that was killed can be taken up again.
    #[must_use]
    pub fn with_journal(mut self, journal: Arc<Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// With a history in which the run is recorded.
    #[must_use]
    pub fn with_history(mut self, history: History) -> Self {
        self.history = Some(history);
        self
    }

    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// No larger than what may be asked for in a second.
    pub(crate) fn statement_size(&self) -> usize {
        let a_second = self.rate.map_or(usize::MAX, |rate| rate.get() as usize);
        self.statement_size.min(a_second)
    }

    pub(crate) fn rate(&self) -> Option<NonZeroU32> {
        self.rate
    }

    pub(crate) fn on_failure(&self) -> OnFailure {
        self.on_failure
    }

    pub(crate) fn on_drift(&self) -> OnDrift {
        self.on_drift
    }

    pub(crate) fn stop(&self) -> &StopSignal {
        &self.stop
    }

    pub(crate) fn journal(&self) -> Option<&Journal> {
        self.journal.as_deref()
    }

    pub(crate) fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }
}

/// What to do when the server answers with an error.
///
/// A refusal (no credentials, no rights) ends the work in any case, and so does a journal that cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Ask for the others all the same.
    #[default]
    CarryOn,
    /// Finish what was asked, and ask no more.
    Stop,
}

/// What to do when planned partitions are gone or were written anew since the plan was made. What is new is left alone
/// in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDrift {
    /// Ask for nothing: the plan is not for the lake as it is.
    #[default]
    Refuse,
    /// Leave those out, and ask for the others. Right for plans that are applied as soon as they are made.
    LeaveOut,
}

/// Ends a work in an orderly way, from elsewhere: what the server is doing is waited for, nothing more is asked, and what
/// happened is still verified. A clone is the same signal.
///
/// To drop the future of the work instead leaves it open which of the partitions in flight are retired; a journal knows
/// which ones those were.
#[derive(Clone, Debug, Default)]
pub struct StopSignal(Arc<AtomicBool>);

impl StopSignal {
    /// A signal that was not given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was given.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
