//! Transactions.

use std::time::Duration;

use arrow_flight::sql::{
    ActionBeginSavepointRequest, ActionBeginSavepointResult, ActionBeginTransactionRequest,
    ActionBeginTransactionResult, ActionEndSavepointRequest, ActionEndTransactionRequest, CommandStatementQuery,
};
use async_trait::async_trait;
use bytes::Bytes;
use lakepilot_query::{
    PreparedStatement, Query, RecordBatchStream, Result, Savepoint, Transaction, TransactionService,
};

use crate::client::{FlightClient, packed, unpacked};
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::status::Call;

/// How long the server may take for a rollback that nobody waits for.
const ROLLBACK_PATIENCE: Duration = Duration::from_secs(5);

/// The numbers of `EndTransaction` and `EndSavepoint` in Arrow's `FlightSql.proto`.
const COMMIT: i32 = 1;
const ROLLBACK: i32 = 2;
const RELEASE: i32 = 1;

#[async_trait]
impl TransactionService for FlightClient {
    async fn begin(&self) -> Result<Box<dyn Transaction>> {
        const CALL: Call = Call::BeginTransaction;
        let deadline = self.query_deadline();
        let body = packed(&ActionBeginTransactionRequest {});
        let ask = async |home: Connection| {
            let answer = self
                .shared
                .action_at(home.clone(), CALL, body.clone(), deadline)
                .await?;
            Ok((answer, home))
        };
        let (answer, home) = self
            .renewing(CALL, deadline, || self.shared.connections.with_failover(&ask))
            .await?;
        let begun: ActionBeginTransactionResult = unpacked(self, CALL, answer)?;
        if begun.transaction_id.is_empty() {
            return Err(self.not_flight_sql(CALL, "it gave the transaction no id"));
        }
        Ok(Box::new(Open {
            client: self.clone(),
            home,
            id: begun.transaction_id,
            is_open: true,
        }))
    }
}

/// A transaction, at the server that began it: nothing of it goes to another one.
struct Open {
    client: FlightClient,
    home: Connection,
    id: Bytes,
    is_open: bool,
}

impl Open {
    async fn action(&self, call: Call, body: Bytes) -> Result<Option<Bytes>> {
        let deadline = self.client.query_deadline();
        let shared = &self.client.shared;
        self.client
            .renewing(call, deadline, || {
                shared.action_at(self.home.clone(), call, body.clone(), deadline)
            })
            .await
    }

    async fn end(&mut self, action: i32) -> Result<()> {
        // Were it not for the answer, it would be over: it is not ended twice.
        self.is_open = false;
        let request = end_request(self.id.clone(), action);
        self.action(Call::EndTransaction, packed(&request)).await.map(|_| ())
    }

    async fn end_savepoint(&self, savepoint: &Savepoint, action: i32) -> Result<()> {
        let request = ActionEndSavepointRequest {
            savepoint_id: Bytes::copy_from_slice(savepoint.handle()),
            action,
        };
        self.action(Call::EndSavepoint, packed(&request)).await.map(|_| ())
    }
}

fn end_request(transaction_id: Bytes, action: i32) -> ActionEndTransactionRequest {
    ActionEndTransactionRequest { transaction_id, action }
}

#[async_trait]
impl Transaction for Open {
    async fn run(&self, query: &Query) -> Result<RecordBatchStream> {
        let command = CommandStatementQuery {
            query: query.sql().to_owned(),
            transaction_id: Some(self.id.clone()),
        };
        let deadline = self.client.query_deadline();
        self.client
            .stream_at(&self.home, packed(&command), Some(query), deadline)
            .await
    }

    async fn update(&self, statement: &str) -> Result<Option<u64>> {
        self.client
            .update_at(&self.home, statement, Some(self.id.clone()))
            .await
    }

    async fn prepare_statement(&self, sql: &str) -> Result<Box<dyn PreparedStatement>> {
        self.client.statement(sql, Some((&self.home, &self.id))).await
    }

    async fn savepoint(&self, name: &str) -> Result<Savepoint> {
        const CALL: Call = Call::BeginSavepoint;
        let request = ActionBeginSavepointRequest {
            transaction_id: self.id.clone(),
            name: name.to_owned(),
        };
        let answer = self.action(CALL, packed(&request)).await?;
        let begun: ActionBeginSavepointResult = unpacked(&self.client, CALL, answer)?;
        Ok(Savepoint::from_handle(begun.savepoint_id))
    }

    async fn rollback_to(&self, savepoint: &Savepoint) -> Result<()> {
        self.end_savepoint(savepoint, ROLLBACK).await
    }

    async fn release(&self, savepoint: Savepoint) -> Result<()> {
        self.end_savepoint(&savepoint, RELEASE).await
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.end(COMMIT).await
    }

    async fn rollback(mut self: Box<Self>) -> Result<()> {
        self.end(ROLLBACK).await
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (client, home) = (self.client.clone(), self.home.clone());
        let body = packed(&end_request(self.id.clone(), ROLLBACK));
        runtime.spawn(async move {
            let deadline = Deadline::of_one_call(ROLLBACK_PATIENCE);
            let ended = client.shared.action_at(home, Call::EndTransaction, body, deadline);
            if let Err(error) = ended.await {
                tracing::debug!(%error, "a transaction that was let go was not rolled back");
            }
        });
    }
}
