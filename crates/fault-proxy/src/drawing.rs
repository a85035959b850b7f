//! Schedules by seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::schedule::{Action, ActionKind, Connections, Direction, Fault, Schedule};

/// What may go wrong, and where: what schedules are drawn from.
///
/// A run without faults tells how many bytes pass ([`FaultProxy::transferred`](crate::FaultProxy::transferred)); a space of
/// that size has its faults where something is.
#[derive(Clone, Debug)]
pub struct FaultSpace {
    connections: u32,
    to_server_bytes: u64,
    to_client_bytes: u64,
    kinds: Vec<ActionKind>,
    most_faults: u32,
    longest_delay: Duration,
}

impl FaultSpace {
    /// One fault of any kind, on one of so many connections, within the first so many bytes of a direction.
    pub fn new(connections: u32, to_server_bytes: u64, to_client_bytes: u64) -> Self {
        Self {
            connections: connections.max(1),
            to_server_bytes,
            to_client_bytes,
            kinds: ActionKind::ALL.to_vec(),
            most_faults: 1,
            longest_delay: Duration::from_millis(20),
        }
    }

    /// Only these kinds; none of them is a space of schedules in which nothing happens.
    #[must_use]
    pub fn with_kinds(mut self, kinds: &[ActionKind]) -> Self {
        self.kinds = kinds.to_vec();
        self
    }

    /// From one to so many faults.
    #[must_use]
    pub fn with_most_faults(mut self, faults: u32) -> Self {
        self.most_faults = faults.max(1);
        self
    }

    /// Delays of at most this. 20 ms unless set.
    #[must_use]
    pub fn with_longest_delay(mut self, delay: Duration) -> Self {
        self.longest_delay = delay;
        self
    }

    /// The schedule of a seed: the same every time.
    pub fn draw(&self, seed: u64) -> Schedule {
        let mut random = StdRng::seed_from_u64(seed);
        if self.kinds.is_empty() {
            return Schedule::new();
        }
        let faults = random.random_range(1..=self.most_faults);
        (0..faults).fold(Schedule::new(), |schedule, _| {
            schedule.with_fault(self.fault(&mut random))
        })
    }

    fn fault(&self, random: &mut StdRng) -> Fault {
        let direction = Direction::BOTH[random.random_range(0..2)];
        let bytes = match direction {
            Direction::ToServer => self.to_server_bytes,
            Direction::ToClient => self.to_client_bytes,
        };
        Fault {
            connections: Connections::Only(random.random_range(0..self.connections)),
            direction,
            at_byte: place(bytes, random),
            action: self.action(random),
        }
    }

    fn action(&self, random: &mut StdRng) -> Action {
        match self.kinds[random.random_range(0..self.kinds.len())] {
            ActionKind::Delay => {
                let longest = u64::try_from(self.longest_delay.as_micros()).unwrap_or(u64::MAX);
                Action::Delay(Duration::from_micros(random.random_range(0..=longest)))
            }
            ActionKind::Stall => Action::Stall,
            ActionKind::Reset => Action::Reset,
            ActionKind::Truncate => Action::Truncate,
            ActionKind::Corrupt => Action::Corrupt {
                bytes: 1 << random.random_range(0..4),
                mask: random.random_range(1..=u8::MAX),
            },
        }
    }
}

/// A place among so many bytes. Half of them are near the beginning, where handshakes and headers are: every power of two
/// is as likely as the next.
fn place(bytes: u64, random: &mut StdRng) -> u64 {
    if bytes == 0 {
        return 0;
    }
    if random.random() {
        return random.random_range(0..bytes);
    }
    let power = random.random_range(0..=bytes.ilog2());
    random.random_range(0..1_u64 << power).min(bytes - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_seed_is_one_schedule_and_many_are_many() {
        let space = FaultSpace::new(2, 500, 50_000).with_most_faults(3);
        assert_eq!(space.draw(7), space.draw(7));
        let schedules: HashSet<String> = (0..200).map(|seed| space.draw(seed).to_string()).collect();
        assert!(schedules.len() > 190, "{}", schedules.len());
    }

    #[test]
    fn every_kind_is_drawn_and_nothing_outside_of_the_space() {
        let space = FaultSpace::new(2, 500, 50_000)
            .with_most_faults(3)
            .with_longest_delay(Duration::from_millis(3));
        let mut kinds = HashSet::new();
        for seed in 0..500 {
            for fault in space.draw(seed).faults() {
                kinds.insert(fault.action.kind());
                let bytes = match fault.direction {
                    Direction::ToServer => 500,
                    Direction::ToClient => 50_000,
                };
                assert!(fault.at_byte < bytes, "{fault}");
                assert!(matches!(fault.connections, Connections::Only(0 | 1)), "{fault}");
                if let Action::Delay(delay) = fault.action {
                    assert!(delay <= Duration::from_millis(3), "{fault}");
                }
            }
        }
        assert_eq!(kinds.len(), ActionKind::ALL.len());
    }

    #[test]
    fn an_empty_space_has_no_faults_in_it() {
        assert_eq!(FaultSpace::new(1, 0, 0).with_kinds(&[]).draw(1), Schedule::new());
        assert_eq!(FaultSpace::new(0, 0, 0).draw(1).faults()[0].at_byte, 0);
    }
}
