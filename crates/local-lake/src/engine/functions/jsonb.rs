//! The functions on properties, which are JSONB documents.
//!
//! A column of properties is a dictionary of few documents for many rows, so a function is evaluated once for each
//! document of the dictionary, and its results are spread over the rows.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, DictionaryArray, Float64Array, Int32Array, Int64Array,
    ListBuilder, PrimitiveArray, StringArray, StringBuilder,
};
use datafusion::arrow::compute::{cast, filter, is_not_null, take};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type};
use datafusion::common::{exec_datafusion_err, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;
use jsonb::RawJsonb;

use crate::views::dictionary;

/// What a function makes of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    /// The value under a name, as text.
    Property,
    /// The value under a name, as JSONB.
    Get,
    /// The document as JSON text.
    Format,
    /// A JSON string, number or whole number as a plain value; other documents are NULL.
    AsText,
    AsFloat,
    AsInteger,
    /// The number of elements of an array.
    ArrayLength,
    /// The names in an object.
    ObjectKeys,
    /// JSONB from JSON text; text that is not JSON is NULL.
    Parse,
}

impl Operation {
    fn needs_name(self) -> bool {
        matches!(self, Self::Property | Self::Get)
    }

    fn return_type(self) -> DataType {
        match self {
            Self::Property | Self::Format | Self::AsText => dictionary(DataType::Utf8),
            Self::Get | Self::Parse => dictionary(DataType::Binary),
            Self::AsFloat => DataType::Float64,
            Self::AsInteger | Self::ArrayLength => DataType::Int64,
            Self::ObjectKeys => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        }
    }

    fn input_type(self) -> DataType {
        match self {
            Self::Parse => DataType::Utf8,
            _ => DataType::Binary,
        }
    }
}

/// The functions, to be registered.
pub(crate) fn functions() -> impl Iterator<Item = ScalarUDF> {
    [
        ("property_get", Operation::Property),
        ("jsonb_get", Operation::Get),
        ("jsonb_format_json", Operation::Format),
        ("jsonb_as_string", Operation::AsText),
        ("jsonb_as_f64", Operation::AsFloat),
        ("jsonb_as_i64", Operation::AsInteger),
        ("jsonb_array_length", Operation::ArrayLength),
        ("jsonb_object_keys", Operation::ObjectKeys),
        ("jsonb_parse", Operation::Parse),
    ]
    .into_iter()
    .map(|(name, operation)| ScalarUDF::from(JsonbFunction::new(name, operation)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonbFunction {
    name: &'static str,
    operation: Operation,
    signature: Signature,
}

impl JsonbFunction {
    fn new(name: &'static str, operation: Operation) -> Self {
        let arguments = if operation.needs_name() { 2 } else { 1 };
        Self {
            name,
            operation,
            signature: Signature::any(arguments, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for JsonbFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.operation.return_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(documents) = args.args.first() else {
            return exec_err!("{} misses its first argument", self.name);
        };
        let documents = documents.to_array(args.number_rows)?;
        let result = match args.args.get(1) {
            None => self.over_dictionary(&documents, None)?,
            Some(ColumnarValue::Scalar(name)) => self.over_dictionary(&documents, Some(name))?,
            Some(ColumnarValue::Array(names)) => {
                let documents = cast(&documents, &self.operation.input_type())?;
                let names = cast(names, &DataType::Utf8)?;
                let keys = Int32Array::from_iter_values(0..row_count(&documents)?);
                let results = self.evaluate(&documents, |row| {
                    names.is_valid(row).then(|| names.as_string::<i32>().value(row))
                })?;
                self.spread(results, &keys)?
            }
        };
        Ok(ColumnarValue::Array(result))
    }
}

impl JsonbFunction {
    /// Evaluates the function once for each entry of the dictionary, or for each row of a plain column.
    fn over_dictionary(&self, documents: &ArrayRef, name: Option<&ScalarValue>) -> Result<ArrayRef> {
        let name = match name {
            None => None,
            Some(value) => match value.try_as_str() {
                Some(Some(name)) => Some(name),
                Some(None) => {
                    return Ok(datafusion::arrow::array::new_null_array(
                        &self.operation.return_type(),
                        documents.len(),
                    ));
                }
                None => return exec_err!("the second argument of {} is a name, as text", self.name),
            },
        };
        let (entries, keys) = match documents.as_dictionary_opt::<Int32Type>() {
            Some(column) => (Arc::clone(column.values()), column.keys().clone()),
            None => (
                Arc::clone(documents),
                Int32Array::from_iter_values(0..row_count(documents)?),
            ),
        };
        let expected = self.operation.input_type();
        if !matches!(
            entries.data_type(),
            DataType::Binary
                | DataType::BinaryView
                | DataType::LargeBinary
                | DataType::Utf8
                | DataType::Utf8View
                | DataType::LargeUtf8
                | DataType::Null
        ) {
            return exec_err!(
                "{} takes {expected}, or a dictionary of it, not {}",
                self.name,
                documents.data_type()
            );
        }
        let entries = cast(&entries, &expected)?;
        let results = self.evaluate(&entries, |_| name)?;
        self.spread(results, &keys)
    }

    /// The result for each of the documents, as a plain array.
    fn evaluate<'a>(&self, documents: &'a ArrayRef, name: impl Fn(usize) -> Option<&'a str>) -> Result<ArrayRef> {
        if self.operation == Operation::Parse {
            return Ok(parse(documents.as_string::<i32>()));
        }
        let documents = documents.as_binary::<i32>();
        let raw = |row: usize| documents.is_valid(row).then(|| RawJsonb::new(documents.value(row)));
        let rows = 0..documents.len();
        let fail =
            |error: jsonb::Error| exec_datafusion_err!("{} met a document that is not JSONB: {error}", self.name);
        Ok(match self.operation {
            Operation::Property => Arc::new(
                rows.map(|row| option(raw(row).zip(name(row)), |(document, name)| property(document, name)))
                    .collect::<Result<StringArray, jsonb::Error>>()
                    .map_err(fail)?,
            ),
            Operation::Get => {
                let values = rows
                    .map(|row| {
                        option(raw(row).zip(name(row)), |(document, name)| {
                            Ok(document.get_by_name(name, true)?.map(jsonb::OwnedJsonb::to_vec))
                        })
                    })
                    .collect::<Result<Vec<_>, jsonb::Error>>()
                    .map_err(fail)?;
                Arc::new(BinaryArray::from_iter(values))
            }
            Operation::Format => Arc::new(
                rows.map(|row| raw(row).map(|document| document.to_string()))
                    .collect::<StringArray>(),
            ),
            Operation::AsText => Arc::new(
                rows.map(|row| {
                    option(raw(row), |document| {
                        Ok(document.as_str()?.map(|text| text.into_owned()))
                    })
                })
                .collect::<Result<StringArray, jsonb::Error>>()
                .map_err(fail)?,
            ),
            Operation::AsFloat => Arc::new(
                rows.map(|row| option(raw(row), |document| document.as_f64()))
                    .collect::<Result<Float64Array, jsonb::Error>>()
                    .map_err(fail)?,
            ),
            Operation::AsInteger => Arc::new(
                rows.map(|row| option(raw(row), |document| document.as_i64()))
                    .collect::<Result<Int64Array, jsonb::Error>>()
                    .map_err(fail)?,
            ),
            Operation::ArrayLength => Arc::new(
                rows.map(|row| {
                    option(raw(row), |document| {
                        Ok(document.array_length()?.map(|length| length as i64))
                    })
                })
                .collect::<Result<Int64Array, jsonb::Error>>()
                .map_err(fail)?,
            ),
            Operation::ObjectKeys => object_keys(rows.map(raw)).map_err(fail)?,
            Operation::Parse => return exec_err!("{} takes text", self.name),
        })
    }

    /// One result for each key: a dictionary where the function returns one, else plain values.
    fn spread(&self, results: ArrayRef, keys: &PrimitiveArray<Int32Type>) -> Result<ArrayRef> {
        if !matches!(self.operation.return_type(), DataType::Dictionary(..)) {
            return Ok(take(&results, keys, None)?);
        }
        // An entry that is NULL becomes a key that is NULL, where every reader of dictionaries looks for it.
        let present = is_not_null(&results)?;
        let mut next = 0;
        let places: Vec<Option<i32>> = present
            .values()
            .iter()
            .map(|present| {
                present.then(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        let keys: Int32Array = keys
            .iter()
            .map(|key| key.and_then(|key| places.get(key as usize).copied().flatten()))
            .collect();
        let values = filter(&results, &present)?;
        Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
    }
}

fn option<T, U>(
    value: Option<T>,
    map: impl FnOnce(T) -> Result<Option<U>, jsonb::Error>,
) -> Result<Option<U>, jsonb::Error> {
    value.map_or(Ok(None), map)
}

fn row_count(array: &ArrayRef) -> Result<i32> {
    i32::try_from(array.len()).map_err(|_| exec_datafusion_err!("a batch of {} rows is too long", array.len()))
}

/// The value under a name, whatever the case of the name: a string as itself, anything else as JSON text.
fn property(document: RawJsonb<'_>, name: &str) -> Result<Option<String>, jsonb::Error> {
    let Some(value) = document.get_by_name(name, true)? else {
        return Ok(None);
    };
    let value = value.as_raw();
    let text = value.as_str()?.map(|text| text.into_owned());
    Ok(Some(text.unwrap_or_else(|| value.to_string())))
}

fn object_keys<'a>(documents: impl Iterator<Item = Option<RawJsonb<'a>>>) -> Result<ArrayRef, jsonb::Error> {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for document in documents {
        let keys = option(document, |document| document.object_keys())?;
        let names = option(keys.as_ref(), |keys| keys.as_raw().array_values())?;
        for name in names.iter().flatten() {
            lists.values().append_option(name.as_raw().as_str()?);
        }
        lists.append(keys.is_some());
    }
    Ok(Arc::new(lists.finish()))
}

fn parse(texts: &StringArray) -> ArrayRef {
    let mut values = BinaryBuilder::new();
    for text in texts {
        let document = text.and_then(|text| jsonb::parse_owned_jsonb(text.as_bytes()).ok());
        values.append_option(document.map(jsonb::OwnedJsonb::to_vec));
    }
    Arc::new(values.finish())
}
