//! Rows on their way out, and what is logged of a query.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow_flight::FlightData;
use arrow_flight::encode::{DictionaryHandling, FlightDataEncoderBuilder, GRPC_TARGET_MAX_FLIGHT_SIZE_BYTES};
use arrow_flight::error::FlightError;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt, future, stream};
use lakepilot_query::{Dictionaries, Error, Query, RecordBatchStream, Result, to_rfc3339};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use uuid::Uuid;

use crate::server::request::Attribution;
use crate::server::status;
use crate::server::unique::with_unique_values;

/// The messages of an answer.
pub(crate) type Messages = BoxStream<'static, Result<FlightData, Status>>;

/// The log of one query, written when it is dropped: the query is over then, whichever way it ended.
pub(crate) struct Audit {
    pub(crate) query_id: Uuid,
    sql: String,
    range: String,
    limit: Option<u64>,
    client: Option<SocketAddr>,
    attribution: Attribution,
    begun: Instant,
    rows: u64,
    outcome: Outcome,
}

enum Outcome {
    /// Nobody waits for the rest: the client went away, or the server shuts down.
    Dropped,
    /// The schema was all that was asked for.
    Planned,
    Complete,
    Failed(String),
}

impl Audit {
    pub(crate) fn begin(sql: &str, client: Option<SocketAddr>, attribution: Attribution) -> Self {
        Self {
            query_id: Uuid::new_v4(),
            sql: sql.to_owned(),
            range: String::new(),
            limit: None,
            client,
            attribution,
            begun: Instant::now(),
            rows: 0,
            outcome: Outcome::Dropped,
        }
    }

    pub(crate) fn asked(&mut self, query: &Query) {
        if let Some(range) = query.time_range() {
            self.range = format!("{}/{}", to_rfc3339(range.begin()), to_rfc3339(range.end()));
        }
        self.limit = query.limit();
    }

    pub(crate) fn planned(&mut self) {
        self.outcome = Outcome::Planned;
    }

    /// The status that the client gets for an error.
    pub(crate) fn failed(&mut self, error: &Error) -> Status {
        let status = status::from_query_error(error, self.query_id);
        self.outcome = Outcome::Failed(status.message().to_owned());
        status
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let (outcome, error) = match &self.outcome {
            Outcome::Planned => {
                return tracing::debug!(query_id = %self.query_id, sql = self.sql, "planned");
            }
            Outcome::Dropped => ("dropped", None),
            Outcome::Complete => ("complete", None),
            Outcome::Failed(error) => ("failed", Some(error.as_str())),
        };
        tracing::info!(
            query_id = %self.query_id,
            sql = self.sql,
            range = self.range,
            limit = self.limit,
            client = self.client.map(tracing::field::display),
            attribution = %self.attribution,
            rows = self.rows,
            duration_ms = self.begun.elapsed().as_millis() as u64,
            outcome,
            error,
            "query"
        );
    }
}

/// The rows of a query as messages. A mid-stream error comes after the batches before it. When `stop` is cancelled the
/// stream ends with an error, and the query with it.
pub(crate) fn rows(
    batches: RecordBatchStream,
    dictionaries: Dictionaries,
    mut audit: Audit,
    stop: &CancellationToken,
) -> Messages {
    let schema = batches.schema();
    let query_id = audit.query_id;
    let counted = batches
        .map(Some)
        // The end is counted too.
        .chain(stream::once(async { None }))
        .map(move |item| match item {
            Some(Ok(batch)) => {
                audit.rows += batch.num_rows() as u64;
                Some(Ok(batch))
            }
            Some(Err(error)) => Some(Err(FlightError::Tonic(Box::new(audit.failed(&error))))),
            None => {
                if matches!(audit.outcome, Outcome::Dropped) {
                    audit.outcome = Outcome::Complete;
                }
                None
            }
        })
        .filter_map(|item| async { item });
    let messages = encoded(schema, dictionaries, counted).map_err(move |error| match error {
        FlightError::Tonic(status) => *status,
        other => {
            let error = Error::new(
                lakepilot_query::ErrorKind::Internal,
                format!("the rows cannot be sent: {other}"),
            );
            status::from_query_error(&error, query_id)
        }
    });
    Box::pin(UntilStopped {
        messages: Some(messages.boxed()),
        stop: Box::pin(stop.clone().cancelled_owned()),
    })
}

/// A batch that is there already.
pub(crate) fn one_batch(batch: RecordBatch) -> Messages {
    let schema = batch.schema();
    encoded(schema, Dictionaries::Flattened, stream::once(async { Ok(batch) }))
        .map_err(Status::from)
        .boxed()
}

fn encoded(
    schema: SchemaRef,
    dictionaries: Dictionaries,
    batches: impl Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
) -> impl Stream<Item = Result<FlightData, FlightError>> + Send + 'static {
    // Batches are split here, because arrow-flight counts the whole of the buffers that a slice shares with others, and
    // makes ever so many small messages of it.
    let pieces = move |batch| {
        let batch = match dictionaries {
            Dictionaries::Flattened => batch,
            Dictionaries::Preserved => with_unique_values(batch)?,
        };
        Ok(stream::iter(split(batch).into_iter().map(Ok)))
    };
    let batches = batches
        .and_then(move |batch| future::ready(pieces(batch)))
        .try_flatten();
    encoder(schema, dictionaries)
        .with_max_flight_data_size(usize::MAX)
        .build(batches)
}

fn encoder(schema: SchemaRef, dictionaries: Dictionaries) -> FlightDataEncoderBuilder {
    FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_dictionary_handling(match dictionaries {
            Dictionaries::Flattened => DictionaryHandling::Hydrate,
            Dictionaries::Preserved => DictionaryHandling::Resend,
        })
}

/// The schema that [`rows`] sends for a stream of the given one.
pub(crate) fn sent_schema(schema: SchemaRef, dictionaries: Dictionaries) -> SchemaRef {
    encoder(SchemaRef::clone(&schema), dictionaries)
        .build(stream::empty())
        .known_schema()
        .unwrap_or(schema)
}

/// The batch in pieces of about the size that gRPC likes, each with the same number of rows.
fn split(batch: RecordBatch) -> Vec<RecordBatch> {
    let bytes: usize = batch.columns().iter().map(slice_bytes).sum();
    let pieces = bytes.div_ceil(GRPC_TARGET_MAX_FLIGHT_SIZE_BYTES);
    let rows = batch.num_rows();
    if pieces <= 1 || rows <= 1 {
        return vec![batch];
    }
    let rows_each = rows.div_ceil(pieces);
    (0..rows)
        .step_by(rows_each)
        .map(|offset| batch.slice(offset, rows_each.min(rows - offset)))
        .collect()
}

/// The bytes of the part of the buffers that an array uses.
fn slice_bytes(array: &ArrayRef) -> usize {
    match array.data_type() {
        // What the views point to is not counted as part of a slice.
        DataType::Utf8View | DataType::BinaryView => array.get_buffer_memory_size(),
        _ => array
            .to_data()
            .get_slice_memory_size()
            .unwrap_or_else(|_| array.get_buffer_memory_size()),
    }
}

struct UntilStopped {
    /// `None` when it is over.
    messages: Option<Messages>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Stream for UntilStopped {
    type Item = Result<FlightData, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.messages.is_none() {
            return Poll::Ready(None);
        }
        if self.stop.as_mut().poll(cx).is_ready() {
            self.messages = None;
            return Poll::Ready(Some(Err(status::shutting_down())));
        }
        let Some(messages) = &mut self.messages else {
            return Poll::Ready(None);
        };
        let next = std::task::ready!(messages.poll_next_unpin(cx));
        if !matches!(next, Some(Ok(_))) {
            self.messages = None;
        }
        Poll::Ready(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use std::sync::Arc;

    fn batch(rows: usize, width: usize) -> RecordBatch {
        let filling = "x".repeat(width);
        let texts = (0..rows).map(|row| format!("{row}{filling}"));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        RecordBatch::try_from_iter([("text", texts), ("number", numbers)]).unwrap()
    }

    #[test]
    fn large_batches_are_split_and_no_row_is_lost() {
        let whole = batch(10_000, 1000);
        let pieces = split(whole.clone());
        assert_eq!(pieces.len(), 5);
        assert_eq!(arrow::compute::concat_batches(&whole.schema(), &pieces).unwrap(), whole);
    }

    #[test]
    fn a_slice_counts_for_what_it_is() {
        let slice = batch(100_000, 100).slice(500, 1000);
        assert_eq!(split(slice.clone()), vec![slice]);
    }

    #[test]
    fn a_row_is_never_split() {
        let row = batch(1, 5 << 20);
        assert_eq!(split(row.clone()), vec![row]);
        let rows = batch(2, 5 << 20);
        assert_eq!(split(rows).len(), 2);
        let none = batch(0, 0);
        assert_eq!(split(none.clone()), vec![none]);
    }
}
