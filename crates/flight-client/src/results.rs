//! The result of a query, endpoint by endpoint.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::{FlightData, FlightEndpoint, Ticket};
use futures::stream;
use lakepilot_query::{Error, ErrorKind, Query, RecordBatchStream, Result, TransferMeter};
use tonic::Streaming;

use crate::client::Shared;
use crate::connection::Connection;
use crate::deadline::{Deadline, Patience};
use crate::ipc::{Decoded, Decoder};
use crate::status::Call;

/// Opens the first endpoint and waits for its schema. The others are opened one after the other, as their turn comes, so
/// that their batches are in the order of the endpoints.
pub(crate) async fn open(
    shared: Arc<Shared>,
    first: FlightEndpoint,
    others: VecDeque<FlightEndpoint>,
    query: Option<Query>,
    deadline: Deadline,
) -> Result<RecordBatchStream> {
    let meter = TransferMeter::new();
    let mut results = Results {
        shared,
        meter: meter.clone(),
        query,
        deadline,
        endpoints: others,
        current: None,
        schema: None,
    };
    let schema = results.enter(first).await?;
    let batches = stream::unfold(Some(results), |results| async {
        let mut results = results?;
        match results.next().await {
            Ok(Some(batch)) => Some((Ok(batch), Some(results))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(RecordBatchStream::new(schema, batches).with_transfer(meter))
}

struct Results {
    shared: Arc<Shared>,
    meter: TransferMeter,
    query: Option<Query>,
    deadline: Deadline,
    endpoints: VecDeque<FlightEndpoint>,
    current: Option<Part>,
    /// The schema of the first endpoint, which all have to have.
    schema: Option<SchemaRef>,
}

impl Results {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(part) = &mut self.current {
                if let Some(batch) = part.next_batch().await? {
                    return Ok(Some(self.with_common_schema(batch)?));
                }
                self.current = None;
            }
            match self.endpoints.pop_front() {
                Some(endpoint) => self.enter(endpoint).await?,
                None => return Ok(None),
            };
        }
    }

    /// Starts on an endpoint, and checks that its schema is that of the ones before.
    async fn enter(&mut self, endpoint: FlightEndpoint) -> Result<SchemaRef> {
        let Shared { config, connections } = &*self.shared;
        let mut no_wait = self.deadline.no_wait();
        // Connecting has a limit of its own.
        let connecting = connections.for_endpoint(&endpoint, config);
        let url = &connections.home().url;
        let connection = self
            .deadline
            .bound(&mut no_wait, Call::Get, url, connecting)
            .await
            .flatten()?;
        let ticket = endpoint
            .ticket
            .ok_or_else(|| Error::new(ErrorKind::Protocol, "the server named an endpoint with no ticket"))?;
        let request = connection
            .request(ticket, config, self.query.as_ref(), self.deadline, Call::Get, &no_wait)
            .await?;
        let (part, schema) = Part::open(
            connection,
            request,
            config.max_message_bytes,
            self.meter.clone(),
            self.deadline,
        )
        .await?;
        match &self.schema {
            Some(expected) if *expected != schema => {
                return Err(Error::new(
                    ErrorKind::Protocol,
                    format!(
                        "the parts of the result do not fit together: the first has the columns ({}), another one ({})",
                        columns(expected),
                        columns(&schema)
                    ),
                ));
            }
            Some(_) => {}
            None => self.schema = Some(Arc::clone(&schema)),
        }
        self.current = Some(part);
        Ok(schema)
    }

    /// Every batch has the schema of the stream, and not an equal one of its own endpoint.
    fn with_common_schema(&self, batch: RecordBatch) -> Result<RecordBatch> {
        match &self.schema {
            Some(schema) if !Arc::ptr_eq(schema, batch.schema_ref()) => Ok(batch.with_schema(Arc::clone(schema))?),
            _ => Ok(batch),
        }
    }
}

fn columns(schema: &SchemaRef) -> String {
    const MOST_COLUMNS: usize = 20;
    let mut text: Vec<String> = schema
        .fields()
        .iter()
        .take(MOST_COLUMNS)
        .map(|field| {
            let not_null = if field.is_nullable() { "" } else { " not null" };
            format!("{} {}{not_null}", field.name(), field.data_type())
        })
        .collect();
    if schema.fields().len() > MOST_COLUMNS {
        text.push("...".to_owned());
    }
    text.join(", ")
}

/// The stream of one endpoint.
struct Part {
    connection: Connection,
    messages: Streaming<FlightData>,
    decoder: Decoder,
    meter: TransferMeter,
    deadline: Deadline,
    /// For what is waited for now: the first batch, or the next message after it.
    patience: Patience,
}

impl Part {
    async fn open(
        connection: Connection,
        request: tonic::Request<Ticket>,
        max_message_bytes: usize,
        meter: TransferMeter,
        deadline: Deadline,
    ) -> Result<(Self, SchemaRef)> {
        tracing::debug!(url = %connection.url, call = %Call::Get, "calling");
        let mut patience = deadline.first_batch();
        let mut service = connection.service();
        let opening = async {
            match service.do_get(request).await {
                Ok(response) => Ok(response.into_inner()),
                Err(status) => Err(connection.error(status, Call::Get)),
            }
        };
        let messages = connection.bounded(deadline, &mut patience, Call::Get, opening).await?;
        let mut part = Self {
            connection,
            messages,
            decoder: Decoder::new(max_message_bytes),
            meter,
            deadline,
            patience,
        };
        loop {
            match part.next_message().await? {
                Some(Decoded::Schema(schema)) => return Ok((part, schema)),
                Some(Decoded::Nothing) => {}
                // The decoder lets no batch pass before a schema.
                Some(Decoded::Batch(_)) | None => {
                    return Err(Error::new(
                        ErrorKind::Protocol,
                        format!(
                            "the server at {} ended the result before it told its schema",
                            part.connection.url
                        ),
                    ));
                }
            }
        }
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.next_message().await? {
                Some(Decoded::Batch(batch)) => {
                    self.patience = self.deadline.gap();
                    return Ok(Some(batch));
                }
                Some(Decoded::Schema(_) | Decoded::Nothing) => {}
                None => return Ok(None),
            }
        }
    }

    async fn next_message(&mut self) -> Result<Option<Decoded>> {
        let arriving = async {
            match self.messages.message().await {
                Ok(data) => Ok(data),
                Err(status) => Err(self.connection.error(status, Call::Get)),
            }
        };
        let message = self
            .connection
            .bounded(self.deadline, &mut self.patience, Call::Get, arriving)
            .await?;
        let Some(data) = message else { return Ok(None) };
        let bytes = data.data_header.len() + data.data_body.len() + data.app_metadata.len();
        let begun = Instant::now();
        let decoded = self.decoder.decode(data);
        self.meter.received(bytes as u64, begun.elapsed());
        decoded.map(Some)
    }
}
