//! What is known of the lengths of columns.

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};

use super::keys::key;
use crate::SizeModel;

/// How many columns are kept; beyond that, those go that were not seen for longest.
pub(super) const MOST_COLUMNS: usize = 1_000;

/// The longest name of a column that is kept: names of expressions can be as long as queries.
const LONGEST_KEY_BYTES: usize = 200;

/// How many rows of the past count. Data changes, and what is new has to weigh.
const MOST_ROWS: f64 = 1_000_000.0;

/// Average lengths of columns, by the view and column that they come from, or by their name in a result.
///
/// Lengths are those of the values, without offsets; nulls count as empty. Of lists, maps and structs, it is all that a
/// value takes.
///
/// Columns are bounded in number, and the rows of the past in weight: what is seen later weighs more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LearntLengths {
    pub(super) columns: BTreeMap<String, LearntColumn>,
}

/// What was seen of a column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LearntColumn {
    pub(super) rows: f64,
    pub(super) bytes: f64,
    /// The number of the write that saw it last.
    pub(super) seen: u64,
}

impl LearntColumn {
    pub(super) fn is_sane(&self) -> bool {
        let is_finite = self.rows.is_finite() && self.bytes.is_finite();
        is_finite && self.rows > 0.0 && self.bytes >= 0.0
    }
}

impl LearntLengths {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// How many columns are known.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// The average length of a column of a view, or of a column of a result that is none of a view, in bytes.
    ///
    /// A column that was never seen is taken for those of its name in other views, where there are any: `exe`, `target`
    /// and the like are much the same everywhere.
    pub fn average_bytes(&self, view: Option<&str>, column: &str) -> Option<f64> {
        self.by_key(&key(view, column))
    }

    /// Adds what was learnt elsewhere, as later than what is known here.
    pub fn extend(&mut self, later: &Self) {
        self.merge(later, 0);
    }

    pub(crate) fn by_key(&self, key: &str) -> Option<f64> {
        if let Some(known) = self.columns.get(key) {
            return Some(known.bytes / known.rows);
        }
        let (_, name) = key.split_once('.')?;
        // `blocks` has columns of other views, with the view's name before theirs: `streams.tags`.
        if let Some(known) = self.columns.get(name) {
            return Some(known.bytes / known.rows);
        }
        let same_name = self.columns.iter().filter(|(other, _)| {
            other
                .split_once('.')
                .is_some_and(|(view, column)| !view.is_empty() && column == name)
        });
        let (rows, bytes) = same_name.fold((0.0, 0.0), |(rows, bytes), (_, column)| {
            (rows + column.rows, bytes + column.bytes)
        });
        (rows > 0.0).then(|| bytes / rows)
    }

    /// Puts what is known of the columns of a result into a model of sizes, and gives their names. What the model knows
    /// stays. `exactly` leaves out what is known of namesakes only.
    pub(crate) fn apply(&self, keys: &[String], exactly: bool, schema: &Schema, sizes: &mut SizeModel) -> Vec<String> {
        let mut applied = Vec::new();
        for (field, key) in schema.fields().iter().zip(keys) {
            let is_kept = self.columns.contains_key(key);
            let Some(bytes) = self.by_key(key).filter(|_| is_kept || !exactly) else {
                continue;
            };
            if !sizes.known_bytes.contains_key(field.name()) {
                sizes.known_bytes.insert(field.name().clone(), bytes);
                applied.push(field.name().clone());
            }
        }
        applied
    }

    /// Adds rows of a column.
    pub(super) fn add(&mut self, key: &str, rows: f64, bytes: f64) {
        if rows <= 0.0 || key.len() > LONGEST_KEY_BYTES {
            return;
        }
        if self.columns.len() >= MOST_COLUMNS && !self.columns.contains_key(key) {
            return;
        }
        let known = self.columns.entry(key.to_owned()).or_insert(LearntColumn::unseen(0));
        known.add(&LearntColumn { rows, bytes, seen: 0 });
    }

    /// Adds what was learnt later, as the write of that number.
    pub(super) fn merge(&mut self, later: &Self, write: u64) {
        for (key, column) in &later.columns {
            let known = self.columns.entry(key.clone()).or_insert(LearntColumn::unseen(write));
            known.seen = write;
            known.add(column);
        }
        while self.columns.len() > MOST_COLUMNS {
            let oldest = self.columns.iter().min_by_key(|(_, column)| column.seen);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.columns.remove(&oldest);
        }
    }
}

impl LearntColumn {
    fn unseen(write: u64) -> Self {
        Self {
            rows: 0.0,
            bytes: 0.0,
            seen: write,
        }
    }

    fn add(&mut self, later: &Self) {
        self.rows += later.rows;
        self.bytes += later.bytes;
        if self.rows > MOST_ROWS {
            self.bytes *= MOST_ROWS / self.rows;
            self.rows = MOST_ROWS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_seen_is_taken_for_its_namesakes() {
        let mut lengths = LearntLengths::default();
        lengths.add("log_entries.exe", 10.0, 100.0);
        lengths.add("measures.exe", 10.0, 200.0);
        lengths.add(".loud", 1.0, 7.0);
        assert_eq!(lengths.average_bytes(Some("log_entries"), "exe"), Some(10.0));
        assert_eq!(lengths.average_bytes(Some("async_events"), "exe"), Some(15.0));
        assert_eq!(lengths.average_bytes(None, "exe"), Some(15.0));
        assert_eq!(lengths.average_bytes(None, "loud"), Some(7.0));
        // What a query calls `loud` says nothing of a view's column.
        assert_eq!(lengths.average_bytes(Some("log_entries"), "loud"), None);
        assert_eq!(lengths.average_bytes(Some("blocks"), "measures.exe"), Some(20.0));
    }

    #[test]
    fn the_past_weighs_no_more_than_a_million_rows() {
        let mut lengths = LearntLengths::default();
        lengths.add("log_entries.msg", 1e12, 1e14);
        lengths.merge(&LearntLengths::default(), 1);
        let mut later = LearntLengths::default();
        later.add("log_entries.msg", 1e6, 2e8);
        lengths.merge(&later, 2);
        lengths.merge(&later, 3);
        let average = lengths.average_bytes(Some("log_entries"), "msg").unwrap();
        assert!((174.9..175.1).contains(&average), "{average}");
    }

    #[test]
    fn columns_that_were_not_seen_for_longest_make_room() {
        let mut lengths = LearntLengths::default();
        for write in 0..3 {
            let mut later = LearntLengths::default();
            for column in 0..MOST_COLUMNS / 2 {
                later.add(&format!("view_{write}.{column}"), 1.0, 1.0);
            }
            lengths.merge(&later, write);
        }
        assert_eq!(lengths.len(), MOST_COLUMNS);
        assert_eq!(lengths.average_bytes(Some("view_0"), "0"), Some(1.0));
        assert!(!lengths.columns.contains_key("view_0.0"));
        assert!(lengths.columns.contains_key("view_1.0") && lengths.columns.contains_key("view_2.0"));
        lengths.add(&"x".repeat(LONGEST_KEY_BYTES + 1), 1.0, 1.0);
        assert_eq!(lengths.len(), MOST_COLUMNS);
    }
}
