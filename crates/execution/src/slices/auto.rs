//! Slices along the edges of partitions, each of about the same weight.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_catalog::{Catalog, Partition, PartitionFilter};
use lakepilot_query::{QueryService, Result, TimeRange};

/// Slices for each that runs at a time, so that one that takes longer than the others does not leave them idle at the end.
const SLICES_EACH: usize = 4;

/// Rows below which another slice is not worth its query.
const LEAST_ROWS: u64 = 50_000;

/// Cuts a time range by what the catalogue tells of a view instance, for `parallel` slices at a time.
///
/// There are four slices for each that runs at a time, or fewer, where they would have less than 50,000 rows. See
/// [`slices_along`] for where they are cut. An instance of which no partitions are told, as one that is materialised when it
/// is read, is cut evenly.
///
/// # Errors
/// Those of the service that is asked for the partitions and view sets.
pub async fn auto_slices(
    service: Arc<dyn QueryService>,
    view_set: &str,
    instance: &str,
    range: TimeRange,
    parallel: usize,
) -> Result<Vec<TimeRange>> {
    let catalog = Catalog::new(service);
    let filter = PartitionFilter::all()
        .with_view_sets([view_set])
        .with_instances([instance]);
    let (mut partitions, view_sets) =
        futures::future::try_join(catalog.partitions(&filter), catalog.view_sets()).await?;
    // Queries do not read partitions of another schema than the current one.
    if let Some(current) = view_sets.iter().find(|known| known.name == view_set) {
        partitions.retain(|partition| partition.file_schema_hash == current.current_schema_hash);
    }
    let most = parallel.max(1) * SLICES_EACH;
    if partitions.is_empty() {
        return Ok(range.split(most));
    }
    let rows: f64 = pieces(&partitions, range, |partition| partition.num_rows)
        .iter()
        .map(|piece| piece.weight)
        .sum();
    let worth = (rows / LEAST_ROWS as f64) as usize;
    Ok(slices_along(&partitions, range, worth.clamp(1, most)))
}

/// Cuts a time range into at most `parts` slices of about the same weight, at edges of partitions where there is one near.
///
/// The weight of a partition is the size of its file, or its rows where no sizes are told, spread evenly over its range of
/// event time. An edge is near when it makes a slice at most half a slice too heavy or too light; with none so near, as
/// within one large partition, the cut is where the weight says. At an edge, neither side has to open the partition of the
/// other. Every instant of the range is in exactly one slice, whatever the partitions are.
///
/// ```
/// use lakepilot_execution::slices_along;
/// use lakepilot_query::{TimeRange, parse_time};
/// # fn main() -> lakepilot_query::Result<()> {
/// let now = chrono::Utc::now();
/// let week = TimeRange::new(parse_time("7d", now)?, now)?;
/// // Of nothing, nothing is known: one slice is as good as many.
/// assert_eq!(slices_along(&[], week, 4), [week]);
/// # Ok(())
/// # }
/// ```
pub fn slices_along(partitions: &[Partition], range: TimeRange, parts: usize) -> Vec<TimeRange> {
    let has_sizes = partitions
        .iter()
        .all(|partition| partition.num_rows == 0 || partition.file_size_bytes > 0);
    let pieces = pieces(partitions, range, |partition| {
        if has_sizes {
            partition.file_size_bytes
        } else {
            partition.num_rows
        }
    });
    let total: f64 = pieces.iter().map(|piece| piece.weight).sum();
    let share = total / parts.max(1) as f64;
    if total <= 0.0 || parts <= 1 {
        return vec![range];
    }
    let mut edges: Vec<(i64, f64)> = pieces
        .iter()
        .flat_map(|piece| [Some(piece.begin), piece.end.checked_add(1)])
        .flatten()
        .map(|edge| (edge, weight_before(&pieces, edge)))
        .collect();
    edges.sort_by_key(|(edge, _)| *edge);
    let cuts = (1..parts).filter_map(|part| {
        let ideal = share * part as f64;
        let off = |(_, weight): &&(i64, f64)| (weight - ideal).abs();
        let nearest = edges.iter().min_by(|one, other| off(one).total_cmp(&off(other)))?;
        Some(if off(&nearest) <= share / 2.0 {
            nearest.0
        } else {
            moment_of(&pieces, ideal, range)
        })
    });
    at_cuts(range, cuts.collect())
}

/// The part of a partition that lies in the range, in nanoseconds, both ends included.
#[derive(Clone, Copy, Debug)]
struct Piece {
    begin: i64,
    end: i64,
    weight: f64,
}

impl Piece {
    fn length(&self) -> f64 {
        self.end.abs_diff(self.begin) as f64 + 1.0
    }
}

fn pieces(partitions: &[Partition], range: TimeRange, weight: impl Fn(&Partition) -> u64) -> Vec<Piece> {
    let piece = |partition: &Partition| {
        // What is beyond the years that nanoseconds can tell is clipped, as the range is within them.
        let nanos = |time: DateTime<Utc>| {
            let beyond = if time.timestamp() < 0 { i64::MIN } else { i64::MAX };
            time.timestamp_nanos_opt().unwrap_or(beyond)
        };
        let (least, most) = (nanos(partition.min_event_time?), nanos(partition.max_event_time?));
        let whole = Piece {
            begin: least,
            end: most.max(least),
            weight: weight(partition) as f64,
        };
        let (begin, end) = (least.max(range.begin_nanos()), most.min(range.end_nanos()));
        let mut piece = Piece { begin, end, ..whole };
        if begin > end || whole.weight <= 0.0 {
            return None;
        }
        piece.weight *= piece.length() / whole.length();
        Some(piece)
    };
    partitions.iter().filter_map(piece).collect()
}

/// The weight of what is earlier than a moment.
fn weight_before(pieces: &[Piece], moment: i64) -> f64 {
    let before = |piece: &Piece| {
        if moment <= piece.begin {
            0.0
        } else if moment > piece.end {
            piece.weight
        } else {
            piece.weight * moment.abs_diff(piece.begin) as f64 / piece.length()
        }
    };
    pieces.iter().map(before).sum()
}

/// The first moment before which there is at least this weight.
fn moment_of(pieces: &[Piece], weight: f64, range: TimeRange) -> i64 {
    let (mut low, mut high) = (range.begin_nanos(), range.end_nanos());
    while low < high {
        // Rounded down, unlike `midpoint`, which rounds towards zero: the middle has to be below `high`.
        let middle = low.saturating_add_unsigned(high.abs_diff(low) / 2);
        if weight_before(pieces, middle) >= weight {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The slices that begin at the cuts, and the one before them.
fn at_cuts(range: TimeRange, mut cuts: Vec<i64>) -> Vec<TimeRange> {
    cuts.retain(|cut| *cut > range.begin_nanos() && *cut <= range.end_nanos());
    cuts.sort_unstable();
    cuts.dedup();
    let instant = TimeDelta::nanoseconds(1);
    let mut slices = Vec::with_capacity(cuts.len() + 1);
    let mut begin = range.begin();
    for cut in cuts {
        let cut = DateTime::from_timestamp_nanos(cut);
        slices.extend(TimeRange::new(begin, cut - instant));
        begin = cut;
    }
    slices.extend(TimeRange::new(begin, range.end()));
    slices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slices::{SliceRule, Slicing};
    use proptest::prelude::*;

    fn time(nanos: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(nanos)
    }

    fn range(begin: i64, end: i64) -> TimeRange {
        TimeRange::new(time(begin), time(end)).unwrap()
    }

    fn partition(begin: i64, end: i64, rows: u64) -> Partition {
        Partition {
            view_set_name: "log_entries".to_owned(),
            view_instance_id: "global".to_owned(),
            begin_insert_time: time(begin),
            end_insert_time: time(end),
            min_event_time: Some(time(begin)),
            max_event_time: Some(time(end)),
            updated: time(end),
            file_path: Some("file".to_owned()),
            file_size_bytes: rows * 10,
            file_schema_hash: vec![4],
            source_data_hash: vec![],
            num_rows: rows,
            partition_format_version: 2,
            sort_order: None,
            max_sort_key_time: None,
        }
    }

    #[test]
    fn cuts_are_at_edges_when_they_are_near() {
        // Six partitions of much the same weight for three slices.
        let partitions: Vec<_> = (0..6)
            .map(|n| partition(n * 100 + 3, n * 100 + 97, 1_000 + n as u64 * 20))
            .collect();
        let slices = slices_along(&partitions, range(0, 1_000), 3);
        assert_eq!(slices.len(), 3);
        for slice in &slices[1..] {
            let begin = slice.begin_nanos();
            let within = partitions.iter().any(|partition| {
                let (least, most) = (partition.min_event_time.unwrap(), partition.max_event_time.unwrap());
                time(begin) > least && time(begin) <= most
            });
            assert!(!within, "{begin} cuts a partition");
        }
    }

    #[test]
    fn one_large_partition_is_cut_within() {
        let slices = slices_along(&[partition(0, 999, 1_000)], range(0, 999), 4);
        assert_eq!(slices, range(0, 999).split(4));
    }

    #[test]
    fn the_weight_and_not_the_time_is_cut_in_equal_parts() {
        let partitions = [partition(0, 99, 6_000), partition(100, 999, 4_000)];
        let slices = slices_along(&partitions, range(0, 999), 2);
        assert_eq!(slices.len(), 2);
        assert_eq!(slices[1].begin(), time(100), "the edge is within half a slice");
        let slices = slices_along(&partitions, range(0, 999), 10);
        let early = slices.iter().filter(|slice| slice.end_nanos() < 100);
        assert_eq!(early.count(), 6, "{slices:?}");
    }

    #[test]
    fn what_lies_outside_or_has_no_time_has_no_weight() {
        let mut timeless = partition(0, 10, 1_000_000);
        timeless.min_event_time = None;
        let partitions = [timeless, partition(-500, -100, 1_000_000), partition(0, 99, 10)];
        assert_eq!(slices_along(&partitions, range(0, 99), 2), range(0, 99).split(2));
    }

    proptest! {
        #[test]
        fn every_instant_is_in_one_slice(
            partitions in proptest::collection::vec((-200i64..200, 0i64..150, 0u64..5_000), 0..20),
            begin in -100i64..100, length in 0i64..300, parts in 0usize..12,
        ) {
            let partitions: Vec<_> = partitions.into_iter().map(|(begin, length, rows)| partition(begin, begin + length, rows)).collect();
            let range = range(begin, begin + length);
            let slices = slices_along(&partitions, range, parts);
            prop_assert!(slices.len() <= parts.max(1));
            prop_assert_eq!(slices[0].begin(), range.begin());
            prop_assert_eq!(slices[slices.len() - 1].end(), range.end());
            // A slicing takes only slices that follow each other to the nanosecond.
            prop_assert!(Slicing::new(SliceRule::Points, slices).is_ok());
        }

        #[test]
        fn no_times_are_too_far(least: i64, most: i64, begin: i64, end: i64) {
            let range = range(begin.min(end), begin.max(end));
            let slices = slices_along(&[partition(least.min(most), least.max(most), 7)], range, 5);
            prop_assert!(Slicing::new(SliceRule::Points, slices).is_ok());
        }
    }
}
