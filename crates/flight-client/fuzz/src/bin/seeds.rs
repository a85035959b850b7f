//! Writes the seeds that the fuzzer begins with, into the folder that it is given: small streams of every kind of column,
//! plain, compressed, with dictionaries kept and replaced.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int64Array, ListArray,
    NullArray, RecordBatch, StringArray, StringViewArray, StructArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Field, Int32Type, Int64Type};
use arrow_flight::encode::{DictionaryHandling, FlightDataEncoderBuilder};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::IpcWriteOptions;
use futures::{TryStreamExt, stream};
use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("give the folder of the seeds")?;
    for (name, columns) in columns() {
        let batch = RecordBatch::try_from_iter([("column", columns)])?;
        for (kind, compression) in [
            ("plain", None),
            ("zstd", Some(CompressionType::ZSTD)),
            ("lz4", Some(CompressionType::LZ4_FRAME)),
        ] {
            let options = IpcWriteOptions::default().try_with_compression(compression)?;
            let batches = [batch.clone(), batch.slice(1, 1), batch.slice(0, 0)];
            std::fs::write(
                Path::new(&folder).join(format!("{name}-{kind}")),
                messages(&batches, options)?,
            )?;
        }
    }
    Ok(())
}

fn messages(batches: &[RecordBatch], options: IpcWriteOptions) -> Result<Vec<u8>, Box<dyn Error>> {
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(batches[0].schema())
        .with_options(options)
        .with_dictionary_handling(DictionaryHandling::Resend)
        .build(stream::iter(batches.to_vec().into_iter().map(Ok)));
    let messages: Vec<_> = futures::executor::block_on(messages.try_collect())?;
    Ok(messages
        .iter()
        .flat_map(Message::encode_length_delimited_to_vec)
        .collect())
}

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let words = ["one", "a text that is longer than twelve bytes", ""];
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let views: ArrayRef = Arc::new(StringViewArray::from(words.to_vec()));
    let names: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::from_iter(["x", "y", "x"]));
    let field = |name: &str, array: &ArrayRef| Arc::new(Field::new(name, array.data_type().clone(), true));
    let pairs = StructArray::from(vec![
        (field("views", &views), Arc::clone(&views)),
        (field("names", &names), Arc::clone(&names)),
    ]);
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), Some(2)]), None, Some(vec![])]);
    vec![
        ("numbers", numbers),
        ("floats", Arc::new(Float64Array::from(vec![1.5, f64::NAN, -0.0]))),
        (
            "flags",
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
        ("words", Arc::new(StringArray::from(words.to_vec()))),
        ("bytes", Arc::new(BinaryArray::from(vec![&b"\xff\x00"[..], b"", b"x"]))),
        ("views", views),
        ("names", names),
        ("pairs", Arc::new(pairs)),
        ("lists", Arc::new(lists)),
        ("nothing", Arc::new(NullArray::new(3))),
        ("amounts", Arc::new(Decimal128Array::from(vec![1, -2, 3]))),
        (
            "times",
            Arc::new(TimestampNanosecondArray::from(vec![0, i64::MAX, i64::MIN]).with_timezone("UTC")),
        ),
    ]
}
