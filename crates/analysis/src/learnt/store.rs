//! Where lengths are kept.

use lakepilot_query::Result;

use super::LearntLengths;

/// Keeps average lengths of columns from one query to the next.
///
/// What is kept only makes estimates better, so a store that cannot be read is as good as an empty one, and its trouble is
/// a note. A store may be shared by threads and processes: what one records, the others load next.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait LengthStore: Send + Sync {
    /// What is known. A store that is not there yet is empty; one that cannot be read is empty with a note.
    fn load(&self) -> LoadedLengths;

    /// Adds what was learnt to what is known.
    ///
    /// # Errors
    /// `Io` and the like when it cannot be written. What was known before is still there then.
    fn record(&self, learnt: &LearntLengths) -> Result<()>;
}

/// What a store has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedLengths {
    /// What is known.
    pub lengths: LearntLengths,
    /// Why it is less than was kept, when the store could not be read: a lowercase fragment for a person.
    pub note: Option<String>,
}
