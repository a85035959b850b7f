//! A sink into a file that appears under its name only when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakepilot_query::{Error, ErrorKind, Result};
use tempfile::TempPath;

use super::encoder::Encoding;
use super::writer::WriterSink;
use super::{BatchSink, SinkSummary};

/// How the name of a file begins that is not whole.
pub(crate) const PARTIAL_PREFIX: &str = ".lakepilot-";

const BUFFER_BYTES: usize = 256 * 1024;

/// So much is written before it is synced while the run goes on, so that its end does not wait for all.
const SYNCED_EARLY_BYTES: usize = 8 * 1024 * 1024;

/// Encodes batches into a file.
///
/// The rows go to a temporary file beside it, which is synced and renamed when all are written. An error, an abort or a
/// drop removes the temporary file and leaves what was there before. A name that stands for a device or a pipe
/// (`/dev/null`) is written to directly.
pub struct FileSink {
    path: PathBuf,
    inner: WriterSink<BufWriter<EarlySynced>>,
    /// The name of the temporary file, which goes with this value; `None` where the file itself is written to. It is kept
    /// apart from the file, since a thread that encodes may hold that for a while after the run was called off.
    temporary: Option<TempPath>,
}

impl FileSink {
    /// A sink into the file `path`, which is replaced when it exists.
    ///
    /// # Errors
    /// `InvalidInput` when `path` is a directory; `NotFound` when its directory does not exist; `Io` when nothing can be
    /// written there.
    pub fn create(path: impl Into<PathBuf>, format: impl Into<Encoding>) -> Result<Self> {
        let path = behind_links(path.into());
        let name = format!("the file {}", path.display());
        let (file, temporary) = open(&path).map_err(|error| error.context(format!("cannot write {name}")))?;
        // A device has nothing to sync, and says so.
        let file = EarlySynced::new(file, temporary.is_some());
        Ok(Self {
            inner: WriterSink::new(BufWriter::with_capacity(BUFFER_BYTES, file), format, name),
            path,
            temporary,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The file that a symbolic link stands for: that is what is to be replaced, not the link.
fn behind_links(path: PathBuf) -> PathBuf {
    if path.is_symlink() {
        path.canonicalize().unwrap_or(path)
    } else {
        path
    }
}

/// The file to write to, and its name if that is a temporary one.
fn open(path: &Path) -> Result<(File, Option<TempPath>)> {
    let existing = fs::metadata(path);
    match &existing {
        Ok(metadata) if metadata.is_dir() => {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "it is a directory; name a file in it",
            ));
        }
        Ok(metadata) if !metadata.is_file() => return Ok((File::options().write(true).open(path)?, None)),
        _ => {}
    }
    let directory = directory_of(path);
    if !directory.is_dir() {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("there is no directory {}; make it first", directory.display()),
        ));
    }
    let mut builder = tempfile::Builder::new();
    // A name of its own, since that of the file may be as long as names can be.
    builder.prefix(PARTIAL_PREFIX).suffix(".partial");
    #[cfg(unix)]
    builder.permissions(usual_permissions());
    let (file, temporary) = builder.tempfile_in(directory)?.into_parts();
    if let Ok(existing) = existing {
        file.set_permissions(existing.permissions())?;
    }
    Ok((file, Some(temporary)))
}

/// Temporary files are for their owner only; the result of a query is a file like any other, within the umask.
#[cfg(unix)]
fn usual_permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o666)
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A file that is synced while it is written, on a thread of its own.
struct EarlySynced {
    file: File,
    is_synced: bool,
    written_bytes: usize,
    /// One at a time. Its failure is kept until the end: the system tells of a block that was lost once only.
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl EarlySynced {
    fn new(file: File, is_synced: bool) -> Self {
        Self {
            file,
            is_synced,
            written_bytes: 0,
            syncing: None,
        }
    }

    fn sync_early(&mut self) -> io::Result<()> {
        if self.syncing.as_ref().is_some_and(|syncing| !syncing.is_finished()) {
            return Ok(());
        }
        self.synced()?;
        let file = self.file.try_clone()?;
        self.syncing = Some(thread::spawn(move || file.sync_data()));
        self.written_bytes = 0;
        Ok(())
    }

    /// Waits for the thread.
    fn synced(&mut self) -> io::Result<()> {
        let Some(syncing) = self.syncing.take() else {
            return Ok(());
        };
        syncing
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that syncs the file ended early")))
    }

    /// The file, with all of it on the disk.
    fn finish(mut self) -> io::Result<File> {
        if self.is_synced {
            self.synced()?;
            self.file.sync_all()?;
        }
        Ok(self.file)
    }
}

impl Write for EarlySynced {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.written_bytes += written;
        if self.is_synced && self.written_bytes >= SYNCED_EARLY_BYTES {
            self.sync_early()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Syncs the file and gives it its name.
fn publish(file: EarlySynced, temporary: Option<TempPath>, path: &Path) -> Result<()> {
    let file = file.finish()?;
    let Some(temporary) = temporary else { return Ok(()) };
    drop(file);
    temporary.persist(path).map_err(|error| Error::from(error.error))?;
    File::open(directory_of(path))?.sync_all()?;
    Ok(())
}

#[async_trait]
impl BatchSink for FileSink {
    async fn start(&mut self, schema: SchemaRef) -> Result<()> {
        self.inner.start(schema).await
    }

    async fn write(&mut self, index: u64, batch: RecordBatch) -> Result<()> {
        self.inner.write(index, batch).await
    }

    async fn finish(&mut self) -> Result<SinkSummary> {
        let summary = self.inner.finish().await?;
        let (path, temporary) = (self.path.clone(), self.temporary.take());
        let Some(writer) = self.inner.take_finished() else {
            return Err(Error::new(ErrorKind::Internal, "the sink has lost its file"));
        };
        tokio::task::spawn_blocking(move || {
            let told = |error: Error| error.context(format!("cannot write the file {}", path.display()));
            let file = writer
                .into_inner()
                .map_err(|error| told(Error::from(error.into_error())))?;
            publish(file, temporary, &path).map_err(told)
        })
        .await
        .map_err(|error| {
            Error::new(ErrorKind::Internal, "the task that syncs the file ended early").with_source(error)
        })??;
        Ok(summary)
    }

    async fn abort(&mut self) {
        self.inner.abort().await;
        self.temporary = None;
    }

    fn limit_memory(&mut self, bytes: usize) {
        self.inner.limit_memory(bytes);
    }

    fn held_bytes(&self) -> usize {
        self.inner.held_bytes()
    }

    fn keeps_batches(&self) -> bool {
        self.inner.keeps_batches()
    }
}
