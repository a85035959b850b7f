//! What the program prints and writes: formats, tables, and files that appear only when they are whole.

mod layout;
mod rows;
pub(crate) mod text;

use std::fs::Permissions;
use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use lakepilot_execution::{Compression, Encoding, FileFormat};
use lakepilot_query::{Error, ErrorKind, Result};
use serde::Serialize;

pub(crate) use layout::{Heading, printable, table};
pub(crate) use rows::{RowsOptions, sink};

/// The formats of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataFormat {
    /// A table that fits the terminal
    Table,
    /// Comma-separated values with a header line
    Csv,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    Ndjson,
    /// Apache Parquet
    Parquet,
    /// Arrow IPC: the file format into a file, the stream format to standard output
    Arrow,
}

impl DataFormat {
    /// The format that the ending of a file name stands for.
    pub(crate) fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "parquet" => Some(Self::Parquet),
            "arrow" | "arrows" | "ipc" | "feather" => Some(Self::Arrow),
            "txt" => Some(Self::Table),
            _ => None,
        }
    }

    /// The format of a file; `None` for a table, which is text for people.
    pub(crate) fn of_file(self) -> Option<FileFormat> {
        Some(match self {
            Self::Table => return None,
            Self::Csv => FileFormat::Csv,
            Self::Json => FileFormat::Json,
            Self::Ndjson => FileFormat::Ndjson,
            Self::Parquet => FileFormat::Parquet,
            Self::Arrow => FileFormat::ArrowFile,
        })
    }

    /// The format that was asked for, or that of the file, or a table on standard output.
    ///
    /// # Errors
    /// `InvalidInput` when the file's ending says nothing.
    pub(crate) fn choose(asked: Option<Self>, output: Option<&Path>) -> Result<Self> {
        match (asked, output) {
            (Some(format), _) => Ok(format),
            (None, None) => Ok(Self::Table),
            (None, Some(path)) => Self::of_path(path).ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidInput,
                    format!(
                        "the ending of {} names no format: add --format, or use .parquet, .csv, .json, .ndjson or .arrow",
                        path.display()
                    ),
                )
            }),
        }
    }
}

/// A format with the compression that was asked for, or its own.
///
/// # Errors
/// `InvalidInput` when the format does not have the compression.
pub(crate) fn encoding(format: FileFormat, compression: Option<Compression>) -> Result<Encoding> {
    compression.map_or(Ok(format.into()), |compression| {
        Encoding::new(format, compression).map_err(|error| error.context("--compression"))
    })
}

/// The formats of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Text for people
    Table,
    /// One JSON document
    Json,
}

/// Writes text to standard output; a reader that went away is an error that `exit::is_broken_pipe` knows.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(to_stdout)
}

/// Writes text to standard error. It may be closed; then there is nobody to tell, and that is no reason to fail.
pub(crate) fn print_error(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes one JSON document to standard output.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    print(&to_json(value)?)
}

/// One JSON document, for people too.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::new(ErrorKind::Internal, "write the report as JSON").with_source(error))?;
    Ok(text + "\n")
}

fn to_stdout(error: io::Error) -> Error {
    Error::from(error).context("cannot write to standard output")
}

/// Writes a file under a temporary name beside its own, and renames it when it is whole and on the disk.
pub(crate) fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    replace(path, content, None).map_err(|error| Error::from(error).context(format!("cannot write {}", path.display())))
}

/// Writes a file that there is anew, as [`write_file`] does. It keeps its permissions, and a link stays one.
pub(crate) fn rewrite_file(path: &Path, content: &[u8]) -> Result<()> {
    let rewrite = || {
        let real = path.canonicalize()?;
        let permissions = std::fs::metadata(&real)?.permissions();
        replace(&real, content, Some(permissions))
    };
    rewrite().map_err(|error| Error::from(error).context(format!("cannot rewrite {}", path.display())))
}

fn replace(path: &Path, content: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(content)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
