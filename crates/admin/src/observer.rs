//! Watching an operation while it runs.

use chrono::{DateTime, Utc};

use crate::{Request, ViewInstance};

/// Something that happened while an operation ran.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The plan was compared with the catalogue, and the first statement is about to be sent.
    Started {
        /// How many statements will be sent.
        statements: u64,
        /// How many partitions are to go.
        partitions: u64,
    },
    /// The server is asked to retire partitions.
    Asked {
        /// What is asked for.
        request: Request,
        /// The view instance, when all of them are of one.
        instance: Option<ViewInstance>,
    },
    /// The server said something.
    Message {
        /// The view instance that it is about, when it is known.
        instance: Option<ViewInstance>,
        /// What it said, and when.
        message: ServerMessage,
    },
    /// A statement was answered. Whether the partitions are gone is not known yet.
    Answered {
        /// How many partitions were answered for so far.
        done: u64,
        /// How many are to go.
        partitions: u64,
        /// What failed in this statement, if something did.
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
