//! How long the values of columns are that every lake has, when nothing has been seen of them.
//!
//! These are assumptions about kinds of values, and not about anybody's data: a message is longer than a name, a name
//! longer than a unit, and a path lies between. Log messages of public collections (Loghub's, without their headers) are
//! 60 to 120 bytes; programs and source files are told by their paths, since the service's own libraries send those; the
//! metadata of a stream describes every type of event in it, which takes kilobytes. What is learnt or sampled replaces them.

use super::views::{ColumnType, KnownColumn};

const MESSAGE_BYTES: f64 = 80.0;
const PATH_BYTES: f64 = 40.0;
const NAME_BYTES: f64 = 16.0;
/// One of a few words: a unit, a kind of event, a format.
const WORD_BYTES: f64 = 8.0;
/// A list of one or two words: its offset, and for each an offset, the word and a validity bit.
const TAGS_BYTES: f64 = 4.0 + 1.5 * (4.0 + 4.0 + 0.125);
const STREAM_METADATA_BYTES: f64 = 2_000.0;

/// The typical length of a column's values, in bytes, as [`SizeModel::known_bytes`](crate::SizeModel) has it; `None` where
/// the type tells it, or where nothing is typical.
pub(crate) fn typical_bytes(column: &KnownColumn) -> Option<f64> {
    // Blocks have columns of streams and processes, with their names before them.
    let name = column.name.rsplit('.').next().unwrap_or(column.name);
    match (column.column_type, name) {
        (ColumnType::Text | ColumnType::PlainText, name) => Some(match name {
            "msg" => MESSAGE_BYTES,
            "exe" | "filename" | "file_path" => PATH_BYTES,
            "unit" | "event_type" | "format" | "audience" => WORD_BYTES,
            "target" | "name" | "username" | "realname" | "computer" | "distro" | "cpu_brand" | "view_set_name" => {
                NAME_BYTES
            }
            _ => return None,
        }),
        (ColumnType::TextList, "tags") => Some(TAGS_BYTES),
        (ColumnType::Bytes, "dependencies_metadata" | "objects_metadata") => Some(STREAM_METADATA_BYTES),
        (ColumnType::Bytes, "file_schema_hash" | "source_data_hash" | "current_schema_hash") => Some(WORD_BYTES),
        _ => None,
    }
}

/// The length of a value of the type as text.
pub(crate) fn printed_bytes(column: &KnownColumn) -> Option<f64> {
    Some(match column.column_type {
        ColumnType::Int32 | ColumnType::UInt32 => 3.0,
        ColumnType::Int64 | ColumnType::Float64 => 8.0,
        ColumnType::Boolean => 5.0,
        // 2026-01-31T12:00:00.123456789Z
        ColumnType::Time => 30.0,
        _ => return None,
    })
}
