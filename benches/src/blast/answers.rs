//! What the server has to say, encoded.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::encode::{DictionaryHandling, FlightDataEncoderBuilder};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;

use crate::{log_entries, partition_rows};

/// One batch as it travels: its dictionaries, where it has some, and its rows.
pub(crate) type Encoded = Bytes;

/// Rows of one shape.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) schema: SchemaRef,
    /// The schema as it travels.
    pub(crate) head: Encoded,
    pub(crate) batches: Vec<Encoded>,
}

impl Rows {
    fn bytes(&self) -> usize {
        self.batches.iter().map(Bytes::len).sum()
    }

    /// What is sent for so many batches: the schema, and the batches in turn.
    pub(crate) fn sent(self: Arc<Self>, batches: usize) -> impl Iterator<Item = Encoded> + Send + 'static {
        let head = self.head.clone();
        std::iter::once(head).chain((0..batches).map(move |number| self.batches[number % self.batches.len()].clone()))
    }
}

/// The answers to all statements.
#[derive(Debug)]
pub struct Answers {
    flattened: Arc<Rows>,
    dictionaries: Arc<Rows>,
    one: Arc<Rows>,
    partitions: Arc<Rows>,
    batch_rows: usize,
    rows: usize,
}

/// The rows that a statement asks for, and in how many batches.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) rows: Arc<Rows>,
    pub(crate) batches: usize,
}

impl Answers {
    /// Makes and encodes `distinct` batches of `batch_rows` log entries, which repeat up to `rows`, and so many partitions.
    ///
    /// # Errors
    /// When there is nothing to make batches of.
    pub async fn build(rows: usize, batch_rows: usize, distinct: usize, partitions: usize) -> Result<Self> {
        ensure!(batch_rows > 0 && distinct > 0, "no batch can be made of no rows");
        let batches = log_entries(batch_rows * distinct, batch_rows).context("make the rows")?;
        let one: RecordBatch = RecordBatch::try_from_iter([("one", Arc::new(Int64Array::from(vec![1])) as _)])?;
        Ok(Self {
            flattened: Arc::new(encode(&batches, DictionaryHandling::Hydrate).await?),
            dictionaries: Arc::new(encode(&batches, DictionaryHandling::Resend).await?),
            one: Arc::new(encode(&[one], DictionaryHandling::Resend).await?),
            partitions: Arc::new(encode(&partition_rows(partitions)?, DictionaryHandling::Resend).await?),
            batch_rows,
            rows,
        })
    }

    /// Rows of `log_entries` when a statement has no LIMIT: whole batches.
    pub fn default_rows(&self) -> usize {
        self.batches_of(self.rows) * self.batch_rows
    }

    /// Bytes of a row of `log_entries` on the wire.
    pub fn row_bytes(&self, dictionaries: bool) -> f64 {
        let rows = self.shape(dictionaries);
        rows.bytes() as f64 / (rows.batches.len() * self.batch_rows) as f64
    }

    /// Bytes without end for the port that speaks no protocol.
    pub(crate) fn bytes(&self) -> Vec<Bytes> {
        self.flattened.batches.clone()
    }

    /// The answer to a statement.
    pub(crate) fn to(&self, sql: &str, dictionaries: bool) -> Answer {
        if sql.contains("list_partitions") {
            return Answer {
                batches: self.partitions.batches.len(),
                rows: Arc::clone(&self.partitions),
            };
        }
        if !sql.contains("log_entries") {
            return Answer {
                rows: Arc::clone(&self.one),
                batches: 1,
            };
        }
        let rows = limit_of(sql).map_or(self.rows, |limit| limit.min(self.rows));
        Answer {
            rows: Arc::clone(self.shape(dictionaries)),
            batches: self.batches_of(rows),
        }
    }

    fn shape(&self, dictionaries: bool) -> &Arc<Rows> {
        if dictionaries {
            &self.dictionaries
        } else {
            &self.flattened
        }
    }

    fn batches_of(&self, rows: usize) -> usize {
        rows.div_ceil(self.batch_rows)
    }
}

fn limit_of(sql: &str) -> Option<usize> {
    let (_, after) = sql.rsplit_once("LIMIT ")?;
    after.split_whitespace().next()?.parse().ok()
}

/// Encodes as servers do that use arrow-flight: split into messages of two megabytes.
async fn encode(batches: &[RecordBatch], handling: DictionaryHandling) -> Result<Rows> {
    let given = batches.first().context("there are no batches")?.schema();
    let schema = match handling {
        DictionaryHandling::Hydrate => flattened(&given),
        DictionaryHandling::Resend => given,
    };
    let mut encoder = FlightDataEncoderBuilder::new()
        .with_dictionary_handling(handling)
        .build(stream::iter(batches.to_vec()).map(Ok));
    let mut head = None;
    let mut encoded = Vec::new();
    let mut batch = BytesMut::new();
    let rows_of = |header: &[u8]| {
        let message = arrow::ipc::root_as_message(header).map_err(|error| anyhow::anyhow!("{error}"))?;
        anyhow::Ok(message.header_as_record_batch().map(|rows| rows.length()))
    };
    let mut rows = 0;
    while let Some(message) = encoder.try_next().await? {
        if head.is_none() {
            head = Some(framed(&message));
            continue;
        }
        batch.put(framed(&message));
        rows += rows_of(&message.data_header)?.unwrap_or(0);
        // A batch may be split over several messages.
        if rows == batches[encoded.len()].num_rows() as i64 {
            encoded.push(batch.split().freeze());
            rows = 0;
        }
    }
    ensure!(encoded.len() == batches.len(), "a batch was not encoded whole");
    Ok(Rows {
        schema,
        head: head.context("nothing was encoded")?,
        batches: encoded,
    })
}

fn flattened(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Dictionary(_, value) => Field::new(field.name(), value.as_ref().clone(), field.is_nullable()),
        _ => field.as_ref().clone(),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A message with gRPC's prefix: not compressed, and so many bytes long.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::with_capacity(message.encoded_len() + 5);
    bytes.put_u8(0);
    bytes.put_u32(message.encoded_len() as u32);
    bytes.put_slice(&message.encode_to_vec());
    bytes.freeze()
}
