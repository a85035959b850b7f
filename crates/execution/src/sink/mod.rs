//! Where batches go.

mod callback;
#[cfg(feature = "cloud")]
mod cloud;
mod encoder;
mod file;
#[cfg(feature = "object-store")]
mod object;
mod parquet;
#[cfg(feature = "object-store")]
mod place;
mod writer;

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakepilot_query::Result;
use serde::Serialize;

pub use callback::{AsyncCallbackSink, CallbackSink, DiscardSink};
pub use encoder::{Compression, Encoding, FileFormat};
pub use file::FileSink;
pub(crate) use file::PARTIAL_PREFIX;
#[cfg(feature = "object-store")]
pub use object::ObjectSink;
#[cfg(feature = "object-store")]
pub use place::{sink_to_url, sink_to_url_with};
pub use writer::WriterSink;

/// What a sink has made of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SinkSummary {
    /// The bytes that were written, encoded; zero for a sink that writes none.
    pub bytes_written: u64,
    /// The time that encoding took, on all threads together.
    #[serde(skip)]
    pub encoding_time: Duration,
}

/// Takes the batches of a run, one after the other.
///
/// The executor calls [`limit_memory`](Self::limit_memory) when it has a budget, [`start`](Self::start) once,
/// [`write`](Self::write) for every batch in order, and then either [`finish`](Self::finish) or [`abort`](Self::abort). A
/// sink that is dropped before `finish` leaves nothing half-written.
#[async_trait]
pub trait BatchSink: Send {
    /// The schema of the batches to come, also when none comes.
    ///
    /// # Errors
    /// The run ends with them.
    async fn start(&mut self, schema: SchemaRef) -> Result<()>;

    /// A batch, with its number from zero.
    ///
    /// # Errors
    /// The query is called off, and the run ends with them.
    async fn write(&mut self, index: u64, batch: RecordBatch) -> Result<()>;

    /// All batches were written.
    ///
    /// # Errors
    /// The run ends with them.
    async fn finish(&mut self) -> Result<SinkSummary>;

    /// The run has failed or was called off: nothing half-written is to remain.
    async fn abort(&mut self);

    /// The sink is to hold no more than about so many bytes between two batches; before the start.
    fn limit_memory(&mut self, _bytes: usize) {}

    /// The bytes of rows that the sink holds between two batches.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Whether the size of the batches shows in what the sink makes of them. Where it does not they come as they were
    /// received, unless a size was asked for.
    fn keeps_batches(&self) -> bool {
        true
    }
}

#[cfg(feature = "mock")]
mockall::mock! {
    /// A [`BatchSink`] that does as a test tells it to, and has nothing to say of memory.
    pub BatchSink {}

    #[async_trait]
    impl BatchSink for BatchSink {
        async fn start(&mut self, schema: SchemaRef) -> Result<()>;
        async fn write(&mut self, index: u64, batch: RecordBatch) -> Result<()>;
        async fn finish(&mut self) -> Result<SinkSummary>;
        async fn abort(&mut self);
    }
}
