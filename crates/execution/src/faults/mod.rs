//! What is done when a service is slow, or not there for a moment.

mod deadline;
mod retry;

pub use deadline::{DeadlineService, Timeouts};
pub(crate) use retry::{Retries, Retry};
pub use retry::{RetryPolicy, RetryingService};
