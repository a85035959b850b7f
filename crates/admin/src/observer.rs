//! Watching an operation while it runs.

use chrono::{DateTime, Utc};

use crate::{RetirementRange, ViewInstance};

/// Something that happened while an operation ran.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The plan was compared with the catalogue, and the first range is about to be asked.
    Started {
        /// How many view instances will be asked.
        instances: u64,
        /// How many partitions are to go.
        partitions: u64,
    },
    /// The server is asked to retire a range.
    Asked {
        /// The view instance.
        instance: ViewInstance,
        /// The range of insert time.
        range: RetirementRange,
    },
    /// The server said something.
    Message {
        /// The view instance that it is about.
        instance: ViewInstance,
        /// What it said, and when.
        message: ServerMessage,
    },
    /// The ranges of a view instance were asked: all of them, or as many as there were before the work was ended. Whether
    /// the partitions are gone is not known yet.
    InstanceDone {
        /// The view instance.
        instance: ViewInstance,
        /// How many partitions of it were to go.
        partitions: u64,
        /// What failed, if something did.
        error: Option<String>,
    },
    /// The partitions are listed again, to see what happened.
    Verifying,
}

/// A row that the server sent while it worked.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ServerMessage {
    /// When the server said it.
    pub time: Option<DateTime<Utc>>,
    /// What it said.
    pub message: String,
}

/// Watches an operation. Calls come from the task that runs it, one at a time, and should return soon.
///
/// Every `Fn(&Event)` is one:
///
/// ```
/// use lakepilot_admin::{Event, Observer};
///
/// fn takes(observer: &dyn Observer) {
///     observer.observe(&Event::Verifying);
/// }
/// takes(&|event: &Event| assert_eq!(event, &Event::Verifying));
/// ```
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Observer: Send + Sync {
    /// Something happened.
    fn observe(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> Observer for F {
    fn observe(&self, event: &Event) {
        self(event);
    }
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _event: &Event) {}
}
