//! Parquet files that are on the disk before a transaction names them, so that several can be written at a time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use lakepilot_query::{Error, ErrorKind, Result};

use super::files::FileWriter;
use super::{Lake, files, source};
use crate::views::ViewSet;

/// A file of rows of one view set that is being written, batch by batch, in the order of the view's sort column.
pub(crate) struct StagedWriter {
    view_set: &'static ViewSet,
    root: PathBuf,
    file_path: String,
    schema: SchemaRef,
    /// There is none before there are rows.
    file: Option<FileWriter>,
    num_rows: usize,
    event_range: Option<(i64, i64)>,
    keys: BTreeSet<String>,
}

/// A file that is whole and on the disk. Unless a transaction takes it, it is deleted when it is dropped.
#[derive(Debug)]
pub(crate) struct StagedFile {
    path: PathBuf,
    file_path: String,
    size: u64,
    is_taken: bool,
    pub(super) num_rows: i64,
    /// The least and the greatest event time.
    pub(super) event_range: (i64, i64),
    /// The processes or streams that the rows tell of.
    pub(super) keys: BTreeSet<String>,
}

/// A file of source rows that is whole, and that the catalogue does not name yet.
#[derive(Debug)]
pub(crate) struct PreparedSegment {
    pub(crate) view_set: &'static ViewSet,
    /// Begin included, end not.
    pub(crate) insert_range: (DateTime<Utc>, DateTime<Utc>),
    pub(crate) staged: StagedFile,
}

impl Lake {
    /// Begins a file of source rows.
    pub(crate) fn stage_segment(&self, view_set: &'static ViewSet) -> StagedWriter {
        StagedWriter::segment(self.root(), view_set)
    }

    /// Begins the file of a partition.
    pub(crate) fn stage_partition(&self, view_set: &'static ViewSet, instance: &str) -> StagedWriter {
        let file_path = files::partition_file(view_set.name(), instance);
        StagedWriter::new(self.root(), view_set, file_path, view_set.schema())
    }
}

impl PreparedSegment {
    /// Writes the file; `None` when there are no rows.
    pub(crate) fn write(
        root: &Path,
        view_set: &'static ViewSet,
        insert_range: (DateTime<Utc>, DateTime<Utc>),
        rows: &[RecordBatch],
    ) -> Result<Option<Self>> {
        source::check_schema(rows, &view_set.source_schema())?;
        let mut writer = StagedWriter::segment(root, view_set);
        for batch in rows {
            writer.write(batch)?;
        }
        Ok(writer.finish()?.map(|staged| Self {
            view_set,
            insert_range,
            staged,
        }))
    }
}

impl StagedWriter {
    fn segment(root: &Path, view_set: &'static ViewSet) -> Self {
        Self::new(
            root,
            view_set,
            files::source_file(view_set.name()),
            view_set.source_schema(),
        )
    }

    fn new(root: &Path, view_set: &'static ViewSet, file_path: String, schema: SchemaRef) -> Self {
        Self {
            view_set,
            root: root.to_owned(),
            file_path,
            schema,
            file: None,
            num_rows: 0,
            event_range: None,
            keys: BTreeSet::new(),
        }
    }

    /// Adds rows, which have at least the columns of the file.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let rows = source::to_schema(rows, &self.schema)?;
        if let Some((least, most)) = source::event_range(self.view_set, std::slice::from_ref(&rows))? {
            let known = self.event_range;
            self.event_range = Some(known.map_or((least, most), |(begin, end)| (begin.min(least), end.max(most))));
        }
        if let Some(key_column) = key_of(self.view_set) {
            self.keys
                .extend(source::distinct(std::slice::from_ref(&rows), key_column)?);
        }
        self.num_rows += rows.num_rows();
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let schema = SchemaRef::clone(&self.schema);
                self.file
                    .insert(FileWriter::create(&self.root, &self.file_path, schema)?)
            }
        };
        file.write(&rows)
    }

    /// Ends the file; `None` when there are no rows, for which there is no file either.
    pub(crate) fn finish(self) -> Result<Option<StagedFile>> {
        let Some(file) = self.file else {
            return Ok(None);
        };
        let event_range = self.event_range.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                format!("no row of {} tells its time", self.view_set.name()),
            )
        })?;
        let (path, file_path, size) = file.finish()?;
        Ok(Some(StagedFile {
            path,
            file_path,
            size,
            is_taken: false,
            num_rows: i64::try_from(self.num_rows).unwrap_or(i64::MAX),
            event_range,
            keys: self.keys,
        }))
    }
}

impl StagedFile {
    /// Hands the file over: its path relative to the lake, and its size in bytes.
    pub(super) fn take(mut self) -> (String, u64) {
        self.is_taken = true;
        (std::mem::take(&mut self.file_path), self.size)
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.is_taken {
            // No catalogue names it: if this fails, the next start sweeps it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The column of a view set whose values are names of instances of other view sets.
pub(super) fn key_of(view_set: &ViewSet) -> Option<&'static str> {
    match view_set.name() {
        "processes" => Some("process_id"),
        "streams" => Some("stream_id"),
        _ => None,
    }
}
