//! A sink into a file that appears under its name only when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakepilot_query::{Error, ErrorKind, Result};
use tempfile::NamedTempFile;

use super::encoder::FileFormat;
use super::writer::WriterSink;
use super::{BatchSink, SinkSummary};

const BUFFER_BYTES: usize = 256 * 1024;

/// Encodes batches into a file.
///
/// The rows go to a temporary file beside it, which is synced and renamed when all are written. An error, an abort or a
/// drop removes the temporary file and leaves what was there before. A name that stands for a device or a pipe
/// (`/dev/null`) is written to directly.
pub struct FileSink {
    path: PathBuf,
    inner: WriterSink<BufWriter<Target>>,
}

enum Target {
    Temporary(NamedTempFile),
    Direct(File),
}

impl Write for Target {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Temporary(file) => file.write(buffer),
            Self::Direct(file) => file.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Temporary(file) => file.flush(),
            Self::Direct(file) => file.flush(),
        }
    }
}

impl FileSink {
    /// A sink into the file `path`, which is replaced when it exists.
    ///
    /// # Errors
    /// `InvalidInput` when `path` is a directory; `NotFound` when its directory does not exist; `Io` when nothing can be
    /// written there.
    pub fn create(path: impl Into<PathBuf>, format: FileFormat) -> Result<Self> {
        let path = path.into();
        let name = format!("the file {}", path.display());
        let target = open(&path).map_err(|error| error.context(format!("cannot write {name}")))?;
        Ok(Self {
            inner: WriterSink::new(BufWriter::with_capacity(BUFFER_BYTES, target), format, name),
            path,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn open(path: &Path) -> Result<Target> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "it is a directory; name a file in it",
            ));
        }
        Ok(metadata) if !metadata.is_file() => return Ok(Target::Direct(File::options().write(true).open(path)?)),
        _ => {}
    }
    let directory = directory_of(path);
    if !directory.is_dir() {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("there is no directory {}; make it first", directory.display()),
        ));
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    Ok(Target::Temporary(
        tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".tmp")
            .tempfile_in(directory)?,
    ))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Syncs the file and gives it its name.
fn publish(target: Target, path: &Path) -> Result<()> {
    match target {
        Target::Direct(mut file) => Ok(file.flush()?),
        Target::Temporary(file) => {
            set_usual_permissions(file.as_file())?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| Error::from(error.error))?;
            File::open(directory_of(path))?.sync_all()?;
            Ok(())
        }
    }
}

/// Temporary files are for their owner only; the result of a query is a file like any other.
#[cfg(unix)]
fn set_usual_permissions(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_usual_permissions(_file: &File) -> io::Result<()> {
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
        let path = self.path.clone();
        let Some(writer) = self.inner.take_finished() else {
            return Err(Error::new(ErrorKind::Internal, "the sink has lost its file"));
        };
        tokio::task::spawn_blocking(move || {
            let told = |error: Error| error.context(format!("cannot write the file {}", path.display()));
            let target = writer
                .into_inner()
                .map_err(|error| told(Error::from(error.into_error())))?;
            publish(target, &path).map_err(told)
        })
        .await
        .map_err(|error| {
            Error::new(ErrorKind::Internal, "the task that syncs the file ended early").with_source(error)
        })??;
        Ok(summary)
    }

    async fn abort(&mut self) {
        self.inner.abort().await;
    }
}
