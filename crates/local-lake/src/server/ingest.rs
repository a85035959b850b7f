//! Rows on their way in.

use arrow_flight::FlightData;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use futures::{Stream, StreamExt, TryStreamExt, future};
use http_body_util::BodyExt;
use lakepilot_query::{Error, ErrorKind, RecordBatchStream, Result};
use tonic::Status;
use tonic::body::Body;

use crate::server::served::{ServedLake, ServedTable};

/// Adds the rows to the table that the command names.
///
/// # Errors
/// `Unsupported` for an ingestion that creates or replaces a table, is temporary or within a transaction; `NotFound` for an
/// unknown table; `InvalidInput` for messages that are not rows; the errors of the lake.
pub(crate) async fn ingest(
    lake: &dyn ServedLake,
    command: &CommandStatementIngest,
    messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
) -> Result<u64> {
    check(command, &lake.tables()?)?;
    let rows = decoded(messages).await?;
    lake.ingest(&command.table, rows).await
}

/// Refuses what is more than rows for a table that exists. Without options, as the Micromegas client sends it, appending is
/// meant.
fn check(command: &CommandStatementIngest, tables: &[ServedTable]) -> Result<()> {
    let table = &command.table;
    let unsupported = |what: &str| {
        let message = format!("{what}: rows can only be appended to a table of the lake that exists");
        Err(Error::new(ErrorKind::Unsupported, message))
    };
    if table.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, "the ingestion names no table"));
    }
    if command.temporary {
        return unsupported("a temporary table is not offered");
    }
    if command.transaction_id.as_ref().is_some_and(|id| !id.is_empty()) {
        return unsupported("transactions are not offered");
    }
    let matches =
        |asked: &Option<String>, has: &str| asked.as_ref().is_none_or(|asked| asked.is_empty() || asked == has);
    let elsewhere = tables.iter().any(|known| {
        known.name == *table && !(matches(&command.catalog, &known.catalog) && matches(&command.schema, &known.schema))
    });
    if elsewhere {
        let message = format!("there is no table {table} in the catalog and schema that the ingestion names");
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    let exists = tables.iter().any(|known| known.name == *table);
    let Some(options) = &command.table_definition_options else {
        return Ok(());
    };
    if exists && options.if_exists() == TableExistsOption::Fail {
        let message = format!("the table {table} exists, and the ingestion is to fail then; append to it instead");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    if exists && options.if_exists() == TableExistsOption::Replace {
        return unsupported(&format!("the table {table} cannot be replaced"));
    }
    if !exists && options.if_not_exist() == TableNotExistOption::Create {
        return unsupported(&format!("the table {table} cannot be created"));
    }
    Ok(())
}

/// The rows in the messages, once the schema has arrived.
async fn decoded(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
) -> Result<RecordBatchStream> {
    // A message with nothing in it may carry the command alone.
    let messages = messages
        .try_filter(|message| future::ready(!message.data_header.is_empty()))
        .map_err(|status| FlightError::Tonic(Box::new(status)));
    let mut decoder = FlightDataDecoder::new(messages);
    let schema = loop {
        match decoder.next().await.transpose().map_err(received)? {
            Some(decoded) => match decoded.payload {
                DecodedPayload::Schema(schema) => break schema,
                DecodedPayload::None => {}
                DecodedPayload::RecordBatch(_) => return Err(no_schema()),
            },
            None => return Err(no_schema()),
        }
    };
    let batches = decoder.map_err(received).try_filter_map(|decoded| {
        future::ready(match decoded.payload {
            DecodedPayload::RecordBatch(batch) => Ok(Some(batch)),
            DecodedPayload::None => Ok(None),
            DecodedPayload::Schema(_) => Err(Error::new(
                ErrorKind::InvalidInput,
                "the rows change their schema midway",
            )),
        })
    });
    Ok(RecordBatchStream::new(schema, batches))
}

fn no_schema() -> Error {
    Error::new(ErrorKind::InvalidInput, "the ingestion has no schema ahead of its rows")
}

/// Makes a call that is broken off end with an error. tonic would make it end as if the client had sent its last message,
/// and half of an ingestion would be taken for the whole.
pub(crate) fn end_with_the_last_message(request: http::Request<Body>) -> http::Request<Body> {
    request.map(|body| {
        let broken_off = |_| Status::aborted("the client broke the call off");
        Body::new(body.map_err(broken_off))
    })
}

/// An error of the stream that a client sends: most of all, that the client is gone.
fn received(error: FlightError) -> Error {
    match error {
        FlightError::Tonic(status) => Error::new(
            ErrorKind::Cancelled,
            format!("the rows stopped coming: {}", status.message()),
        ),
        other => Error::new(ErrorKind::InvalidInput, format!("the rows cannot be read: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Schema;
    use arrow_flight::sql::TableDefinitionOptions;
    use std::sync::Arc;

    fn tables() -> Vec<ServedTable> {
        vec![ServedTable {
            catalog: "datafusion".to_owned(),
            schema: "public".to_owned(),
            name: "processes".to_owned(),
            columns: Arc::new(Schema::empty()),
        }]
    }

    fn command(table: &str) -> CommandStatementIngest {
        CommandStatementIngest {
            table: table.to_owned(),
            ..CommandStatementIngest::default()
        }
    }

    fn with(not_exist: TableNotExistOption, exists: TableExistsOption, table: &str) -> CommandStatementIngest {
        CommandStatementIngest {
            table_definition_options: Some(TableDefinitionOptions {
                if_not_exist: not_exist.into(),
                if_exists: exists.into(),
            }),
            ..command(table)
        }
    }

    #[test]
    fn only_appending_is_let_through() {
        use TableExistsOption::{Append, Fail, Replace};
        use TableNotExistOption::{Create, Fail as Refuse};
        let in_schema = |schema: &str| CommandStatementIngest {
            schema: Some(schema.to_owned()),
            ..command("processes")
        };
        let temporary = CommandStatementIngest {
            temporary: true,
            ..command("processes")
        };
        let transaction = CommandStatementIngest {
            transaction_id: Some("t".into()),
            ..command("processes")
        };
        for (command, expected) in [
            (command("processes"), None),
            (in_schema("public"), None),
            (with(Refuse, Append, "processes"), None),
            (with(Create, Append, "processes"), None),
            // Whether such a table takes rows is for the lake to say.
            (command("payloads"), None),
            (with(Refuse, Append, "payloads"), None),
            (in_schema("elsewhere"), Some(ErrorKind::NotFound)),
            (with(Create, Fail, "processes"), Some(ErrorKind::InvalidInput)),
            (with(Create, Replace, "processes"), Some(ErrorKind::Unsupported)),
            (with(Create, Append, "new_table"), Some(ErrorKind::Unsupported)),
            (temporary, Some(ErrorKind::Unsupported)),
            (transaction, Some(ErrorKind::Unsupported)),
            (CommandStatementIngest::default(), Some(ErrorKind::InvalidInput)),
        ] {
            let refused = check(&command, &tables()).err().map(|error| error.kind());
            assert_eq!(refused, expected, "{command:?}");
        }
    }
}
