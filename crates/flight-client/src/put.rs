//! Rows to the server, and what it answers to them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::DoPutUpdateResult;
use arrow_flight::{FlightData, FlightDescriptor};
use bytes::Bytes;
use futures::channel::oneshot;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use lakepilot_query::{Error, ErrorKind, RecordBatchStream, Result};
use prost::Message;
use tokio::sync::Notify;

use crate::client::FlightClient;
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::status::Call;

/// How long the server may take to answer to rows that are called off.
const SPOIL_PATIENCE: Duration = Duration::from_secs(2);

impl FlightClient {
    /// Sends rows for a command to a server, and returns the first message that it answers with, if there is one.
    ///
    /// The error of the rows goes before that of the call.
    pub(crate) async fn put(
        &self,
        home: &Connection,
        call: Call,
        command: Bytes,
        rows: RecordBatchStream,
        deadline: Deadline,
    ) -> Result<Option<Bytes>> {
        let (failed, mut failure) = oneshot::channel();
        let progress = Progress::default();
        let messages = encoded(command, rows, failed, progress.clone());
        let mut put = pin!(self.put_messages(home, call, messages, &progress, deadline));
        tokio::select! {
            biased;
            Ok(error) = &mut failure => {
                // The server has to see the spoilt message, or it may take the end of the call for the end of the rows.
                if tokio::time::timeout(SPOIL_PATIENCE, put).await.is_err() {
                    tracing::debug!(%call, "the server did not answer to rows that were called off");
                }
                Err(error)
            }
            result = &mut put => match failure.try_recv() {
                Ok(Some(error)) => Err(error),
                _ => result.inspect_err(|error| {
                    self.shared.connections.leave(home, error);
                }),
            },
        }
    }

    async fn put_messages(
        &self,
        home: &Connection,
        call: Call,
        messages: impl Stream<Item = FlightData> + Send + 'static,
        progress: &Progress,
        deadline: Deadline,
    ) -> Result<Option<Bytes>> {
        let request = home
            .request(messages, &self.shared.config, None, deadline, call, &deadline.no_wait())
            .await?;
        tracing::debug!(url = %home.url, %call, "calling");
        let mut service = home.service();
        let work = async {
            let mut answers = match service.do_put(request).await {
                Ok(response) => response.into_inner(),
                Err(status) => return Err(home.error(status, call)),
            };
            let mut next = async || answers.message().await.map_err(|status| home.error(status, call));
            let answer = next().await?;
            // An error may still follow the answer.
            if answer.is_some() {
                next().await?;
            }
            Ok(answer.map(|answer| answer.app_metadata))
        };
        let mut work = pin!(work);
        loop {
            // Every message that the server takes is a sign of life, and waiting for the caller's rows is not its fault.
            let mut patience = deadline.gap();
            let step = async {
                tokio::select! {
                    biased;
                    outcome = &mut work => outcome.map(Some),
                    () = progress.made() => Ok(None),
                }
            };
            let outcome = if progress.waits_for_rows() {
                home.guarded(call, step).await?
            } else {
                home.bounded(deadline, &mut patience, call, step).await?
            };
            if let Some(answer) = outcome {
                return Ok(answer);
            }
        }
    }

    /// The number of rows in the answer to a command that changes something.
    pub(crate) fn changed_rows(&self, call: Call, answer: Option<Bytes>) -> Result<Option<u64>> {
        let answer = answer.ok_or_else(|| self.not_flight_sql(call, "it ended without the number of records"))?;
        let result = DoPutUpdateResult::decode(answer).map_err(|error| {
            self.not_flight_sql(call, "its answer is another message")
                .with_source(error)
        })?;
        // Flight SQL writes -1 for a number that is not known.
        Ok(u64::try_from(result.record_count).ok())
    }
}

/// What the stream of requests is doing, for the watch over the server.
#[derive(Clone, Debug, Default)]
struct Progress(Arc<ProgressState>);

#[derive(Debug, Default)]
struct ProgressState {
    waits_for_rows: AtomicBool,
    changed: Notify,
}

impl Progress {
    /// The transport has asked for the next message, and the caller's rows are waited for.
    fn waiting(&self) {
        self.0.waits_for_rows.store(true, Ordering::Relaxed);
        self.0.changed.notify_one();
    }

    /// A message was given to the transport: the server is to take it.
    fn given(&self) {
        self.0.waits_for_rows.store(false, Ordering::Relaxed);
        self.0.changed.notify_one();
    }

    fn waits_for_rows(&self) -> bool {
        self.0.waits_for_rows.load(Ordering::Relaxed)
    }

    async fn made(&self) {
        self.0.changed.notified().await;
    }
}

/// The batches as Flight messages. An error goes to `failed`, and what is sent in its place is a message that no server
/// can read: a stream of requests cannot end in an error, and a mere end would be taken for the whole.
fn encoded(
    command: Bytes,
    batches: RecordBatchStream,
    failed: oneshot::Sender<Error>,
    progress: Progress,
) -> impl Stream<Item = FlightData> + Send + 'static {
    let descriptor = FlightDescriptor::new_cmd(command);
    let schema = batches.schema();
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_flight_descriptor(Some(descriptor))
        .build(batches.map_err(|error| FlightError::ExternalError(Box::new(error))));
    stream::unfold(Some((messages, failed, progress)), |state| async {
        let (mut messages, failed, progress) = state?;
        progress.waiting();
        let next = messages.next().await;
        progress.given();
        match next? {
            Ok(message) => Some((message, Some((messages, failed, progress)))),
            Err(error) => {
                // Nobody listens only when the call is over already.
                let _ = failed.send(from_flight_error(error));
                Some((spoilt(), None))
            }
        }
    })
}

fn spoilt() -> FlightData {
    FlightData {
        data_header: Bytes::from_static(b"\xff\xff\xff\xffcalled off by the client"),
        ..FlightData::default()
    }
}

fn from_flight_error(error: FlightError) -> Error {
    match error {
        FlightError::ExternalError(error) => match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(other) => Error::new(ErrorKind::Internal, "a batch cannot be sent").with_source(other),
        },
        FlightError::Arrow(error) => Error::from(error).context("a batch cannot be sent"),
        other => Error::new(ErrorKind::Internal, "a batch cannot be sent").with_source(other),
    }
}
