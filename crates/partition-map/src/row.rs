//! One row: the partitions of one view instance along time, where none are, and where there is more than one.

use crate::bar::{Bar, Span};

/// What stands in front of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label {
    pub(crate) view_set: String,
    pub(crate) instance: Instance,
}

/// Whose partitions a row has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Instance {
    /// Those of one instance. `global` comes first.
    One { is_other: bool, id: String },
    /// Those of so many that have no row of their own.
    Many(u64),
}

/// A row of a map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) label: Label,
    /// By lane, and in a lane by time.
    pub(crate) bars: Vec<Bar>,
    pub(crate) lanes: usize,
    /// Between the first partition and the last, where there is none.
    pub(crate) gaps: Vec<Span>,
    /// Where two partitions or more lie over each other.
    pub(crate) overlaps: Vec<Span>,
    /// The partitions that have no time to go across.
    pub(crate) undrawn: u64,
}

impl Row {
    pub(crate) fn new(label: Label, mut bars: Vec<Bar>, undrawn: u64) -> Self {
        bars.sort_by(|a, b| by_time(a.span, b.span));
        // Of instances that share a row it means nothing that one has a partition where another has one, or has not.
        let shared = matches!(label.instance, Instance::Many(_));
        let lanes = if shared { 1 } else { assign_lanes(&mut bars) };
        let (gaps, overlaps) = gaps_and_overlaps(bars.iter().map(|bar| bar.span));
        // Stable, so that each lane stays in order.
        bars.sort_by_key(|bar| bar.lane);
        Self {
            label,
            bars,
            lanes,
            gaps: if shared { Vec::new() } else { gaps },
            overlaps: if shared { Vec::new() } else { overlaps },
            undrawn,
        }
    }

    /// Whether it has the partitions of several instances.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.label.instance, Instance::Many(_))
    }

    pub(crate) fn partitions(&self) -> u64 {
        self.bars.iter().map(|bar| bar.partitions).sum::<u64>() + self.undrawn
    }

    pub(crate) fn planned(&self) -> u64 {
        self.bars.iter().map(|bar| bar.planned).sum()
    }

    pub(crate) fn rows(&self) -> u64 {
        self.bars.iter().map(|bar| bar.rows).fold(0, u64::saturating_add)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bars.iter().map(|bar| bar.bytes).fold(0, u64::saturating_add)
    }

    pub(crate) fn span(&self) -> Option<Span> {
        self.bars.iter().map(|bar| bar.span).reduce(Span::join)
    }
}

fn by_time(a: Span, b: Span) -> std::cmp::Ordering {
    a.begin.total_cmp(&b.begin).then(a.end.total_cmp(&b.end))
}

/// The most bars above each other; what overlaps even more shares the last place.
pub(crate) const MOST_LANES: usize = 4;

/// Gives each bar the lowest lane that is free where it lies, and returns how many there are.
fn assign_lanes(bars: &mut [Bar]) -> usize {
    let mut last: Vec<Span> = Vec::new();
    for bar in bars {
        let free = last.iter().position(|before| is_clear_of(bar.span, *before));
        bar.lane = match free {
            Some(lane) => lane,
            None if last.len() < MOST_LANES => last.len(),
            None => MOST_LANES - 1,
        };
        match last.get_mut(bar.lane) {
            Some(before) => *before = before.join(bar.span),
            None => last.push(bar.span),
        }
    }
    last.len()
}

/// Whether `next`, which does not begin before `before`, lies behind it. To touch is no overlap, but two partitions of
/// the same instant lie over each other.
fn is_clear_of(next: Span, before: Span) -> bool {
    before.end < next.begin || before.end == next.begin && (next.length() > 0.0 || before.length() > 0.0)
}

/// Where nothing lies between the first and the last, and where more than one lies. The spans come in order of their
/// beginnings.
fn gaps_and_overlaps(spans: impl Iterator<Item = Span>) -> (Vec<Span>, Vec<Span>) {
    let (mut gaps, mut overlaps) = (Vec::new(), Vec::<Span>::new());
    let mut covered: Option<Span> = None;
    for span in spans {
        let Some(before) = covered else {
            covered = Some(span);
            continue;
        };
        if span.begin > before.end {
            gaps.push(Span {
                begin: before.end,
                end: span.begin,
            });
        } else if !is_clear_of(span, before) {
            let overlap = Span {
                begin: span.begin,
                end: span.end.min(before.end),
            };
            match overlaps.last_mut() {
                Some(last) if overlap.begin <= last.end => *last = last.join(overlap),
                _ => overlaps.push(overlap),
            }
        }
        covered = Some(if span.end >= before.end { span } else { before });
    }
    (gaps, overlaps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bar;
    use proptest::prelude::*;

    fn row(spans: &[(i64, i64)]) -> Row {
        let label = Label {
            view_set: "x".to_owned(),
            instance: Instance::One {
                is_other: true,
                id: "p".to_owned(),
            },
        };
        Row::new(label, spans.iter().map(|(begin, end)| bar(*begin, *end)).collect(), 0)
    }

    fn pairs(spans: &[Span]) -> Vec<(i64, i64)> {
        spans.iter().map(|span| (span.begin as i64, span.end as i64)).collect()
    }

    #[track_caller]
    fn check(spans: &[(i64, i64)], gaps: &[(i64, i64)], overlaps: &[(i64, i64)], lanes: usize) {
        let row = row(spans);
        assert_eq!(pairs(&row.gaps), gaps, "gaps of {spans:?}");
        assert_eq!(pairs(&row.overlaps), overlaps, "overlaps of {spans:?}");
        assert_eq!(row.lanes, lanes, "lanes of {spans:?}");
    }

    #[test]
    fn partitions_that_touch_leave_no_gap_and_do_not_overlap() {
        check(&[(0, 10), (10, 20), (20, 30)], &[], &[], 1);
        check(&[(0, 10), (10, 10), (10, 20)], &[], &[], 1);
        check(&[], &[], &[], 0);
    }

    #[test]
    fn gaps_lie_between() {
        check(&[(0, 10), (15, 20), (30, 30)], &[(10, 15), (20, 30)], &[], 1);
    }

    #[test]
    fn overlaps_are_seen_once() {
        check(&[(0, 10), (5, 15)], &[], &[(5, 10)], 2);
        check(&[(0, 10), (2, 4), (3, 6), (20, 30)], &[(10, 20)], &[(2, 6)], 3);
        check(&[(5, 5), (5, 5)], &[], &[(5, 5)], 2);
        check(&[(0, 10), (0, 10)], &[], &[(0, 10)], 2);
        check(&[(0, 10), (3, 3)], &[], &[(3, 3)], 2);
    }

    #[test]
    fn what_overlaps_a_great_deal_shares_the_last_lane() {
        let many: Vec<_> = (0..20).map(|begin| (begin, 100)).collect();
        check(&many, &[], &[(1, 100)], MOST_LANES);
    }

    proptest! {
        #[test]
        fn instants_are_gaps_or_overlaps_as_counted(
            spans in prop::collection::vec((0i64..60, 1i64..20), 0..25),
        ) {
            let spans: Vec<_> = spans.iter().map(|(begin, length)| (begin * 2, (begin + length) * 2)).collect();
            let row = row(&spans);
            let (first, last) = (
                spans.iter().map(|span| span.0).min().unwrap_or(0),
                spans.iter().map(|span| span.1).max().unwrap_or(0),
            );
            let within = |list: &[Span], at: i64| {
                list.iter().any(|span| span.begin < at as f64 && (at as f64) < span.end)
            };
            // Odd instants are nobody's edge.
            for at in (first + 1..last).step_by(2) {
                let covering = spans.iter().filter(|span| span.0 < at && at < span.1).count();
                prop_assert_eq!(within(&row.gaps, at), covering == 0, "gap at {}", at);
                prop_assert_eq!(within(&row.overlaps, at), covering > 1, "overlap at {}", at);
            }
            for pair in row.bars.windows(2).filter(|pair| pair[0].lane == pair[1].lane && pair[0].lane + 1 < MOST_LANES) {
                prop_assert!(pair[0].span.end <= pair[1].span.begin);
            }
        }
    }
}
