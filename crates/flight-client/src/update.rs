//! Statements that change something.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::sql::CommandStatementUpdate;
use async_trait::async_trait;
use bytes::Bytes;
use lakepilot_query::{RecordBatchStream, Result, UpdateService};

use crate::client::{FlightClient, packed};
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::status::Call;

impl FlightClient {
    /// Runs a statement, in a transaction if one is named.
    pub(crate) async fn update_at(
        &self,
        home: &Connection,
        statement: &str,
        transaction: Option<Bytes>,
    ) -> Result<Option<u64>> {
        let command = CommandStatementUpdate {
            query: statement.to_owned(),
            transaction_id: transaction,
        };
        let deadline = self.query_deadline();
        self.put_one(home, Call::Update, packed(&command), None, deadline)
            .await
            .and_then(|answer| self.changed_rows(Call::Update, answer))
    }

    /// Sends a command with one batch, or without. It is sent again after credentials were refused, and only then: the
    /// server has done nothing with it.
    pub(crate) async fn put_one(
        &self,
        home: &Connection,
        call: Call,
        command: Bytes,
        batch: Option<&RecordBatch>,
        deadline: Deadline,
    ) -> Result<Option<Bytes>> {
        self.renewing(call, deadline, || {
            self.put(home, call, command.clone(), rows(batch), deadline)
        })
        .await
    }
}

/// Servers made with Arrow's C++ want a schema, were it one without columns.
fn rows(batch: Option<&RecordBatch>) -> RecordBatchStream {
    match batch {
        Some(batch) => RecordBatchStream::from_batches(batch.schema(), vec![batch.clone()]),
        None => RecordBatchStream::from_batches(Arc::new(Schema::empty()), Vec::new()),
    }
}

#[async_trait]
impl UpdateService for FlightClient {
    async fn update(&self, statement: &str) -> Result<Option<u64>> {
        let home = self.shared.connections.home();
        self.update_at(&home, statement, None).await
    }
}
