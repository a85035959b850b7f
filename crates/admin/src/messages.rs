//! Keeping what a server says, within bounds.

use serde::Serialize;

use crate::ServerMessage;

/// A server says a line for each file; a report needs the first ones, and the observer saw them all.
const MOST_KEPT: usize = 50;

/// The first messages of an operation, and how many more there were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Messages {
    #[serde(rename = "messages")]
    kept: Vec<ServerMessage>,
    #[serde(rename = "messages_left_out")]
    left_out: u64,
}

impl Messages {
    /// The first messages, in the order in which they arrived.
    pub fn kept(&self) -> &[ServerMessage] {
        &self.kept
    }

    /// How many more arrived, which only the observer saw.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    pub(crate) fn append(&mut self, more: Self) {
        more.kept.into_iter().for_each(|message| self.push(message));
        self.left_out += more.left_out;
    }

    pub(crate) fn push(&mut self, message: ServerMessage) {
        if self.kept.len() < MOST_KEPT {
            self.kept.push(message);
        } else {
            self.left_out += 1;
        }
    }
}
