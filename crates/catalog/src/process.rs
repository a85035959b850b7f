//! Processes, and which of them are meant.

use chrono::{DateTime, Utc};
use lakepilot_query::{Query, Result, TimeRange, quote_literal};
use serde::{Deserialize, Serialize};

use crate::condition::Conditions;
use crate::reader::ColumnReader;

/// A process that sent telemetry, as the view `processes` tells it. Everything but the id may be unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The id, which is also the instance id of its views.
    pub process_id: String,
    /// The path of the executable.
    pub exe: Option<String>,
    /// The login name of the user that ran it.
    pub username: Option<String>,
    /// The name of that user in full.
    pub realname: Option<String>,
    /// The name of the machine.
    pub computer: Option<String>,
    /// The operating system.
    pub distro: Option<String>,
    /// The processor's model.
    pub cpu_brand: Option<String>,
    /// Ticks a second of the counter that stamps events.
    pub tsc_frequency: Option<i64>,
    /// When the process started.
    pub start_time: Option<DateTime<Utc>>,
    /// The counter at that time, in ticks.
    pub start_ticks: Option<i64>,
    /// When the lake heard of the process.
    pub insert_time: Option<DateTime<Utc>>,
    /// The process that started it.
    pub parent_process_id: Option<String>,
    /// Properties as the server sent them: JSONB. `None` too where a server keeps them in another form.
    #[serde(skip)]
    pub properties: Option<Vec<u8>>,
    /// When the lake last heard from the process.
    pub last_update_time: Option<DateTime<Utc>>,
    /// The counter at the end of the last block, in ticks.
    pub last_block_end_ticks: Option<i64>,
    /// The time of the end of the last block.
    pub last_block_end_time: Option<DateTime<Utc>>,
    /// Who may read it, on servers that know audiences.
    pub audience: Option<String>,
}

impl Process {
    pub(crate) fn read(columns: &ColumnReader<'_>) -> Result<Vec<Self>> {
        let process_id = columns.required::<String>("process_id")?;
        let exe = columns.optional::<String>("exe")?;
        let username = columns.optional::<String>("username")?;
        let realname = columns.optional::<String>("realname")?;
        let computer = columns.optional::<String>("computer")?;
        let distro = columns.optional::<String>("distro")?;
        let cpu_brand = columns.optional::<String>("cpu_brand")?;
        let tsc_frequency = columns.optional::<i64>("tsc_frequency")?;
        let start_time = columns.optional::<DateTime<Utc>>("start_time")?;
        let start_ticks = columns.optional::<i64>("start_ticks")?;
        let insert_time = columns.optional::<DateTime<Utc>>("insert_time")?;
        let parent_process_id = columns.optional::<String>("parent_process_id")?;
        let properties = columns.if_readable::<Vec<u8>>("properties");
        let last_update_time = columns.optional::<DateTime<Utc>>("last_update_time")?;
        let last_block_end_ticks = columns.optional::<i64>("last_block_end_ticks")?;
        let last_block_end_time = columns.optional::<DateTime<Utc>>("last_block_end_time")?;
        let audience = columns.optional::<String>("audience")?;
        (0..columns.num_rows())
            .map(|row| {
                Ok(Self {
                    process_id: process_id.value(row)?,
                    exe: exe.get(row)?,
                    username: username.get(row)?,
                    realname: realname.get(row)?,
                    computer: computer.get(row)?,
                    distro: distro.get(row)?,
                    cpu_brand: cpu_brand.get(row)?,
                    tsc_frequency: tsc_frequency.get(row)?,
                    start_time: start_time.get(row)?,
                    start_ticks: start_ticks.get(row)?,
                    insert_time: insert_time.get(row)?,
                    parent_process_id: parent_process_id.get(row)?,
                    properties: properties.get(row)?,
                    last_update_time: last_update_time.get(row)?,
                    last_block_end_ticks: last_block_end_ticks.get(row)?,
                    last_block_end_time: last_block_end_time.get(row)?,
                    audience: audience.get(row)?,
                })
            })
            .collect()
    }
}

/// Which processes are meant: all conditions have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFilter {
    process_id: Option<String>,
    exe: Option<String>,
    exe_contains: Option<String>,
    username: Option<String>,
    computer: Option<String>,
    seen_in: Option<TimeRange>,
    limit: Option<u64>,
}

impl ProcessFilter {
    /// Every process of the lake.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only the process with this id.
    #[must_use]
    pub fn with_process_id(mut self, id: impl Into<String>) -> Self {
        self.process_id = Some(id.into());
        self
    }

    /// Only those of this executable, the whole path.
    #[must_use]
    pub fn with_exe(mut self, exe: impl Into<String>) -> Self {
        self.exe = Some(exe.into());
        self
    }

    /// Only those with this text in the path of the executable, case and all. No character of it is a wildcard.
    #[must_use]
    pub fn with_exe_containing(mut self, text: impl Into<String>) -> Self {
        self.exe_contains = Some(text.into());
        self
    }

    /// Only those that this user ran, by login name.
    #[must_use]
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Only those on this machine.
    #[must_use]
    pub fn with_computer(mut self, computer: impl Into<String>) -> Self {
        self.computer = Some(computer.into());
        self
    }

    /// Only those that the lake heard from in the range: from their first to their last message it overlaps the range.
    /// It travels beside the SQL, so that partitions outside it are not opened.
    #[must_use]
    pub fn seen_in(mut self, range: impl Into<Option<TimeRange>>) -> Self {
        self.seen_in = range.into();
        self
    }

    /// At most this many, the latest started first.
    #[must_use]
    pub fn with_limit(mut self, rows: impl Into<Option<u64>>) -> Self {
        self.limit = rows.into();
        self
    }

    /// The query that lists the processes. Every value in it is quoted.
    ///
    /// # Errors
    /// None that a filter could cause; the query's own are passed on.
    pub fn to_query(&self) -> Result<Query> {
        let mut conditions = Conditions::default();
        conditions.equals("process_id", self.process_id.as_deref());
        conditions.equals("exe", self.exe.as_deref());
        conditions.equals("username", self.username.as_deref());
        conditions.equals("computer", self.computer.as_deref());
        if let Some(text) = &self.exe_contains {
            conditions.push(format!("strpos(exe, {}) > 0", quote_literal(text)));
        }
        let limit = self.limit.map(|rows| format!(" LIMIT {rows}")).unwrap_or_default();
        let sql = format!("SELECT * FROM processes{conditions} ORDER BY start_time DESC, process_id{limit}");
        Ok(Query::new(sql)?.with_time_range(self.seen_in))
    }
}
