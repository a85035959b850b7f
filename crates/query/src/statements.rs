//! What a service may offer beside queries: statements that change something, prepared ones, and transactions.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;

use crate::{Query, RecordBatchStream, Result};

/// Runs statements that change something.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait UpdateService: Send + Sync {
    /// Runs a statement, such as an `INSERT`, and tells how many rows it changed, or `None` where the server does not say.
    ///
    /// It is never run twice: when the answer is lost, nobody knows whether it was run, and that is the error.
    ///
    /// # Errors
    /// `InvalidQuery` when the SQL is not accepted; `Unsupported` when the service changes nothing; `PermissionDenied` when
    /// we may not; the kinds of the transport otherwise.
    async fn update(&self, statement: &str) -> Result<Option<u64>>;
}

/// Keeps statements on the service, to be run with parameters and more than once.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PreparedStatements: Send + Sync {
    /// Plans a statement and keeps it on the service.
    ///
    /// # Errors
    /// `InvalidQuery` when the SQL is not accepted; `Unsupported` when the service keeps no statements; the kinds of the
    /// transport otherwise.
    async fn prepare_statement(&self, sql: &str) -> Result<Box<dyn PreparedStatement>>;
}

/// A statement that the service keeps, until it is closed or dropped.
///
/// Parameters are one batch: a column for each of them in their order. A query takes one row. A statement that changes
/// something runs once for each row.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PreparedStatement: Send + Sync {
    /// The schema of its result; without columns for one that has none, or when the service does not tell.
    fn schema(&self) -> SchemaRef;

    /// The schema of its parameters; without columns for a statement that has none, or when the service does not tell.
    fn parameter_schema(&self) -> SchemaRef;

    /// Runs it as a query.
    ///
    /// Runs of one statement with different parameters do not belong side by side: some services keep the parameters with
    /// the statement.
    ///
    /// # Errors
    /// `Unsupported` when the service runs no statements by handle, or takes no parameters, as Micromegas; `NotFound` or
    /// `InvalidInput` when it has forgotten the statement; the kinds of the transport otherwise.
    async fn run(&self, parameters: Option<RecordBatch>) -> Result<RecordBatchStream>;

    /// Runs it as a statement that changes something, and tells how many rows it changed, or `None` where the service does
    /// not say.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    async fn update(&self, parameters: Option<RecordBatch>) -> Result<Option<u64>>;

    /// Has the service forget it, and waits for that. Dropping it tells the service too, and waits for nothing.
    ///
    /// # Errors
    /// The kinds of the transport.
    async fn close(self: Box<Self>) -> Result<()>;
}

/// Begins transactions.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TransactionService: Send + Sync {
    /// Begins a transaction.
    ///
    /// # Errors
    /// `Unsupported` when the service has none; the kinds of the transport otherwise.
    async fn begin(&self) -> Result<Box<dyn Transaction>>;
}

/// A transaction. Dropping it without a commit rolls it back: the service is told, and not waited for.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Transaction: Send + Sync {
    /// Runs a query in it, as [`QueryService::run`](crate::QueryService::run) does outside.
    ///
    /// # Errors
    /// As there.
    async fn run(&self, query: &Query) -> Result<RecordBatchStream>;

    /// Runs a statement in it, as [`UpdateService::update`] does outside.
    ///
    /// # Errors
    /// As there.
    async fn update(&self, statement: &str) -> Result<Option<u64>>;

    /// Prepares a statement that runs in it, as [`PreparedStatements::prepare_statement`] does outside.
    ///
    /// # Errors
    /// As there.
    async fn prepare_statement(&self, sql: &str) -> Result<Box<dyn PreparedStatement>>;

    /// Marks this moment of it with a name, to come back to.
    ///
    /// # Errors
    /// `Unsupported` when the service has no savepoints; the kinds of the transport otherwise.
    async fn savepoint(&self, name: &str) -> Result<Savepoint>;

    /// Undoes what was done since a savepoint, which is still there after it.
    ///
    /// # Errors
    /// The kinds of the transport.
    async fn rollback_to(&self, savepoint: &Savepoint) -> Result<()>;

    /// Forgets a savepoint, and keeps what was done since.
    ///
    /// # Errors
    /// The kinds of the transport.
    async fn release(&self, savepoint: Savepoint) -> Result<()>;

    /// Makes what was done in it lasting. When the answer is lost, nobody knows whether it is, and that is the error.
    ///
    /// # Errors
    /// `Cancelled` when the service gave it up for another one; the kinds of the transport otherwise.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Undoes what was done in it.
    ///
    /// # Errors
    /// The kinds of the transport; the service then rolls it back when it has waited for long enough.
    async fn rollback(self: Box<Self>) -> Result<()>;
}

/// A moment in a transaction, in the words of the service that named it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Savepoint(Vec<u8>);

impl Savepoint {
    /// The savepoint that a service calls so.
    pub fn from_handle(handle: impl Into<Vec<u8>>) -> Self {
        Self(handle.into())
    }

    /// What the service calls it.
    pub fn handle(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind, MockPreparedStatement, MockTransaction, MockTransactionService};
    use std::sync::Arc;

    #[tokio::test]
    async fn the_traits_can_be_mocked_and_boxed() {
        let mut service = MockTransactionService::new();
        service.expect_begin().returning(|| {
            let mut transaction = MockTransaction::new();
            transaction.expect_update().returning(|_| Ok(Some(3)));
            transaction
                .expect_savepoint()
                .returning(|name| Ok(Savepoint::from_handle(name)));
            transaction
                .expect_commit()
                .returning(|| Err(Error::new(ErrorKind::Cancelled, "another one was faster")));
            Ok(Box::new(transaction))
        });
        let service: Arc<dyn TransactionService> = Arc::new(service);
        let transaction = service.begin().await.unwrap();
        assert_eq!(transaction.update("DELETE FROM t").await.unwrap(), Some(3));
        assert_eq!(transaction.savepoint("a").await.unwrap().handle(), b"a");
        assert_eq!(transaction.commit().await.unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[tokio::test]
    async fn a_statement_can_be_closed_out_of_its_box() {
        let mut statement = MockPreparedStatement::new();
        statement.expect_close().times(1).returning(|| Ok(()));
        let statement: Box<dyn PreparedStatement> = Box::new(statement);
        statement.close().await.unwrap();
    }
}
