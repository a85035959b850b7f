//! Changes to the catalogue that take effect together or not at all.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, SubsecRound, Utc};
use lakepilot_query::{Error, ErrorKind, Result};
use rusqlite::Transaction;

use super::record::PartitionRecord;
use super::source::Segment;
use super::staged::{self, PreparedSegment, StagedFile};
use super::{catalogue, files, source};
use crate::views::ViewSet;
use arrow::array::RecordBatch;

/// The version of the format of partition files that is written.
const PARTITION_FORMAT: i32 = 2;

/// An open transaction on the catalogue.
///
/// Files of retired partitions are deleted after the commit; files of added ones, when there is none.
pub struct Changes<'a> {
    transaction: &'a Transaction<'a>,
    root: &'a Path,
    pub(super) added: Vec<String>,
    pub(super) doomed: Vec<String>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>, root: &'a Path) -> Self {
        Self {
            transaction,
            root,
            added: Vec::new(),
            doomed: Vec::new(),
        }
    }

    /// The partitions that a retirement of the range would retire: those whose range of insert time lies within it.
    ///
    /// # Errors
    /// `Io` when the catalogue cannot be read.
    pub fn contained(
        &self,
        view_set: &str,
        instance: &str,
        begin: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> Result<Vec<PartitionRecord>> {
        catalogue::contained(self.transaction, view_set, instance, begin, end)
    }

    /// The partition of a file, by its path relative to the lake's directory.
    ///
    /// # Errors
    /// `Io` when the catalogue cannot be read.
    pub fn by_file(&self, file_path: &str) -> Result<Option<PartitionRecord>> {
        catalogue::by_file(self.transaction, file_path)
    }

    /// Retires a partition.
    ///
    /// # Errors
    /// `Io` when the catalogue cannot be written.
    pub fn retire(&mut self, record: &PartitionRecord) -> Result<()> {
        catalogue::delete(self.transaction, record)?;
        self.doomed.extend(record.file_path.clone());
        Ok(())
    }

    /// Writes a partition and adds it. `rows` are in the view's schema and sorted by its sort column.
    ///
    /// # Errors
    /// `InvalidInput` when the rows do not have the view's columns; `Io` when the file or the catalogue cannot be written.
    pub fn add(
        &mut self,
        view_set: &ViewSet,
        instance: &str,
        insert_range: (DateTime<Utc>, DateTime<Utc>),
        rows: &[RecordBatch],
    ) -> Result<PartitionRecord> {
        source::check_schema(rows, &view_set.schema())?;
        let num_rows: usize = rows.iter().map(RecordBatch::num_rows).sum();
        let file = if num_rows == 0 {
            None
        } else {
            let file_path = files::partition_file(view_set.name(), instance);
            self.added.push(file_path.clone());
            let size = files::write(self.root, &file_path, view_set.schema(), rows)?;
            Some((file_path, size))
        };
        let times = source::event_range(view_set, rows)?;
        self.record(
            view_set,
            instance,
            insert_range,
            file,
            num_rows as i64,
            num_rows as i64,
            times,
        )
    }

    /// Adds a partition whose file is written already; an empty one without a file.
    pub(crate) fn add_staged(
        &mut self,
        view_set: &ViewSet,
        instance: &str,
        insert_range: (DateTime<Utc>, DateTime<Utc>),
        staged: Option<StagedFile>,
    ) -> Result<PartitionRecord> {
        let Some(staged) = staged else {
            return self.record(view_set, instance, insert_range, None, 0, 0, None);
        };
        let (rows, times) = (staged.num_rows, staged.event_range);
        let file = self.take(staged);
        self.record(view_set, instance, insert_range, Some(file), rows, rows, Some(times))
    }

    /// From here on the file is this transaction's to delete.
    fn take(&mut self, staged: StagedFile) -> (String, u64) {
        let (file_path, size) = staged.take();
        self.added.push(file_path.clone());
        (file_path, size)
    }

    /// Adds a partition whose file is that of a segment, under a second name.
    pub(crate) fn add_linked(
        &mut self,
        view_set: &ViewSet,
        instance: &str,
        segment: &Segment,
    ) -> Result<PartitionRecord> {
        let file_path = files::partition_file(view_set.name(), instance);
        self.added.push(file_path.clone());
        let size = files::link(self.root, &segment.file_path, &file_path)?;
        let insert_range = (segment.begin_insert, segment.end_insert);
        let rows = segment.num_rows;
        self.record(
            view_set,
            instance,
            insert_range,
            Some((file_path, size)),
            rows,
            rows,
            Some(segment.event_range),
        )
    }

    /// Sets how many source rows went into a partition where that is not the number of its rows.
    pub(super) fn set_source_rows(&mut self, record: &PartitionRecord, source_rows: i64) -> Result<()> {
        self.transaction
            .execute(
                "UPDATE partitions SET source_hash = ? WHERE id = ?",
                rusqlite::params![source_rows.to_le_bytes(), record.id],
            )
            .map_err(|error| catalogue::catalogue_error("change the catalogue", error))?;
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of one record")]
    fn record(
        &mut self,
        view_set: &ViewSet,
        instance: &str,
        (begin, end): (DateTime<Utc>, DateTime<Utc>),
        file: Option<(String, u64)>,
        num_rows: i64,
        source_rows: i64,
        times: Option<(i64, i64)>,
    ) -> Result<PartitionRecord> {
        if begin > end {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the range of insert time begins after it ends",
            ));
        }
        let (file_path, size) = file.map_or((None, 0), |(path, size)| (Some(path), size));
        let mut record = PartitionRecord {
            id: 0,
            view_set_name: view_set.name().to_owned(),
            view_instance_id: instance.to_owned(),
            begin_insert_time: begin.trunc_subsecs(6),
            end_insert_time: end.trunc_subsecs(6),
            min_event_time: times.map(|(least, _)| DateTime::from_timestamp_nanos(least)),
            max_event_time: times.map(|(_, most)| DateTime::from_timestamp_nanos(most)),
            updated: Utc::now().trunc_subsecs(6),
            file_path,
            file_size_bytes: i64::try_from(size).unwrap_or(i64::MAX),
            file_schema_hash: view_set.schema_hash().to_vec(),
            source_data_hash: source_rows.to_le_bytes().to_vec(),
            num_rows,
            partition_format_version: PARTITION_FORMAT,
            sort_order: vec![view_set.sort_column().to_owned()],
            max_sort_key_time: times.map(|(_, most)| DateTime::from_timestamp_nanos(most)),
        };
        record.id = catalogue::insert(self.transaction, &record)?;
        Ok(record)
    }

    /// Adds source rows whose file is written already.
    pub(crate) fn add_segment(&mut self, segment: PreparedSegment) -> Result<Segment> {
        let PreparedSegment {
            view_set,
            insert_range: (begin_insert, end_insert),
            mut staged,
        } = segment;
        if let Some(key_column) = staged::key_of(view_set) {
            self.add_keys(key_column, &std::mem::take(&mut staged.keys))?;
        }
        let (num_rows, event_range) = (staged.num_rows, staged.event_range);
        let (file_path, _) = self.take(staged);
        let write = || -> rusqlite::Result<i64> {
            self.transaction
                .prepare_cached(
                    "INSERT INTO segments (view_set, begin_insert, end_insert, min_event, max_event, num_rows, file_path) \
                     VALUES (?, ?, ?, ?, ?, ?, ?)",
                )?
                .insert(rusqlite::params![
                    view_set.name(),
                    begin_insert.timestamp_micros(),
                    end_insert.timestamp_micros(),
                    event_range.0,
                    event_range.1,
                    num_rows,
                    file_path,
                ])
        };
        let id = write().map_err(|error| catalogue::catalogue_error("add source rows to the catalogue", error))?;
        Ok(Segment {
            id,
            begin_insert,
            end_insert,
            event_range,
            num_rows,
            file_path,
        })
    }

    /// Remembers which processes or streams there are, so that an instance of an unknown one is refused.
    fn add_keys(&self, key_column: &str, keys: &BTreeSet<String>) -> Result<()> {
        keys.iter().try_for_each(|key| self.add_key(key_column, key))
    }

    /// Remembers a process or a stream.
    pub(crate) fn add_key(&self, key_column: &str, key: &str) -> Result<()> {
        self.transaction
            .prepare_cached("INSERT OR IGNORE INTO instance_keys VALUES (?, ?)")
            .and_then(|mut statement| statement.execute((key_column, key)))
            .map(drop)
            .map_err(|error| catalogue::catalogue_error("add a name to the catalogue", error))
    }

    /// Remembers that the rows of an instance in a segment become a partition, or that there are none; `false` when that
    /// was remembered before.
    pub(crate) fn mark_extracted(&self, view_set: &str, instance: &str, segment: i64) -> Result<bool> {
        let added = self
            .transaction
            .prepare_cached("INSERT OR IGNORE INTO extracted VALUES (?, ?, ?)")
            .and_then(|mut statement| statement.execute((view_set, instance, segment)))
            .map_err(|error| catalogue::catalogue_error("change the catalogue", error))?;
        Ok(added > 0)
    }
}
