//! What a directory of parts says about itself: what was asked, in `manifest.json`, and which parts are there, a line each
//! in `parts.ndjson`.
//!
//! The manifest is written before the first part and replaced as a whole. A line is written, and synced, after its part has
//! its name. So whatever moment a process is killed at, a part is either told of and whole, or is not told of and made again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use arrow::datatypes::Schema;
use chrono::{DateTime, Utc};
use lakepilot_query::{Dictionaries, Error, ErrorKind, Query, Result, TimeRange, to_rfc3339};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sink::{FileFormat, PARTIAL_PREFIX};
use crate::slices::Slicing;

const MANIFEST: &str = "manifest.json";
const JOURNAL: &str = "parts.ndjson";
const LOCK: &str = ".lock";
const VERSION: u32 = 1;

/// What was asked: two runs into one directory have to agree in all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    server: String,
    sql: String,
    /// Of the statements of all slices, which hold the rule by which rows belong to slices.
    statements_sha256: String,
    preserve_dictionaries: bool,
    format: String,
    slices: Vec<SliceEntry>,
    /// Known once the first slice has answered.
    schema: Option<Vec<ColumnEntry>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SliceEntry {
    begin: String,
    end: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ColumnEntry {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    nullable: bool,
}

/// A part that is there and whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// The number of its slice in the order of time, from zero.
    pub index: usize,
    /// The name of its file in the directory.
    pub file: String,
    /// How many rows it has.
    pub rows: u64,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    pub(super) fn new(server: &str, query: &Query, slicing: &Slicing, format: FileFormat) -> Result<Self> {
        let mut statements = Sha256::new();
        for slice in slicing.queries(query)? {
            statements.update(slice.sql());
            statements.update([0]);
        }
        Ok(Self {
            version: VERSION,
            server: server.to_owned(),
            sql: query.sql().to_owned(),
            statements_sha256: hex(&statements.finalize()),
            preserve_dictionaries: query.dictionaries() == Dictionaries::Preserved,
            format: format.extension().to_owned(),
            slices: slicing.slices().iter().map(SliceEntry::new).collect(),
            schema: None,
        })
    }

    /// What two manifests do not agree in, for a person. A schema that is not known yet agrees with any.
    fn difference(&self, other: &Self) -> Option<String> {
        let schemas_differ = self.schema.is_some() && other.schema.is_some() && self.schema != other.schema;
        let both = |what: &str, own: &str, others: &str| format!("{what} ({own}, not {others})");
        [
            (self.version != other.version, "version of the manifest".to_owned()),
            (self.server != other.server, both("server", &self.server, &other.server)),
            (self.sql != other.sql, "SQL text".to_owned()),
            (
                self.ends() != other.ends(),
                both("time range", &self.ends(), &other.ends()),
            ),
            (self.slices != other.slices, "cut into slices".to_owned()),
            (
                self.statements_sha256 != other.statements_sha256,
                "rule by which rows belong to slices".to_owned(),
            ),
            (
                self.preserve_dictionaries != other.preserve_dictionaries,
                "treatment of dictionaries".to_owned(),
            ),
            (self.format != other.format, both("format", &self.format, &other.format)),
            (schemas_differ, "schema of the result".to_owned()),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }

    fn ends(&self) -> String {
        match (self.slices.first(), self.slices.last()) {
            (Some(first), Some(last)) => format!("{} to {}", first.begin, last.end),
            _ => "none".to_owned(),
        }
    }

    /// The parts of the manifest that whoever takes the run up has to ask for again.
    fn request(&self) -> Result<PartsRequest> {
        let format = FileFormat::ALL
            .into_iter()
            .find(|format| format.extension() == self.format)
            .ok_or_else(|| not_of_a_run(format!("names the format '{}', which is none", self.format)))?;
        let slices = self.slices.iter().map(SliceEntry::range).collect::<Result<Vec<_>>>()?;
        Ok(PartsRequest {
            server: self.server.clone(),
            sql: self.sql.clone(),
            preserves_dictionaries: self.preserve_dictionaries,
            format,
            slices,
        })
    }

    fn with_schema(mut self, schema: &Schema) -> Self {
        let entry = |field: &arrow::datatypes::FieldRef| ColumnEntry {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
            nullable: field.is_nullable(),
        };
        self.schema = Some(schema.fields().iter().map(entry).collect());
        self
    }

    fn file_of(&self, index: usize) -> String {
        format!("part-{index:05}.{}", self.format)
    }
}

impl SliceEntry {
    fn new(range: &TimeRange) -> Self {
        Self {
            begin: to_rfc3339(range.begin()),
            end: to_rfc3339(range.end()),
        }
    }

    fn range(&self) -> Result<TimeRange> {
        let time = |text: &str| {
            DateTime::parse_from_rfc3339(text)
                .map(|time| time.with_timezone(&Utc))
                .map_err(|_| not_of_a_run(format!("has a slice at '{text}', which is no time")))
        };
        TimeRange::new(time(&self.begin)?, time(&self.end)?)
    }
}

/// What was asked for in the run that a directory of parts is of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartsRequest {
    /// The address of what was asked.
    pub server: String,
    /// The SQL of the query.
    pub sql: String,
    /// Whether dictionary columns are kept.
    pub preserves_dictionaries: bool,
    /// The format of the parts.
    pub format: FileFormat,
    /// The slices, in the order of time.
    pub slices: Vec<TimeRange>,
}

impl PartsRequest {
    /// What was asked for in the run that the directory is of; `None` when it is of no run, or does not exist.
    ///
    /// To take a run up, ask for this again: a time range that was counted back from the present, or slices that were cut
    /// by the partitions of the moment, would not come out the same.
    ///
    /// # Errors
    /// `InvalidInput` when its manifest cannot be read as one; `Io`.
    pub fn read(directory: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = directory.as_ref();
        let request = || read_manifest(path)?.map(|manifest| manifest.request()).transpose();
        request().map_err(|error| error.context(format!("the directory {}", path.display())))
    }

    /// The time range of the query: that of all slices together.
    pub fn time_range(&self) -> Option<TimeRange> {
        let (first, last) = self.slices.first().zip(self.slices.last())?;
        TimeRange::new(first.begin(), last.end()).ok()
    }
}

/// A directory that this process writes parts into, alone.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    manifest: Manifest,
    journal: File,
    /// Held, and with it the directory, until this is dropped.
    _lock: Held,
}

impl Directory {
    /// Opens a directory for a run, makes it when there is none, and tells which parts are there and whole.
    pub(super) fn open(path: &Path, asked: &Manifest) -> Result<(Self, BTreeMap<usize, Part>)> {
        let told = |error: Error| error.context(format!("the directory {}", path.display()));
        fs::create_dir_all(path).map_err(|error| told(error.into()))?;
        let lock = lock(path).map_err(told)?;
        let manifest = match read_manifest(path).map_err(told)? {
            Some(found) => {
                if let Some(what) = found.difference(asked) {
                    return Err(told(Error::new(
                        ErrorKind::InvalidInput,
                        format!("holds parts of a run with another {what}; choose another directory"),
                    )));
                }
                found
            }
            None => {
                refuse_other_files(path).map_err(told)?;
                write_json(path, MANIFEST, asked).map_err(told)?;
                asked.clone()
            }
        };
        remove_partial_files(path).map_err(told)?;
        let mut parts = read_journal(path).map_err(told)?;
        parts.retain(|index, part| *index < manifest.slices.len() && check(path, part).is_none());
        let journal = rewrite_journal(path, &parts).map_err(told)?;
        let directory = Self {
            path: path.to_owned(),
            manifest,
            journal,
            _lock: lock,
        };
        Ok((directory, parts))
    }

    /// Where the part of a slice goes.
    pub(super) fn path_of(&self, index: usize) -> PathBuf {
        self.path.join(self.manifest.file_of(index))
    }

    /// Sees to it that all parts have one schema, those of earlier runs too.
    pub(super) fn agree_on_schema(&mut self, schema: &Schema) -> Result<()> {
        let manifest = self.manifest.clone().with_schema(schema);
        if let Some(what) = self.manifest.difference(&manifest) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "the directory {} holds parts with another {what}; choose another directory",
                    self.path.display()
                ),
            ));
        }
        if self.manifest.schema.is_none() {
            write_json(&self.path, MANIFEST, &manifest)?;
            self.manifest = manifest;
        }
        Ok(())
    }

    /// Tells of the part of a slice, whose file has its name.
    pub(super) fn record(&mut self, index: usize, rows: u64) -> Result<Part> {
        let path = self.path_of(index);
        let (bytes, sha256) = checksum(&path)?;
        let part = Part {
            index,
            file: self.manifest.file_of(index),
            rows,
            bytes,
            sha256,
        };
        self.journal.write_all(&line(&part)?)?;
        self.journal.sync_data()?;
        Ok(part)
    }
}

/// What a look at a directory of parts has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// How many slices the run has.
    pub slices: usize,
    /// The parts that are there and whole.
    pub whole: Vec<Part>,
    /// The numbers of the slices that have no part yet.
    pub missing: Vec<usize>,
    /// The files of parts that are gone, or are not what was written, each with what is wrong.
    pub damaged: Vec<String>,
    /// The names of files that are not of the run: who reads the whole directory would take them for parts.
    pub foreign: Vec<String>,
}

impl Verification {
    /// Whether every slice has its part, every part is what was written, and nothing else is there.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.damaged.is_empty() && self.foreign.is_empty()
    }

    /// The rows of all parts that are whole.
    pub fn rows(&self) -> u64 {
        self.whole.iter().map(|part| part.rows).sum()
    }
}

/// Reads every part of a directory again and compares it with what the run wrote. Changes nothing.
///
/// # Errors
/// `NotFound` when it is not a directory of parts; `InvalidInput` when its manifest cannot be read as one; `Io`.
pub fn verify_parts(path: impl AsRef<Path>) -> Result<Verification> {
    let path = path.as_ref();
    let told = |error: Error| error.context(format!("the directory {}", path.display()));
    let manifest = read_manifest(path).map_err(told)?.ok_or_else(|| {
        told(Error::new(
            ErrorKind::NotFound,
            "has no manifest.json; name a directory that a run has written",
        ))
    })?;
    let mut parts = read_journal(path).map_err(told)?;
    let mut found = Verification {
        slices: manifest.slices.len(),
        ..Verification::default()
    };
    for index in 0..manifest.slices.len() {
        match parts.remove(&index) {
            None => found.missing.push(index),
            Some(part) => match check(path, &part) {
                None => found.whole.push(part),
                Some(damage) => found.damaged.push(format!("{}: {damage}", part.file)),
            },
        }
    }
    found.foreign = foreign_files(path, &manifest).map_err(told)?;
    Ok(found)
}

/// What lies in a directory of parts and is not of its run. A part that the journal does not tell of is: its slice is missing,
/// and it is written again. So is a temporary file, which a run that was killed has left.
fn foreign_files(path: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    let parts: BTreeSet<String> = (0..manifest.slices.len())
        .map(|index| manifest.file_of(index))
        .collect();
    let mut foreign = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_own = [MANIFEST, JOURNAL, LOCK].contains(&name.as_str())
            || name.starts_with(PARTIAL_PREFIX)
            || parts.contains(&name);
        if !is_own {
            foreign.push(name);
        }
    }
    foreign.sort();
    Ok(foreign)
}

/// What is wrong with a part.
fn check(path: &Path, part: &Part) -> Option<String> {
    match checksum(&path.join(&part.file)) {
        Err(error) => Some(error.to_string()),
        Ok((bytes, _)) if bytes != part.bytes => Some(format!("has {bytes} bytes where {} were written", part.bytes)),
        Ok((_, sha256)) if sha256 != part.sha256 => Some("its checksum is not that of what was written".to_owned()),
        Ok(_) => None,
    }
}

fn checksum(path: &Path) -> Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, hex(&hasher.finalize())));
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that is locked until this is dropped.
#[derive(Debug)]
struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // Closing would do, but for a child that is being started meanwhile: it has the file too until it runs its program.
        let _ = self.0.unlock();
    }
}

fn lock(path: &Path) -> Result<Held> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Held(file)),
        Err(fs::TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::InvalidInput,
            "another process writes parts into it; wait for that, or choose another directory",
        )),
        Err(fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

fn read_manifest(path: &Path) -> Result<Option<Manifest>> {
    let text = match fs::read(path.join(MANIFEST)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| not_of_a_run(format!("is not that of a run: {error}")))
}

fn not_of_a_run(what: String) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("its manifest.json {what}; choose another directory"),
    )
}

fn refuse_other_files(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        if name != LOCK && !name.to_string_lossy().starts_with(PARTIAL_PREFIX) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "holds '{}' and no manifest.json; choose an empty one",
                    name.to_string_lossy()
                ),
            ));
        }
    }
    Ok(())
}

/// Those of a run that was killed. No other run can be at it, since the directory is locked.
fn remove_partial_files(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL_PREFIX) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The parts that the journal tells of. A line that cannot be read is one that was not written to its end.
fn read_journal(path: &Path) -> Result<BTreeMap<usize, Part>> {
    let text = match fs::read_to_string(path.join(JOURNAL)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    let parts = text.lines().filter_map(|line| serde_json::from_str::<Part>(line).ok());
    // What a run writes has its name by its number; another name is not of a run, and may lie outside the directory.
    let own =
        |part: &Part| part.file.starts_with(&format!("part-{:05}.", part.index)) && !part.file.contains(['/', '\\']);
    Ok(parts.filter(own).map(|part| (part.index, part)).collect())
}

fn rewrite_journal(path: &Path, parts: &BTreeMap<usize, Part>) -> Result<File> {
    let lines = parts.values().map(line).collect::<Result<Vec<_>>>()?;
    write(path, JOURNAL, &lines.concat())?;
    Ok(File::options().append(true).open(path.join(JOURNAL))?)
}

fn line(part: &Part) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(part).map_err(no_json)?;
    line.push(b'\n');
    Ok(line)
}

fn write_json(path: &Path, name: &str, manifest: &Manifest) -> Result<()> {
    write(path, name, &serde_json::to_vec_pretty(manifest).map_err(no_json)?)
}

fn no_json(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "cannot write the manifest as JSON").with_source(error)
}

/// Replaces a file as a whole.
fn write(path: &Path, name: &str, content: &[u8]) -> Result<()> {
    let mut file = tempfile::Builder::new().prefix(PARTIAL_PREFIX).tempfile_in(path)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path.join(name))
        .map_err(|error| Error::from(error.error))?;
    File::open(path)?.sync_all()?;
    Ok(())
}
