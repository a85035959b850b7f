//! Statements that the server keeps.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, DoPutPreparedStatementResult,
};
use async_trait::async_trait;
use bytes::Bytes;
use lakepilot_query::{PreparedStatement, PreparedStatements, RecordBatchStream, Result};
use prost::Message;
use std::time::Duration;

use crate::client::{FlightClient, packed, unpacked};
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::ipc::decode_schema;
use crate::status::Call;

/// How long closing a prepared statement may keep the answer waiting that is there already.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

impl FlightClient {
    /// Prepares a statement at the server that calls go to, or at the one that holds a transaction; tells which server has
    /// it.
    pub(crate) async fn create_prepared(
        &self,
        sql: &str,
        transaction: Option<(&Connection, &Bytes)>,
        deadline: Deadline,
    ) -> Result<(ActionCreatePreparedStatementResult, Connection)> {
        const CALL: Call = Call::Prepare;
        let request = ActionCreatePreparedStatementRequest {
            query: sql.to_owned(),
            transaction_id: transaction.map(|(_, id)| id.clone()),
        };
        let body = packed(&request);
        let ask = async |home: Connection| {
            let answer = self
                .shared
                .action_at(home.clone(), CALL, body.clone(), deadline)
                .await?;
            Ok((answer, home))
        };
        let (answer, home) = self
            .renewing(CALL, deadline, || async {
                match transaction {
                    Some((home, _)) => ask(home.clone()).await,
                    None => self.shared.connections.with_failover(ask).await,
                }
            })
            .await?;
        Ok((unpacked(self, CALL, answer)?, home))
    }

    /// Lets the server forget a prepared statement when its answer is there already, so that no failure matters.
    pub(crate) async fn forget_prepared(&self, home: Connection, handle: Bytes) {
        if let Err(error) = self
            .close_prepared(home, handle, Deadline::of_one_call(CLOSE_PATIENCE))
            .await
        {
            tracing::debug!(%error, "the prepared statement was not closed");
        }
    }

    async fn close_prepared(&self, home: Connection, handle: Bytes, deadline: Deadline) -> Result<()> {
        let request = ActionClosePreparedStatementRequest {
            prepared_statement_handle: handle,
        };
        let closed = self
            .shared
            .action_at(home, Call::ClosePrepared, packed(&request), deadline);
        closed.await.map(|_| ())
    }

    pub(crate) async fn statement(
        &self,
        sql: &str,
        transaction: Option<(&Connection, &Bytes)>,
    ) -> Result<Box<dyn PreparedStatement>> {
        let (prepared, home) = self.create_prepared(sql, transaction, self.query_deadline()).await?;
        // From here on the server is told to forget it, whatever happens.
        let mut statement = Statement {
            client: self.clone(),
            home,
            handle: prepared.prepared_statement_handle,
            schema: SchemaRef::new(arrow::datatypes::Schema::empty()),
            parameters: SchemaRef::new(arrow::datatypes::Schema::empty()),
            is_open: true,
        };
        statement.schema = decode_schema(&prepared.dataset_schema)?;
        statement.parameters = decode_schema(&prepared.parameter_schema)?;
        Ok(Box::new(statement))
    }
}

#[async_trait]
impl PreparedStatements for FlightClient {
    async fn prepare_statement(&self, sql: &str) -> Result<Box<dyn PreparedStatement>> {
        self.statement(sql, None).await
    }
}

/// A statement, at the server that keeps it.
struct Statement {
    client: FlightClient,
    home: Connection,
    handle: Bytes,
    schema: SchemaRef,
    parameters: SchemaRef,
    is_open: bool,
}

impl Statement {
    /// Gives the parameters to the server, and returns the handle that they go with: a server that keeps nothing writes them
    /// into a new one.
    async fn bind(&self, parameters: &RecordBatch, deadline: Deadline) -> Result<Bytes> {
        const CALL: Call = Call::Bind;
        let command = packed(&CommandPreparedStatementQuery {
            prepared_statement_handle: self.handle.clone(),
        });
        let answer = self
            .client
            .put_one(&self.home, CALL, command, Some(parameters), deadline.of_binding())
            .await?;
        // Servers from before there were new handles answer with nothing.
        let result = DoPutPreparedStatementResult::decode(answer.unwrap_or_default()).map_err(|error| {
            self.client
                .not_flight_sql(CALL, "its answer is another message")
                .with_source(error)
        })?;
        Ok(result
            .prepared_statement_handle
            .filter(|handle| !handle.is_empty())
            .unwrap_or_else(|| self.handle.clone()))
    }
}

#[async_trait]
impl PreparedStatement for Statement {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn parameter_schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.parameters)
    }

    async fn run(&self, parameters: Option<RecordBatch>) -> Result<RecordBatchStream> {
        let deadline = self.client.query_deadline();
        let handle = match &parameters {
            Some(parameters) => self.bind(parameters, deadline).await?,
            None => self.handle.clone(),
        };
        let command = CommandPreparedStatementQuery {
            prepared_statement_handle: handle,
        };
        self.client
            .stream_at(&self.home, packed(&command), None, deadline)
            .await
    }

    async fn update(&self, parameters: Option<RecordBatch>) -> Result<Option<u64>> {
        const CALL: Call = Call::UpdatePrepared;
        let command = packed(&CommandPreparedStatementUpdate {
            prepared_statement_handle: self.handle.clone(),
        });
        let deadline = self.client.query_deadline();
        let answer = self
            .client
            .put_one(&self.home, CALL, command, parameters.as_ref(), deadline)
            .await?;
        self.client.changed_rows(CALL, answer)
    }

    async fn close(mut self: Box<Self>) -> Result<()> {
        self.is_open = false;
        let deadline = self.client.query_deadline();
        self.client
            .close_prepared(self.home.clone(), self.handle.clone(), deadline)
            .await
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        // An empty handle names nothing that the server would keep.
        if !self.is_open || self.handle.is_empty() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (client, home, handle) = (self.client.clone(), self.home.clone(), self.handle.clone());
        runtime.spawn(async move { client.forget_prepared(home, handle).await });
    }
}
