//! Runs large queries in batches, with progress, statistics and sinks.
//!
//! [`BatchedExecutor`] takes any [`QueryService`](lakepilot_query::QueryService) and runs a query into a [`BatchSink`]: a
//! file that appears only when it is whole ([`FileSink`]), a writer ([`WriterSink`]), or a function of the caller
//! ([`CallbackSink`], [`AsyncCallbackSink`]). Batches are merged and split towards a size in bytes ([`BatchSize`]), whatever
//! size they arrive in. A [`ProgressObserver`] is told what happens; [`Statistics`] tell afterwards.
//!
//! An estimate of the number of rows ([`RowEstimator`]) is asked for while the query already runs, so that it never delays
//! the first batch.
//!
//! A query that is known to be a plain scan can be cut into slices of time ([`Slicing`]) that run at the same time
//! ([`BatchedExecutor::execute_sliced`]); every row still arrives exactly once. As long as no row was delivered, a query or a
//! slice that failed because the server was not there is asked again ([`RetryPolicy`]); limits of time ([`Timeouts`]) end
//! what hangs.
//!
//! Into a directory ([`BatchedExecutor::execute_into_directory`]), every slice is a file, and a run that was killed is
//! taken up where it ended; [`verify_parts`] checks one that is done.
//!
//! The crate knows no transport: the service may be remote, embedded or a mock. It does not know what a query means either;
//! whoever does passes that in, such as the view instance of a [`PartitionEstimator`].
//!
//! # Example
//! ```
//! use std::sync::Arc;
//!
//! use arrow::array::{Int64Array, RecordBatch};
//! use async_trait::async_trait;
//! use lakepilot_execution::{BatchSize, BatchedExecutor, CallbackSink, ExecutionOptions, NoProgress};
//! use lakepilot_query::{PreparedQuery, Query, QueryService, RecordBatchStream, Result};
//!
//! /// Answers with two batches of three rows; a `FlightClient` takes its place in earnest.
//! struct SmallLake;
//!
//! fn batch() -> Result<RecordBatch> {
//!     Ok(RecordBatch::try_from_iter([("level", Arc::new(Int64Array::from(vec![2, 4, 4])) as _)])?)
//! }
//!
//! #[async_trait]
//! impl QueryService for SmallLake {
//!     async fn run(&self, _query: &Query) -> Result<RecordBatchStream> {
//!         Ok(RecordBatchStream::from_batches(batch()?.schema(), vec![batch()?, batch()?]))
//!     }
//!
//!     async fn prepare(&self, _query: &Query) -> Result<PreparedQuery> {
//!         Ok(PreparedQuery::new(batch()?.schema()))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let options = ExecutionOptions::new().with_batch_size(BatchSize::Bytes(1_000_000));
//! let executor = BatchedExecutor::new(Arc::new(SmallLake), options);
//! let mut sizes = Vec::new();
//! let mut sink = CallbackSink::new(|_index, batch: RecordBatch| {
//!     sizes.push(batch.num_rows());
//!     Ok(())
//! });
//! let query = Query::new("SELECT level FROM log_entries")?;
//! let statistics = executor.execute(&query, &mut sink, &NoProgress).await?;
//! assert_eq!(statistics.rows_processed, 6);
//! assert_eq!(sizes, [6]);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! - `mock`: mocks of the traits, made by `mockall`.
//! - `object-store`: [`ObjectSink`], for any store of the `object_store` crate, and [`sink_to_url`], for the place that a URL names.
//! - `cloud`: the same, with `s3://`, `gs://` and `az://`.

mod estimate;
mod executor;
mod faults;
mod memory;
mod metering;
mod options;
mod parts;
mod progress;
mod rebatch;
mod sink;
mod size;
mod slices;
mod source;
mod statement;
mod statistics;

#[cfg(feature = "mock")]
pub use estimate::MockRowEstimator;
pub use estimate::{CountEstimator, Estimate, EstimateBasis, PartitionEstimator, RowEstimator};
pub use executor::BatchedExecutor;
pub use faults::{DeadlineService, RetryPolicy, RetryingService, Timeouts};
pub use options::{BatchSize, ExecutionOptions};
pub use parts::{Part, PartsDirectory, PartsOutcome, PartsRequest, Verification, verify_parts};
#[cfg(feature = "mock")]
pub use progress::MockProgressObserver;
pub use progress::{NoProgress, ProgressEvent, ProgressObserver, ProgressSnapshot};
pub use rebatch::Rebatcher;
#[cfg(feature = "mock")]
pub use sink::MockBatchSink;
pub use sink::{
    AsyncCallbackSink, BatchSink, CallbackSink, Compression, DiscardSink, Encoding, FileFormat, FileSink, SinkSummary,
    WriterSink,
};
#[cfg(feature = "object-store")]
pub use sink::{ObjectSink, sink_to_url, sink_to_url_with};
pub use size::batch_bytes;
pub use slices::{ScanPredicate, SliceOrder, SliceRule, Slicing, auto_slices, slices_along};
pub use statistics::{EstimateReport, Latency, Statistics};
