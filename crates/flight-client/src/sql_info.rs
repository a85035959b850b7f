//! The answer to `GetSqlInfo`, as typed values.
//!
//! It is a table of numbers and of a union, whose members are told apart by their numbers in Arrow's `FlightSql.proto`
//! (`CommandGetSqlInfo`): 0 a text, 1 yes or no, 2 a number, 3 a set of bits, 4 a list of texts, 5 a map of numbers to lists
//! of numbers. They are read by their types here, so that a server that numbers them differently is understood too.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, RecordBatch, UnionArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type, UInt32Type};
use lakepilot_query::{Error, ErrorKind, InfoValue, QueryResult, Result, ServerInfo};

/// Reads the answer.
///
/// # Errors
/// `Protocol` when it is not in that form.
pub(crate) fn server_info(answer: &QueryResult) -> Result<ServerInfo> {
    let mut values = Vec::new();
    for batch in &answer.batches {
        read(batch, &mut values)?;
    }
    Ok(values.into_iter().collect())
}

fn read(batch: &RecordBatch, values: &mut Vec<(u32, InfoValue)>) -> Result<()> {
    let [names, facts] = batch.columns() else {
        return Err(malformed(format!("it has {} columns, not 2", batch.num_columns())));
    };
    let names = cast(names, &DataType::UInt32).map_err(|_| malformed("its numbers are not numbers"))?;
    let names = names.as_primitive::<UInt32Type>();
    let facts = facts
        .as_any()
        .downcast_ref::<UnionArray>()
        .ok_or_else(|| malformed(format!("its values are {}, not a union", facts.data_type())))?;
    for row in 0..batch.num_rows() {
        // Which union it is, and where in it, is what a hostile server may have written anything into: Arrow has checked it.
        let fact = facts.value(row);
        if names.is_null(row) || fact.is_null(0) {
            continue;
        }
        if let Some(value) = value(&fact)? {
            values.push((names.value(row), value));
        }
    }
    Ok(())
}

/// The value of an array of one, or `None` for one of a type that is not of Flight SQL's.
fn value(fact: &ArrayRef) -> Result<Option<InfoValue>> {
    Ok(Some(match fact.data_type() {
        DataType::Boolean => InfoValue::Bool(fact.as_boolean().value(0)),
        DataType::Int32 => InfoValue::Bits(fact.as_primitive::<Int32Type>().value(0)),
        DataType::Int64 => InfoValue::Integer(fact.as_primitive::<Int64Type>().value(0)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let Some(text) = texts(fact)?.pop() else {
                return Ok(None);
            };
            InfoValue::Text(text)
        }
        DataType::List(_) => InfoValue::Texts(texts(&fact.as_list::<i32>().value(0))?),
        DataType::Map(..) => InfoValue::Lists(lists(fact.as_map())?),
        _ => return Ok(None),
    }))
}

fn texts(array: &ArrayRef) -> Result<Vec<String>> {
    let array = cast(array, &DataType::Utf8).map_err(|_| malformed("a list of texts holds none"))?;
    Ok(array.as_string::<i32>().iter().flatten().map(str::to_owned).collect())
}

fn lists(map: &MapArray) -> Result<BTreeMap<i32, Vec<i32>>> {
    let entries = map.value(0);
    let numbers = |array: &ArrayRef| {
        let array = cast(array, &DataType::Int32).map_err(|_| malformed("a map of numbers holds none"))?;
        Ok::<_, Error>(array.as_primitive::<Int32Type>().clone())
    };
    let keys = numbers(entries.column(0))?;
    let lists = entries
        .column(1)
        .as_list_opt::<i32>()
        .ok_or_else(|| malformed("a map of lists holds none"))?;
    let mut values = BTreeMap::new();
    for entry in 0..entries.len() {
        let list = numbers(&lists.value(entry))?;
        values.insert(keys.value(entry), list.iter().flatten().collect());
    }
    Ok(values)
}

fn malformed(problem: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("what the server says of itself (GetSqlInfo) is not in the form of Flight SQL: {problem}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray, UInt32Array};
    use arrow_flight::sql::metadata::SqlInfoDataBuilder;

    fn answer(batch: RecordBatch) -> QueryResult {
        QueryResult {
            schema: batch.schema(),
            batches: vec![batch],
        }
    }

    #[test]
    fn every_type_of_fact_is_read() {
        let mut builder = SqlInfoDataBuilder::new();
        builder.append(0u32, "a lake");
        builder.append(3u32, true);
        builder.append(8u32, 2i64);
        builder.append(525u32, 5i32);
        builder.append(507u32, &["abs", "ceil"][..]);
        builder.append(
            517u32,
            [(7, vec![1, 2]), (9, Vec::new())]
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
        );
        let batch = builder.build().unwrap().record_batch([]).unwrap();
        let info = server_info(&answer(batch)).unwrap();
        assert_eq!(info.name(), Some("a lake"));
        assert_eq!(info.is_read_only(), Some(true));
        assert_eq!(info.get(8), Some(&InfoValue::Integer(2)));
        assert_eq!(info.get(525), Some(&InfoValue::Bits(5)));
        assert_eq!(
            info.get(507),
            Some(&InfoValue::Texts(vec!["abs".to_owned(), "ceil".to_owned()]))
        );
        assert_eq!(
            info.get(517),
            Some(&InfoValue::Lists(
                [(7, vec![1, 2]), (9, Vec::new())].into_iter().collect()
            ))
        );
        assert_eq!(info.len(), 6);
    }

    #[test]
    fn what_is_not_of_that_form_is_an_error_that_says_so() {
        let numbers: ArrayRef = Arc::new(UInt32Array::from(vec![0]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        for (columns, says) in [
            (vec![("a", numbers.clone())], "1 columns"),
            (vec![("a", numbers), ("b", values.clone())], "not a union"),
            (vec![("a", texts.clone()), ("b", texts)], "not a union"),
        ] {
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let error = server_info(&answer(batch)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert!(error.message().contains(says), "{error}");
        }
    }
}
