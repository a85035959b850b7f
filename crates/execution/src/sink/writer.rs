//! A sink into a writer: standard output, a socket, memory.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakepilot_query::{Error, ErrorKind, Result};

use super::encoder::{Encoder, Encoding};
use super::parquet::Limits;
use super::{BatchSink, SinkSummary};

/// Where the size of batches does not show in the file, larger ones than this only take memory.
const MOST_BATCH_BYTES: usize = 16_000_000;

/// Encodes batches into a writer, on a thread where that may block.
pub struct WriterSink<W: Write + Send + 'static> {
    format: Encoding,
    name: Arc<str>,
    state: State<W>,
    limits: Limits,
    held_bytes: usize,
    /// The time that encoding took, writing included where the encoder does not put it off.
    encoding: Duration,
}

enum State<W: Write + Send + 'static> {
    Fresh(W),
    Open(Encoder<W>),
    Finished(W),
    /// The writer was lost with a task that ended early, or given up after an error.
    Gone,
}

impl<W: Write + Send + 'static> WriterSink<W> {
    /// A sink of a format into `writer`, which errors call `name`.
    pub fn new(writer: W, format: impl Into<Encoding>, name: impl Into<Arc<str>>) -> Self {
        Self {
            format: format.into(),
            name: name.into(),
            state: State::Fresh(writer),
            limits: Limits::default(),
            held_bytes: 0,
            encoding: Duration::ZERO,
        }
    }

    /// The writer, after [`finish`](BatchSink::finish).
    pub fn into_inner(self) -> Option<W> {
        match self.state {
            State::Finished(writer) => Some(writer),
            _ => None,
        }
    }

    pub(crate) fn take_finished(&mut self) -> Option<W> {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Finished(writer) => Some(writer),
            _ => None,
        }
    }

    /// Moves the state to a thread that may block, and back.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(State<W>) -> Result<(State<W>, T)> + Send + 'static,
    ) -> Result<T> {
        let state = std::mem::replace(&mut self.state, State::Gone);
        let name = Arc::clone(&self.name);
        let (done, took) = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            (work(state), begun.elapsed())
        })
        .await
        .map_err(|error| Error::new(ErrorKind::Internal, "the task that encodes ended early").with_source(error))?;
        self.encoding += took;
        let (state, value) = done.map_err(|error| error.context(format!("cannot write {name}")))?;
        self.state = state;
        Ok(value)
    }
}

fn misused<T>() -> Result<T> {
    Err(Error::new(
        ErrorKind::Internal,
        "the sink was not started, or has ended",
    ))
}

#[async_trait]
impl<W: Write + Send + 'static> BatchSink for WriterSink<W> {
    async fn start(&mut self, schema: SchemaRef) -> Result<()> {
        let (format, limits) = (self.format, self.limits);
        self.blocking(move |state| match state {
            State::Fresh(writer) => Ok((State::Open(Encoder::new(format, &schema, writer, limits)?), ())),
            _ => misused(),
        })
        .await
    }

    async fn write(&mut self, _index: u64, batch: RecordBatch) -> Result<()> {
        self.held_bytes = self
            .blocking(move |state| match state {
                State::Open(mut encoder) => {
                    encoder.write(&batch)?;
                    let held_bytes = encoder.held_bytes();
                    Ok((State::Open(encoder), held_bytes))
                }
                _ => misused(),
            })
            .await?;
        Ok(())
    }

    async fn finish(&mut self) -> Result<SinkSummary> {
        let bytes_written = self
            .blocking(|state| match state {
                State::Open(encoder) => {
                    let (writer, bytes_written) = encoder.finish()?;
                    Ok((State::Finished(writer), bytes_written))
                }
                _ => misused(),
            })
            .await?;
        Ok(SinkSummary {
            bytes_written,
            encoding_time: self.encoding,
        })
    }

    async fn abort(&mut self) {
        self.state = State::Gone;
    }

    fn limit_memory(&mut self, bytes: usize) {
        self.limits = Limits::within(bytes);
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn most_batch_bytes(&self) -> Option<usize> {
        (!self.format.format().keeps_batches()).then_some(MOST_BATCH_BYTES)
    }
}
