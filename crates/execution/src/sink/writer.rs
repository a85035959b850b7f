//! A sink into a writer: standard output, a socket, memory.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakepilot_query::{Error, ErrorKind, Result};
use tokio::task::JoinHandle;

use super::encoder::{Encoder, Encoding, FileFormat};
use super::parquet::Limits;
use super::{BatchSink, SinkSummary};
use crate::size::batch_bytes;

/// Encodes batches into a writer, on a thread where that may block.
///
/// Parquet, which takes the most time, is encoded in chunks of some megabytes, while the batches of the next chunk are
/// taken. An error of a chunk is that of a later batch, or of the end.
pub struct WriterSink<W: Write + Send + 'static> {
    format: Encoding,
    name: Arc<str>,
    state: State<W>,
    limits: Limits,
    held_bytes: usize,
    /// The batches of the next chunk.
    gathered: Vec<RecordBatch>,
    gathered_bytes: usize,
    /// The chunk that is being encoded, and the state meanwhile.
    under_way: Option<UnderWay<W>>,
    /// The time that encoding took, writing included where the encoder does not put it off.
    encoding: Duration,
}

struct UnderWay<W: Write + Send + 'static> {
    task: Timed<W, usize>,
    bytes: usize,
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
            gathered: Vec::new(),
            gathered_bytes: 0,
            under_way: None,
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
        let task = self.start_blocking(work);
        self.restore(task).await
    }

    fn start_blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(State<W>) -> Result<(State<W>, T)> + Send + 'static,
    ) -> Timed<W, T> {
        let state = std::mem::replace(&mut self.state, State::Gone);
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            (work(state), begun.elapsed())
        })
    }

    async fn restore<T>(&mut self, task: Timed<W, T>) -> Result<T> {
        let (done, took) = task
            .await
            .map_err(|error| Error::new(ErrorKind::Internal, "the task that encodes ended early").with_source(error))?;
        self.encoding += took;
        let (state, value) = done.map_err(|error| error.context(format!("cannot write {}", self.name)))?;
        self.state = state;
        Ok(value)
    }

    /// Begins to encode what was gathered.
    fn begin_chunk(&mut self) {
        let batches = std::mem::take(&mut self.gathered);
        let bytes = std::mem::take(&mut self.gathered_bytes);
        let task = self.start_blocking(move |state| encode(state, &batches));
        self.under_way = Some(UnderWay { task, bytes });
    }

    /// Waits for the chunk that is under way.
    async fn end_chunk(&mut self) -> Result<()> {
        if let Some(under_way) = self.under_way.take() {
            self.held_bytes = self.restore(under_way.task).await?;
        }
        Ok(())
    }
}

/// The outcome of work on a thread that may block, and the time that it took.
type Timed<W, T> = JoinHandle<(Result<(State<W>, T)>, Duration)>;

/// Tells how many bytes the encoder holds afterwards.
fn encode<W: Write + Send + 'static>(state: State<W>, batches: &[RecordBatch]) -> Result<(State<W>, usize)> {
    match state {
        State::Open(mut encoder) => {
            encoder.write(batches)?;
            let held_bytes = encoder.held_bytes();
            Ok((State::Open(encoder), held_bytes))
        }
        _ => misused(),
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
        if self.format.format() != FileFormat::Parquet {
            self.held_bytes = self.blocking(move |state| encode(state, &[batch])).await?;
            return Ok(());
        }
        self.gathered_bytes += batch_bytes(&batch);
        self.gathered.push(batch);
        if self.gathered_bytes >= self.limits.chunk_bytes() {
            self.end_chunk().await?;
            self.begin_chunk();
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<SinkSummary> {
        self.end_chunk().await?;
        if !self.gathered.is_empty() {
            self.begin_chunk();
            self.end_chunk().await?;
        }
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
        self.under_way = None;
        self.gathered.clear();
        self.state = State::Gone;
    }

    fn limit_memory(&mut self, bytes: usize) {
        self.limits = Limits::within(bytes);
    }

    fn held_bytes(&self) -> usize {
        let under_way = self.under_way.as_ref().map_or(0, |chunk| chunk.bytes);
        self.held_bytes + self.gathered_bytes + under_way
    }

    fn keeps_batches(&self) -> bool {
        self.format.format().keeps_batches()
    }
}
