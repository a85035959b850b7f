//! Schemas, rows and errors as texts that can be compared.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakepilot_query::{Error, QueryResult, Result};

/// A schema on one line: names and types, `?` where a column may hold nulls.
pub(crate) fn schema(schema: &Schema) -> String {
    let columns: Vec<String> = schema.fields().iter().map(|field| column(field)).collect();
    columns.join(", ")
}

fn column(field: &Field) -> String {
    let nullable = if field.is_nullable() { "?" } else { "" };
    format!("{} {}{nullable}", field.name(), data_type(field.data_type()))
}

fn data_type(data_type: &DataType) -> String {
    match data_type {
        DataType::List(item) => format!("list<{}>", self::data_type(item.data_type())),
        DataType::Dictionary(key, value) => {
            format!("dictionary<{}, {}>", self::data_type(key), self::data_type(value))
        }
        other => other.to_string(),
    }
}

/// Every row as one text, values with a bar between them; dictionaries and plain values read alike.
pub(crate) fn rows(result: &QueryResult) -> Result<Vec<String>> {
    let mut rows = Vec::with_capacity(result.num_rows());
    for batch in &result.batches {
        append_rows(&mut rows, batch)?;
    }
    Ok(rows)
}

fn append_rows(rows: &mut Vec<String>, batch: &RecordBatch) -> Result<()> {
    let options = FormatOptions::default().with_null("NULL");
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        let values = columns
            .iter()
            .map(|column| column.value(row).try_to_string())
            .collect::<Result<Vec<_>, _>>()?;
        rows.push(values.join("|"));
    }
    Ok(())
}

/// What a client can go by in an error: its kind, and whether the server told an id and a place.
pub(super) fn error(error: &Error) -> String {
    let id = if error.query_id().is_some() {
        ", with a query id"
    } else {
        ""
    };
    let place = if error.position().is_some() {
        ", with a place"
    } else {
        ""
    };
    format!("{}{id}{place}", error.kind())
}

/// The first word of each message, once each, in order of appearance.
pub(super) fn first_words(messages: &[String]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for message in messages {
        let word = message.split_whitespace().next().unwrap_or("");
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Int64Array, StringArray};
    use arrow::datatypes::Int32Type;
    use lakepilot_query::{ErrorKind, Position};

    use super::*;

    #[test]
    fn a_schema_is_one_line() {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let found = Schema::new(vec![
            Field::new("exe", dictionary, false),
            Field::new_list("tags", Field::new("item", DataType::Utf8, true), true),
        ]);
        assert_eq!(schema(&found), "exe dictionary<Int32, Utf8>, tags list<Utf8>?");
    }

    #[test]
    fn rows_read_alike_whatever_they_are_kept_in() {
        let result = |text: ArrayRef| {
            let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
            let batch = RecordBatch::try_from_iter([("a", text), ("b", numbers)]).unwrap();
            QueryResult {
                schema: batch.schema(),
                batches: vec![batch],
            }
        };
        let plain = result(Arc::new(StringArray::from(vec!["x", "y"])));
        let dictionary: DictionaryArray<Int32Type> = ["x", "y"].into_iter().collect();
        assert_eq!(rows(&plain).unwrap(), ["x|1", "y|NULL"]);
        assert_eq!(rows(&result(Arc::new(dictionary))).unwrap(), rows(&plain).unwrap());
    }

    #[test]
    fn an_error_is_its_kind_and_what_came_with_it() {
        let bare = Error::new(ErrorKind::InvalidQuery, "x");
        assert_eq!(error(&bare), "invalid query");
        let full = bare.with_query_id("1").with_position(Position { line: 1, column: 2 });
        assert_eq!(error(&full), "invalid query, with a query id, with a place");
    }
}
