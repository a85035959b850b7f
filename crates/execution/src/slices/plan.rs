//! How a query is cut, as a plain value of whoever knows what the query means.

use lakepilot_query::{Error, ErrorKind, Query, Result, TimeRange, quote_identifier, quote_time};

/// Which rows belong to a slice, so that each belongs to exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SliceRule {
    /// The view has one time for each row (`log_entries`, `measures`, `async_events`): a row belongs to the slice in which
    /// its time lies. The service filters `time BETWEEN begin AND end`, both included, and slices share no instant.
    Points,
    /// The view has a beginning and an end for each row (`thread_spans`), and the service returns every row that overlaps
    /// the range. A row belongs to the slice in which it begins; one that began before the range, to the first slice.
    Intervals(ScanPredicate),
}

/// Where in the SQL of a query the rows of a scan can be restricted by the time at which they begin.
///
/// At the scan and not around the query, because the time need not be among the columns of the result.
///
/// ```
/// use lakepilot_execution::ScanPredicate;
///
/// // SELECT name, duration FROM view_instance('thread_spans', '42')
/// let predicate = ScanPredicate::new(
///     "SELECT name, duration FROM (SELECT * FROM view_instance('thread_spans', '42') WHERE ",
///     "begin",
///     ") AS spans",
/// );
/// assert_eq!(predicate.column(), "begin");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanPredicate {
    before: String,
    column: String,
    after: String,
}

impl ScanPredicate {
    /// The SQL before and after the place where a condition goes, and the name of the column of the scan, not quoted, that
    /// holds the time at which a row begins.
    pub fn new(before: impl Into<String>, column: impl Into<String>, after: impl Into<String>) -> Self {
        Self {
            before: before.into(),
            column: column.into(),
            after: after.into(),
        }
    }

    /// The column of the scan that holds the time at which a row begins.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// The SQL for rows that begin in a slice. That they begin before its end is what the range beside the SQL sees to.
    fn sql(&self, slice: TimeRange, is_first: bool) -> String {
        let condition = if is_first {
            "TRUE".to_owned()
        } else {
            format!("{} >= {}", quote_identifier(&self.column), quote_time(slice.begin()))
        };
        format!("{}{condition}{}", self.before, self.after)
    }
}

/// In which order the rows of the slices come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SliceOrder {
    /// As they arrive.
    #[default]
    Unordered,
    /// Earlier slices first: for a query that is ordered by the time of the slices, this is the order of the whole.
    Ascending,
    /// Later slices first, for a query that is ordered by time downwards.
    Descending,
}

/// A query cut into slices of time: that it may be cut is the word of whoever makes this.
///
/// Cutting is right for a query whose every row comes from one row of one scan: filters and projections, and an order by
/// time. An aggregate, a join, a `DISTINCT`, a window or a limit sees rows of several slices and must not be cut.
///
/// ```
/// use lakepilot_execution::{SliceOrder, SliceRule, Slicing};
/// use lakepilot_query::{Query, TimeRange, parse_time};
/// # fn main() -> lakepilot_query::Result<()> {
/// let now = chrono::Utc::now();
/// let week = TimeRange::new(parse_time("7d", now)?, now)?;
/// let query = Query::new("SELECT time, msg FROM log_entries ORDER BY time")?.with_time_range(week);
/// let slicing = Slicing::new(SliceRule::Points, week.split(14))?
///     .with_order(SliceOrder::Ascending)
///     .with_parallel(4);
/// assert_eq!(slicing.queries(&query)?.len(), 14);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slicing {
    rule: SliceRule,
    slices: Vec<TimeRange>,
    order: SliceOrder,
    parallel: usize,
}

impl Slicing {
    /// A cut into these slices, two of which run at a time.
    ///
    /// # Errors
    /// `InvalidInput` when there are none, or when one does not begin right after the one before it has ended: rows would
    /// then be repeated or lost.
    pub fn new(rule: SliceRule, slices: Vec<TimeRange>) -> Result<Self> {
        if slices.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "there is not one slice to run"));
        }
        for pair in slices.windows(2) {
            if pair[0].end_nanos().checked_add(1) != Some(pair[1].begin_nanos()) {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!(
                        "the slice {} does not follow the slice {} to the nanosecond",
                        pair[1], pair[0]
                    ),
                ));
            }
        }
        Ok(Self {
            rule,
            slices,
            order: SliceOrder::default(),
            parallel: 2,
        })
    }

    /// With another order of rows.
    #[must_use]
    pub fn with_order(mut self, order: SliceOrder) -> Self {
        self.order = order;
        self
    }

    /// With so many slices at a time; zero counts as one.
    #[must_use]
    pub fn with_parallel(mut self, slices: usize) -> Self {
        self.parallel = slices.max(1);
        self
    }

    /// The slices, in the order of time.
    pub fn slices(&self) -> &[TimeRange] {
        &self.slices
    }

    /// The order of rows.
    pub fn order(&self) -> SliceOrder {
        self.order
    }

    /// How many slices run at a time.
    pub fn parallel(&self) -> usize {
        self.parallel
    }

    /// The query of each slice, in the order of time.
    ///
    /// # Errors
    /// `InvalidInput` when the query has a limit, or another time range than the slices make together.
    pub fn queries(&self, query: &Query) -> Result<Vec<Query>> {
        if query.limit().is_some() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a query with a limit cannot be cut into slices: each would have it; run it whole",
            ));
        }
        let whole = self.slices.first().zip(self.slices.last());
        let covered = whole.is_some_and(|(first, last)| {
            query
                .time_range()
                .is_some_and(|range| range.begin() == first.begin() && range.end() == last.end())
        });
        if !covered {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the slices do not cover the time range of the query; cut that range",
            ));
        }
        let of_slice = |(number, slice): (usize, &TimeRange)| {
            let query = query.clone().with_time_range(*slice);
            match &self.rule {
                SliceRule::Points => Ok(query),
                SliceRule::Intervals(predicate) => query.with_sql(predicate.sql(*slice, number == 0)),
            }
        };
        self.slices.iter().enumerate().map(of_slice).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn range(begin: i64, end: i64) -> TimeRange {
        TimeRange::new(
            DateTime::from_timestamp_nanos(begin),
            DateTime::from_timestamp_nanos(end),
        )
        .unwrap()
    }

    #[test]
    fn slices_that_overlap_or_leave_a_gap_are_refused() {
        for slices in [
            vec![],
            vec![range(0, 10), range(10, 20)],
            vec![range(0, 10), range(12, 20)],
            vec![range(11, 20), range(0, 10)],
            vec![range(0, i64::MAX), range(i64::MIN, 0)],
        ] {
            let error = Slicing::new(SliceRule::Points, slices).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn the_query_must_be_what_is_cut() {
        let slicing = Slicing::new(SliceRule::Points, range(0, 99).split(3)).unwrap();
        let query = Query::new("SELECT 1").unwrap();
        for refused in [
            query.clone(),
            query.clone().with_time_range(range(0, 100)),
            query.clone().with_time_range(range(0, 99)).with_limit(10),
        ] {
            assert_eq!(slicing.queries(&refused).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        let queries = slicing.queries(&query.with_time_range(range(0, 99))).unwrap();
        let ranges: Vec<_> = queries.iter().filter_map(Query::time_range).collect();
        assert_eq!(ranges, slicing.slices());
    }

    #[test]
    fn only_the_first_slice_takes_what_began_before_it() {
        let predicate = ScanPredicate::new("SELECT name FROM (SELECT * FROM spans WHERE ", "be\"gin", ") AS s");
        let slicing = Slicing::new(SliceRule::Intervals(predicate), range(0, 3_000_000_000).split(2)).unwrap();
        let query = Query::new("SELECT name FROM spans")
            .unwrap()
            .with_time_range(range(0, 3_000_000_000));
        let sql: Vec<_> = slicing
            .queries(&query)
            .unwrap()
            .iter()
            .map(|query| query.sql().to_owned())
            .collect();
        assert_eq!(
            sql,
            [
                "SELECT name FROM (SELECT * FROM spans WHERE TRUE) AS s",
                "SELECT name FROM (SELECT * FROM spans WHERE \"be\"\"gin\" >= '1970-01-01T00:00:01.500Z') AS s",
            ]
        );
    }
}
