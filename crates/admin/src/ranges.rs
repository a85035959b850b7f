//! The ranges that are asked of the server, which retires whatever a range contains.

use chrono::{DateTime, Utc};
use lakepilot_catalog::Partition;
use serde::{Deserialize, Serialize};

/// One range of insert time of one view instance, as it is asked of the server: every partition that lies in it with
/// both ends is retired, one that straddles an end stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetirementRange {
    begin: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl RetirementRange {
    /// The beginning, exactly as the catalogue has it for the first partition that is meant.
    pub fn begin(&self) -> DateTime<Utc> {
        self.begin
    }

    /// The end, exactly as the catalogue has it.
    pub fn end(&self) -> DateTime<Utc> {
        self.end
    }

    /// Whether a retirement of the range takes the partition.
    pub fn takes(&self, partition: &Partition) -> bool {
        partition.is_within(self.begin, self.end)
    }

    fn of(partition: &Partition) -> Self {
        Self {
            begin: partition.begin_insert_time,
            end: partition.end_insert_time,
        }
    }
}

/// How partitions of one view instance can be retired without another one.
#[derive(Debug)]
pub(crate) struct Cover<'a> {
    /// Ranges in order that take what is meant, and none of the others.
    pub(crate) ranges: Vec<RetirementRange>,
    /// What is meant and cannot be retired by range, since one of the others lies within its own.
    pub(crate) inseparable: Vec<&'a Partition>,
}

/// The fewest ranges, in order of their beginnings, that take the partitions `meant` and none of `others`.
///
/// Where nothing else lies between, one range goes over a gap; where something does, the range ends before it.
pub(crate) fn cover<'a>(
    meant: impl IntoIterator<Item = &'a Partition>,
    others: impl IntoIterator<Item = &'a Partition>,
) -> Cover<'a> {
    let others = Others::new(others);
    let mut meant: Vec<&Partition> = meant.into_iter().collect();
    meant.sort_by_key(|partition| (partition.begin_insert_time, partition.end_insert_time));
    let mut cover = Cover {
        ranges: Vec::new(),
        inseparable: Vec::new(),
    };
    for partition in meant {
        let own = RetirementRange::of(partition);
        if others.lie_in(own) {
            cover.inseparable.push(partition);
            continue;
        }
        match cover.ranges.last_mut() {
            Some(last) => {
                let wider = RetirementRange {
                    begin: last.begin,
                    end: last.end.max(own.end),
                };
                if others.lie_in(wider) {
                    cover.ranges.push(own);
                } else {
                    *last = wider;
                }
            }
            None => cover.ranges.push(own),
        }
    }
    cover
}

/// What must not be taken: beginnings and ends, by beginning.
struct Others(Vec<(DateTime<Utc>, DateTime<Utc>)>);

impl Others {
    fn new<'a>(partitions: impl IntoIterator<Item = &'a Partition>) -> Self {
        let mut times: Vec<_> = partitions
            .into_iter()
            .map(|partition| (partition.begin_insert_time, partition.end_insert_time))
            .collect();
        times.sort_unstable();
        Self(times)
    }

    fn lie_in(&self, range: RetirementRange) -> bool {
        let first = self.0.partition_point(|(begin, _)| *begin < range.begin);
        self.0[first..]
            .iter()
            .take_while(|(begin, _)| *begin <= range.end)
            .any(|(_, end)| *end <= range.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{partition, time};
    use proptest::prelude::*;

    fn partitions(times: &[(i64, i64)]) -> Vec<Partition> {
        times
            .iter()
            .map(|(begin, end)| partition("x", "p", *begin, *end))
            .collect()
    }

    #[track_caller]
    fn check(meant: &[(i64, i64)], others: &[(i64, i64)], ranges: &[(i64, i64)], inseparable: usize) {
        let (meant, others) = (partitions(meant), partitions(others));
        let cover = cover(&meant, &others);
        let expected: Vec<RetirementRange> = ranges
            .iter()
            .map(|(begin, end)| RetirementRange {
                begin: time(*begin),
                end: time(*end),
            })
            .collect();
        assert_eq!(cover.ranges, expected);
        assert_eq!(cover.inseparable.len(), inseparable);
    }

    #[test]
    fn one_range_where_nothing_else_lies_between() {
        check(&[], &[(1, 2)], &[], 0);
        check(&[(5, 5)], &[], &[(5, 5)], 0);
        check(&[(3, 4), (0, 1), (1, 2)], &[], &[(0, 4)], 0);
        check(&[(0, 1), (3, 4)], &[(4, 6), (-1, 0), (3, 5)], &[(0, 4)], 0);
    }

    #[test]
    fn what_lies_between_parts_the_range() {
        check(&[(0, 1), (3, 4)], &[(2, 2)], &[(0, 1), (3, 4)], 0);
        check(&[(0, 1), (1, 2), (3, 4), (4, 5)], &[(2, 3)], &[(0, 2), (3, 5)], 0);
        // It touches both neighbours and overlaps neither.
        check(&[(0, 1), (2, 3)], &[(1, 2)], &[(0, 1), (2, 3)], 0);
    }

    #[test]
    fn what_lies_within_one_keeps_it() {
        check(&[(0, 10), (10, 11)], &[(3, 4)], &[(10, 11)], 1);
        // The same range under another schema.
        check(&[(0, 10)], &[(0, 10)], &[], 1);
    }

    proptest! {
        #[test]
        fn ranges_take_what_is_meant_and_nothing_else(
            all in proptest::collection::vec((0_i64..40, 0_i64..8, any::<bool>()), 0..25),
        ) {
            let times = |chosen: bool| -> Vec<(i64, i64)> {
                all.iter().filter(|(_, _, meant)| *meant == chosen).map(|(b, l, _)| (*b, b + l)).collect()
            };
            let (meant, others) = (partitions(&times(true)), partitions(&times(false)));
            let cover = cover(&meant, &others);
            for other in &others {
                prop_assert!(!cover.ranges.iter().any(|range| range.takes(other)));
            }
            for partition in &meant {
                let taken = cover.ranges.iter().any(|range| range.takes(partition));
                prop_assert_ne!(taken, cover.inseparable.contains(&partition));
                let own = RetirementRange::of(partition);
                prop_assert_eq!(!taken, others.iter().any(|other| own.takes(other)));
            }
        }
    }
}
