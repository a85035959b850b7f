//! The Parquet files of a lake: where they are, how they are written, and which are swept.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lakepilot_query::{Error, ErrorKind, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use uuid::Uuid;

/// Small enough that statistics of row groups prune, large enough to compress well.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// The longest piece of an instance's name that a directory is named after.
const LONGEST_NAME: usize = 120;
const TEMPORARY: &str = "tmp";

/// The directories that hold Parquet files, below the lake's.
pub(crate) const PARTITIONS: &str = "partitions";
pub(crate) const SOURCE: &str = "source";

/// A name for a new file of a view instance, relative to the lake's directory.
pub(crate) fn partition_file(view_set: &str, instance: &str) -> String {
    format!(
        "{PARTITIONS}/{}/{}/{}.parquet",
        directory_name(view_set),
        directory_name(instance),
        Uuid::new_v4()
    )
}

/// A name for a new file of source rows, relative to the lake's directory.
pub(crate) fn source_file(view_set: &str) -> String {
    format!("{SOURCE}/{}/{}.parquet", directory_name(view_set), Uuid::new_v4())
}

/// Any name as that of a directory: what is not a letter, a digit, `-` or `_` becomes `%` and two hexadecimal digits, so
/// that no name leaves its parent; a very long one becomes a UUID made from it.
fn directory_name(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    match encoded.len() {
        0 => "%".to_owned(),
        length if length > LONGEST_NAME => Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string(),
        _ => encoded,
    }
}

/// A Parquet file that appears under its name when it is whole and on the disk. One that is not finished is deleted.
pub(crate) struct FileWriter {
    path: PathBuf,
    temporary: PathBuf,
    file_path: String,
    /// `None` once the file is finished or has failed.
    writer: Option<ArrowWriter<File>>,
}

impl FileWriter {
    pub(crate) fn create(root: &Path, file_path: &str, schema: SchemaRef) -> Result<Self> {
        let path = root.join(file_path);
        let temporary = path.with_extension(TEMPORARY);
        let open = || -> Result<ArrowWriter<File>> {
            prepare_directory(&path)?;
            ArrowWriter::try_new(File::create(&temporary)?, schema, Some(properties()?)).map_err(parquet_error)
        };
        let writer = Some(open().map_err(|error| cannot_write(&path, error))?);
        Ok(Self {
            path,
            temporary,
            file_path: file_path.to_owned(),
            writer,
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.writer {
            Some(writer) => writer
                .write(batch)
                .map_err(|error| cannot_write(&self.path, parquet_error(error))),
            None => Err(Error::new(
                ErrorKind::Internal,
                format!("the file {} is finished already", self.path.display()),
            )),
        }
    }

    /// Ends the file; returns its path, the path relative to the lake, and its size in bytes.
    pub(crate) fn finish(mut self) -> Result<(PathBuf, String, u64)> {
        let size = self.close().map_err(|error| cannot_write(&self.path, error))?;
        Ok((
            std::mem::take(&mut self.path),
            std::mem::take(&mut self.file_path),
            size,
        ))
    }

    fn close(&mut self) -> Result<u64> {
        let Some(writer) = self.writer.take() else {
            return Ok(0);
        };
        let finish = || -> Result<u64> {
            let file = writer.into_inner().map_err(parquet_error)?;
            file.sync_all()?;
            let size = file.metadata()?.len();
            fs::rename(&self.temporary, &self.path)?;
            File::open(prepare_directory(&self.path)?)?.sync_all()?;
            Ok(size)
        };
        finish().inspect_err(|_| self.discard())
    }

    /// The failure is told; a left-over is swept at the next start.
    fn discard(&self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            self.discard();
        }
    }
}

fn cannot_write(path: &Path, error: Error) -> Error {
    error.context(format!("cannot write the Parquet file {}", path.display()))
}

/// Writes batches to a file that appears under its name when it is whole and on the disk; returns its size in bytes.
pub(crate) fn write(root: &Path, file_path: &str, schema: SchemaRef, batches: &[RecordBatch]) -> Result<u64> {
    let mut file = FileWriter::create(root, file_path, schema)?;
    for batch in batches {
        file.write(batch)?;
    }
    file.finish().map(|(_, _, size)| size)
}

/// Gives a file that is already whole a second name; returns its size in bytes.
pub(crate) fn link(root: &Path, existing: &str, file_path: &str) -> Result<u64> {
    let path = root.join(file_path);
    let link = || -> Result<u64> {
        let directory = prepare_directory(&path)?;
        fs::hard_link(root.join(existing), &path)?;
        File::open(directory)?.sync_all()?;
        Ok(fs::metadata(&path)?.len())
    };
    link().map_err(|error| error.context(format!("cannot link the Parquet file {}", path.display())))
}

fn prepare_directory(path: &Path) -> Result<PathBuf> {
    let directory = path.parent().unwrap_or(Path::new(".")).to_owned();
    if !directory.is_dir() {
        fs::create_dir_all(&directory)?;
        if let Some(parent) = directory.parent() {
            File::open(parent)?.sync_all()?;
        }
    }
    Ok(directory)
}

fn properties() -> Result<WriterProperties> {
    Ok(WriterProperties::builder()
        // Messages seldom repeat: a dictionary of them would be given up half-way.
        .set_column_dictionary_enabled(ColumnPath::from("msg"), false)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(parquet_error)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build())
}

pub(crate) fn parquet_error(error: parquet::errors::ParquetError) -> Error {
    match error {
        parquet::errors::ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(io) => Error::from(*io),
            Err(source) => Error::new(ErrorKind::Internal, source.to_string()),
        },
        other => Error::new(ErrorKind::Internal, other.to_string()).with_source(other),
    }
}

/// Removes every file below the two directories that the catalogue does not name; returns how many there were.
pub(crate) fn sweep(root: &Path, named: &[String]) -> Result<usize> {
    let named: HashSet<PathBuf> = named.iter().map(|file_path| root.join(file_path)).collect();
    let mut swept = 0;
    let mut directories = vec![root.join(PARTITIONS), root.join(SOURCE)];
    while let Some(directory) = directories.pop() {
        if !directory.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if !named.contains(&path) {
                fs::remove_file(&path)?;
                swept += 1;
            }
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_directory() {
        for name in [
            "..",
            ".",
            "",
            "/etc/passwd",
            "a/b",
            "%2e",
            "it's",
            "line\nbreak",
            "漢字",
            &"x".repeat(5000),
        ] {
            let directory = directory_name(name);
            assert!(!directory.is_empty() && directory.len() <= LONGEST_NAME, "{name:?}");
            assert!(
                !directory.contains(['/', '\\', '.', '\n', '\'']),
                "{name:?}: {directory}"
            );
        }
        assert_ne!(directory_name("a/b"), directory_name("a%2Fb"));
    }
}
