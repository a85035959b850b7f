//! The decoder against streams that Arrow's own writer made, whole and damaged.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use super::*;
use arrow::array::{
    Array, AsArray, DictionaryArray, Int32Array, Int64Array, ListArray, StringArray, StringViewArray, StructArray,
    UnionArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, UnionFields};
use arrow::util::pretty::pretty_format_batches;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{DictionaryHandling, IpcWriteOptions, StreamWriter};
use bytes::Bytes;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

/// Batches as the messages that a server would send, schema first, made by Arrow's own writer.
fn messages(batches: &[RecordBatch], options: IpcWriteOptions) -> Vec<FlightData> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new_with_options(&mut bytes, &batches[0].schema(), options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();

    let mut messages = Vec::new();
    let mut rest = &bytes[..];
    loop {
        let (prefix, tail) = rest.split_at(8);
        let header_length = u32::from_le_bytes(prefix[4..].try_into().unwrap()) as usize;
        if header_length == 0 {
            return messages;
        }
        let (header, tail) = tail.split_at(header_length);
        let body_length = ipc::root_as_message(header).unwrap().bodyLength() as usize;
        let (body, tail) = tail.split_at(body_length);
        messages.push(FlightData {
            data_header: header.to_vec().into(),
            data_body: body.to_vec().into(),
            ..FlightData::default()
        });
        rest = tail;
    }
}

fn decode_all(messages: Vec<FlightData>) -> Result<Vec<RecordBatch>> {
    let mut decoder = Decoder::new(LIMIT);
    let mut batches = Vec::new();
    for message in messages {
        if let Decoded::Batch(batch) = decoder.decode(message)? {
            batches.push(batch);
        }
    }
    Ok(batches)
}

fn wide_batch() -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let words: ArrayRef = Arc::new(StringArray::from(vec!["one", "two", "three"]));
    let views: ArrayRef = Arc::new(StringViewArray::from(vec![
        Some("a text longer than twelve bytes"),
        None,
        Some("b"),
    ]));
    let names: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::from_iter(["x", "y", "x"]));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), Some(2)]),
        None,
        Some(vec![]),
    ]));
    let field = |name: &str, array: &ArrayRef| Arc::new(Field::new(name, array.data_type().clone(), true));
    let pairs: ArrayRef = Arc::new(StructArray::from(vec![
        (field("views", &views), Arc::clone(&views)),
        (field("names", &names), Arc::clone(&names)),
    ]));
    RecordBatch::try_from_iter([
        ("numbers", numbers),
        ("words", words),
        ("views", views),
        ("names", names),
        ("lists", lists),
        ("pairs", pairs),
    ])
    .unwrap()
}

fn dictionary_batch(values: &[&str], keys: &[i32]) -> RecordBatch {
    let keys = Int32Array::from(keys.to_vec());
    let values = Arc::new(StringArray::from(values.to_vec()));
    let column: ArrayRef = Arc::new(DictionaryArray::new(keys, values));
    RecordBatch::try_from_iter([("name", column)]).unwrap()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    let column = batch.column(0).as_dictionary::<Int32Type>();
    let values = column.downcast_dict::<StringArray>().unwrap();
    values.into_iter().map(|name| name.unwrap().to_owned()).collect()
}

#[test]
fn every_kind_of_column_comes_back() {
    let batches = [wide_batch(), wide_batch().slice(1, 2), wide_batch().slice(0, 0)];
    for options in [
        IpcWriteOptions::default(),
        IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::ZSTD))
            .unwrap(),
        IpcWriteOptions::default()
            .try_with_compression(Some(CompressionType::LZ4_FRAME))
            .unwrap(),
    ] {
        assert_eq!(decode_all(messages(&batches, options)).unwrap(), batches);
    }
}

/// Bytes that lie where no type but bytes is aligned, as those of a message within a frame may.
fn misaligned(bytes: &[u8]) -> Bytes {
    let mut place = vec![0; bytes.len() + 8];
    let start = (0..8).find(|start| (place.as_ptr() as usize + start) % 2 == 1).unwrap();
    place[start..start + bytes.len()].copy_from_slice(bytes);
    Bytes::from(place).slice(start..start + bytes.len())
}

#[test]
fn unions_come_back_wherever_their_message_lies() {
    let fields = [
        Field::new("number", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ];
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None]));
    let words: ArrayRef = Arc::new(StringArray::from(vec!["one"]));
    let union = UnionArray::try_new(
        UnionFields::try_new([0, 1], fields).unwrap(),
        vec![0, 1, 0].into(),
        Some(vec![0, 0, 1].into()),
        vec![numbers, words],
    )
    .unwrap();
    let union: ArrayRef = Arc::new(union);
    let within = DictionaryArray::new(Int32Array::from(vec![2, 1]), Arc::clone(&union));
    for column in [union, Arc::new(within)] {
        let sent = [RecordBatch::try_from_iter([("value", column)]).unwrap()];
        let mut messages = messages(&sent, IpcWriteOptions::default());
        for message in &mut messages {
            message.data_body = misaligned(&message.data_body);
        }
        assert_eq!(decode_all(messages).unwrap(), sent);
    }
}

#[test]
fn a_dictionary_replaced_in_mid_stream_leaves_earlier_batches_alone() {
    let sent = [
        dictionary_batch(&["a", "b"], &[0, 1, 0]),
        dictionary_batch(&["c"], &[0, 0]),
        dictionary_batch(&["c", "a", "a"], &[2, 1, 0]),
    ];
    let messages = messages(&sent, IpcWriteOptions::default());
    assert_eq!(messages.len(), 7, "a dictionary goes before each batch");
    let received = decode_all(messages).unwrap();
    assert_eq!(names(&received[0]), ["a", "b", "a"]);
    assert_eq!(names(&received[1]), ["c", "c"]);
    assert_eq!(names(&received[2]), ["a", "a", "c"]);
}

#[test]
fn a_delta_adds_to_the_dictionary() {
    let sent = [
        dictionary_batch(&["a", "b"], &[0, 1]),
        dictionary_batch(&["a", "b", "c"], &[2, 0]),
    ];
    let options = IpcWriteOptions::default().with_dictionary_handling(DictionaryHandling::Delta);
    let received = decode_all(messages(&sent, options)).unwrap();
    assert_eq!(names(&received[0]), ["a", "b"]);
    assert_eq!(names(&received[1]), ["c", "a"]);
    assert_eq!(received[0].column(0).as_dictionary::<Int32Type>().values().len(), 2);
}

#[test]
fn messages_of_metadata_alone_are_passed_over() {
    let mut messages = messages(&[wide_batch()], IpcWriteOptions::default());
    let note = FlightData {
        app_metadata: vec![0xff, 0x00, 0x17].into(),
        ..FlightData::default()
    };
    for place in [0, 2, messages.len() + 2] {
        messages.insert(place, note.clone());
    }
    assert_eq!(decode_all(messages).unwrap(), [wide_batch()]);
}

#[test]
fn messages_out_of_order_are_told_what_is_wrong() {
    let good = messages(&[dictionary_batch(&["a"], &[0])], IpcWriteOptions::default());
    let (schema, dictionary, batch) = (&good[0], &good[1], &good[2]);
    let bodiless = FlightData {
        data_body: vec![1].into(),
        ..FlightData::default()
    };
    for (sent, says) in [
        (vec![batch], "before the schema"),
        (vec![dictionary], "before the schema"),
        (vec![schema, schema], "a second schema"),
        (vec![schema, &bodiless], "no header"),
    ] {
        let error = decode_all(sent.into_iter().cloned().collect()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.message().contains(says), "{error}");
    }
}

#[test]
fn a_truncated_body_is_an_error() {
    let good = messages(&[wide_batch()], IpcWriteOptions::default());
    for index in 1..good.len() {
        for keep in [0, 1, good[index].data_body.len() / 2] {
            let mut cut = good.clone();
            cut[index].data_body = cut[index].data_body.slice(..keep);
            let error = decode_all(cut).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
            assert!(error.message().contains("cut short"), "{error}");
        }
    }
}

#[test]
fn a_small_batch_that_unpacks_to_too_much_is_refused() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![7; LIMIT / 8 + 1]));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let options = IpcWriteOptions::default()
        .try_with_compression(Some(CompressionType::ZSTD))
        .unwrap();
    let messages = messages(&[batch], options);
    assert!(messages[1].data_body.len() < LIMIT / 100);
    assert_eq!(decode_all(messages).unwrap_err().kind(), ErrorKind::ResourceExhausted);
}

#[test]
fn a_schema_of_no_bytes_has_no_columns_and_garbage_is_an_error() {
    assert!(decode_schema(&[]).unwrap().fields().is_empty());
    for bytes in [&[1_u8][..], &[0xff; 8], &[0; 64], b"garbage in a schema"] {
        assert_eq!(
            decode_schema(bytes).unwrap_err().kind(),
            ErrorKind::Protocol,
            "{bytes:?}"
        );
    }
}

/// The streams that the fuzz target begins with: every kind of column, plain and compressed.
fn seeds() -> &'static [Vec<u8>] {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
        let mut paths: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    })
}

#[test]
fn the_seeds_of_the_fuzz_target_are_whole() {
    assert!(seeds().len() > 30);
    for seed in seeds() {
        let rows = |batch: &RecordBatch| batch.num_rows();
        let batches = decode_messages(seed, LIMIT).unwrap();
        // Each stream ends with a batch of no rows, which is left out.
        assert_eq!(batches.iter().map(rows).collect::<Vec<_>>(), [3, 1]);
    }
}

/// What a fuzzer does to bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        let place = any::<prop::sample::Index>;
        prop_oneof![
            6 => (place(), prop_oneof![any::<u8>(), Just(0), Just(0xff)]).prop_map(|(at, byte)| Self::Set(at, byte)),
            1 => (place(), 1_usize..16).prop_map(|(at, bytes)| Self::Remove(at, bytes)),
            1 => (place(), 1_usize..16).prop_map(|(at, bytes)| Self::Repeat(at, bytes)),
            1 => place().prop_map(Self::Cut),
        ]
    }

    fn make(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let behind = |at: usize, length: usize| (at + length).min(bytes.len());
        match self {
            Self::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Remove(at, length) => {
                let at = at.index(bytes.len());
                bytes.drain(at..behind(at, *length));
            }
            Self::Repeat(at, length) => {
                let at = at.index(bytes.len());
                let repeated = bytes[at..behind(at, *length)].to_vec();
                bytes.splice(at..at, repeated);
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
}

fn many_cases() -> ProptestConfig {
    let told = ProptestConfig::default();
    ProptestConfig {
        cases: told.cases.max(2_000),
        ..told
    }
}

proptest! {
    #![proptest_config(many_cases())]

    /// The fuzz target's claim, for a moment, or longer with more `PROPTEST_CASES`: whatever becomes of the seeds, there are
    /// batches that can be shown, or an error of a kind that says so.
    #[test]
    fn changed_seeds_never_panic(
        seed in any::<prop::sample::Index>(),
        changes in prop::collection::vec(Change::any(), 1..6),
    ) {
        let mut bytes = seed.get(seeds()).clone();
        for change in &changes {
            change.make(&mut bytes);
        }
        match decode_messages(&bytes, LIMIT) {
            Ok(batches) => {
                for batch in batches {
                    let some = batch.slice(0, batch.num_rows().min(20));
                    // An error is an answer too: a value that cannot be shown, such as a time out of the calendar.
                    let _ = pretty_format_batches(&[some]);
                }
            }
            Err(error) => prop_assert!(
                matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Unsupported | ErrorKind::ResourceExhausted),
                "{:?}", error
            ),
        }
    }
}

proptest! {
    /// Whatever a server makes of its messages, there is an answer or an error.
    #[test]
    fn damaged_messages_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<prop::sample::Index>(), any::<u8>()), 1..8),
        compressed in any::<bool>(),
    ) {
        let compression = compressed.then_some(CompressionType::ZSTD);
        let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let mut messages = messages(&[wide_batch(), wide_batch()], options);
        for (message, in_header, place, byte) in damage {
            let message = message.index(messages.len());
            let message = &mut messages[message];
            let part = if in_header { &mut message.data_header } else { &mut message.data_body };
            if !part.is_empty() {
                let mut bytes = part.to_vec();
                let place = place.index(bytes.len());
                bytes[place] = byte;
                *part = bytes.into();
            }
        }
        if let Err(error) = decode_all(messages) {
            prop_assert!(
                matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Unsupported | ErrorKind::ResourceExhausted),
                "{:?}", error
            );
        }
    }
}
