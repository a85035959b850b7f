//! The vocabulary that all of Lakepilot shares.
//!
//! This crate holds the one trait that answers queries, [`QueryService`], and the words that go in and out of it:
//! [`Query`], [`TimeRange`], [`RecordBatchStream`], [`PreparedQuery`], [`Error`]. It knows no transport and no runtime, so
//! that the crates above it can name the trait and never the implementation:
//!
//! ```text
//!                    lakepilot (the program)
//!        ┌───────────┬──────┴─────┬─────────────┬──────────────┐
//!      admin     execution     analysis     local-lake    flight-client
//!        └───────────┴──────┬─────┘             │              │
//!                        catalog                │              │
//!                           └─────────── query ─┴──────────────┘
//! ```
//!
//! Whoever implements the two methods of [`QueryService`] gets the rest: the conveniences of [`QueryServiceExt`] and
//! everything in the crates above.
//!
//! # Example
//! A service that answers every query with one row, asked for that row:
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow::array::{Int64Array, RecordBatch};
//! use arrow::datatypes::{DataType, Field, Schema};
//! use async_trait::async_trait;
//! use lakepilot_query::{
//!     PreparedQuery, Query, QueryService, QueryServiceExt, RecordBatchStream, Result,
//! };
//!
//! struct Answer;
//!
//! fn schema() -> Arc<Schema> {
//!     Arc::new(Schema::new(vec![Field::new("answer", DataType::Int64, false)]))
//! }
//!
//! #[async_trait]
//! impl QueryService for Answer {
//!     async fn run(&self, _query: &Query) -> Result<RecordBatchStream> {
//!         let batch = RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from(vec![42]))])?;
//!         Ok(RecordBatchStream::from_batches(schema(), vec![batch]))
//!     }
//!
//!     async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
//!         Ok(PreparedQuery::new(schema()))
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let row = futures::executor::block_on(Answer.first_row(&Query::new("SELECT answer")?))?;
//! assert_eq!(row.map(|row| row.num_rows()), Some(1));
//! # Ok(())
//! # }
//! ```
//!
//! # Beside queries
//! What else a service may offer is a small trait each, so that a mock, or a service that only answers queries, has no more
//! than two methods: [`ServerMetadata`] (catalogues, schemas, tables, keys, types, and [`ServerInfo`], what a server claims
//! of itself), [`UpdateService`], [`PreparedStatements`] with parameters, [`TransactionService`] with savepoints,
//! [`BulkIngestion`]. None of them names a type of a transport.
//!
//! # Features
//! - `mock`: `MockQueryService` and a mock of every other trait, made by `mockall`, for the tests of whoever takes one.

mod error;
mod ingestion;
mod metadata;
mod query;
mod server_info;
mod service;
mod sql;
mod statements;
mod time;
mod transfer;

pub use error::{Error, ErrorKind, Position, Result};
pub use ingestion::BulkIngestion;
#[cfg(feature = "mock")]
pub use ingestion::MockBulkIngestion;
#[cfg(feature = "mock")]
pub use metadata::MockServerMetadata;
pub use metadata::{SchemaFilter, ServerMetadata, TableFilter, TableName};
pub use query::{Dictionaries, Query};
pub use server_info::{InfoValue, ServerInfo, TransactionSupport};
#[cfg(feature = "mock")]
pub use service::MockQueryService;
pub use service::{PreparedQuery, QueryResult, QueryService, QueryServiceExt, RecordBatchStream};
pub use sql::{quote_identifier, quote_literal, quote_time};
#[cfg(feature = "mock")]
pub use statements::{
    MockPreparedStatement, MockPreparedStatements, MockTransaction, MockTransactionService, MockUpdateService,
};
pub use statements::{
    PreparedStatement, PreparedStatements, Savepoint, Transaction, TransactionService, UpdateService,
};
pub use time::{Clock, FixedClock, SystemClock, TimeRange, parse_duration, parse_time, to_rfc3339};
pub use transfer::{Transfer, TransferMeter};
