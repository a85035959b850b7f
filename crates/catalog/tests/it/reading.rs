//! Every spelling of a column reads alike, and what does not read says why.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, NullArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use chrono::{DateTime, Utc};
use lakepilot_catalog::{ColumnReader, ColumnValue};
use lakepilot_query::{ErrorKind, Result};
use proptest::prelude::*;

use crate::lake::{texts, times};

fn dictionary(key: DataType, value: DataType) -> DataType {
    DataType::Dictionary(Box::new(key), Box::new(value))
}

fn read<T: ColumnValue>(array: ArrayRef) -> Result<Vec<Option<T>>> {
    let rows = array.len();
    let batch = RecordBatch::try_from_iter_with_nullable([("x", array, true)]).unwrap();
    let column = ColumnReader::new(&batch, "the answer").required::<T>("x")?;
    (0..rows).map(|row| column.get(row)).collect()
}

/// Casts the plain column to each type and expects the same values from all.
#[track_caller]
fn check<T: ColumnValue + PartialEq + std::fmt::Debug>(plain: &ArrayRef, types: &[DataType], expected: &[Option<T>]) {
    for data_type in types {
        let array = cast(plain, data_type).unwrap_or_else(|error| panic!("{data_type}: {error}"));
        let values = read::<T>(array).unwrap_or_else(|error| panic!("{data_type}: {error}"));
        assert_eq!(values, expected, "{data_type}");
    }
}

#[test]
fn texts_of_every_spelling() {
    let plain = texts([Some("it's"), None, Some(""), Some("漢字")]);
    let expected = [
        Some("it's".to_owned()),
        None,
        Some(String::new()),
        Some("漢字".to_owned()),
    ];
    let types = [
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        dictionary(DataType::Int32, DataType::Utf8),
        dictionary(DataType::UInt8, DataType::Utf8View),
        dictionary(DataType::Int64, DataType::LargeUtf8),
    ];
    check(&plain, &types, &expected);
}

#[test]
fn bytes_of_every_spelling() {
    let plain = cast(&texts([Some("\u{1}ab"), None, Some("xyz")]), &DataType::Binary).unwrap();
    let expected = [Some(b"\x01ab".to_vec()), None, Some(b"xyz".to_vec())];
    let types = [
        DataType::Binary,
        DataType::LargeBinary,
        DataType::BinaryView,
        DataType::FixedSizeBinary(3),
        dictionary(DataType::Int32, DataType::Binary),
    ];
    check(&plain, &types, &expected);
}

#[test]
fn integers_of_every_width() {
    let plain: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), None, Some(127)]));
    let types = [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        dictionary(DataType::Int32, DataType::Int64),
    ];
    check(&plain, &types, &[Some(0_i64), None, Some(127)]);
    check(&plain, &types, &[Some(0_u64), None, Some(127)]);
}

#[test]
fn times_of_every_unit_and_zone() {
    let second = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let plain = times([Some(second), None]);
    let types: Vec<DataType> = [
        TimeUnit::Second,
        TimeUnit::Millisecond,
        TimeUnit::Microsecond,
        TimeUnit::Nanosecond,
    ]
    .into_iter()
    .flat_map(|unit| {
        [None, Some("UTC"), Some("+00:00"), Some("+02:00"), Some("Europe/Paris")]
            .map(|zone| DataType::Timestamp(unit, zone.map(Into::into)))
    })
    .collect();
    check(&plain, &types, &[Some(second), None]);
    // Arrow does not convert the unit on the way into a dictionary, so the values have it before.
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let plain = cast(&plain, &micros).unwrap();
    check(&plain, &[dictionary(DataType::Int32, micros)], &[Some(second), None]);
}

#[test]
fn lists_of_every_spelling() {
    let plain: ArrayRef = {
        let mut builder = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
        builder.append_value([Some("log"), None, Some("main")]);
        builder.append_null();
        builder.append_value(Vec::<Option<&str>>::new());
        Arc::new(builder.finish())
    };
    let item = |data_type| Arc::new(Field::new("tag", data_type, true));
    let types = [
        DataType::List(item(DataType::Utf8)),
        DataType::LargeList(item(DataType::LargeUtf8)),
        DataType::List(item(DataType::Utf8View)),
        DataType::List(item(dictionary(DataType::Int32, DataType::Utf8))),
        DataType::ListView(item(DataType::Utf8)),
    ];
    let expected = [Some(vec!["log".to_owned(), "main".to_owned()]), None, Some(Vec::new())];
    check(&plain, &types, &expected);
}

#[test]
fn a_column_of_nulls_is_of_every_kind() {
    let nulls: ArrayRef = Arc::new(NullArray::new(2));
    assert_eq!(read::<String>(Arc::clone(&nulls)).unwrap(), [None, None]);
    assert_eq!(read::<i64>(Arc::clone(&nulls)).unwrap(), [None, None]);
    assert_eq!(read::<DateTime<Utc>>(Arc::clone(&nulls)).unwrap(), [None, None]);
    assert_eq!(read::<Vec<u8>>(Arc::clone(&nulls)).unwrap(), [None, None]);
    assert_eq!(read::<Vec<String>>(Arc::clone(&nulls)).unwrap(), [None, None]);
    assert_eq!(read::<bool>(nulls).unwrap(), [None, None]);
}

#[test]
fn what_does_not_read_says_what_the_server_sent() {
    let batch = RecordBatch::try_from_iter([("time", texts([Some("x")])), ("msg", texts([Some("y")]))]).unwrap();
    let columns = ColumnReader::new(&batch, "retire_partitions()");
    for (error, says) in [
        (
            columns.required::<String>("level").unwrap_err(),
            "retire_partitions() has no column 'level'; the server sent time, msg",
        ),
        (
            columns.optional::<DateTime<Utc>>("time").unwrap_err(),
            "retire_partitions() has a column 'time' of type Utf8 where a time was expected",
        ),
        (
            columns.required::<i64>("msg").unwrap_err(),
            "retire_partitions() has a column 'msg' of type Utf8 where an integer was expected",
        ),
    ] {
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(error.message(), says);
    }
    assert_eq!(columns.if_readable::<Vec<u8>>("msg").get(0).unwrap(), None);
    assert_eq!(
        columns.if_readable::<String>("msg").get(0).unwrap().as_deref(),
        Some("y")
    );
}

#[test]
fn values_that_do_not_fit_are_errors_in_their_row_only() {
    let negative: ArrayRef = Arc::new(Int64Array::from(vec![1, -1]));
    let batch = RecordBatch::try_from_iter([("size", negative)]).unwrap();
    let column = ColumnReader::new(&batch, "blocks").required::<u64>("size").unwrap();
    assert_eq!(column.value(0).unwrap(), 1);
    let error = column.value(1).unwrap_err();
    assert_eq!(
        error.message(),
        "blocks has a column 'size' whose value in row 1 is out of range"
    );
    let huge: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
    assert!(read::<i64>(Arc::clone(&huge)).is_err());
    assert_eq!(read::<u64>(huge).unwrap(), [Some(u64::MAX)]);
    let seconds = cast(
        &(Arc::new(Int64Array::from(vec![i64::MAX])) as ArrayRef),
        &DataType::Timestamp(TimeUnit::Second, None),
    );
    assert!(read::<DateTime<Utc>>(seconds.unwrap()).is_err());
}

#[test]
fn a_null_is_no_value_where_one_is_needed() {
    let batch =
        RecordBatch::try_from_iter([("x", Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef)]).unwrap();
    let column = ColumnReader::new(&batch, "streams").required::<String>("x").unwrap();
    assert_eq!(
        column.value(0).unwrap_err().message(),
        "streams has a column 'x' whose value in row 0 is null"
    );
    assert_eq!(column.get(99).unwrap(), None);
}

proptest! {
    #[test]
    fn a_time_is_exact_to_the_microsecond_and_the_nanosecond(nanos: i64) {
        let nano = DateTime::from_timestamp_nanos(nanos);
        prop_assert_eq!(read::<DateTime<Utc>>(times([Some(nano)])).unwrap(), [Some(nano)]);
        let micro = DateTime::from_timestamp_micros(nanos).unwrap_or_default();
        let array: ArrayRef = Arc::new(arrow::array::TimestampMicrosecondArray::from(vec![micro.timestamp_micros()]));
        prop_assert_eq!(read::<DateTime<Utc>>(array).unwrap(), [Some(micro)]);
    }

    #[test]
    fn any_text_survives_a_dictionary(values in proptest::collection::vec(any::<Option<String>>(), 0..20)) {
        let plain = texts(values.iter().map(Option::as_deref));
        let packed = cast(&plain, &dictionary(DataType::Int32, DataType::Utf8)).unwrap();
        prop_assert_eq!(read::<String>(packed).unwrap(), values);
    }
}
