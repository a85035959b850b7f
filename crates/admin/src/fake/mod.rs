//! A lake in memory for tests, which understands the statements of administration as the service does and misbehaves on
//! demand.

mod answers;
mod understand;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream;
use lakepilot_catalog::Partition;
use lakepilot_query::{Error, ErrorKind, PreparedQuery, Query, QueryService, RecordBatchStream, Result};

use crate::{ByMetadata, Capabilities, PartitionAdmin};
use answers::{answer, listed, messages, processes, streams, view_sets};
use understand::{Statement, parse_time, understood};

/// A lake in memory. A clone is the same lake.
///
/// ```
/// use lakepilot_admin::{ApplyOptions, FakeLake, Silent};
///
/// # fn main() -> lakepilot_query::Result<()> {
/// let lake = FakeLake::new(vec![FakeLake::partition("log_entries", "p1", 0, 10)]);
/// let admin = lake.admin();
/// let report = futures::executor::block_on(async {
///     let plan = admin.plan_process("p1", None).await?;
///     admin.apply(&plan, &ApplyOptions::default(), &Silent).await
/// })?;
/// assert!(report.is_complete() && lake.partitions().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct FakeLake(Arc<Mutex<FakeState>>);

/// What happens when a retirement begins.
pub type Hook = Box<dyn FnMut(&mut FakeState) + Send>;

/// What a [`FakeLake`] holds, and how it misbehaves.
#[derive(Default)]
pub struct FakeState {
    /// The partitions.
    pub partitions: Vec<Partition>,
    /// Streams and the processes that they belong to.
    pub streams: Vec<(String, String)>,
    /// The ids of the processes.
    pub processes: Vec<String>,
    /// View sets and their schema hashes.
    pub view_sets: Vec<(String, Vec<u8>)>,
    /// What it offers to retire partitions with; everything, unless it is set.
    pub offers: Option<Capabilities>,
    /// Every call of an administrative function that was run, with its arguments as the server understands them: those of
    /// a row, one call a row, where it is called for rows.
    pub calls: Vec<(String, Vec<String>)>,
    /// How many statements that retire were run.
    pub statements: usize,
    /// Every partition that was retired, as often as it was.
    pub retired: Vec<Partition>,
    /// Leaves every second partition in place and ends the answer well.
    pub swallow: bool,
    /// Tells that there is no such function.
    pub not_an_administrator: bool,
    /// Fails the retirement of these instances, and of everything in the same statement, with an error.
    pub failing: HashMap<String, ErrorKind>,
    /// Retires what these statements ask for, counted from zero, and loses the connection before the answer.
    pub answers_lost: HashSet<usize>,
    /// Fails this listing and those after it, counted from zero.
    pub listings_fail_from: Option<usize>,
    /// How many listings there were.
    pub listings: usize,
    /// Ends the answer of a retirement by range before it is committed: so many listings still show what was there. The
    /// same for what a materialisation writes.
    pub commits_late_by: usize,
    uncommitted: Vec<Partition>,
    /// What a materialisation has written and not committed yet.
    pub unseen: Vec<Partition>,
    /// Runs when a retirement begins.
    pub on_retire: Option<Hook>,
    /// Runs when a materialisation begins; it may write partitions.
    pub on_materialise: Option<Hook>,
    /// What a materialisation says.
    pub says: Vec<String>,
}

impl std::fmt::Debug for FakeState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeState")
            .field("partitions", &self.partitions.len())
            .field("statements", &self.statements)
            .finish_non_exhaustive()
    }
}

impl FakeState {
    fn offers(&self) -> Capabilities {
        if self.not_an_administrator {
            return Capabilities::default();
        }
        self.offers.unwrap_or(Capabilities {
            by_file: true,
            by_metadata: ByMetadata::WithSchema,
            by_range: true,
        })
    }

    fn commit(&mut self) {
        let gone = std::mem::take(&mut self.uncommitted);
        self.remove(gone);
        let unseen = std::mem::take(&mut self.unseen);
        self.partitions.extend(unseen);
    }

    fn remove(&mut self, gone: Vec<Partition>) {
        let names: HashSet<&Partition> = gone.iter().collect();
        self.partitions.retain(|partition| !names.contains(partition));
        self.retired.extend(gone);
    }

    fn begin_retirement(&mut self) -> usize {
        if let Some(mut hook) = self.on_retire.take() {
            hook(self);
            self.on_retire = Some(hook);
        }
        self.statements += 1;
        self.statements - 1
    }

    /// What of the partitions that a retirement found goes.
    fn goes(&self, found: Vec<Partition>) -> Vec<Partition> {
        let numbered = found.into_iter().enumerate();
        numbered
            .filter(|(at, _)| !(self.swallow && at % 2 == 0))
            .map(|(_, partition)| partition)
            .collect()
    }
}

impl FakeLake {
    /// A lake with these partitions.
    pub fn new(partitions: Vec<Partition>) -> Self {
        let lake = Self::default();
        lake.state().partitions = partitions;
        lake
    }

    /// A time so many microseconds after 1970 began.
    pub fn time(micros: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(micros).unwrap_or_default()
    }

    /// A partition of one hundred bytes and ten rows; times in microseconds after 1970 began.
    pub fn partition(view_set: &str, instance: &str, begin: i64, end: i64) -> Partition {
        Partition {
            view_set_name: view_set.to_owned(),
            view_instance_id: instance.to_owned(),
            begin_insert_time: Self::time(begin),
            end_insert_time: Self::time(end),
            min_event_time: Some(Self::time(begin)),
            max_event_time: Some(Self::time(end)),
            updated: Self::time(end),
            file_path: Some(format!("{view_set}/{instance}/{begin}-{end}")),
            file_size_bytes: 100,
            file_schema_hash: vec![4],
            source_data_hash: vec![1],
            num_rows: 10,
            partition_format_version: 2,
            sort_order: None,
            max_sort_key_time: None,
        }
    }

    /// What it holds, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, FakeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Administration of this lake.
    pub fn admin(&self) -> PartitionAdmin {
        PartitionAdmin::new(Arc::new(self.clone()))
    }

    /// The partitions as they are now.
    pub fn partitions(&self) -> Vec<Partition> {
        self.state().partitions.clone()
    }

    /// The arguments of all calls of one function so far.
    pub fn calls_of(&self, function: &str) -> Vec<Vec<String>> {
        let state = self.state();
        let calls = state.calls.iter().filter(|(name, _)| name == function);
        calls.map(|(_, arguments)| arguments.clone()).collect()
    }

    fn list(&self) -> Result<RecordBatchStream> {
        let mut state = self.state();
        let listing = state.listings;
        state.listings += 1;
        if state.listings_fail_from.is_some_and(|from| listing >= from) {
            return Err(Error::new(ErrorKind::Unavailable, "the server is going down"));
        }
        // The condition is left out on purpose: what comes back has to be filtered once more.
        let batch = listed(&state.partitions)?;
        if state.commits_late_by > 0 {
            state.commits_late_by -= 1;
            if state.commits_late_by == 0 {
                state.commit();
            }
        }
        Ok(answer(batch))
    }

    fn retire_range(&self, arguments: &[String]) -> Result<RecordBatchStream> {
        let [view_set, instance, begin, end] = arguments else {
            return Err(invalid(format!(
                "retire_partitions takes four arguments, and not {arguments:?}"
            )));
        };
        let (begin, end) = (parse_time(begin)?, parse_time(end)?);
        let mut state = self.state();
        state.calls.push(("retire_partitions".to_owned(), arguments.to_vec()));
        let statement = state.begin_retirement();
        if let Some(kind) = state.failing.get(instance) {
            return Err(Error::new(*kind, "connection lost"));
        }
        let is_meant =
            |p: &&Partition| p.view_set_name == *view_set && p.view_instance_id == *instance && p.is_within(begin, end);
        let found: Vec<Partition> = state.partitions.iter().filter(is_meant).cloned().collect();
        let mut rows: Vec<String> = Vec::new();
        if !found.is_empty() {
            let count = found.len();
            rows.push(format!(
                "[RETIRE_FOUND] view={view_set}/{instance} time_range=[{begin}, {end}] found_partitions={count}"
            ));
            rows.extend(found.iter().filter_map(|p| p.file_path.clone()));
        }
        let goes = state.goes(found);
        let lost = state.answers_lost.contains(&statement);
        let lake = self.clone();
        // The transaction is committed when the answer has been read to its end, and not before.
        let commit = stream::once(async move {
            let mut state = lake.state();
            state.uncommitted.extend(goes);
            if state.commits_late_by == 0 {
                state.commit();
            }
            if lost {
                return Err(Error::new(ErrorKind::Unavailable, "the connection was lost"));
            }
            messages(&[])
        });
        let batches: Vec<Result<RecordBatch>> = rows.into_iter().map(|row| messages(&[row])).collect();
        let batches = futures::StreamExt::chain(stream::iter(batches), commit);
        Ok(RecordBatchStream::new(messages(&[])?.schema(), batches))
    }

    fn retire_files(&self, rows: &[Vec<String>]) -> Result<RecordBatchStream> {
        let mut state = self.state();
        let statement = state.begin_retirement();
        for row in rows {
            state.calls.push(("retire_partition_by_file".to_owned(), row.clone()));
        }
        let by_file: HashMap<&str, &Partition> = state
            .partitions
            .iter()
            .filter_map(|p| Some((p.file_path.as_deref()?, p)))
            .collect();
        let wanted = rows.iter().map(|row| row.first().map_or("", String::as_str));
        let found: Vec<Option<Partition>> = wanted.map(|file| by_file.get(file).map(|p| (*p).clone())).collect();
        let told = rows.iter().zip(&found).map(|(row, found)| match found {
            Some(_) => format!("SUCCESS: Retired partition {}", row.join("")),
            None => format!("ERROR: Partition not found: {}", row.join("")),
        });
        let told: Vec<String> = told.collect();
        finish(&mut state, statement, found, |_| messages(&told).map(answer))
    }

    fn retire_metadata(&self, rows: &[Vec<String>], joined: bool) -> Result<RecordBatchStream> {
        let mut state = self.state();
        let statement = state.begin_retirement();
        for row in rows {
            state
                .calls
                .push(("retire_partition_by_metadata".to_owned(), row.clone()));
        }
        let mut found = Vec::new();
        let mut told = Vec::new();
        for row in rows {
            let [view_set, instance, begin, end, hash, updated] = row.as_slice() else {
                return Err(invalid(format!("six columns were expected, and not {row:?}")));
            };
            let (begin, end, updated) = (parse_time(begin)?, parse_time(end)?, parse_time(updated)?);
            let is_meant = |p: &&Partition| {
                p.view_set_name == *view_set
                    && p.view_instance_id == *instance
                    && p.begin_insert_time == begin
                    && p.end_insert_time == end
                    && p.file_schema_hash
                        .iter()
                        .map(|byte| format!("{byte:02x}"))
                        .collect::<String>()
                        == *hash
                    && p.updated == updated
            };
            let meant: Vec<&Partition> = state.partitions.iter().filter(is_meant).collect();
            match meant.as_slice() {
                [] if joined => {}
                [one] => {
                    told.push(format!("SUCCESS: Retired partition {view_set}/{instance}"));
                    found.push(Some((*one).clone()));
                }
                _ => found.push(None),
            }
        }
        // The answer has a row too many then, which is an error of the engine.
        let failed = Error::new(ErrorKind::Internal, "expected column length of another number of rows");
        finish(&mut state, statement, found, |ok| {
            if ok { messages(&told).map(answer) } else { Err(failed) }
        })
    }

    fn materialise(&self, function: &str, arguments: &[String]) -> Result<RecordBatchStream> {
        let mut state = self.state();
        state.calls.push((function.to_owned(), arguments.to_vec()));
        if let Some(mut hook) = state.on_materialise.take() {
            hook(&mut state);
            state.on_materialise = Some(hook);
        }
        Ok(answer(messages(&state.says)?))
    }
}

/// All of the found or, when one is missing, none.
fn finish(
    state: &mut FakeState,
    statement: usize,
    found: Vec<Option<Partition>>,
    answer: impl FnOnce(bool) -> Result<RecordBatchStream>,
) -> Result<RecordBatchStream> {
    let failing = found
        .iter()
        .flatten()
        .find_map(|partition| state.failing.get(&partition.view_instance_id));
    if let Some(kind) = failing {
        return Err(Error::new(*kind, "connection lost"));
    }
    let whole: Option<Vec<Partition>> = found.into_iter().collect();
    let ok = whole.is_some();
    let goes = state.goes(whole.unwrap_or_default());
    state.remove(goes);
    if state.answers_lost.contains(&statement) {
        return Err(Error::new(ErrorKind::Unavailable, "the connection was lost"));
    }
    answer(ok)
}

#[async_trait]
impl QueryService for FakeLake {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let statement = understood(query.sql())?;
        self.refuse(&statement)?;
        match statement {
            Statement::Table {
                name,
                arguments,
                literals,
            } => match name.as_str() {
                "list_partitions" => self.list(),
                "list_view_sets" => Ok(answer(view_sets(&self.state().view_sets)?)),
                "processes" => Ok(answer(processes(&self.state().processes)?)),
                "streams" => Ok(answer(streams(&self.state().streams, &literals)?)),
                "retire_partitions" => self.retire_range(&arguments),
                "materialize_partitions" | "regenerate_partitions" => self.materialise(&name, &arguments),
                other => Err(invalid(format!("table '{other}' not found"))),
            },
            Statement::ByFile { rows } => self.retire_files(&rows),
            Statement::ByMetadata { rows, joined, .. } => self.retire_metadata(&rows, joined),
        }
    }

    async fn prepare(&self, query: &Query) -> Result<PreparedQuery> {
        self.refuse(&understood(query.sql())?)?;
        Ok(PreparedQuery::new(messages(&[])?.schema()))
    }
}

impl FakeLake {
    /// Functions that it does not offer do not exist.
    fn refuse(&self, statement: &Statement) -> Result<()> {
        let state = self.state();
        let offers = state.offers();
        let (function, offered) = match statement {
            Statement::ByFile { .. } => ("retire_partition_by_file", offers.by_file),
            Statement::ByMetadata { arguments, .. } => {
                let form = match arguments {
                    5 => ByMetadata::WithSchema,
                    _ => ByMetadata::WithoutSchema,
                };
                ("retire_partition_by_metadata", offers.by_metadata == form)
            }
            Statement::Table { name, .. } if name == "retire_partitions" => ("retire_partitions", offers.by_range),
            Statement::Table { name, .. } if name.ends_with("ize_partitions") || name == "regenerate_partitions" => {
                (name.as_str(), !state.not_an_administrator)
            }
            Statement::Table { .. } => return Ok(()),
        };
        if offered {
            return Ok(());
        }
        Err(invalid(format!(
            "error building dataframe: table function '{function}' not found"
        )))
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidQuery, message)
}

#[cfg(test)]
pub(crate) fn partition(view_set: &str, instance: &str, begin: i64, end: i64) -> Partition {
    FakeLake::partition(view_set, instance, begin, end)
}

#[cfg(test)]
pub(crate) fn time(micros: i64) -> DateTime<Utc> {
    FakeLake::time(micros)
}
