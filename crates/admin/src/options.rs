//! How a plan is applied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a plan is applied: by default four view instances at a time, carrying on after a failure.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    concurrency: usize,
    on_failure: OnFailure,
    stop: StopSignal,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            concurrency: 4,
            on_failure: OnFailure::default(),
            stop: StopSignal::default(),
        }
    }
}

impl ApplyOptions {
    /// With this many view instances at a time; zero counts as one. The ranges of one instance are asked one after the
    /// other.
    #[must_use]
    pub fn with_concurrency(mut self, instances: usize) -> Self {
        self.concurrency = instances.max(1);
        self
    }

    /// With another behaviour when the server answers with an error.
    #[must_use]
    pub fn with_on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// With a signal that ends the work early.
    #[must_use]
    pub fn with_stop(mut self, stop: StopSignal) -> Self {
        self.stop = stop;
        self
    }

    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency
    }

    pub(crate) fn on_failure(&self) -> OnFailure {
        self.on_failure
    }

    pub(crate) fn stop(&self) -> &StopSignal {
        &self.stop
    }
}

/// What to do when the server answers with an error.
///
/// A refusal (no credentials, no rights) ends the work in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Ask for the other ranges all the same.
    #[default]
    CarryOn,
    /// Finish what was asked, and ask no more.
    Stop,
}

/// Ends a work in an orderly way, from elsewhere: what the server is doing is waited for, nothing more is asked, and what
/// happened is still verified. A clone is the same signal.
///
/// To drop the future of the work instead leaves it open which of the ranges in flight are retired.
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
