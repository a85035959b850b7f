//! The stream of the service, as batches of the size that was asked for.

use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use futures::StreamExt;
use lakepilot_query::{RecordBatchStream, Result};

use crate::options::BatchSize;
use crate::progress::{ProgressEvent, ProgressObserver};
use crate::rebatch::Rebatcher;
use crate::size::Meter;

pub(crate) struct Source {
    stream: RecordBatchStream,
    rebatcher: Option<Rebatcher>,
    meter: Meter,
    start: Instant,
    first_batch: Option<Instant>,
    ended: bool,
    rows: u64,
    bytes: u64,
    merge_time: Duration,
}

impl Source {
    pub(crate) fn new(stream: RecordBatchStream, batch_size: BatchSize, start: Instant) -> Self {
        Self {
            rebatcher: match batch_size {
                BatchSize::AsReceived => None,
                BatchSize::Bytes(bytes) => Some(Rebatcher::new(stream.schema(), bytes)),
            },
            stream,
            meter: Meter::default(),
            start,
            first_batch: None,
            ended: false,
            rows: 0,
            bytes: 0,
            merge_time: Duration::ZERO,
        }
    }

    /// When the run began.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// When the first rows arrived.
    pub(crate) fn first_batch(&self) -> Option<Instant> {
        self.first_batch
    }

    /// The time that merging and splitting took so far.
    pub(crate) fn merge_time(&self) -> Duration {
        self.merge_time
    }

    /// The bytes that wait to be merged or taken.
    pub(crate) fn held_bytes(&self) -> usize {
        self.rebatcher.as_ref().map_or(0, Rebatcher::buffered_bytes)
    }

    pub(crate) async fn next(&mut self, observer: &dyn ProgressObserver) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.rebatched() {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            match self.stream.next().await.transpose()? {
                None => self.ended = true,
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => {
                    self.received(&batch, observer);
                    match &mut self.rebatcher {
                        Some(rebatcher) => rebatcher.push(batch)?,
                        None => return Ok(Some(batch)),
                    }
                }
            }
        }
    }

    /// A batch of the rows that are here, if they are enough, or all.
    fn rebatched(&mut self) -> Option<RecordBatch> {
        let rebatcher = self.rebatcher.as_mut()?;
        let begun = Instant::now();
        let batch = if self.ended {
            rebatcher.finish()
        } else {
            rebatcher.pop()
        };
        self.merge_time += begun.elapsed();
        batch
    }

    fn received(&mut self, batch: &RecordBatch, observer: &dyn ProgressObserver) {
        self.first_batch.get_or_insert_with(Instant::now);
        self.rows += batch.num_rows() as u64;
        self.bytes += self.meter.added_bytes(batch) as u64;
        observer.on_event(&ProgressEvent::Received {
            rows: self.rows,
            bytes: self.bytes,
            elapsed: self.start.elapsed(),
        });
    }
}
