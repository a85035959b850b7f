//! The catalogue: SQLite tables of partitions and source segments.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use lakepilot_query::{Error, ErrorKind, Result};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row, params_from_iter};

use super::record::{InstanceInfo, PartitionFilter, PartitionRecord};

/// The version of the directory's layout and of the catalogue's tables.
pub(crate) const FORMAT_VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY,
    view_set TEXT NOT NULL,
    instance TEXT NOT NULL,
    begin_insert INTEGER NOT NULL,
    end_insert INTEGER NOT NULL,
    min_event INTEGER,
    max_event INTEGER,
    updated INTEGER NOT NULL,
    file_path TEXT UNIQUE,
    file_size INTEGER NOT NULL,
    schema_hash BLOB NOT NULL,
    source_hash BLOB NOT NULL,
    num_rows INTEGER NOT NULL,
    format_version INTEGER NOT NULL,
    sort_order TEXT NOT NULL,
    max_sort_key INTEGER
);
CREATE INDEX partitions_by_instance ON partitions (view_set, instance, begin_insert, end_insert);
CREATE TABLE segments (
    id INTEGER PRIMARY KEY,
    view_set TEXT NOT NULL,
    begin_insert INTEGER NOT NULL,
    end_insert INTEGER NOT NULL,
    min_event INTEGER NOT NULL,
    max_event INTEGER NOT NULL,
    num_rows INTEGER NOT NULL,
    file_path TEXT NOT NULL UNIQUE
);
CREATE INDEX segments_by_insert ON segments (view_set, begin_insert, end_insert);
CREATE TABLE instance_keys (key_column TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (key_column, key)) WITHOUT ROWID;
CREATE TABLE extracted (
    view_set TEXT NOT NULL,
    instance TEXT NOT NULL,
    segment INTEGER NOT NULL,
    PRIMARY KEY (view_set, instance, segment)
) WITHOUT ROWID;
";

const COLUMNS: &str = "id, view_set, instance, begin_insert, end_insert, min_event, max_event, updated, file_path, file_size, \
schema_hash, source_hash, num_rows, format_version, sort_order, max_sort_key";

/// Makes the tables in a new file.
pub(crate) fn create(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path).map_err(|error| catalogue_error("create the catalogue", error))?;
    configure(&connection)?;
    connection
        .execute_batch(TABLES)
        .and_then(|()| connection.execute("INSERT INTO meta VALUES ('format_version', ?1)", [FORMAT_VERSION]))
        .map_err(|error| catalogue_error("create the catalogue", error))?;
    Ok(connection)
}

/// Opens the tables of an existing file and checks their version.
pub(crate) fn open(path: &Path) -> Result<Connection> {
    let shown = path.display();
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(|error| catalogue_error(&format!("open the catalogue {shown}"), error))?;
    let version: i64 = connection
        .query_row("SELECT value FROM meta WHERE key = 'format_version'", [], |row| {
            row.get(0)
        })
        .map_err(|error| {
            Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "{shown} is not the catalogue of a lake; give the directory that `lakepilot lake generate` made"
                ),
            )
            .with_source(error)
        })?;
    if version != FORMAT_VERSION {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the lake has format {version} and this program reads format {FORMAT_VERSION}; use the version that made it"
            ),
        ));
    }
    configure(&connection)?;
    Ok(connection)
}

/// A lake belongs to one process, which a lock file sees to; so a rollback journal is enough, and leaves no other files.
fn configure(connection: &Connection) -> Result<()> {
    connection
        .busy_timeout(Duration::from_secs(5))
        .and_then(|()| connection.pragma_update(None, "journal_mode", "DELETE"))
        .and_then(|()| connection.pragma_update(None, "synchronous", "FULL"))
        .map_err(|error| catalogue_error("set the catalogue up", error))
}

pub(crate) fn catalogue_error(what: &str, error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => ErrorKind::ResourceExhausted,
        Some(rusqlite::ErrorCode::NotADatabase) => ErrorKind::InvalidInput,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("cannot {what}: {error}")).with_source(error)
}

/// The partitions of a filter, ordered by view set, instance and insert time.
pub(crate) fn partitions(connection: &Connection, filter: &PartitionFilter) -> Result<Vec<PartitionRecord>> {
    let mut conditions: Vec<&str> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let mut condition = |sql: &'static str, value: Value| {
        conditions.push(sql);
        values.push(value);
    };
    if let Some(view_set) = &filter.view_set {
        condition("view_set = ?", view_set.clone().into());
    }
    if let Some(instance) = &filter.instance {
        condition("instance = ?", instance.clone().into());
    }
    if let Some(range) = filter.insert_range {
        condition("begin_insert <= ?", range.end().timestamp_micros().into());
        condition("end_insert >= ?", range.begin().timestamp_micros().into());
    }
    if let Some(range) = filter.event_range {
        condition("min_event <= ?", range.end_nanos().into());
        condition("max_event >= ?", range.begin_nanos().into());
    }
    select(connection, &conditions.join(" AND "), values)
}

/// The partitions that lie within a range of insert time, as a retirement sees it.
pub(crate) fn contained(
    connection: &Connection,
    view_set: &str,
    instance: &str,
    begin: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Result<Vec<PartitionRecord>> {
    select(
        connection,
        "view_set = ? AND instance = ? AND begin_insert >= ? AND end_insert <= ?",
        vec![
            view_set.to_owned().into(),
            instance.to_owned().into(),
            begin.timestamp_micros().into(),
            end.timestamp_micros().into(),
        ],
    )
}

/// The partition of a file.
pub(crate) fn by_file(connection: &Connection, file_path: &str) -> Result<Option<PartitionRecord>> {
    Ok(select(connection, "file_path = ?", vec![file_path.to_owned().into()])?.pop())
}

fn select(connection: &Connection, conditions: &str, values: Vec<Value>) -> Result<Vec<PartitionRecord>> {
    let filter = if conditions.is_empty() { "TRUE" } else { conditions };
    let sql = format!("SELECT {COLUMNS} FROM partitions WHERE {filter} ORDER BY view_set, instance, begin_insert, id");
    let read = || -> rusqlite::Result<Vec<PartitionRecord>> {
        let mut statement = connection.prepare_cached(&sql)?;
        statement.query_map(params_from_iter(values), partition)?.collect()
    };
    read().map_err(|error| catalogue_error("read the catalogue", error))
}

fn partition(row: &Row<'_>) -> rusqlite::Result<PartitionRecord> {
    let sort_order: String = row.get(14)?;
    Ok(PartitionRecord {
        id: row.get(0)?,
        view_set_name: row.get(1)?,
        view_instance_id: row.get(2)?,
        begin_insert_time: micros(row.get(3)?),
        end_insert_time: micros(row.get(4)?),
        min_event_time: row.get::<_, Option<i64>>(5)?.map(DateTime::from_timestamp_nanos),
        max_event_time: row.get::<_, Option<i64>>(6)?.map(DateTime::from_timestamp_nanos),
        updated: micros(row.get(7)?),
        file_path: row.get(8)?,
        file_size_bytes: row.get(9)?,
        file_schema_hash: row.get(10)?,
        source_data_hash: row.get(11)?,
        num_rows: row.get(12)?,
        partition_format_version: row.get(13)?,
        sort_order: sort_order
            .split(',')
            .filter(|column| !column.is_empty())
            .map(str::to_owned)
            .collect(),
        max_sort_key_time: row.get::<_, Option<i64>>(15)?.map(DateTime::from_timestamp_nanos),
    })
}

/// Adds a partition; its id is given anew.
pub(crate) fn insert(connection: &Connection, record: &PartitionRecord) -> Result<i64> {
    let nanos = |time: Option<DateTime<Utc>>| time.and_then(|time| time.timestamp_nanos_opt());
    let add = || -> rusqlite::Result<i64> {
        connection
            .prepare_cached(
                "INSERT INTO partitions (view_set, instance, begin_insert, end_insert, min_event, max_event, updated, file_path, \
                 file_size, schema_hash, source_hash, num_rows, format_version, sort_order, max_sort_key) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .insert(rusqlite::params![
                record.view_set_name,
                record.view_instance_id,
                record.begin_insert_time.timestamp_micros(),
                record.end_insert_time.timestamp_micros(),
                nanos(record.min_event_time),
                nanos(record.max_event_time),
                record.updated.timestamp_micros(),
                record.file_path,
                record.file_size_bytes,
                record.file_schema_hash,
                record.source_data_hash,
                record.num_rows,
                record.partition_format_version,
                record.sort_order.join(","),
                nanos(record.max_sort_key_time),
            ])
    };
    add().map_err(|error| catalogue_error("add a partition to the catalogue", error))
}

/// Removes a partition, and what says that its instance has been extracted from the segments in its range.
pub(crate) fn delete(connection: &Connection, record: &PartitionRecord) -> Result<()> {
    let remove = || -> rusqlite::Result<()> {
        connection
            .prepare_cached("DELETE FROM partitions WHERE id = ?")?
            .execute([record.id])?;
        connection
            .prepare_cached(
                "DELETE FROM extracted WHERE view_set = ?1 AND instance = ?2 AND segment IN \
                 (SELECT id FROM segments WHERE view_set = ?1 AND begin_insert = ?3 AND end_insert = ?4)",
            )?
            .execute(rusqlite::params![
                record.view_set_name,
                record.view_instance_id,
                record.begin_insert_time.timestamp_micros(),
                record.end_insert_time.timestamp_micros(),
            ])?;
        Ok(())
    };
    remove().map_err(|error| catalogue_error("remove a partition from the catalogue", error))
}

/// What each view instance holds, ordered by name.
pub(crate) fn info(connection: &Connection) -> Result<Vec<InstanceInfo>> {
    let read = || -> rusqlite::Result<Vec<InstanceInfo>> {
        connection
            .prepare(
                "SELECT view_set, instance, count(*), sum(num_rows), sum(file_size), min(begin_insert), max(end_insert), \
                 min(min_event), max(max_event) FROM partitions GROUP BY view_set, instance ORDER BY view_set, instance",
            )?
            .query_map([], |row| {
                Ok(InstanceInfo {
                    view_set_name: row.get(0)?,
                    view_instance_id: row.get(1)?,
                    partitions: row.get::<_, i64>(2)?.unsigned_abs(),
                    rows: row.get::<_, i64>(3)?.unsigned_abs(),
                    bytes: row.get::<_, i64>(4)?.unsigned_abs(),
                    begin_insert_time: micros(row.get(5)?),
                    end_insert_time: micros(row.get(6)?),
                    min_event_time: row.get::<_, Option<i64>>(7)?.map(DateTime::from_timestamp_nanos),
                    max_event_time: row.get::<_, Option<i64>>(8)?.map(DateTime::from_timestamp_nanos),
                })
            })?
            .collect()
    };
    read().map_err(|error| catalogue_error("read the catalogue", error))
}

/// Every file that the catalogue names.
pub(crate) fn files(connection: &Connection) -> Result<Vec<String>> {
    let read = || -> rusqlite::Result<Vec<String>> {
        connection
            .prepare(
                "SELECT file_path FROM partitions WHERE file_path IS NOT NULL UNION ALL SELECT file_path FROM segments",
            )?
            .query_map([], |row| row.get(0))?
            .collect()
    };
    read().map_err(|error| catalogue_error("read the catalogue", error))
}

pub(crate) fn micros(value: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(value).unwrap_or_default()
}
