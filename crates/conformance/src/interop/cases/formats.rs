//! What a Flight stream can hold, as pyarrow writes it.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use lakepilot_query::{ErrorKind, Query, QueryResult, QueryService};

use crate::interop::case::{Found, Outcome};
use crate::interop::target::{InteropTarget, numbers};
use crate::suite::{Failure, ensure, ensure_equal, spell};

/// A column and what it reads like: its name, its type, and its values.
type Column = (&'static str, &'static str, &'static [&'static str]);

const TYPES: &[Column] = &[
    ("bool", "Boolean", &["true", "NULL"]),
    ("int8", "Int8", &["-128", "NULL"]),
    ("int16", "Int16", &["-32768", "NULL"]),
    ("int32", "Int32", &["-2147483648", "NULL"]),
    ("int64", "Int64", &["-9223372036854775808", "NULL"]),
    ("uint8", "UInt8", &["255", "NULL"]),
    ("uint16", "UInt16", &["65535", "NULL"]),
    ("uint32", "UInt32", &["4294967295", "NULL"]),
    ("uint64", "UInt64", &["18446744073709551615", "NULL"]),
    ("float32", "Float32", &["0.5", "NULL"]),
    ("float64", "Float64", &["-1e300", "NULL"]),
    ("decimal128", "Decimal128(38, 4)", &["-1234567890.1234", "NULL"]),
    (
        "decimal256",
        "Decimal256(76, 2)",
        &[
            "111111111111111111111111111111111111111111111111111111111111.25",
            "NULL",
        ],
    ),
    ("utf8", "Utf8", &["zażółć 💡", "NULL"]),
    ("large_utf8", "LargeUtf8", &["large", "NULL"]),
    (
        "utf8_view",
        "Utf8View",
        &["longer than the twelve bytes of a view", "NULL"],
    ),
    ("binary", "Binary", &["00ff", "NULL"]),
    ("large_binary", "LargeBinary", &["0102", "NULL"]),
    ("binary_view", "BinaryView", &["03030303030303030303030303", "NULL"]),
    ("fixed_binary", "FixedSizeBinary(3)", &["070809", "NULL"]),
    ("date32", "Date32", &["1969-12-31", "NULL"]),
    ("date64", "Date64", &["2026-01-31T00:00:00", "NULL"]),
    ("time32", "Time32(ms)", &["23:59:59.999", "NULL"]),
    ("time64", "Time64(ns)", &["23:59:59.999999999", "NULL"]),
    ("timestamp_s", "Timestamp(s)", &["2026-01-31T12:30:15", "NULL"]),
    (
        "timestamp_us_utc",
        r#"Timestamp(µs, "UTC")"#,
        &["2026-01-31T12:30:15.123456Z", "NULL"],
    ),
    (
        "timestamp_ns_zone",
        r#"Timestamp(ns, "Europe/Paris")"#,
        &["2026-01-31T13:30:15.123456+01:00", "NULL"],
    ),
    ("duration", "Duration(ns)", &["PT1.5S", "NULL"]),
    (
        "interval",
        "Interval(MonthDayNano)",
        &["1 mons 2 days 0.000000003 secs", "NULL"],
    ),
    ("nothing", "Null", &["NULL", "NULL"]),
    (
        "uuid",
        "FixedSizeBinary(16)",
        &["00000000000000000000000000000001", "NULL"],
    ),
];

const NESTED: &[Column] = &[
    ("list", "List(Utf8)", &["[a, NULL]", "NULL", "[]"]),
    ("large_list", "LargeList(Int16)", &["[1, NULL]", "NULL", "[]"]),
    (
        "fixed_list",
        "FixedSizeList(2 x Int8)",
        &["[1, 2]", "NULL", "[3, NULL]"],
    ),
    ("list_view", "ListView(Int32)", &["[7, 8]", "NULL", "[]"]),
    (
        "struct",
        r#"Struct("x": non-null Int32, "y": Utf8)"#,
        &["{x: 1, y: one}", "NULL", "{x: 3, y: NULL}"],
    ),
    (
        "map",
        r#"Map("entries": non-null Struct("key": non-null Utf8, "value": Int64), unsorted)"#,
        &["{k: 1, l: NULL}", "NULL", "{}"],
    ),
    (
        "list_of_structs",
        r#"List(Struct("x": non-null Int32, "y": Utf8))"#,
        &["[{x: 1, y: a}, NULL]", "NULL", "[]"],
    ),
    (
        "map_of_lists",
        r#"Map("entries": non-null Struct("key": non-null Utf8, "value": List(Int64)), unsorted)"#,
        &["{k: [1, NULL]}", "NULL", "{m: NULL}"],
    ),
    (
        "dense_union",
        r#"Union(Dense, 0: ("0": Int64), 1: ("1": Utf8))"#,
        &["{0=5}", "{1=text}", "{0=NULL}"],
    ),
    (
        "sparse_union",
        r#"Union(Sparse, 0: ("0": Int64), 1: ("1": Utf8))"#,
        &["{1=s}", "{0=6}", "{1=NULL}"],
    ),
    (
        "run_ends",
        r#"RunEndEncoded("run_ends": non-null Int32, "values": Utf8)"#,
        &["run", "run", "NULL"],
    ),
];

/// Every column as its name, type and values.
fn columns(result: &QueryResult) -> Result<Vec<(String, String, Vec<String>)>, Failure> {
    let batch = result.to_batch()?;
    let options = FormatOptions::default().with_null("NULL");
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let formatter = ArrayFormatter::try_new(column.as_ref(), &options).map_err(lakepilot_query::Error::from)?;
        let values = (0..column.len())
            .map(|row| formatter.value(row).try_to_string())
            .collect::<Result<Vec<_>, _>>()
            .map_err(lakepilot_query::Error::from)?;
        columns.push((field.name().clone(), field.data_type().to_string(), values));
    }
    Ok(columns)
}

async fn check_columns(target: &InteropTarget, table: &str, expected: &[Column]) -> Outcome {
    let result = target.collect(&format!("SELECT * FROM {table}")).await?;
    let found = columns(&result)?;
    for (found, (name, data_type, values)) in found.iter().zip(expected) {
        let expected = (
            name.to_string(),
            data_type.to_string(),
            values.iter().map(ToString::to_string).collect(),
        );
        ensure_equal("a column", found, &expected)?;
    }
    ensure_equal("the number of columns", found.len(), expected.len())?;
    Ok(Found::good(format!("{} types", expected.len())))
}

async fn check_rows(target: &InteropTarget, table: &str, expected: &[&str]) -> Outcome {
    let rows = target.rows(&format!("SELECT * FROM {table}")).await?;
    ensure_equal("the rows", rows, expected.iter().map(ToString::to_string).collect())?;
    Ok(Found::good(""))
}

async fn check_numbers(target: &InteropTarget, table: &str) -> Outcome {
    let result = target.collect(&format!("SELECT n FROM {table}")).await?;
    ensure_equal("the rows", numbers(&result)?, (0..1_000).collect())?;
    let batches = result.batches.len();
    let plural = if batches == 1 { "" } else { "es" };
    Ok(Found::good(format!("{batches} batch{plural}")))
}

pub(super) async fn no_schema(target: &InteropTarget) -> Outcome {
    check_numbers(target, "no_schema").await
}

pub(super) async fn batches(target: &InteropTarget) -> Outcome {
    check_numbers(target, "numbers").await
}

pub(super) async fn every_type(target: &InteropTarget) -> Outcome {
    check_columns(target, "types", TYPES).await
}

pub(super) async fn nested(target: &InteropTarget) -> Outcome {
    check_columns(target, "nested", NESTED).await
}

pub(super) async fn dictionaries(target: &InteropTarget) -> Outcome {
    check_rows(
        target,
        "dictionaries",
        &["a", "b", "NULL", "b", "a", "c", "d", "e", "NULL", "f"],
    )
    .await
}

pub(super) async fn growing_dictionaries(target: &InteropTarget) -> Outcome {
    check_rows(target, "growing_dictionaries", &["a", "b", "a", "c", "b", "a"]).await
}

pub(super) async fn nested_dictionaries(target: &InteropTarget) -> Outcome {
    let expected = [
        "[a, b]|{word: a}|[NULL]",
        "[]|{word: b}|[a, b]",
        "[NULL]|{word: NULL}|NULL",
        "[c, d]|{word: c}|[NULL]",
        "[]|{word: d}|[c, d]",
        "[NULL]|{word: NULL}|NULL",
    ];
    check_rows(target, "nested_dictionaries", &expected).await
}

pub(super) async fn schema_metadata(target: &InteropTarget) -> Outcome {
    let result = target.collect("SELECT * FROM with_metadata").await?;
    ensure_equal(
        "the columns",
        spell::schema(&result.schema),
        "n Int64, n Utf8?".to_owned(),
    )?;
    let of_schema = result.schema.metadata().get("made by").map(String::as_str);
    ensure_equal("the metadata of the schema", of_schema, Some("pyarrow"))?;
    let of_field = result.schema.field(0).metadata().get("unit").map(String::as_str);
    ensure_equal("the metadata of the field", of_field, Some("ms"))?;
    ensure_equal(
        "the rows",
        spell::rows(&result)?,
        vec!["1|x".to_owned(), "2|NULL".to_owned()],
    )?;
    Ok(Found::good(""))
}

pub(super) async fn compressed(target: &InteropTarget) -> Outcome {
    check_numbers(target, "lz4").await?;
    check_numbers(target, "zstd").await
}

pub(super) async fn old_format(target: &InteropTarget) -> Outcome {
    check_numbers(target, "old_format").await
}

pub(super) async fn large_message(target: &InteropTarget) -> Outcome {
    let result = target.collect("SELECT blob FROM large").await?;
    let batch = result.to_batch()?;
    ensure_equal("the rows", batch.num_rows(), 1)?;
    let bytes = batch.column(0).to_data().buffers()[1].len();
    ensure_equal("the bytes", bytes, 64 << 20)?;
    Ok(Found::good(""))
}

pub(super) async fn error_midway(target: &InteropTarget) -> Outcome {
    let client = target.client().await?;
    let mut stream = client.run(&Query::new("SELECT n FROM fails_midway")?).await?;
    let mut rows = 0;
    let error = loop {
        match stream.try_next().await {
            Ok(Some(batch)) => rows += batch.num_rows(),
            Ok(None) => return Err(Failure::new("the result ended well")),
            Err(error) => break error,
        }
    };
    ensure_equal("rows before the error", rows, 10)?;
    ensure_equal("the kind", error.kind(), ErrorKind::Internal)?;
    ensure(error.message().contains("the disk is on fire"), || {
        format!("its words are lost: {error}")
    })?;
    Ok(Found::good(error.message()))
}

pub(super) async fn kinds_of_errors(target: &InteropTarget) -> Outcome {
    for (table, kind, words) in [
        ("unauthenticated", ErrorKind::Unauthenticated, "who is calling?"),
        ("unauthorized", ErrorKind::PermissionDenied, "not for you"),
        ("unavailable", ErrorKind::Unavailable, "come back later"),
        ("timed_out", ErrorKind::TimedOut, "this took too long"),
        ("unsupported", ErrorKind::Unsupported, "no such feature"),
    ] {
        let Err(error) = target.collect(&format!("SELECT n FROM {table}")).await else {
            return Err(Failure::new(format!("{table} is no error")));
        };
        ensure_equal(table, error.kind(), kind)?;
        ensure(error.message().contains(words), || {
            format!("{table}: its words are lost: {error}")
        })?;
    }
    Ok(Found::good(""))
}
