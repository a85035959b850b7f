//! The cases.

mod common;
mod failover;
mod formats;
mod guarded;
mod metadata;
mod parts;

use super::case::InteropCase;
use super::dialect::Dialect;
use super::target::InteropTarget;

fn every(_: &InteropTarget) -> bool {
    true
}

fn has_types(target: &InteropTarget) -> bool {
    target.dialect.types().is_some()
}

fn is_pyarrow(target: &InteropTarget) -> bool {
    target.dialect == Dialect::Pyarrow
}

fn has_replicas(target: &InteropTarget) -> bool {
    target.urls.len() > 1 && target.end_server.is_some()
}

macro_rules! cases {
    ($($applies:ident $name:literal $run:path: $proves:literal;)*) => {
        vec![$(InteropCase {
            name: $name,
            proves: $proves,
            applies: $applies,
            run: |target| Box::pin($run(target)),
        }),*]
    };
}

pub(super) fn all() -> Vec<InteropCase> {
    cases! {
        every "rows" common::rows: "a query in full: every row is what is known";
        every "empty" common::empty: "a result of no rows has its columns";
        has_types "types" common::types: "a value of every type reads as it was written";
        every "big" common::big: "two million rows: none is missing, none is twice";
        every "side-by-side" common::side_by_side: "sixteen queries at once over one connection";
        every "bad-sql" common::bad_sql: "an unknown table: the kind and the words of the error; the connection goes on";
        every "called-off" common::called_off: "a result without end is dropped; the connection goes on";
        every "prepared" common::prepared: "the schema of a prepared statement is that of its rows";
        every "spread" parts::spread: "all rows of a result, in as many endpoints as the server makes of it";
        every "catalogs" metadata::catalogs: "GetCatalogs";
        every "schemas" metadata::schemas: "GetDbSchemas";
        every "tables" metadata::tables: "GetTables, with the schemas of the tables where the server sends them";
        every "table-types" metadata::table_types: "GetTableTypes";
        every "sql-info" metadata::sql_info: "GetSqlInfo, which is a union";
        is_pyarrow "parts-in-parallel" parts::in_parallel: "endpoints are read side by side: the first waits for the second";
        is_pyarrow "parts-in-order" parts::in_order: "endpoints that are ordered are given in their order";
        is_pyarrow "parts-elsewhere" parts::elsewhere: "endpoints that name another server are read from it";
        is_pyarrow "dead-location" parts::dead_location: "a location that is dead is passed over, and one that is all there is, is an error";
        is_pyarrow "reused-connection" parts::reused_connection: "arrow-flight-reuse-connection means the connection in use";
        is_pyarrow "expiring" parts::expiring: "endpoints that expire are renewed while they wait";
        is_pyarrow "parts-called-off" parts::called_off: "CancelFlightInfo for a result that is dropped";
        is_pyarrow "no-endpoints" parts::no_endpoints: "a result of no endpoints has its columns and no rows";
        is_pyarrow "no-schema" formats::no_schema: "a FlightInfo without a schema";
        is_pyarrow "batches" formats::batches: "batches without rows, and with metadata of the application";
        is_pyarrow "every-type" formats::every_type: "a value and a null of every type of Arrow";
        is_pyarrow "nested" formats::nested: "lists, structs, maps, unions and run ends, with nulls at every depth";
        is_pyarrow "dictionaries" formats::dictionaries: "dictionaries that are kept, replaced, and hold nulls";
        is_pyarrow "growing-dictionaries" formats::growing_dictionaries: "dictionaries that are sent as differences";
        is_pyarrow "nested-dictionaries" formats::nested_dictionaries: "dictionaries in lists, structs and dictionaries, replaced in mid-stream";
        is_pyarrow "schema-metadata" formats::schema_metadata: "metadata of a schema and of a field, and two columns of one name";
        is_pyarrow "compressed" formats::compressed: "batches compressed with LZ4 and Zstandard";
        is_pyarrow "old-format" formats::old_format: "metadata of version 4 of the format";
        is_pyarrow "large-message" formats::large_message: "one message of 64 MiB";
        is_pyarrow "error-midway" formats::error_midway: "an error after ten rows: they come first, and its words last";
        is_pyarrow "kinds-of-errors" formats::kinds_of_errors: "each error of the C++ stack is an error of its kind";
        is_pyarrow "guarded" guarded::guarded: "TLS of BoringSSL with client certificates, a password in the handshake, and what is refused";
        is_pyarrow "ingestion" metadata::ingestion: "rows are loaded, and the server counts them";
        has_replicas "failover" failover::failover: "a replica is ended while eight workers query: no wrong answer, and the other one takes over";
    }
}
