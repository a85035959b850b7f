//! What is to happen.

use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Direction {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::ToServer, Self::ToClient];
}

/// Which connections a fault is for, in the order in which the proxy accepted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Connections {
    /// The one with this number, from 0.
    Only(u32),
    /// Each of them.
    Every,
}

impl Connections {
    pub(crate) fn include(self, number: u32) -> bool {
        match self {
            Self::Only(only) => only == number,
            Self::Every => true,
        }
    }
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing passes in this direction for so long; then it goes on.
    Delay(Duration),
    /// Nothing passes in this direction any more, and the connection stays open.
    Stall,
    /// Both sides get a reset (RST), as from a machine that has lost the connection. What a side has not yet received is
    /// lost, so that less than the bytes up to here may arrive.
    Reset,
    /// Both sides get an orderly end (FIN) after exactly the bytes up to here.
    Truncate,
    /// So many bytes from here on are changed: each is XORed with the mask. The rest passes as it is.
    Corrupt {
        /// How many bytes, at least 1.
        bytes: u32,
        /// What they are XORed with; not 0.
        mask: u8,
    },
}

impl Action {
    /// What kind it is.
    pub fn kind(self) -> ActionKind {
        match self {
            Self::Delay(_) => ActionKind::Delay,
            Self::Stall => ActionKind::Stall,
            Self::Reset => ActionKind::Reset,
            Self::Truncate => ActionKind::Truncate,
            Self::Corrupt { .. } => ActionKind::Corrupt,
        }
    }
}

/// An [`Action`] without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActionKind {
    /// [`Action::Delay`]
    Delay,
    /// [`Action::Stall`]
    Stall,
    /// [`Action::Reset`]
    Reset,
    /// [`Action::Truncate`]
    Truncate,
    /// [`Action::Corrupt`]
    Corrupt,
}

impl ActionKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Delay, Self::Stall, Self::Reset, Self::Truncate, Self::Corrupt];
}

/// One thing that goes wrong. It happens as soon as the bytes before it have passed, or at once when there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Where.
    pub connections: Connections,
    /// On which way.
    pub direction: Direction,
    /// After how many bytes of that direction of that connection.
    pub at_byte: u64,
    /// What.
    pub action: Action,
}

/// All that is to happen: a delay that is always there, and faults.
///
/// ```
/// use std::time::Duration;
/// use lakepilot_fault_proxy::Schedule;
/// # fn main() -> lakepilot_query::Result<()> {
/// let text = "round-trip 40ms; connection 0 to-client byte 1200 corrupt 4 bytes by 0x5a; every connection to-server byte 0 stall";
/// let schedule: Schedule = text.parse()?;
/// assert_eq!(schedule.round_trip(), Duration::from_millis(40));
/// assert_eq!(schedule.to_string(), text);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    round_trip: Duration,
    faults: Vec<Fault>,
}

impl Schedule {
    /// Nothing happens: bytes pass.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a delay of half of this in each direction.
    #[must_use]
    pub fn with_round_trip(mut self, round_trip: Duration) -> Self {
        self.round_trip = round_trip;
        self
    }

    /// With one more fault. Of two at the same byte the one that was added first comes first.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// The delay that is always there, of both directions together.
    pub fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// The faults, in the order in which they were added.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What goes wrong in one direction of one connection, by place.
    pub(crate) fn on(&self, connection: u32, direction: Direction) -> Vec<Fault> {
        let mut faults: Vec<Fault> = self
            .faults
            .iter()
            .filter(|fault| fault.direction == direction && fault.connections.include(connection))
            .copied()
            .collect();
        faults.sort_by_key(|fault| fault.at_byte);
        faults
    }
}
