//! How a [`LakeService`](crate::LakeService) runs queries.

use std::num::NonZeroUsize;

/// A fault that the service commits on purpose, so that tools which must notice one can be tested.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every function that retires tells that it retires every partition that was asked for, leaves every second one in
    /// place, and ends its stream well: what a client of the real service sees of `retire_partitions` when the retirement
    /// fails there.
    SwallowRetirement,
}

/// The options of a [`LakeService`](crate::LakeService).
///
/// ```
/// use lakepilot_local_lake::ServiceOptions;
/// let options = ServiceOptions { administration: false, ..ServiceOptions::default() };
/// assert_eq!(options.memory_limit_bytes, 4 << 30);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Whether the functions that change the lake exist. Without them a caller is told that there is no such function, as
    /// the real service tells everybody who is not an administrator.
    pub administration: bool,
    /// What all running queries together may hold in memory for sorting, grouping and joining, in bytes. Beyond it they
    /// spill to the system's temporary directory, and what cannot spill fails with `ResourceExhausted`.
    pub memory_limit_bytes: usize,
    /// How many parts of a query run at the same time; `None` is one for each core.
    pub target_partitions: Option<NonZeroUsize>,
    /// The fault to commit, if any.
    pub fault: Option<Fault>,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            administration: true,
            memory_limit_bytes: 4 << 30,
            target_partitions: None,
            fault: None,
        }
    }
}
