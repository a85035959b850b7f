//! Streams, and which of them are meant.

use chrono::{DateTime, Utc};
use lakepilot_query::{Query, Result, TimeRange, quote_literal};
use serde::{Deserialize, Serialize};

use crate::condition::Conditions;
use crate::reader::ColumnReader;

/// A stream of events of a process (its log, its measures, one of its threads), as the view `streams` tells it.
/// Everything but the id may be unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The id, which is also the instance id of the views that are kept per stream, such as `thread_spans`.
    pub stream_id: String,
    /// The process that it belongs to.
    pub process_id: Option<String>,
    /// What it carries: `log`, `metrics`, `cpu`, ...
    pub tags: Vec<String>,
    /// Properties as the server sent them: JSONB. `None` too where a server keeps them in another form.
    #[serde(skip)]
    pub properties: Option<Vec<u8>>,
    /// When the lake heard of the stream.
    pub insert_time: Option<DateTime<Utc>>,
    /// The format of its payloads, on servers that know more than one.
    pub format: Option<String>,
    /// When the lake last heard from the stream.
    pub last_update_time: Option<DateTime<Utc>>,
    /// Who may read it, on servers that know audiences.
    pub audience: Option<String>,
}

impl Stream {
    pub(crate) fn read(columns: &ColumnReader<'_>) -> Result<Vec<Self>> {
        let stream_id = columns.required::<String>("stream_id")?;
        let process_id = columns.required::<String>("process_id")?;
        let tags = columns.optional::<Vec<String>>("tags")?;
        let properties = columns.if_readable::<Vec<u8>>("properties");
        let insert_time = columns.optional::<DateTime<Utc>>("insert_time")?;
        let format = columns.optional::<String>("format")?;
        let last_update_time = columns.optional::<DateTime<Utc>>("last_update_time")?;
        let audience = columns.optional::<String>("audience")?;
        (0..columns.num_rows())
            .map(|row| {
                Ok(Self {
                    stream_id: stream_id.value(row)?,
                    process_id: process_id.get(row)?,
                    tags: tags.get(row)?.unwrap_or_default(),
                    properties: properties.get(row)?,
                    insert_time: insert_time.get(row)?,
                    format: format.get(row)?,
                    last_update_time: last_update_time.get(row)?,
                    audience: audience.get(row)?,
                })
            })
            .collect()
    }
}

/// Which streams are meant: all conditions have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFilter {
    process_id: Option<String>,
    tag: Option<String>,
    seen_in: Option<TimeRange>,
    limit: Option<u64>,
}

impl StreamFilter {
    /// Every stream of the lake.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only those of this process.
    #[must_use]
    pub fn with_process_id(mut self, id: impl Into<String>) -> Self {
        self.process_id = Some(id.into());
        self
    }

    /// Only those that have this tag: `log`, `metrics`, `cpu`, ...
    #[must_use]
    pub fn with_tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Only those that the lake heard from in the range: from their first to their last message it overlaps the range.
    /// It travels beside the SQL, so that partitions outside it are not opened.
    #[must_use]
    pub fn seen_in(mut self, range: impl Into<Option<TimeRange>>) -> Self {
        self.seen_in = range.into();
        self
    }

    /// At most this many, the latest known first.
    #[must_use]
    pub fn with_limit(mut self, rows: impl Into<Option<u64>>) -> Self {
        self.limit = rows.into();
        self
    }

    /// The query that lists the streams. Every value in it is quoted.
    ///
    /// # Errors
    /// None that a filter could cause; the query's own are passed on.
    pub fn to_query(&self) -> Result<Query> {
        let mut conditions = Conditions::default();
        conditions.equals("process_id", self.process_id.as_deref());
        if let Some(tag) = &self.tag {
            conditions.push(format!("array_has(tags, {})", quote_literal(tag)));
        }
        let limit = self.limit.map(|rows| format!(" LIMIT {rows}")).unwrap_or_default();
        let sql = format!("SELECT * FROM streams{conditions} ORDER BY insert_time DESC, stream_id{limit}");
        Ok(Query::new(sql)?.with_time_range(self.seen_in))
    }
}
