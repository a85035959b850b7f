//! Rows into a table of the server.

use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandStatementIngest, DoPutUpdateResult, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use arrow_flight::{FlightData, FlightDescriptor};
use async_trait::async_trait;
use futures::channel::oneshot;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use lakepilot_query::{Error, ErrorKind, RecordBatchStream, Result};
use prost::Message;

use crate::client::{FlightClient, packed};
use crate::deadline::Deadline;
use crate::status::Call;

/// Loads rows in bulk, where a server offers it. Micromegas does for `processes`, `streams`, `blocks` and `payloads`, to
/// administrators.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait BulkIngestion: Send + Sync {
    /// Appends all batches to a table that exists, and tells how many records the server took, or `None` where it does
    /// not say.
    ///
    /// An error in `batches` calls the ingestion off; what the server has by then it may keep, unless it loads in one
    /// transaction.
    ///
    /// # Errors
    /// The error of `batches`; `Unsupported` when the server does not ingest; `PermissionDenied` when we may not; the
    /// kinds of the transport otherwise.
    async fn ingest(&self, table: &str, batches: RecordBatchStream) -> Result<Option<u64>>;
}

#[async_trait]
impl BulkIngestion for FlightClient {
    async fn ingest(&self, table: &str, batches: RecordBatchStream) -> Result<Option<u64>> {
        let (failed, failure) = oneshot::channel();
        let put = self.put(encoded(table, batches, failed));
        // A stream of requests cannot end in an error, only end; and an end would be taken for the whole. So it hangs
        // instead, and the call is dropped, which the server sees as a cancellation.
        tokio::select! {
            biased;
            Ok(error) = failure => Err(error),
            result = put => result,
        }
    }
}

impl FlightClient {
    async fn put(&self, messages: impl Stream<Item = FlightData> + Send + 'static) -> Result<Option<u64>> {
        let mut home = self.shared.connections.home().clone();
        let request = home
            .request(messages, &self.shared.config, None, Deadline::none())
            .await?;
        tracing::debug!(url = %home.url, call = %Call::Ingest, "calling");
        let mut answers = match home.service.do_put(request).await {
            Ok(response) => response.into_inner(),
            Err(status) => return Err(home.error(status, Call::Ingest)),
        };
        let mut next = async || {
            answers
                .message()
                .await
                .map_err(|status| home.error(status, Call::Ingest))
        };
        let answer = next()
            .await?
            .ok_or_else(|| self.not_flight_sql(Call::Ingest, "it ended without the number of records"))?;
        let result = DoPutUpdateResult::decode(answer.app_metadata).map_err(|error| {
            self.not_flight_sql(Call::Ingest, "its answer is another message")
                .with_source(error)
        })?;
        // An error may still follow the answer.
        next().await?;
        // Flight SQL writes -1 for a number that is not known.
        Ok(u64::try_from(result.record_count).ok())
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

/// The batches as Flight messages. After an error, which goes to `failed`, nothing more comes, and no end.
fn encoded(
    table: &str,
    batches: RecordBatchStream,
    failed: oneshot::Sender<Error>,
) -> impl Stream<Item = FlightData> + Send + 'static {
    let descriptor = FlightDescriptor::new_cmd(packed(&ingest_command(table)));
    let schema = batches.schema();
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_flight_descriptor(Some(descriptor))
        .build(batches.map_err(|error| FlightError::ExternalError(Box::new(error))));
    stream::unfold((messages, Some(failed)), |(mut messages, mut failed)| async move {
        match messages.next().await {
            Some(Ok(message)) => Some((message, (messages, failed))),
            Some(Err(error)) => {
                if let Some(failed) = failed.take() {
                    // Nobody listens only when the call is over already.
                    let _ = failed.send(from_flight_error(error));
                }
                futures::future::pending().await
            }
            None => None,
        }
    })
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
