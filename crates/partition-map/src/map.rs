//! The layout that all pictures are drawn from.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use lakepilot_catalog::Partition;

use crate::bar::{Bar, Span, millis};
use crate::row::{Instance, Label, Row};
use crate::scale::Scale;
use crate::ticks::with_margin;
use crate::{ColorBy, MapOptions};

/// The partitions of a lake, laid out to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionMap {
    pub(crate) options: MapOptions,
    pub(crate) rows: Vec<Row>,
    pub(crate) totals: MapTotals,
}

/// The sums of a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapTotals {
    /// How many view instances there are.
    pub instances: u64,
    /// How many partitions.
    pub partitions: u64,
    /// How many rows those have.
    pub rows: u64,
    /// The size of their files in bytes.
    pub bytes: u64,
    /// How many of the partitions a plan takes.
    pub planned: u64,
    /// How many partitions a plan takes that are not among those of the map: they are gone, or were written anew.
    pub planned_elsewhere: u64,
    /// How many partitions have no time to go across: they are counted, and not drawn.
    pub undrawn: u64,
}

impl PartitionMap {
    /// Lays out partitions in any order. Those that are `planned`, such as a retirement's, are marked.
    pub fn new(partitions: &[Partition], planned: &[Partition], options: &MapOptions) -> Self {
        let planned: HashSet<Identity<'_>> = planned.iter().map(identity).collect();
        let mut instances: BTreeMap<Label, (Vec<Bar>, u64)> = BTreeMap::new();
        let mut totals = MapTotals::default();
        for partition in partitions {
            let is_planned = planned.contains(&identity(partition));
            totals.partitions += 1;
            totals.rows = totals.rows.saturating_add(partition.num_rows);
            totals.bytes = totals.bytes.saturating_add(partition.file_size_bytes);
            totals.planned += u64::from(is_planned);
            let (bars, undrawn) = instances.entry(label_of(partition)).or_default();
            match Bar::of(partition, options.axis, is_planned) {
                Some(bar) => bars.push(bar),
                None => {
                    *undrawn += 1;
                    totals.undrawn += 1;
                }
            }
        }
        totals.instances = instances.len() as u64;
        totals.planned_elsewhere = (planned.len() as u64).saturating_sub(totals.planned);
        let rows = instances
            .into_iter()
            .map(|(label, (bars, undrawn))| Row::new(label, bars, undrawn))
            .collect();
        Self {
            options: options.clone(),
            rows,
            totals,
        }
    }

    /// The sums.
    pub fn totals(&self) -> MapTotals {
        self.totals
    }

    /// How many stretches of time between an instance's first partition and its last have none.
    pub fn gaps(&self) -> usize {
        self.rows.iter().map(|row| row.gaps.len()).sum()
    }

    /// How many stretches of time have more than one partition of the same instance.
    pub fn overlaps(&self) -> usize {
        self.rows.iter().map(|row| row.overlaps.len()).sum()
    }

    /// From the first time to the last; nothing when nothing is drawn.
    pub fn time_range(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let span = self.span()?;
        let time = |millis: f64| DateTime::from_timestamp_millis(millis as i64);
        time(span.begin).zip(time(span.end))
    }

    pub(crate) fn span(&self) -> Option<Span> {
        self.rows.iter().filter_map(Row::span).reduce(Span::join)
    }

    /// What is drawn across: a bit more than the span, and something even when there is nothing.
    pub(crate) fn drawn_span(&self) -> Span {
        let now = millis(self.options.now);
        with_margin(self.span().unwrap_or(Span { begin: now, end: now }))
    }

    /// What the colours go by.
    pub(crate) fn scale(&self, color_by: ColorBy) -> Scale {
        let bars = self.rows.iter().flat_map(|row| &row.bars);
        Scale::over(bars.map(|bar| self.value(bar, color_by)))
    }

    /// What the colour of a bar goes by.
    pub(crate) fn value(&self, bar: &Bar, color_by: ColorBy) -> f64 {
        match color_by {
            ColorBy::Rows => bar.rows as f64,
            ColorBy::Bytes => bar.bytes as f64,
            // What was written this moment has an age too.
            ColorBy::Age => ((millis(self.options.now) - bar.written) / 1000.0).max(1.0),
        }
    }

    /// The rows, of which no more than about `most` are those of one instance: `global` ones, what is planned and what is
    /// large come first; the others share a row for each view set.
    pub(crate) fn rows_up_to(&self, most: usize) -> Vec<Cow<'_, Row>> {
        if self.rows.len() <= most {
            return self.rows.iter().map(Cow::Borrowed).collect();
        }
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|index| {
            let row = &self.rows[*index];
            let is_other = !matches!(row.label.instance, Instance::One { is_other: false, .. });
            (is_other, row.planned() == 0, std::cmp::Reverse(row.bytes()), *index)
        });
        let (own, others) = order.split_at(most);
        let own: HashSet<usize> = own.iter().copied().collect();
        let mut rows: Vec<Cow<'_, Row>> = self
            .rows
            .iter()
            .enumerate()
            .filter(|(index, _)| own.contains(index))
            .map(|(_, row)| Cow::Borrowed(row))
            .collect();
        rows.extend(self.shared(others, most).into_iter().map(Cow::Owned));
        rows.sort_by(|a, b| a.label.cmp(&b.label));
        rows
    }

    fn shared(&self, others: &[usize], most: usize) -> Vec<Row> {
        let mut view_sets: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for index in others {
            let row = &self.rows[*index];
            view_sets.entry(&row.label.view_set).or_default().push(row);
        }
        // A server may have as many view sets as it likes.
        if view_sets.len() > most {
            let name = format!("{} more view sets", view_sets.len());
            let all = view_sets.into_values().flatten().collect::<Vec<_>>();
            return vec![shared_row(name, &all)];
        }
        view_sets
            .into_iter()
            .map(|(view_set, rows)| shared_row(view_set.to_owned(), &rows))
            .collect()
    }
}

fn shared_row(view_set: String, rows: &[&Row]) -> Row {
    let label = Label {
        view_set,
        instance: Instance::Many(rows.len() as u64),
    };
    let bars = rows
        .iter()
        .flat_map(|row| &row.bars)
        .map(|bar| Bar { lane: 0, ..bar.clone() });
    Row::new(label, bars.collect(), rows.iter().map(|row| row.undrawn).sum())
}

fn label_of(partition: &Partition) -> Label {
    Label {
        view_set: partition.view_set_name.clone(),
        instance: Instance::One {
            is_other: !partition.is_global(),
            id: partition.view_instance_id.clone(),
        },
    }
}

/// What makes a partition the one it is. What was written anew in its place has another file or another date.
type Identity<'a> = (
    (&'a str, &'a str),
    (DateTime<Utc>, DateTime<Utc>),
    &'a [u8],
    DateTime<Utc>,
    Option<&'a str>,
);

fn identity(partition: &Partition) -> Identity<'_> {
    (
        (&partition.view_set_name, &partition.view_instance_id),
        (partition.begin_insert_time, partition.end_insert_time),
        &partition.file_schema_hash,
        partition.updated,
        partition.file_path.as_deref(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TimeAxis;
    use crate::testing::{partition, time};
    use crate::text;

    fn options() -> MapOptions {
        MapOptions::new(time(1_000_000))
    }

    fn labels(rows: &[Cow<'_, Row>]) -> Vec<String> {
        rows.iter()
            .map(|row| format!("{}/{}", row.label.view_set, text::instance(&row.label)))
            .collect()
    }

    #[test]
    fn global_stands_first_and_planned_ones_are_marked() {
        let all = [
            partition("log", "a", 0, 10),
            partition("log", "global", 0, 10),
            partition("log", "a", 20, 30),
            partition("async", "b", 0, 10),
        ];
        let gone = partition("log", "c", 0, 10);
        let rewritten = Partition {
            updated: time(99),
            ..all[1].clone()
        };
        let map = PartitionMap::new(&all, &[all[2].clone(), gone, rewritten], &options());
        assert_eq!(labels(&map.rows_up_to(10)), ["async/b", "log/global", "log/a"]);
        assert_eq!(map.rows.iter().map(Row::planned).collect::<Vec<_>>(), [0, 0, 1]);
        let totals = map.totals();
        assert_eq!((totals.planned, totals.planned_elsewhere), (1, 2));
        assert_eq!(
            (totals.instances, totals.partitions, totals.rows, totals.bytes),
            (3, 4, 4, 40)
        );
        assert_eq!((map.gaps(), map.overlaps()), (1, 0));
        assert_eq!(map.time_range(), Some((time(0), time(30))));
    }

    #[test]
    fn what_has_no_event_time_is_counted() {
        let empty = Partition {
            min_event_time: None,
            max_event_time: None,
            ..partition("log", "a", 0, 10)
        };
        let all = [empty, partition("log", "a", 10, 20)];
        let map = PartitionMap::new(&all, &[], &options().with_axis(TimeAxis::Event));
        assert_eq!(map.totals().undrawn, 1);
        assert_eq!(map.time_range(), Some((time(9), time(19))));
        assert_eq!(map.rows[0].partitions(), 2);
    }

    #[test]
    fn rows_beyond_the_limit_share_one() {
        let mut all: Vec<_> = (0..50)
            .map(|n| partition("spans", &format!("s{n:02}"), n, n + 10))
            .collect();
        all.push(partition("log", "global", 0, 10));
        all[7].file_size_bytes = 1_000;
        let map = PartitionMap::new(&all, &[all[20].clone()], &options());
        let rows = map.rows_up_to(3);
        assert_eq!(
            labels(&rows),
            ["log/global", "spans/s07", "spans/s20", "spans/48 more instances"]
        );
        assert_eq!(rows.iter().map(|row| row.partitions()).sum::<u64>(), 51);
        let many: Vec<_> = (0..50)
            .map(|n| partition(&format!("v{n}"), "global", n, n + 1))
            .collect();
        let map = PartitionMap::new(&many, &[], &options());
        assert_eq!(map.rows_up_to(5).len(), 6);
    }

    #[test]
    fn an_empty_lake_has_a_map() {
        let map = PartitionMap::new(&[], &[], &options());
        assert_eq!(map.time_range(), None);
        assert!(map.drawn_span().length() > 0.0);
    }
}
