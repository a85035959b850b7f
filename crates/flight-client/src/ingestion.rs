//! Rows into a table of the server.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandStatementIngest, DoPutUpdateResult, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use arrow_flight::{FlightData, FlightDescriptor};
use async_trait::async_trait;
use bytes::Bytes;
use futures::channel::oneshot;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use lakepilot_query::{Error, ErrorKind, RecordBatchStream, Result};
use prost::Message;
use tokio::sync::Notify;

use crate::client::{FlightClient, packed};
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::status::Call;

/// How long the server may take to answer to an ingestion that is called off.
const SPOIL_PATIENCE: Duration = Duration::from_secs(2);

/// Loads rows in bulk, where a server offers it. Micromegas does for `processes`, `streams`, `blocks` and `payloads`, to
/// administrators.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait BulkIngestion: Send + Sync {
    /// Appends all batches to a table that exists, and tells how many records the server took, or `None` where it does
    /// not say.
    ///
    /// An error in `batches` makes the ingestion fail on the server too; rows that arrived before it may stay, unless the
    /// server loads in one transaction. The same goes for dropping the future, with one more uncertainty: servers on some
    /// gRPC stacks (tonic) cannot tell a call that was dropped from one that came to its end.
    ///
    /// # Errors
    /// The error of `batches`; `TimedOut` when the server neither takes rows nor answers for longer than the gap that the
    /// configuration allows; `Unsupported` when the server does not ingest; `PermissionDenied` when we may not; the
    /// kinds of the transport otherwise.
    async fn ingest(&self, table: &str, batches: RecordBatchStream) -> Result<Option<u64>>;
}

#[async_trait]
impl BulkIngestion for FlightClient {
    async fn ingest(&self, table: &str, batches: RecordBatchStream) -> Result<Option<u64>> {
        let (failed, mut failure) = oneshot::channel();
        let progress = Progress::default();
        let messages = encoded(table, batches, failed, progress.clone());
        let home = self.shared.connections.home();
        let mut put = pin!(self.put(&home, messages, &progress));
        tokio::select! {
            biased;
            Ok(error) = &mut failure => {
                // The server has to see the spoilt message, or it may take the end of the call for the end of the rows.
                if tokio::time::timeout(SPOIL_PATIENCE, put).await.is_err() {
                    tracing::debug!(table, "the server did not answer to an ingestion that was called off");
                }
                Err(error)
            }
            result = &mut put => match failure.try_recv() {
                Ok(Some(error)) => Err(error),
                _ => result.inspect_err(|error| {
                    self.shared.connections.leave(&home, error);
                }),
            },
        }
    }
}

impl FlightClient {
    async fn put(
        &self,
        home: &Connection,
        messages: impl Stream<Item = FlightData> + Send + 'static,
        progress: &Progress,
    ) -> Result<Option<u64>> {
        const CALL: Call = Call::Ingest;
        let deadline = Deadline::of_ingestion(self.shared.config.limits);
        let request = home
            .request(messages, &self.shared.config, None, deadline, CALL, &deadline.no_wait())
            .await?;
        tracing::debug!(url = %home.url, call = %CALL, "calling");
        let mut service = home.service();
        let work = async {
            let mut answers = match service.do_put(request).await {
                Ok(response) => response.into_inner(),
                Err(status) => return Err(home.error(status, CALL)),
            };
            let mut next = async || answers.message().await.map_err(|status| home.error(status, CALL));
            let answer = next()
                .await?
                .ok_or_else(|| self.not_flight_sql(CALL, "it ended without the number of records"))?;
            let result = DoPutUpdateResult::decode(answer.app_metadata).map_err(|error| {
                self.not_flight_sql(CALL, "its answer is another message")
                    .with_source(error)
            })?;
            // An error may still follow the answer.
            next().await?;
            // Flight SQL writes -1 for a number that is not known.
            Ok(u64::try_from(result.record_count).ok())
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
                home.guarded(CALL, step).await?
            } else {
                home.bounded(deadline, &mut patience, CALL, step).await?
            };
            if let Some(count) = outcome {
                return Ok(count);
            }
        }
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

fn ingest_command(table: &str) -> CommandStatementIngest {
    CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Fail.into(),
            if_exists: TableExistsOption::Append.into(),
        }),
        table: table.to_owned(),
        ..CommandStatementIngest::default()
    }
}

/// The batches as Flight messages. An error goes to `failed`, and what is sent in its place is a message that no server
/// can read: a stream of requests cannot end in an error, and a mere end would be taken for the whole.
fn encoded(
    table: &str,
    batches: RecordBatchStream,
    failed: oneshot::Sender<Error>,
    progress: Progress,
) -> impl Stream<Item = FlightData> + Send + 'static {
    let descriptor = FlightDescriptor::new_cmd(packed(&ingest_command(table)));
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
