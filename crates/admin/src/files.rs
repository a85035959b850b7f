//! Files that are whole or not there, and logs that are only added to.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use lakepilot_query::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Puts the bytes in place of a file: under a temporary name first, synced, renamed.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = beside(path)?;
    let written = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What is left of it is of no use; the error that counts is the one before.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_directory(path);
    Ok(())
}

fn beside(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("{} is not the name of a file", path.display()),
        )
    })?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    Ok(path.with_file_name(temporary))
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The name of a new file is kept in its folder. Not every system can sync one, and there is nothing to do about it.
fn sync_directory(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        let _ = folder.sync_all();
    }
}

/// A file of one JSON value a line that is only added to. Each line is synced before the next step is taken.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    path: PathBuf,
}

impl Log {
    /// Opens the file, makes it and its folder when they are not there, and cuts off a last line that was not finished:
    /// whoever wrote it was stopped before it acted on it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        sync_directory(path);
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Takes the file for this process alone until it is dropped; `false` when another one has it.
    pub(crate) fn lock(&self) -> Result<bool> {
        try_lock(&self.file)
    }

    pub(crate) fn lines<T: DeserializeOwned>(&mut self) -> Result<Vec<T>> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < bytes.len() {
            self.file.set_len(whole as u64)?;
            self.file.sync_all()?;
        }
        parse_lines(&bytes[..whole], &self.path)
    }

    pub(crate) fn append(&mut self, line: &impl Serialize) -> Result<()> {
        let context = |error: Error| error.context(format!("write to {}", self.path.display()));
        let mut bytes =
            serde_json::to_vec(line).map_err(|error| context(Error::new(ErrorKind::Internal, error.to_string())))?;
        bytes.push(b'\n');
        // One write, so that lines of two processes do not mix.
        self.file.write_all(&bytes).map_err(|error| context(error.into()))?;
        self.file.sync_data().map_err(|error| context(error.into()))
    }
}

/// The lines of a log; one that is not what it should be is an error that says where.
pub(crate) fn parse_lines<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<Vec<T>> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| {
            serde_json::from_slice(line).map_err(|error| {
                Error::new(
                    ErrorKind::InvalidInput,
                    format!("line {} of {} cannot be read: {error}", number + 1, path.display()),
                )
            })
        })
        .collect()
}

/// Takes the file for this process alone until it is closed; `false` when another one has it.
pub(crate) fn try_lock(file: &File) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("no/where"), b"x").is_err());
        assert!(replace(Path::new(".."), b"x").is_err());
    }

    #[test]
    fn a_line_that_was_not_finished_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/log");
        Log::open(&path).unwrap().append(&1).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"half").unwrap();
        let mut log = Log::open(&path).unwrap();
        assert_eq!(log.lines::<u64>().unwrap(), [1]);
        log.append(&2).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"1\n2\n");
        assert_eq!(log.lines::<u64>().unwrap(), [1, 2]);
        log.append(&"x").unwrap();
        assert!(log.lines::<u64>().unwrap_err().message().starts_with("line 3 of "));
    }

    #[test]
    fn a_locked_log_is_locked_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let first = Log::open(&path).unwrap();
        assert!(first.lock().unwrap());
        assert!(!Log::open(&path).unwrap().lock().unwrap());
        drop(first);
        assert!(Log::open(&path).unwrap().lock().unwrap());
    }
}
