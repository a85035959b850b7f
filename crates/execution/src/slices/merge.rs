//! Slices that run at the same time, as one stream.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::{StreamExt, stream};
use lakepilot_query::{Error, ErrorKind, Query, QueryService, RecordBatchStream, Result, TimeRange};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::plan::{SliceOrder, Slicing};
use super::queue::{Popped, Queue};
use crate::faults::Retries;
use crate::memory::Memory;
use crate::progress::{EventSender, ProgressEvent};

/// What a run of slices needs beside the query.
pub(crate) struct SliceRun {
    pub(crate) service: Arc<dyn QueryService>,
    /// How many bytes all slices together may hold back.
    pub(crate) budget_bytes: usize,
    pub(crate) retries: Retries,
    pub(crate) events: EventSender,
    pub(crate) memory: Arc<Memory>,
}

/// Runs the slices of a query. The stream has the rows of all, in the order that the slicing asks for.
///
/// Each slice has a task of its own, so that they are decoded in parallel; dropping the stream ends all of them. A slice
/// that fails before one of its rows was taken is asked again, whole.
pub(crate) async fn run_slices(run: SliceRun, query: &Query, slicing: &Slicing) -> Result<RecordBatchStream> {
    let queries = slicing.queries(query)?;
    let mut waiting: VecDeque<Slice> = queries
        .into_iter()
        .zip(slicing.slices())
        .enumerate()
        .map(|(index, (query, range))| Slice {
            index,
            range: *range,
            query,
        })
        .collect();
    if slicing.order() == SliceOrder::Descending {
        waiting.make_contiguous().reverse();
    }
    let mut merge = Merge {
        share_bytes: (run.budget_bytes / slicing.parallel()).max(1),
        run,
        waiting,
        active: VecDeque::new(),
        parallel: slicing.parallel(),
        ordered: slicing.order() != SliceOrder::Unordered,
        schema: Arc::default(),
        arrived: Arc::default(),
        tasks: JoinSet::new(),
    };
    let schema = merge.first_schema().await?;
    let batches = stream::try_unfold(merge, |mut merge| async move {
        Ok(merge.next().await?.map(|batch| (batch, merge)))
    });
    Ok(RecordBatchStream::new(schema, batches))
}

struct Slice {
    index: usize,
    range: TimeRange,
    query: Query,
}

struct Active {
    index: usize,
    queue: Arc<Queue>,
}

struct Merge {
    run: SliceRun,
    share_bytes: usize,
    waiting: VecDeque<Slice>,
    /// The slices that run, the one whose turn it is first.
    active: VecDeque<Active>,
    parallel: usize,
    ordered: bool,
    /// The schema of whichever slice told it first.
    schema: Arc<OnceLock<SchemaRef>>,
    arrived: Arc<Notify>,
    tasks: JoinSet<()>,
}

impl Merge {
    async fn first_schema(&mut self) -> Result<SchemaRef> {
        self.start_slices();
        loop {
            if let Some(schema) = self.schema.get() {
                return Ok(Arc::clone(schema));
            }
            if let Some(error) = self.active.iter().find_map(|slice| slice.queue.take_failure()) {
                return Err(error);
            }
            self.arrived.notified().await;
        }
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            self.start_slices();
            if self.active.is_empty() {
                return Ok(None);
            }
            match self.look()? {
                Look::Batch(batch) => return Ok(Some(batch)),
                Look::Ended => {}
                Look::Nothing => self.arrived.notified().await,
            }
        }
    }

    /// Looks for a batch: in the slice whose turn it is, or in all of them, beginning with the next each time.
    fn look(&mut self) -> Result<Look> {
        let slices = if self.ordered { 1 } else { self.active.len() };
        for _ in 0..slices {
            let Some(slice) = self.active.front() else { break };
            let popped = slice.queue.pop();
            if let Popped::End(rows) = popped {
                self.run.events.send(ProgressEvent::SliceFinished {
                    index: slice.index,
                    rows,
                });
                self.active.pop_front();
                return Ok(Look::Ended);
            }
            if !self.ordered {
                self.active.rotate_left(1);
            }
            match popped {
                Popped::Batch(batch) => return Ok(Look::Batch(batch)),
                Popped::Failed(error) => return Err(error),
                Popped::Nothing | Popped::End(_) => {}
            }
        }
        Ok(Look::Nothing)
    }

    fn start_slices(&mut self) {
        // Tasks that have ended are forgotten, so that the set does not grow with the number of slices.
        while self.tasks.try_join_next().is_some() {}
        while self.active.len() < self.parallel {
            let Some(slice) = self.waiting.pop_front() else { return };
            let queue = Arc::new(Queue::new(
                self.share_bytes,
                Arc::clone(&self.arrived),
                &self.run.memory,
            ));
            self.active.push_back(Active {
                index: slice.index,
                queue: Arc::clone(&queue),
            });
            self.run.events.send(ProgressEvent::SliceStarted {
                index: slice.index,
                range: slice.range,
            });
            let worker = Worker {
                service: Arc::clone(&self.run.service),
                slice,
                end: EndGuard(queue),
                schema: Arc::clone(&self.schema),
                retries: self.run.retries.clone(),
                events: self.run.events.clone(),
            };
            self.tasks.spawn(worker.work());
        }
    }
}

enum Look {
    Batch(RecordBatch),
    Nothing,
    /// A slice has ended; another one takes its place.
    Ended,
}

/// Ends the queue of a task that panics, so that nobody waits for it forever.
struct EndGuard(Arc<Queue>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0
            .end(Err(Error::new(ErrorKind::Internal, "the task of a slice ended early")));
    }
}

/// The task of one slice.
struct Worker {
    service: Arc<dyn QueryService>,
    slice: Slice,
    end: EndGuard,
    schema: Arc<OnceLock<SchemaRef>>,
    retries: Retries,
    events: EventSender,
}

impl Worker {
    async fn work(self) {
        let outcome = self.fetch_with_retries().await;
        self.end
            .0
            .end(outcome.map_err(|error| error.context(format!("the slice {}", self.slice.range))));
    }

    async fn fetch_with_retries(&self) -> Result<()> {
        let mut made = 0;
        loop {
            let Err(error) = self.fetch().await else { return Ok(()) };
            if !self.end.0.forget() {
                return Err(error);
            }
            let retry = self.retries.after(made, error)?;
            made = retry.number;
            tracing::info!(slice = self.slice.index, retry = made, reason = %retry.reason, "asking for a slice again");
            self.events.send(ProgressEvent::SliceRetried {
                index: self.slice.index,
                reason: retry.reason,
            });
            tokio::time::sleep(retry.delay).await;
        }
    }

    async fn fetch(&self) -> Result<()> {
        let mut stream = self.service.run(&self.slice.query).await?;
        let schema = stream.schema();
        if *self.schema.get_or_init(|| Arc::clone(&schema)) != schema {
            return Err(Error::new(
                ErrorKind::Protocol,
                "the server answered with another schema than for the other slices",
            ));
        }
        self.end.0.wake();
        loop {
            // Asked for only when there is room, a batch takes none before.
            self.end.0.has_room().await;
            match stream.next().await.transpose()? {
                None => return Ok(()),
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => self.end.0.push(batch),
            }
        }
    }
}
