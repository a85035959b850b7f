//! Calling the service's administrative functions, which answer with rows of `(time, msg)`.

use chrono::{DateTime, SecondsFormat, Utc};
use futures::TryStreamExt;
use lakepilot_catalog::ColumnReader;
use lakepilot_query::{Error, ErrorKind, Query, QueryService, Result, quote_literal};

use crate::ServerMessage;

/// One call of an administrative function.
#[derive(Debug)]
pub(crate) struct Call {
    function: &'static str,
    sql: String,
}

impl Call {
    /// A call with arguments that are SQL already.
    pub(crate) fn new(function: &'static str, arguments: &[String]) -> Self {
        Self {
            function,
            sql: format!("SELECT time, msg FROM {function}({})", arguments.join(", ")),
        }
    }

    /// A call in a statement of its own, which answers with a column `msg`.
    pub(crate) fn of_sql(function: &'static str, sql: String) -> Self {
        Self { function, sql }
    }

    /// Runs the call to the end of its answer, and hands over each message as it arrives.
    ///
    /// The end matters: the service rolls back what is not read to it.
    pub(crate) async fn drain(&self, service: &dyn QueryService, mut each: impl FnMut(ServerMessage)) -> Result<()> {
        let refusal = |error| self.refusal(error);
        let mut batches = service.run(&Query::new(&self.sql)?).await.map_err(refusal)?;
        let of = format!("{}()", self.function);
        // A message that cannot be read must not end the reading, and with it the transaction.
        let mut unreadable = None;
        while let Some(batch) = batches.try_next().await.map_err(refusal)? {
            match read(&ColumnReader::new(&batch, &of)) {
                Ok(messages) => messages.into_iter().for_each(&mut each),
                Err(error) => unreadable = unreadable.or(Some(error)),
            }
        }
        unreadable.map_or(Ok(()), Err)
    }

    /// A server tells those who are not administrators that the function does not exist. This tells them what it means.
    fn refusal(&self, error: Error) -> Error {
        let text = error.message().to_lowercase();
        let names_it = text.contains(self.function);
        if !(names_it && (text.contains("not found") || text.contains("invalid function"))) {
            return error;
        }
        let refusal = Error::new(
            ErrorKind::PermissionDenied,
            format!(
                "the server does not let these credentials use {}(): administrator rights are missing (it tells those \
                 without them that there is no such function), or it is too old to have it; ask with an \
                 administrator's token, or see which accounts the server's configuration makes administrators",
                self.function
            ),
        );
        let refusal = match error.query_id() {
            Some(id) => refusal.with_query_id(id),
            None => refusal,
        };
        refusal.with_source(error)
    }
}

fn read(columns: &ColumnReader<'_>) -> Result<Vec<ServerMessage>> {
    let times = columns.if_readable::<DateTime<Utc>>("time");
    let messages = columns.required::<String>("msg")?;
    (0..columns.num_rows())
        .map(|row| {
            Ok(ServerMessage {
                time: times.get(row).ok().flatten(),
                message: messages.get(row)?.unwrap_or_default(),
            })
        })
        .collect()
}

/// A time as an argument: with its zone, without which the service fails, and exact, without which it misses.
pub(crate) fn time_argument(time: DateTime<Utc>) -> String {
    let digits = match time.timestamp_subsec_nanos() % 1_000 {
        0 => SecondsFormat::Micros,
        _ => SecondsFormat::Nanos,
    };
    quote_literal(&time.to_rfc3339_opts(digits, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_and_have_their_zone() {
        for (nanos, text) in [
            (1_700_000_000_000_000_000, "'2023-11-14T22:13:20.000000Z'"),
            (1_700_000_000_000_001_000, "'2023-11-14T22:13:20.000001Z'"),
            (1_700_000_000_000_001_001, "'2023-11-14T22:13:20.000001001Z'"),
        ] {
            assert_eq!(time_argument(DateTime::from_timestamp_nanos(nanos)), text);
        }
    }

    #[test]
    fn a_missing_function_is_missing_rights() {
        let call = Call::new("retire_partitions", &[]);
        for message in [
            "Invalid function 'retire_partitions'.\nDid you mean 'list_partitions'?",
            "table function 'retire_partitions' not found",
        ] {
            let error = call.refusal(Error::new(ErrorKind::InvalidQuery, message).with_query_id("7"));
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert_eq!(error.query_id(), Some("7"));
            assert!(error.message().contains("administrator rights are missing"), "{error}");
            assert!(std::error::Error::source(&error).is_some());
        }
        for message in ["table 'x' not found", "retire_partitions: bad timestamp"] {
            let error = call.refusal(Error::new(ErrorKind::InvalidQuery, message));
            assert_eq!(error.kind(), ErrorKind::InvalidQuery, "{message}");
        }
    }
}
