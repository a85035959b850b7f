//! Making partitions from source rows: a range of insert time step by step, or an instance on its first use.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_query::{Error, ErrorKind, Result, TimeRange, to_rfc3339};

use super::record::{PartitionFilter, PartitionRecord};
use super::source::{Rows, Segment};
use super::{Lake, catalogue, log_stats, source};
use crate::views::{self, ViewSet};

impl Lake {
    /// Materialises the partitions of the `global` instance of a view set between two insert times, one for each `step`;
    /// a tail that is shorter than the step is left out, as on the real service. Each step tells what it did, or why it
    /// did nothing, through `on_message`.
    ///
    /// # Errors
    /// `NotFound` for a view set that is unknown or has no global instance; `InvalidInput` for a step of zero; `Io` when
    /// files or the catalogue cannot be read or written.
    pub fn materialize(
        &self,
        view_set: &str,
        begin: DateTime<Utc>,
        end: DateTime<Utc>,
        step: Duration,
        on_message: &mut dyn FnMut(String),
    ) -> Result<()> {
        let view_set = global_view(view_set)?;
        for range in steps(begin, end, step)? {
            self.materialize_step(view_set, range, on_message)?;
        }
        Ok(())
    }

    /// Writes the partitions of the `global` instance of a view set anew, from the source rows. Every step of the range
    /// has to be exactly one partition that is there already, or several that tile it.
    ///
    /// # Errors
    /// As [`materialize`](Self::materialize); `InvalidInput` when the range does not tile existing partitions.
    pub fn regenerate(
        &self,
        view_set: &str,
        begin: DateTime<Utc>,
        end: DateTime<Utc>,
        step: Duration,
        on_message: &mut dyn FnMut(String),
    ) -> Result<()> {
        let view_set = global_view(view_set)?;
        let ranges = steps(begin, end, step)?;
        let existing = self.overlapping(view_set, begin, end)?;
        let fits = |partition: &PartitionRecord| {
            ranges
                .iter()
                .any(|(from, to)| partition.begin_insert_time >= *from && partition.end_insert_time <= *to)
        };
        if existing.is_empty() || !existing.iter().all(fits) || !tiles(&existing, begin, end) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the range {} to {} does not tile the existing partitions of {} exactly",
                    to_rfc3339(begin),
                    to_rfc3339(end),
                    view_set.name()
                ),
            ));
        }
        for range in ranges {
            let replaced = self.overlapping(view_set, range.0, range.1)?;
            self.write_step(view_set, range, &replaced, on_message)?;
        }
        Ok(())
    }

    /// Makes the partitions of a per-process or per-stream instance that its first use needs: one for each segment of
    /// source rows that has events in `range` (in any range without one) and rows of the instance.
    ///
    /// # Errors
    /// `NotFound` when there is no such process or stream, or the view set has no such instances; `Io` when files or the
    /// catalogue cannot be read or written.
    pub fn ensure_instance(&self, view_set: &str, instance: &str, range: Option<TimeRange>) -> Result<()> {
        let view_set = views::view_set(view_set)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no view set {view_set}")))?;
        let key = view_set.instances().key_column().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("the view set {} has the instance global only", view_set.name()),
            )
        })?;
        if !self.knows_key(key, instance)? {
            let what = key.trim_end_matches("_id");
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no {what} {instance} in the lake"),
            ));
        }
        let missing = self.read(|connection| source::not_extracted(connection, view_set.name(), instance, range))?;
        let of_instance = Rows {
            instance: Some(instance),
            ..Rows::default()
        };
        for segment in missing {
            let rows = source::read_rows(self.root(), view_set, std::slice::from_ref(&segment), of_instance)?;
            self.transaction(|changes| {
                // Another first use may have been quicker.
                let is_first = changes.mark_extracted(view_set.name(), instance, segment.id)?;
                if is_first && rows.num_rows() > 0 {
                    changes.add(
                        view_set,
                        instance,
                        (segment.begin_insert, segment.end_insert),
                        std::slice::from_ref(&rows),
                    )?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn materialize_step(
        &self,
        view_set: &ViewSet,
        (begin, end): (DateTime<Utc>, DateTime<Utc>),
        on_message: &mut dyn FnMut(String),
    ) -> Result<()> {
        let described = describe(view_set, begin, end);
        let existing = self.overlapping(view_set, begin, end)?;
        if let Some(outside) = existing
            .iter()
            .find(|partition| partition.begin_insert_time < begin || partition.end_insert_time > end)
        {
            on_message(format!(
                "{described}: found overlapping partition [{}, {}], aborting the update",
                to_rfc3339(outside.begin_insert_time),
                to_rfc3339(outside.end_insert_time)
            ));
            return Ok(());
        }
        let source_rows = self.count_source(view_set, begin, end)?;
        let known: i64 = existing.iter().map(source_rows_of).sum();
        if !existing.is_empty() && known == source_rows {
            on_message(format!(
                "{described}: already up to date, nb_source_events={source_rows}"
            ));
            return Ok(());
        }
        self.write_step(view_set, (begin, end), &existing, on_message)
    }

    fn write_step(
        &self,
        view_set: &ViewSet,
        (begin, end): (DateTime<Utc>, DateTime<Utc>),
        replaced: &[PartitionRecord],
        on_message: &mut dyn FnMut(String),
    ) -> Result<()> {
        let described = describe(view_set, begin, end);
        let source_view = source_of(view_set);
        let segments = self.read(|connection| source::by_insert_time(connection, source_view.name(), begin, end))?;
        let whole = match segments.as_slice() {
            [segment] if segment.begin_insert == begin && segment.end_insert == end => Some(segment),
            _ => None,
        };
        self.transaction(|changes| {
            for partition in replaced {
                changes.retire(partition)?;
            }
            if let Some(segment) =
                whole.filter(|_| view_set.source_schema() == view_set.schema() && source_view.name() == view_set.name())
            {
                on_message(format!("{described}: writing"));
                changes.add_linked(view_set, "global", segment)?;
                return Ok(());
            }
            let of_step = Rows {
                insert_range: Some((begin, end)),
                columns: columns_read(view_set),
                ..Rows::default()
            };
            let rows = source::read_rows(self.root(), source_view, &segments, of_step)?;
            let source_rows = rows.num_rows() as i64;
            let rows = if source_view.name() == view_set.name() {
                rows
            } else {
                log_stats::count(&rows, view_set)?
            };
            on_message(if source_rows == 0 {
                format!("{described}: creating empty partition record")
            } else {
                format!("{described}: writing")
            });
            let record = changes.add(view_set, "global", (begin, end), std::slice::from_ref(&rows))?;
            changes.set_source_rows(&record, source_rows)
        })
    }

    /// The partitions of the global instance that share more than an edge with `[begin, end)`.
    fn overlapping(
        &self,
        view_set: &ViewSet,
        begin: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> Result<Vec<PartitionRecord>> {
        let filter = PartitionFilter {
            insert_range: Some(TimeRange::new(begin, end)?),
            ..PartitionFilter::instance(view_set.name(), "global")
        };
        let mut partitions = self.partitions(&filter)?;
        partitions.retain(|partition| partition.begin_insert_time < end && partition.end_insert_time > begin);
        Ok(partitions)
    }

    fn count_source(&self, view_set: &ViewSet, begin: DateTime<Utc>, end: DateTime<Utc>) -> Result<i64> {
        let source_view = source_of(view_set);
        let segments = self.read(|connection| source::by_insert_time(connection, source_view.name(), begin, end))?;
        let (whole, cut): (Vec<Segment>, Vec<Segment>) = segments
            .into_iter()
            .partition(|segment| segment.begin_insert >= begin && segment.end_insert <= end);
        let of_step = Rows {
            insert_range: Some((begin, end)),
            columns: Some(&[source_view.sort_column()]),
            ..Rows::default()
        };
        let rows = source::read_rows(self.root(), source_view, &cut, of_step)?;
        Ok(whole.iter().map(|segment| segment.num_rows).sum::<i64>() + rows.num_rows() as i64)
    }

    fn knows_key(&self, key_column: &str, key: &str) -> Result<bool> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM instance_keys WHERE key_column = ? AND key = ?")
                .and_then(|mut statement| statement.exists((key_column, key)))
                .map_err(|error| catalogue::catalogue_error("read the catalogue", error))
        })
    }
}

fn source_rows_of(partition: &PartitionRecord) -> i64 {
    partition
        .source_data_hash
        .as_slice()
        .try_into()
        .map_or(-1, i64::from_le_bytes)
}

/// The view set whose segments a view set is made from.
fn source_of(view_set: &ViewSet) -> &ViewSet {
    match view_set.name() {
        "log_stats" => views::view_set("log_entries").unwrap_or(view_set),
        _ => view_set,
    }
}

/// The columns of its source that a view set is made from; all when it is the source's own.
fn columns_read(view_set: &ViewSet) -> Option<&'static [&'static str]> {
    match view_set.name() {
        "log_stats" => Some(&log_stats::COLUMNS),
        _ => None,
    }
}

fn global_view(name: &str) -> Result<&'static ViewSet> {
    views::view_set(name)
        .filter(|view_set| view_set.instances().has_global())
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("can't find view {name}")))
}

fn describe(view_set: &ViewSet, begin: DateTime<Utc>, end: DateTime<Utc>) -> String {
    format!(
        "[{}, {}] {} global",
        to_rfc3339(begin),
        to_rfc3339(end),
        view_set.name()
    )
}

/// The whole steps of a range.
fn steps(begin: DateTime<Utc>, end: DateTime<Utc>, step: Duration) -> Result<Vec<(DateTime<Utc>, DateTime<Utc>)>> {
    const MOST_STEPS: usize = 1_000_000;
    let delta = TimeDelta::from_std(step)
        .ok()
        .filter(|delta| *delta > TimeDelta::zero())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "the step of a partition has to be longer than zero",
            )
        })?;
    let mut ranges = Vec::new();
    let mut from = begin;
    while let Some(to) = from.checked_add_signed(delta).filter(|to| *to <= end) {
        if ranges.len() == MOST_STEPS {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the range has more than {MOST_STEPS} steps; choose a longer step"),
            ));
        }
        ranges.push((from, to));
        from = to;
    }
    Ok(ranges)
}

fn tiles(partitions: &[PartitionRecord], begin: DateTime<Utc>, end: DateTime<Utc>) -> bool {
    let mut edge = begin;
    for partition in partitions {
        if partition.begin_insert_time != edge {
            return false;
        }
        edge = partition.end_insert_time;
    }
    edge == end
}
