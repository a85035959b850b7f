//! Flight messages become record batches.
//!
//! Arrow's reader trusts what a message says about its own body, and panics where that is not true. So the numbers in
//! a message are checked first, and what the checks do not know is caught: a hostile server gets an error out of us and
//! nothing else.

mod shape;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_flight::FlightData;
use arrow_ipc as ipc;
use arrow_ipc::reader::{RecordBatchDecoder, read_dictionary};
use lakepilot_query::{Error, ErrorKind, Result};

use self::shape::Shape;

/// What a message was.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// The schema of all that follows.
    Schema(SchemaRef),
    Batch(RecordBatch),
    /// A dictionary, which is kept, or a message of metadata alone.
    Nothing,
}

/// Decodes the messages of one stream, in their order.
#[derive(Debug)]
pub(crate) struct Decoder {
    schema: Option<SchemaRef>,
    /// What a batch of the schema is made of.
    shape: Shape,
    dictionaries: HashMap<i64, ArrayRef>,
    max_message_bytes: usize,
}

impl Decoder {
    pub(crate) fn new(max_message_bytes: usize) -> Self {
        Self {
            schema: None,
            shape: Shape::default(),
            dictionaries: HashMap::new(),
            max_message_bytes,
        }
    }

    pub(crate) fn decode(&mut self, data: FlightData) -> Result<Decoded> {
        if data.data_header.is_empty() {
            return if data.data_body.is_empty() {
                Ok(Decoded::Nothing)
            } else {
                Err(protocol("a message has a body and no header"))
            };
        }
        let message = ipc::root_as_message(&data.data_header)
            .map_err(|error| protocol(format!("the header of a message cannot be read ({error})")))?;
        match message.header_type() {
            ipc::MessageHeader::NONE => Ok(Decoded::Nothing),
            ipc::MessageHeader::Schema => self.read_schema(message),
            ipc::MessageHeader::DictionaryBatch => self.read_dictionary(message, Buffer::from(data.data_body)),
            ipc::MessageHeader::RecordBatch => self.read_batch(message, Buffer::from(data.data_body)),
            other => Err(protocol(format!(
                "a message is a {}, and not a schema, a dictionary or a record batch",
                other.variant_name().unwrap_or("thing unknown to Arrow")
            ))),
        }
    }

    fn read_schema(&mut self, message: ipc::Message<'_>) -> Result<Decoded> {
        if self.schema.is_some() {
            return Err(protocol("the stream has a second schema"));
        }
        let schema = message
            .header_as_schema()
            .filter(|schema| schema.fields().is_some())
            .ok_or_else(|| protocol("a schema message has no schema"))?;
        let schema = Arc::new(guarded("a schema", || Ok(ipc::convert::fb_to_schema(schema)))?);
        self.shape = Shape::of(schema.fields().iter().map(AsRef::as_ref));
        self.schema = Some(Arc::clone(&schema));
        Ok(Decoded::Schema(schema))
    }

    /// Keeps a dictionary for the batches that follow. It takes the place of the one with the same id, or is added to
    /// it if it says so (a delta); batches that were decoded before keep theirs.
    fn read_dictionary(&mut self, message: ipc::Message<'_>, body: Buffer) -> Result<Decoded> {
        let schema = self
            .schema
            .as_ref()
            .ok_or_else(|| protocol("a dictionary comes before the schema"))?;
        let dictionary = message
            .header_as_dictionary_batch()
            .ok_or_else(|| protocol("a dictionary message has no dictionary"))?;
        let values = dictionary
            .data()
            .ok_or_else(|| protocol("a dictionary has no values"))?;
        check_body(&values, &body, None, self.max_message_bytes)?;
        let body = self.shape.aligned(body);
        let dictionaries = &mut self.dictionaries;
        guarded("a dictionary", || {
            read_dictionary(&body, dictionary, schema, dictionaries, &message.version())
        })?;
        Ok(Decoded::Nothing)
    }

    fn read_batch(&mut self, message: ipc::Message<'_>, body: Buffer) -> Result<Decoded> {
        let schema = self
            .schema
            .as_ref()
            .ok_or_else(|| protocol("a record batch comes before the schema"))?;
        let batch = message
            .header_as_record_batch()
            .ok_or_else(|| protocol("a record batch message has no record batch"))?;
        check_body(&batch, &body, Some(&self.shape), self.max_message_bytes)?;
        let version = message.version();
        let body = self.shape.aligned(body);
        // Buffers that are not aligned for their type are copied, one by one; text is used where it arrived.
        let batch = guarded("a record batch", || {
            RecordBatchDecoder::try_new(&body, batch, Arc::clone(schema), &self.dictionaries, &version)?
                .with_require_alignment(false)
                .read_record_batch()
        })?;
        Ok(Decoded::Batch(batch))
    }
}

/// The batches of a stream of Flight messages, each of which stands after its length, as Protocol Buffers delimit them.
///
/// What the fuzz target calls, and its shorter run among the tests: what a server sends, without a server.
///
/// # Errors
/// Those that the stream of a query has: `Protocol`, `Unsupported`, `ResourceExhausted`.
#[cfg(any(test, feature = "fuzzing"))]
pub fn decode_messages(mut bytes: &[u8], max_message_bytes: usize) -> Result<Vec<RecordBatch>> {
    use prost::Message;

    let mut decoder = Decoder::new(max_message_bytes);
    let mut batches = Vec::new();
    while !bytes.is_empty() {
        let message = FlightData::decode_length_delimited(&mut bytes)
            .map_err(|error| protocol("a message cannot be taken apart").with_source(error))?;
        if let Decoded::Batch(batch) = decoder.decode(message)? {
            batches.push(batch);
        }
    }
    Ok(batches)
}

/// The schema in an encapsulated IPC message, as prepared statements and `FlightInfo` carry it. No bytes are no columns.
pub(crate) fn decode_schema(bytes: &[u8]) -> Result<SchemaRef> {
    if bytes.is_empty() {
        return Ok(Arc::new(Schema::empty()));
    }
    guarded("a schema", || ipc::convert::try_schema_from_ipc_buffer(bytes)).map(Arc::new)
}

/// Checks that what a batch says of its body is true, and that it does not unpack to more than a message may be.
fn check_body(
    batch: &ipc::RecordBatch<'_>,
    body: &Buffer,
    shape: Option<&Shape>,
    max_message_bytes: usize,
) -> Result<()> {
    if batch.length() < 0 {
        return Err(protocol("a batch has a negative number of rows"));
    }
    let mut nodes = 0;
    for node in batch.nodes().into_iter().flatten() {
        if node.length() < 0 || node.null_count() < 0 || node.null_count() > node.length() {
            return Err(protocol(
                "a column of a batch has an impossible number of rows or nulls",
            ));
        }
        nodes += 1;
    }
    let mut unpacked_bytes = 0_u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let bytes = slice(body, buffer.offset(), buffer.length())
            .ok_or_else(|| protocol("a batch is cut short: its columns lie outside of it"))?;
        if batch.compression().is_some() && !bytes.is_empty() {
            unpacked_bytes = unpacked_bytes.saturating_add(unpacked_length(bytes)?);
        }
    }
    if unpacked_bytes > max_message_bytes as u64 {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!(
                "a batch unpacks to {unpacked_bytes} bytes, over the message size limit of {max_message_bytes}; raise the limit"
            ),
        ));
    }
    let buffers = batch.buffers().map_or(0, |buffers| buffers.len() as i64);
    let (mut found, mut variadic) = (0, 0);
    for count in batch.variadicBufferCounts().into_iter().flatten() {
        if count < 0 || count > buffers {
            return Err(protocol("a batch has an impossible number of buffers"));
        }
        found += 1;
        variadic += count;
    }
    match shape {
        Some(shape) if !shape.fits(nodes, buffers, found, variadic) => Err(protocol(
            "a batch has other columns than the schema that the result began with",
        )),
        _ => Ok(()),
    }
}

fn slice(body: &[u8], offset: i64, length: i64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    body.get(start..end)
}

/// The length that a compressed buffer says it has when it is unpacked; it is written before the data, -1 for data that
/// is not compressed after all.
fn unpacked_length(bytes: &[u8]) -> Result<u64> {
    let prefix = bytes
        .first_chunk::<8>()
        .ok_or_else(|| protocol("a compressed column is cut short"))?;
    match i64::from_le_bytes(*prefix) {
        -1 => Ok(0),
        length => u64::try_from(length).map_err(|_| protocol("a compressed column has a negative length")),
    }
}

/// Runs Arrow's reader on what a server sent. Its errors and its panics are the server's fault.
fn guarded<T>(what: &str, read: impl FnOnce() -> Result<T, ArrowError>) -> Result<T> {
    // What the closure may leave half done is the state of a stream that ends with this error.
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error @ ArrowError::NotYetImplemented(_))) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{what} that the server sent cannot be read yet"),
        )
        .with_source(error)),
        Ok(Err(error)) => Err(protocol(format!("{what} is damaged")).with_source(error)),
        Err(_) => Err(protocol(format!(
            "{what} is damaged beyond what Arrow's reader can say"
        ))),
    }
}

fn protocol(problem: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("the server's answer is not valid Arrow data: {problem}"),
    )
}

#[cfg(test)]
mod tests;
