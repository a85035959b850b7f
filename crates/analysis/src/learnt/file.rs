//! Lengths in a file, one for each server.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use lakepilot_query::{Error, Result};
use serde::{Deserialize, Serialize};

use super::lengths::LearntColumn;
use super::{LearntLengths, LengthStore, LoadedLengths};

const VERSION: u32 = 1;

/// A file that is larger was not written here: a thousand columns with names of 200 bytes take half of it.
const LARGEST_FILE_BYTES: u64 = 1024 * 1024;

/// How many characters of a server's name are in that of its file.
const NAME_CHARACTERS: usize = 60;

/// Keeps lengths in a file of a directory, such as the user's cache.
///
/// The file is small JSON, bounded in size, and replaced whole: a reader finds what was there before or what is there after.
/// Processes that record at the same time do so one after the other, under a lock on a file beside it. A file that cannot
/// be understood is ignored, with a note, and replaced by the next record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLengthStore {
    server: String,
    file: PathBuf,
}

#[derive(Deserialize)]
struct Kept {
    version: u32,
    server: String,
    /// How often the file was written.
    writes: u64,
    columns: BTreeMap<String, LearntColumn>,
}

#[derive(Serialize)]
struct Keeping<'a> {
    version: u32,
    server: &'a str,
    writes: u64,
    columns: &'a BTreeMap<String, LearntColumn>,
}

impl FileLengthStore {
    /// The store of a server in a directory, which is made when something is recorded.
    ///
    /// The server is named by its address, without credentials, since the name is in the file.
    pub fn new(directory: impl AsRef<Path>, server: impl Into<String>) -> Self {
        let server = server.into();
        Self {
            file: directory.as_ref().join(file_name(&server)),
            server,
        }
    }

    /// The store of a server in the user's cache directory: under `$XDG_CACHE_HOME`, `%LOCALAPPDATA%` on Windows, or
    /// `.cache` in the home directory. `None` where there is no such directory.
    pub fn in_user_cache(server: impl Into<String>) -> Option<Self> {
        let absolute = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let cache = absolute("XDG_CACHE_HOME")
            .or_else(|| if cfg!(windows) { absolute("LOCALAPPDATA") } else { None })
            .or_else(|| Some(std::env::home_dir().filter(|home| home.is_absolute())?.join(".cache")))?;
        Some(Self::new(cache.join("lakepilot").join("lengths"), server))
    }

    /// The file of the server.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// What the file has, and how often it was written.
    fn read(&self) -> std::result::Result<(LearntLengths, u64), String> {
        let file = match File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == IoErrorKind::NotFound => return Ok((LearntLengths::default(), 0)),
            Err(error) => return Err(error.to_string()),
        };
        let mut text = String::new();
        file.take(LARGEST_FILE_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|error| error.to_string())?;
        if text.len() as u64 > LARGEST_FILE_BYTES {
            return Err("it is too large".to_owned());
        }
        let mut kept: Kept = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if kept.version != VERSION {
            return Err(format!("it is of version {}, and not {VERSION}", kept.version));
        }
        if kept.server != self.server {
            return Err("it is of another server".to_owned());
        }
        kept.columns.retain(|_, column| column.is_sane());
        Ok((LearntLengths { columns: kept.columns }, kept.writes))
    }

    fn replace(&self, lengths: &LearntLengths, writes: u64) -> Result<()> {
        let text = serde_json::to_vec(&Keeping {
            version: VERSION,
            server: &self.server,
            writes,
            columns: &lengths.columns,
        })
        .map_err(|error| Error::new(lakepilot_query::ErrorKind::Internal, error.to_string()))?;
        // Whoever holds the lock owns this name, so that what a process left that was ended is written over.
        let temporary = self.file.with_extension("partial");
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        let renamed = written.and_then(|()| fs::rename(&temporary, &self.file));
        if renamed.is_err() {
            // The error that is told is the first one.
            let _ = fs::remove_file(&temporary);
        }
        Ok(renamed?)
    }
}

impl LengthStore for FileLengthStore {
    fn load(&self) -> LoadedLengths {
        match self.read() {
            Ok((lengths, _)) => LoadedLengths { lengths, note: None },
            Err(reason) => LoadedLengths {
                lengths: LearntLengths::default(),
                note: Some(format!(
                    "ignored the learnt text lengths in {}: {reason}",
                    self.file.display()
                )),
            },
        }
    }

    fn record(&self, learnt: &LearntLengths) -> Result<()> {
        if learnt.is_empty() {
            return Ok(());
        }
        let keep = || {
            if let Some(directory) = self.file.parent() {
                fs::create_dir_all(directory)?;
            }
            // The lock goes with the handle, also when the process is ended.
            let lock = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(self.file.with_extension("lock"))?;
            lock.lock()?;
            let (mut lengths, writes) = self.read().unwrap_or_default();
            let write = writes.saturating_add(1);
            lengths.merge(learnt, write);
            self.replace(&lengths, write)
        };
        keep().map_err(|error: Error| error.context(format!("keep text lengths in {}", self.file.display())))
    }
}

/// A name that can be told by a person, and that no other server has.
fn file_name(server: &str) -> String {
    let readable: String = server
        .chars()
        .rev()
        .take(NAME_CHARACTERS)
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character
            } else {
                '_'
            }
        })
        .collect();
    let readable: String = readable.chars().rev().collect();
    format!("{readable}-{:016x}.json", fingerprint(server))
}

/// FNV-1a: the same on every machine and in every version.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(rows: f64, bytes: f64) -> LearntLengths {
        let mut lengths = LearntLengths::default();
        lengths.add("log_entries.msg", rows, bytes);
        lengths
    }

    fn store(directory: &tempfile::TempDir) -> FileLengthStore {
        FileLengthStore::new(directory.path().join("a/b"), "grpc://127.0.0.1:50051")
    }

    #[test]
    fn what_is_recorded_is_there_the_next_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = store(&directory);
        assert_eq!(first.load(), LoadedLengths::default());
        first.record(&LearntLengths::default()).unwrap();
        assert!(!first.path().exists());
        first.record(&learnt(10.0, 100.0)).unwrap();
        first.record(&learnt(10.0, 300.0)).unwrap();
        let loaded = store(&directory).load();
        assert_eq!(loaded.note, None);
        assert_eq!(loaded.lengths.average_bytes(Some("log_entries"), "msg"), Some(20.0));
        let other = FileLengthStore::new(directory.path().join("a/b"), "grpc://127.0.0.1:50052");
        assert_eq!(other.load(), LoadedLengths::default());
    }

    #[test]
    fn a_file_that_is_not_understood_is_ignored_with_a_note_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        store.record(&learnt(1.0, 1.0)).unwrap();
        let good = fs::read_to_string(store.path()).unwrap();
        let half = good[..good.len() / 2].to_owned();
        for (bad, reason) in [
            (String::new(), "EOF"),
            (half, "EOF"),
            ("\u{0}\u{1}\u{2}".to_owned(), "expected value"),
            (
                good.replace("\"version\":1", "\"version\":2"),
                "of version 2, and not 1",
            ),
            (good.replace("50051", "50052"), "of another server"),
            (" ".repeat(LARGEST_FILE_BYTES as usize + 1), "too large"),
            (good.replace("1.0", "1e999"), "number out of range"),
        ] {
            fs::write(store.path(), &bad).unwrap();
            let loaded = store.load();
            assert!(loaded.lengths.is_empty());
            let note = loaded.note.unwrap();
            assert!(note.contains(reason), "{note}");
            store.record(&learnt(1.0, 5.0)).unwrap();
            let average = store.load().lengths.average_bytes(Some("log_entries"), "msg");
            assert_eq!(average, Some(5.0));
        }
        fs::write(store.path(), [0xff, 0xfe]).unwrap();
        assert!(store.load().note.is_some());
    }

    #[test]
    fn numbers_that_make_no_sense_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        store.record(&learnt(1.0, 5.0)).unwrap();
        let good = fs::read_to_string(store.path()).unwrap();
        fs::write(store.path(), good.replace("\"rows\":1.0", "\"rows\":-1.0")).unwrap();
        assert_eq!(store.load(), LoadedLengths::default());
    }

    #[test]
    fn a_directory_in_the_way_is_a_note_when_read_and_an_error_when_written() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        fs::create_dir_all(store.path()).unwrap();
        assert!(store.load().note.is_some());
        let error = store.record(&learnt(1.0, 1.0)).unwrap_err();
        assert!(error.to_string().starts_with("keep text lengths in "), "{error}");
        let left: Vec<_> = fs::read_dir(store.path().parent().unwrap()).unwrap().collect();
        // The directory and the lock; no file that is half written.
        assert_eq!(left.len(), 2);
    }

    #[test]
    fn nothing_is_lost_when_many_record_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    for round in 0..10 {
                        let mut lengths = learnt(1.0, f64::from(writer));
                        lengths.add(&format!("view.{writer}_{round}"), 1.0, 1.0);
                        store.record(&lengths).unwrap();
                        assert_eq!(store.load().note, None);
                    }
                });
            }
        });
        let lengths = store.load().lengths;
        assert_eq!(lengths.len(), 1 + 8 * 10);
        assert_eq!(lengths.average_bytes(Some("log_entries"), "msg"), Some(3.5));
    }

    #[test]
    fn the_size_of_the_file_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory);
        for round in 0..3 {
            let mut lengths = LearntLengths::default();
            for column in 0..900 {
                lengths.add(&format!("{:0>190}.{column}_{round}", "x"), 123_456.789, 9_876_543.21);
            }
            store.record(&lengths).unwrap();
        }
        let bytes = fs::metadata(store.path()).unwrap().len();
        assert!((200_000..LARGEST_FILE_BYTES / 2).contains(&bytes), "{bytes}");
        assert_eq!(store.load().lengths.len(), 1_000);
    }

    #[test]
    fn files_are_named_after_their_servers() {
        let name = file_name("grpc://127.0.0.1:50051");
        assert!(name.starts_with("grpc___127_0_0_1_50051-"), "{name}");
        assert!(file_name(&"é/".repeat(500)).len() < 100);
        assert_ne!(file_name("a/b"), file_name("a_b"));
    }
}
