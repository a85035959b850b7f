//! What the queries need to know of a lake.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use lakepilot_catalog::ColumnReader;
use lakepilot_query::{Query, QueryService, QueryServiceExt, Result, TimeRange};

use crate::suite::{Context, Failure};

/// Names and times of a lake that queries are made of.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The times of the first and the last log entry.
    pub range: TimeRange,
    /// A process with log entries and spans.
    pub process: String,
    /// A stream of that process with spans in it.
    pub stream: String,
    /// The target of most log entries.
    pub target: String,
    /// A program that logs.
    pub exe: String,
    /// The name of most measures.
    pub measure: String,
    /// The name of most spans of the stream.
    pub span: String,
}

impl Facts {
    /// Looks around in a lake.
    ///
    /// # Errors
    /// A failure that says what the lake lacks.
    pub async fn of(service: &Arc<dyn QueryService>) -> Result<Self, Failure> {
        let context = Context::new(Arc::clone(service)).await?;
        let most = async |column: &str, from: &str| -> Result<String> {
            let sql = format!(
                "SELECT CAST({column} AS VARCHAR) AS most_common, count(*) AS n FROM {from} GROUP BY most_common \
                 ORDER BY n DESC, most_common LIMIT 1"
            );
            let query = Query::new(sql)?.with_time_range(context.all_time);
            let row = service.collect(&query).await?.to_batch()?;
            ColumnReader::new(&row, from)
                .required::<String>("most_common")?
                .value(0)
        };
        let spans = format!("view_instance('thread_spans', '{}')", context.stream_id);
        Ok(Self {
            range: context.log_range,
            target: most("target", "log_entries").await?,
            exe: most("exe", "log_entries").await?,
            measure: most("name", "measures").await?,
            span: most("name", &spans).await?,
            process: context.process_id,
            stream: context.stream_id,
        })
    }

    /// The time at a share of the range of log entries: 0 is the first, 1 the last.
    pub(super) fn at(&self, share: f64) -> DateTime<Utc> {
        let (begin, end) = (self.range.begin_nanos(), self.range.end_nanos());
        let nanos = begin as f64 + (end - begin) as f64 * share;
        DateTime::from_timestamp_nanos((nanos as i64).clamp(begin, end))
    }
}
