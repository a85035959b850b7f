//! The stream of the service, as batches of the size that was asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use futures::StreamExt;
use lakepilot_query::{RecordBatchStream, Result};

use crate::memory::{Held, Memory};
use crate::progress::{ProgressEvent, ProgressObserver};
use crate::rebatch::Rebatcher;
use crate::size::{Meter, batch_bytes};

pub(crate) struct Source {
    stream: RecordBatchStream,
    rebatcher: Option<Rebatcher>,
    /// The batch that was gathered, where nothing is merged.
    received: Option<RecordBatch>,
    meter: Meter,
    start: Instant,
    first_batch: Option<Instant>,
    ended: bool,
    rows: u64,
    bytes: u64,
    merge_time: Duration,
    /// What waits here, and the batch that is being decoded, which is as large as the largest so far.
    held: Held,
    largest_bytes: usize,
}

impl Source {
    pub(crate) fn new(
        stream: RecordBatchStream,
        batch_bytes: Option<usize>,
        start: Instant,
        memory: &Arc<Memory>,
    ) -> Self {
        Self {
            rebatcher: batch_bytes.map(|bytes| Rebatcher::new(stream.schema(), bytes)),
            stream,
            meter: Meter::default(),
            start,
            first_batch: None,
            ended: false,
            rows: 0,
            bytes: 0,
            merge_time: Duration::ZERO,
            held: Held::nothing(memory),
            largest_bytes: 0,
            received: None,
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

    /// Gathers the rows of the next batch, or all that are left, and merges nothing yet: that takes memory, of which the
    /// consumer may have the most at this moment.
    pub(crate) async fn gather(&mut self, observer: &dyn ProgressObserver) -> Result<()> {
        while !self.ended && !self.is_ready() {
            self.held.set(self.waiting_bytes() + self.largest_bytes);
            match self.stream.next().await.transpose()? {
                None => self.ended = true,
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => {
                    self.count(&batch, observer);
                    match &mut self.rebatcher {
                        Some(rebatcher) => rebatcher.push(batch)?,
                        None => self.received = Some(batch),
                    }
                    // A server that is faster than what is done here never lets this wait, and whoever calls the run off
                    // would wait for its end.
                    tokio::task::yield_now().await;
                }
            }
        }
        self.held.set(self.waiting_bytes());
        Ok(())
    }

    /// The next batch.
    pub(crate) async fn next(&mut self, observer: &dyn ProgressObserver) -> Result<Option<RecordBatch>> {
        self.gather(observer).await?;
        if let Some(batch) = self.received.take() {
            self.held.set(0);
            return Ok(Some(batch));
        }
        let Some(rebatcher) = &mut self.rebatcher else {
            return Ok(None);
        };
        let begun = Instant::now();
        self.held.set(rebatcher.buffered_bytes() + rebatcher.merging_bytes());
        let batch = if self.ended {
            rebatcher.finish()
        } else {
            rebatcher.pop()
        };
        self.merge_time += begun.elapsed();
        self.held.set(rebatcher.buffered_bytes());
        Ok(batch)
    }

    fn is_ready(&mut self) -> bool {
        match &mut self.rebatcher {
            Some(rebatcher) => rebatcher.is_ready(),
            None => self.received.is_some(),
        }
    }

    fn waiting_bytes(&self) -> usize {
        let received = self.received.as_ref().map_or(0, batch_bytes);
        received + self.rebatcher.as_ref().map_or(0, Rebatcher::buffered_bytes)
    }

    fn count(&mut self, batch: &RecordBatch, observer: &dyn ProgressObserver) {
        self.first_batch.get_or_insert_with(Instant::now);
        self.rows += batch.num_rows() as u64;
        self.largest_bytes = self.largest_bytes.max(batch_bytes(batch));
        self.bytes += self.meter.added_bytes(batch) as u64;
        observer.on_event(&ProgressEvent::Received {
            rows: self.rows,
            bytes: self.bytes,
            elapsed: self.start.elapsed(),
        });
    }
}
