//! Which function of the server retires which partition.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use lakepilot_catalog::Partition;

use crate::ranges::cover;
use crate::{ByMetadata, Capabilities, Request, RetirementRange};

/// How one partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Method {
    File,
    Metadata,
    Range,
}

/// Which way is open for which partition of one view instance.
pub(crate) struct Methods {
    capabilities: Capabilities,
    /// How many partitions there are of the same insert times.
    twins: HashMap<(DateTime<Utc>, DateTime<Utc>), u32>,
}

impl Methods {
    /// For one view instance, of which all partitions are given.
    pub(crate) fn new<'a>(capabilities: Capabilities, all: impl Iterator<Item = &'a Partition>) -> Self {
        let mut twins = HashMap::new();
        if capabilities.by_metadata == ByMetadata::WithoutSchema {
            for partition in all {
                *twins.entry(times(partition)).or_default() += 1;
            }
        }
        Self { capabilities, twins }
    }

    /// The most exact way.
    pub(crate) fn of(&self, partition: &Partition) -> Method {
        if self.capabilities.by_file && partition.file_path.is_some() {
            return Method::File;
        }
        match self.capabilities.by_metadata {
            ByMetadata::WithSchema => Method::Metadata,
            ByMetadata::WithoutSchema if self.twins.get(&times(partition)).is_none_or(|count| *count < 2) => {
                Method::Metadata
            }
            ByMetadata::WithoutSchema | ByMetadata::No => Method::Range,
        }
    }
}

fn times(partition: &Partition) -> (DateTime<Utc>, DateTime<Utc>) {
    (partition.begin_insert_time, partition.end_insert_time)
}

/// How partitions of one view instance are retired without another one.
pub(crate) struct Asked<'a> {
    pub(crate) by_file: Vec<&'a Partition>,
    pub(crate) by_metadata: Vec<&'a Partition>,
    pub(crate) ranges: Vec<RetirementRange>,
    pub(crate) requests: Vec<Request>,
    /// What cannot be retired, since one of the others lies within its own range.
    pub(crate) inseparable: Vec<&'a Partition>,
}

/// What is asked of the server to retire the partitions `going` of one view instance and none of `others`.
pub(crate) fn requests<'a>(capabilities: Capabilities, going: &'a [Partition], others: &'a [Partition]) -> Asked<'a> {
    asked(capabilities, going.iter().collect(), others.iter().collect())
}

/// As [`requests`], for borrowed partitions.
pub(crate) fn asked<'a>(
    capabilities: Capabilities,
    going: Vec<&'a Partition>,
    others: Vec<&'a Partition>,
) -> Asked<'a> {
    let methods = Methods::new(capabilities, going.iter().chain(&others).copied());
    let of = |method: Method| -> Vec<&'a Partition> {
        going
            .iter()
            .copied()
            .filter(|partition| methods.of(partition) == method)
            .collect()
    };
    let by_range = of(Method::Range);
    let covered = cover(by_range.iter().copied(), others);
    let mut asked = Asked {
        by_file: of(Method::File),
        by_metadata: of(Method::Metadata),
        ranges: covered.ranges,
        requests: Vec::new(),
        inseparable: covered.inseparable,
    };
    let count = |partitions: &[&Partition]| partitions.len() as u64;
    if !asked.by_file.is_empty() {
        asked.requests.push(Request::File {
            partitions: count(&asked.by_file),
        });
    }
    if !asked.by_metadata.is_empty() {
        asked.requests.push(Request::Metadata {
            partitions: count(&asked.by_metadata),
        });
    }
    for range in &asked.ranges {
        let partitions = by_range.iter().filter(|partition| range.takes(partition)).count() as u64;
        asked.requests.push(Request::Range {
            range: *range,
            partitions,
        });
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::partition;

    fn capabilities(by_file: bool, by_metadata: ByMetadata) -> Capabilities {
        Capabilities {
            by_file,
            by_metadata,
            by_range: true,
        }
    }

    fn methods(capabilities: Capabilities) -> Vec<Method> {
        let full = partition("x", "p", 0, 1);
        let mut empty = partition("x", "p", 1, 2);
        empty.file_path = None;
        let mut twin = partition("x", "p", 0, 1);
        twin.file_schema_hash = vec![9];
        let all = [full, empty, twin];
        let methods = Methods::new(capabilities, all.iter());
        all.iter().map(|partition| methods.of(partition)).collect()
    }

    #[test]
    fn the_most_exact_way_is_taken() {
        use Method::{File, Metadata, Range};
        assert_eq!(
            methods(capabilities(true, ByMetadata::WithSchema)),
            [File, Metadata, File]
        );
        assert_eq!(methods(capabilities(false, ByMetadata::WithSchema)), [Metadata; 3]);
        assert_eq!(methods(capabilities(true, ByMetadata::No)), [File, Range, File]);
        // Without the schema, twins cannot be told apart.
        assert_eq!(
            methods(capabilities(false, ByMetadata::WithoutSchema)),
            [Range, Metadata, Range]
        );
    }
}
