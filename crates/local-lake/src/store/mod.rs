//! The lake on disk: a directory of Parquet files, and a catalogue that says what they are.

mod catalogue;
mod changes;
mod files;
mod log_stats;
mod materialize;
mod record;
mod source;
mod staged;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use lakepilot_query::{Error, ErrorKind, Result};
use rusqlite::{Connection, TransactionBehavior};

use crate::views::ViewSet;

pub use changes::Changes;
pub use record::{InstanceInfo, PartitionFilter, PartitionRecord};
pub(crate) use staged::{PreparedSegment, StagedFile, StagedWriter};

const CATALOGUE: &str = "catalogue.sqlite";
const LOCK: &str = "lake.lock";

/// A lake in a directory. Clones share it; it stays locked against other processes until the last one is dropped.
///
/// All calls block on files; an async caller runs them on a blocking thread.
#[derive(Clone, Debug)]
pub struct Lake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    connection: Mutex<Connection>,
    leases: Mutex<Leases>,
    _lock: File,
}

/// Who reads, and what is to be deleted when nobody does.
#[derive(Debug, Default)]
struct Leases {
    readers: usize,
    doomed: Vec<PathBuf>,
}

/// Keeps the files of partitions that are retired meanwhile, for a query that has them in its plan.
#[derive(Debug)]
pub struct Lease {
    lake: Arc<Inner>,
}

impl Lake {
    /// Makes a new lake in a directory that is empty or does not exist.
    ///
    /// # Errors
    /// `InvalidInput` when there is something in the directory; `Io` when it cannot be written.
    pub fn create(directory: impl AsRef<Path>) -> Result<Self> {
        let root = &absolute(directory.as_ref())?;
        let told =
            |error: std::io::Error| Error::from(error).context(format!("cannot make a lake in {}", root.display()));
        fs::create_dir_all(root).map_err(told)?;
        if fs::read_dir(root).map_err(told)?.next().is_some() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{} is not empty; choose a new directory for the lake", root.display()),
            ));
        }
        let lock = lock(root)?;
        let connection = catalogue::create(&root.join(CATALOGUE))?;
        File::open(root)
            .and_then(|directory| directory.sync_all())
            .map_err(told)?;
        Ok(Self::assemble(root, connection, lock))
    }

    /// Opens the lake of a directory, and sweeps files that no catalogue names: what a killed process left behind.
    ///
    /// # Errors
    /// `NotFound` when the directory does not exist; `InvalidInput` when it is not a lake; `Unavailable` when another
    /// process has it open; `Unsupported` when its format is another version's; `Io` when it cannot be read and written.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        let root = &absolute(directory.as_ref())?;
        let shown = directory.as_ref().display();
        if !root.is_dir() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("there is no directory {shown}; make a lake with `lakepilot lake generate {shown}`"),
            ));
        }
        if !root.join(CATALOGUE).is_file() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{shown} is not a lake: it has no {CATALOGUE}"),
            ));
        }
        let lock = lock(root)?;
        let connection = catalogue::open(&root.join(CATALOGUE))?;
        let swept = files::sweep(root, &catalogue::files(&connection)?)
            .map_err(|error| error.context(format!("cannot sweep the lake {shown}")))?;
        if swept > 0 {
            tracing::info!(files = swept, lake = %shown, "swept files that the catalogue does not name");
        }
        Ok(Self::assemble(root, connection, lock))
    }

    fn assemble(root: &Path, connection: Connection, lock: File) -> Self {
        Self {
            inner: Arc::new(Inner {
                root: root.to_owned(),
                connection: Mutex::new(connection),
                leases: Mutex::default(),
                _lock: lock,
            }),
        }
    }

    /// The directory of the lake.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// The partitions of a filter, ordered by view set, instance and insert time.
    ///
    /// # Errors
    /// `Io` when the catalogue cannot be read.
    pub fn partitions(&self, filter: &PartitionFilter) -> Result<Vec<PartitionRecord>> {
        self.read(|connection| catalogue::partitions(connection, filter))
    }

    /// The file of a partition; `None` when the partition is empty.
    pub fn partition_path(&self, partition: &PartitionRecord) -> Option<PathBuf> {
        partition
            .file_path
            .as_ref()
            .map(|file_path| self.inner.root.join(file_path))
    }

    /// What each view instance holds, ordered by name.
    ///
    /// # Errors
    /// `Io` when the catalogue cannot be read.
    pub fn info(&self) -> Result<Vec<InstanceInfo>> {
        self.read(catalogue::info)
    }

    /// Writes a partition of rows in the view's schema, sorted by its sort column, and adds it to the catalogue.
    ///
    /// # Errors
    /// `InvalidInput` when the rows do not have the view's columns; `Io` when the file or the catalogue cannot be written.
    pub fn write_partition(
        &self,
        view_set: &ViewSet,
        instance: &str,
        insert_range: (DateTime<Utc>, DateTime<Utc>),
        rows: &[RecordBatch],
    ) -> Result<PartitionRecord> {
        self.transaction(|changes| changes.add(view_set, instance, insert_range, rows))
    }

    /// Adds source rows for a range of insert time (begin included, end not): what partitions are materialised from. The
    /// rows have the view's columns, sorted by its sort column, and beside them `insert_time` and the column that tells the
    /// instance, where the view does not have those.
    ///
    /// # Errors
    /// `InvalidInput` when a column is missing; `Io` when the file or the catalogue cannot be written.
    pub fn append_source(
        &self,
        view_set: &'static ViewSet,
        insert_range: (DateTime<Utc>, DateTime<Utc>),
        rows: &[RecordBatch],
    ) -> Result<()> {
        self.append_sources(insert_range, &[(view_set, rows)])
    }

    /// Adds source rows of several view sets together, or none of them.
    pub(crate) fn append_sources(
        &self,
        insert_range: (DateTime<Utc>, DateTime<Utc>),
        sources: &[(&'static ViewSet, &[RecordBatch])],
    ) -> Result<()> {
        // The files are written before the catalogue is locked, so that two threads can.
        let segments = sources
            .iter()
            .map(|(view_set, rows)| PreparedSegment::write(&self.inner.root, view_set, insert_range, rows))
            .collect::<Result<Vec<_>>>()?;
        self.transaction(|changes| {
            segments
                .into_iter()
                .flatten()
                .try_for_each(|segment| changes.add_segment(segment).map(drop))
        })
    }

    /// Makes changes to the catalogue that take effect together when `change` returns `Ok`, and not at all otherwise.
    ///
    /// # Errors
    /// Those of `change`; `Io` when the catalogue cannot be written.
    pub fn transaction<T>(&self, change: impl FnOnce(&mut Changes<'_>) -> Result<T>) -> Result<T> {
        let failed = |error| catalogue::catalogue_error("change the catalogue", error);
        let (committed, added, doomed) = {
            let mut connection = self.connection();
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(failed)?;
            let mut changes = Changes::new(&transaction, &self.inner.root);
            let result = change(&mut changes);
            let (added, doomed) = (std::mem::take(&mut changes.added), std::mem::take(&mut changes.doomed));
            // Dropping the transaction without a commit rolls it back.
            let committed = result.and_then(|value| transaction.commit().map_err(failed).map(|()| value));
            (committed, added, doomed)
        };
        self.delete(if committed.is_ok() { doomed } else { added });
        committed
    }

    /// Keeps the files of the present partitions until the lease is dropped.
    pub fn lease(&self) -> Lease {
        self.inner.leases().readers += 1;
        Lease {
            lake: Arc::clone(&self.inner),
        }
    }

    fn delete(&self, files: Vec<String>) {
        if files.is_empty() {
            return;
        }
        let mut leases = self.inner.leases();
        leases
            .doomed
            .extend(files.iter().map(|file_path| self.inner.root.join(file_path)));
        leases.delete_if_unread();
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        read(&self.connection())
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic in another thread leaves the connection as it is: the transaction was rolled back on unwinding.
        self.inner.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leases {
    fn delete_if_unread(&mut self) {
        if self.readers > 0 {
            return;
        }
        for path in self.doomed.drain(..) {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                // The catalogue does not name it any more: the next start sweeps it.
                tracing::warn!(file = %path.display(), %error, "cannot delete the file of a retired partition");
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut leases = self.lake.leases();
        leases.readers -= 1;
        leases.delete_if_unread();
    }
}

/// The root without regard to the current directory: DataFusion takes files by URL, and a URL has no relative paths.
fn absolute(directory: &Path) -> Result<PathBuf> {
    std::path::absolute(directory).map_err(|error| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("'{}' is not the path of a directory", directory.display()),
        )
        .with_source(error)
    })
}

fn lock(root: &Path) -> Result<File> {
    let path = root.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| Error::from(error).context(format!("cannot lock the lake {}", root.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "the lake {} is open in another process, which holds {}; stop it, or query it over its port",
                root.display(),
                path.display()
            ),
        )),
        Err(TryLockError::Error(error)) => {
            Err(Error::from(error).context(format!("cannot lock the lake {}", root.display())))
        }
    }
}
