//! Average lengths of text that are kept from one query to the next.

mod file;
mod keys;
mod lengths;
mod observer;
mod service;
mod store;

pub(crate) use keys::{ColumnKeys, key};

pub use file::FileLengthStore;
pub use lengths::LearntLengths;
pub use observer::LengthObserver;
pub use service::LearningService;
#[cfg(feature = "mock")]
pub use store::MockLengthStore;
pub use store::{LengthStore, LoadedLengths};
