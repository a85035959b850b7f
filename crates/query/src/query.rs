//! What is asked of a lake.

use crate::{Error, ErrorKind, Result, TimeRange};

/// How columns of repeated values are to arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dictionaries {
    /// As plain values: what every client understands.
    #[default]
    Flattened,
    /// As dictionaries, which are smaller, where the server keeps them.
    Preserved,
}

/// One SQL statement with everything that travels beside it.
///
/// ```
/// use lakepilot_query::{Query, TimeRange, parse_time};
/// # fn main() -> lakepilot_query::Result<()> {
/// let now = chrono::Utc::now();
/// let query = Query::new("SELECT time, msg FROM log_entries WHERE level <= 3")?
///     .with_time_range(TimeRange::new(parse_time("6h", now)?, now)?)
///     .with_limit(100);
/// assert_eq!(query.limit(), Some(100));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    sql: String,
    time_range: Option<TimeRange>,
    limit: Option<u64>,
    dictionaries: Dictionaries,
}

impl Query {
    /// A query with no time range and no limit.
    ///
    /// # Errors
    /// `InvalidInput` when the text is blank.
    pub fn new(sql: impl Into<String>) -> Result<Self> {
        let sql = sql.into();
        if sql.trim().is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the SQL text is empty; give a statement such as SELECT 1",
            ));
        }
        Ok(Self {
            sql,
            time_range: None,
            limit: None,
            dictionaries: Dictionaries::default(),
        })
    }

    /// The same query over a time range: partitions outside it are not opened, rows outside it are not returned.
    #[must_use]
    pub fn with_time_range(mut self, time_range: impl Into<Option<TimeRange>>) -> Self {
        self.time_range = time_range.into();
        self
    }

    /// The same query with a limit that the server puts on top of the plan, in rows.
    #[must_use]
    pub fn with_limit(mut self, rows: impl Into<Option<u64>>) -> Self {
        self.limit = rows.into();
        self
    }

    /// The same query with another treatment of dictionary columns.
    #[must_use]
    pub fn with_dictionaries(mut self, dictionaries: Dictionaries) -> Self {
        self.dictionaries = dictionaries;
        self
    }

    /// The same query with other SQL; what travels beside it stays.
    ///
    /// # Errors
    /// `InvalidInput` when the text is blank.
    pub fn with_sql(mut self, sql: impl Into<String>) -> Result<Self> {
        self.sql = Query::new(sql)?.sql;
        Ok(self)
    }

    /// The SQL text, as it was given.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The time range beside the SQL.
    pub fn time_range(&self) -> Option<TimeRange> {
        self.time_range
    }

    /// The limit beside the SQL, in rows.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// How dictionary columns are to arrive.
    pub fn dictionaries(&self) -> Dictionaries {
        self.dictionaries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_sql_is_refused() {
        for sql in ["", " ", "\n\t"] {
            assert_eq!(Query::new(sql).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert!(Query::new("SELECT 1").unwrap().with_sql(" ").is_err());
    }
}
