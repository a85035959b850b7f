//! A schedule as one line of text, and back.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lakepilot_query::{Error, ErrorKind};

use crate::schedule::{Action, Connections, Direction, Fault, Schedule};

/// What a schedule without a delay and without faults is.
const NOTHING: &str = "nothing";

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items = Vec::new();
        if !self.round_trip().is_zero() {
            items.push(format!("round-trip {}", time(self.round_trip())));
        }
        items.extend(self.faults().iter().map(ToString::to_string));
        if items.is_empty() {
            items.push(NOTHING.to_owned());
        }
        f.write_str(&items.join("; "))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.connections {
            Connections::Only(number) => write!(f, "connection {number}")?,
            Connections::Every => f.write_str("every connection")?,
        }
        write!(f, " {} byte {} {}", self.direction, self.at_byte, self.action)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToServer => "to-server",
            Self::ToClient => "to-client",
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(length) => write!(f, "delay {}", time(*length)),
            Self::Stall => f.write_str("stall"),
            Self::Reset => f.write_str("reset"),
            Self::Truncate => f.write_str("truncate"),
            Self::Corrupt { bytes, mask } => write!(f, "corrupt {bytes} bytes by {mask:#04x}"),
        }
    }
}

fn time(length: Duration) -> String {
    let nanoseconds = length.as_nanos();
    for (unit, size) in UNITS {
        if nanoseconds.is_multiple_of(size) {
            return format!("{}{unit}", nanoseconds / size);
        }
    }
    format!("{nanoseconds}ns")
}

/// The longest first.
const UNITS: [(&str, u128); 3] = [("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

impl FromStr for Schedule {
    type Err = Error;

    /// # Errors
    /// `InvalidInput`, with what was expected, when the text is not one that a schedule writes.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut schedule = Self::new();
        if text.trim() == NOTHING {
            return Ok(schedule);
        }
        for item in text.split(';') {
            let words: Vec<&str> = item.split_whitespace().collect();
            schedule = match words.as_slice() {
                ["round-trip", length] => schedule.with_round_trip(read_time(length)?),
                words => schedule.with_fault(read_fault(words).ok_or_else(|| {
                    not_understood(
                        item,
                        "'round-trip 40ms' or 'connection 0 to-client byte 1200 ACTION', where ACTION is one of 'delay 5ms', \
                         'stall', 'reset', 'truncate', 'corrupt 4 bytes by 0x5a'",
                    )
                })?),
            };
        }
        Ok(schedule)
    }
}

fn read_fault(words: &[&str]) -> Option<Fault> {
    let (connections, rest) = match words {
        ["every", "connection", rest @ ..] => (Connections::Every, rest),
        ["connection", number, rest @ ..] => (Connections::Only(number.parse().ok()?), rest),
        _ => return None,
    };
    let [direction, "byte", at_byte, action @ ..] = rest else {
        return None;
    };
    Some(Fault {
        connections,
        direction: match *direction {
            "to-server" => Direction::ToServer,
            "to-client" => Direction::ToClient,
            _ => return None,
        },
        at_byte: at_byte.parse().ok()?,
        action: read_action(action)?,
    })
}

fn read_action(words: &[&str]) -> Option<Action> {
    Some(match words {
        ["delay", length] => Action::Delay(read_time(length).ok()?),
        ["stall"] => Action::Stall,
        ["reset"] => Action::Reset,
        ["truncate"] => Action::Truncate,
        ["corrupt", bytes, "bytes", "by", mask] => Action::Corrupt {
            bytes: bytes.parse().ok().filter(|bytes| *bytes > 0)?,
            mask: u8::from_str_radix(mask.strip_prefix("0x")?, 16)
                .ok()
                .filter(|mask| *mask != 0)?,
        },
        _ => return None,
    })
}

fn read_time(text: &str) -> Result<Duration, Error> {
    let read = || {
        let (unit, size) = UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(u64::try_from(size).ok()?).map(Duration::from_nanos)
    };
    read().ok_or_else(|| not_understood(text, "a whole number of 'ms', 'us' or 'ns'"))
}

fn not_understood(text: &str, expected: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("the schedule has '{}' in it: expected {expected}", text.trim()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ActionKind, FaultSpace};
    use proptest::prelude::*;

    #[test]
    fn what_is_no_schedule_is_refused_with_what_is_one() {
        for text in [
            "",
            "nonsense",
            "round-trip 5",
            "round-trip -1ms",
            "connection x to-client byte 1 stall",
            "connection 0 sideways byte 1 stall",
            "connection 0 to-client byte 1",
            "connection 0 to-client byte 1 explode",
            "connection 0 to-client byte 1 corrupt 0 bytes by 0x01",
            "connection 0 to-client byte 1 corrupt 1 bytes by 0x00",
            "connection 0 to-client byte 1 stall;",
        ] {
            let error = text.parse::<Schedule>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(error.message().contains("expected"), "{error}");
        }
    }

    #[test]
    fn a_quiet_schedule_is_nothing() {
        assert_eq!(Schedule::new().to_string(), "nothing");
        assert_eq!("nothing".parse::<Schedule>().unwrap(), Schedule::new());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seed: u64, round_trip in 0_u64..1_000_000_000) {
            let space = FaultSpace::new(3, 1_000, 100_000).with_kinds(&ActionKind::ALL).with_most_faults(5);
            let schedule = space.draw(seed).with_round_trip(Duration::from_nanos(round_trip));
            prop_assert_eq!(schedule.to_string().parse::<Schedule>().unwrap(), schedule);
        }
    }
}
