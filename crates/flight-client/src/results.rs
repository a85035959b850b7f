//! The result of a query, endpoint by endpoint.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::{FlightEndpoint, FlightInfo, Ticket};
use futures::stream;
use lakepilot_query::{Error, ErrorKind, Query, RecordBatchStream, Result, TransferMeter};

use crate::client::Shared;
use crate::connection::{Connection, Place};
use crate::deadline::{Deadline, Patience};
use crate::ipc::{Decoded, Decoder, decode_schema};
use crate::messages::Messages;
use crate::parts;
use crate::status::Call;

/// Opens the endpoints of a result and waits for its schema: one as it is, several side by side.
///
/// `home` is the server that told of them.
pub(crate) async fn open(
    shared: Arc<Shared>,
    home: Connection,
    mut info: FlightInfo,
    query: Option<Query>,
    deadline: Deadline,
) -> Result<RecordBatchStream> {
    let asked = Asked {
        shared,
        home,
        query,
        deadline,
        meter: TransferMeter::new(),
        schema: Arc::default(),
    };
    if info.endpoint.len() > 1 {
        return parts::open(asked, info).await;
    }
    let Some(endpoint) = info.endpoint.pop() else {
        // A statement without a result.
        return Ok(RecordBatchStream::from_batches(
            decode_schema(&info.schema)?,
            Vec::new(),
        ));
    };
    let part = asked.enter(endpoint).await?;
    let schema = part.schema();
    let batches = stream::unfold(Some(part), |part| async {
        let mut part = part?;
        match part.next_batch().await {
            Ok(Some(batch)) => Some((Ok(batch), Some(part))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(RecordBatchStream::new(schema, batches).with_transfer(asked.meter))
}

/// What all parts of one result have in common.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) shared: Arc<Shared>,
    /// The server that the result was asked of.
    pub(crate) home: Connection,
    query: Option<Query>,
    deadline: Deadline,
    pub(crate) meter: TransferMeter,
    /// The schema of the part that told it first, which all have to have.
    pub(crate) schema: Arc<OnceLock<SchemaRef>>,
}

/// Why a part cannot be had at a place.
enum Refusal {
    /// It may be had at another.
    Here(Error),
    /// It cannot be had.
    Everywhere(Error),
}

impl Asked {
    /// Starts on an endpoint at the first of its places that answers, and checks that its schema is that of the others.
    pub(crate) async fn enter(&self, endpoint: FlightEndpoint) -> Result<Part> {
        let Shared {
            config, connections, ..
        } = &*self.shared;
        let ticket = endpoint
            .ticket
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::Protocol, "the server named an endpoint with no ticket"))?;
        let mut failure = None;
        for place in connections.places(&endpoint, config, &self.home) {
            match self.enter_at(place, ticket.clone()).await {
                Ok(part) => return self.with_checked_schema(part),
                Err(Refusal::Everywhere(error)) => return Err(error),
                Err(Refusal::Here(error)) => {
                    tracing::debug!(%error, "a location of the result cannot be used");
                    failure.get_or_insert(error);
                }
            }
        }
        let failure = failure.unwrap_or_else(|| Error::new(ErrorKind::Protocol, "no location was named"));
        Err(failure.context("the result lies where it cannot be fetched from"))
    }

    async fn enter_at(&self, place: Place, ticket: Ticket) -> Result<Part, Refusal> {
        let Shared {
            config, connections, ..
        } = &*self.shared;
        let mut no_wait = self.deadline.no_wait();
        let (connection, elsewhere) = match place {
            Place::Home => (self.home.clone(), None),
            Place::Useless(error) => return Err(Refusal::Here(error)),
            Place::Elsewhere(url) => {
                // Connecting has a limit of its own, after which another place is tried.
                let connecting = connections.connect_to(&url, config, &self.home);
                let connected = self
                    .deadline
                    .bound(&mut no_wait, Call::Get, &self.home.url, connecting)
                    .await;
                let connection = connected.map_err(Refusal::Everywhere)?.map_err(Refusal::Here)?;
                (connection, Some(url))
            }
        };
        let request = connection
            .request(ticket, config, self.query.as_ref(), self.deadline, Call::Get, &no_wait)
            .await
            .map_err(Refusal::Everywhere)?;
        let opened = Part::open(
            connection,
            request,
            config.max_message_bytes,
            self.meter.clone(),
            self.deadline,
        );
        opened.await.map_err(|error| match elsewhere {
            Some(url) if error.kind() == ErrorKind::Unavailable => {
                connections.found_dead(&url);
                Refusal::Here(error)
            }
            Some(_) => Refusal::Everywhere(error),
            None => {
                connections.leave(&self.home, &error);
                Refusal::Everywhere(error)
            }
        })
    }

    fn with_checked_schema(&self, part: Part) -> Result<Part> {
        let schema = part.schema();
        let expected = self.schema.get_or_init(|| Arc::clone(&schema));
        if *expected == schema {
            return Ok(part);
        }
        Err(Error::new(
            ErrorKind::Protocol,
            format!(
                "the parts of the result do not fit together: one has the columns ({}), another one ({})",
                columns(expected),
                columns(&schema)
            ),
        ))
    }

    /// Every batch has the schema of the stream, and not an equal one of its own endpoint.
    pub(crate) fn with_common_schema(&self, batch: RecordBatch) -> Result<RecordBatch> {
        match self.schema.get() {
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
pub(crate) struct Part {
    schema: SchemaRef,
    message_bytes: usize,
    connection: Connection,
    messages: Messages,
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
    ) -> Result<Self> {
        tracing::debug!(url = %connection.url, call = %Call::Get, "calling");
        let mut patience = deadline.first_batch();
        let channel = connection.channel();
        let opening = async {
            Messages::get(channel, request, max_message_bytes)
                .await
                .map_err(|status| connection.error(status, Call::Get))
        };
        let messages = connection.bounded(deadline, &mut patience, Call::Get, opening).await?;
        let mut part = Self {
            schema: Arc::new(Schema::empty()),
            message_bytes: 0,
            connection,
            messages,
            decoder: Decoder::new(max_message_bytes),
            meter,
            deadline,
            patience,
        };
        loop {
            match part.next_message().await? {
                Some(Decoded::Schema(schema)) => {
                    part.schema = schema;
                    return Ok(part);
                }
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

    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The bytes of the message that came last.
    pub(crate) fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    pub(crate) async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
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
            let message = self.messages.next().await;
            message.map_err(|status| self.connection.error(status, Call::Get))
        };
        let message = self
            .connection
            .bounded(self.deadline, &mut self.patience, Call::Get, arriving)
            .await?;
        let Some(data) = message else { return Ok(None) };
        let bytes = data.data_header.len() + data.data_body.len() + data.app_metadata.len();
        self.message_bytes = bytes;
        let begun = Instant::now();
        let decoded = self.decoder.decode(data);
        self.meter.received(bytes as u64, begun.elapsed());
        decoded.map(Some)
    }
}
