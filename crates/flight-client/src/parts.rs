//! A result that lies in several places, fetched side by side.
//!
//! Each part has a task of its own. What they have fetched and nobody has taken stays within one budget of bytes for all of
//! them; a part of which nothing waits may always fetch one message more, so that the one whose turn it is goes on whatever
//! the others hold.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::{CancelFlightInfoRequest, FlightEndpoint, FlightInfo};
use futures::stream;
use lakepilot_query::{Error, ErrorKind, RecordBatchStream, Result};
use prost::Message;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::deadline::Deadline;
use crate::expiry;
use crate::results::Asked;
use crate::status::Call;

/// Starts on the parts of a result and waits for the schema, which all of them have.
pub(crate) async fn open(asked: Asked, mut info: FlightInfo) -> Result<RecordBatchStream> {
    let meter = asked.meter.clone();
    let endpoints = std::mem::take(&mut info.endpoint);
    let mut parts = Parts::new(asked, info, endpoints);
    let schema = parts.first_schema().await?;
    let batches = stream::unfold(Some(parts), |parts| async {
        let mut parts = parts?;
        match parts.next().await {
            Ok(Some(batch)) => Some((Ok(batch), Some(parts))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(RecordBatchStream::new(schema, batches).with_transfer(meter))
}

/// The parts that nobody has started on, which are kept from expiring.
pub(crate) type Waiting = Arc<Mutex<VecDeque<(usize, FlightEndpoint)>>>;

struct Parts {
    asked: Asked,
    /// What the server is told when the result is called off: it without its endpoints, and those.
    info: FlightInfo,
    endpoints: Vec<FlightEndpoint>,
    waiting: Waiting,
    /// The parts that are fetched, the one whose turn it is first.
    active: VecDeque<Active>,
    budget: Arc<Budget>,
    events: mpsc::UnboundedReceiver<Event>,
    sender: mpsc::UnboundedSender<Event>,
    tasks: JoinSet<()>,
    finished: bool,
}

/// A part that is fetched, and what of it waits to be taken.
struct Active {
    number: usize,
    batches: VecDeque<(RecordBatch, usize)>,
    end: Option<Result<()>>,
    lane: Arc<Lane>,
}

struct Event {
    number: usize,
    what: What,
}

enum What {
    Opened,
    Batch(RecordBatch, usize),
    End(Result<()>),
}

impl Parts {
    fn new(asked: Asked, info: FlightInfo, endpoints: Vec<FlightEndpoint>) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let waiting: Waiting = Arc::new(Mutex::new(endpoints.iter().cloned().enumerate().collect()));
        let mut tasks = JoinSet::new();
        tasks.spawn(expiry::keep_alive(asked.clone(), Arc::clone(&waiting)));
        Self {
            budget: Arc::new(Budget::new(asked.shared.config.parts_budget_bytes)),
            asked,
            info,
            endpoints,
            waiting,
            active: VecDeque::new(),
            events,
            sender,
            tasks,
            finished: false,
        }
    }

    async fn first_schema(&mut self) -> Result<SchemaRef> {
        loop {
            self.start_parts();
            if let Some(schema) = self.asked.schema.get() {
                return Ok(Arc::clone(schema));
            }
            for part in &mut self.active {
                if let Some(Err(error)) = part.end.take_if(|end| end.is_err()) {
                    return Err(error);
                }
            }
            self.hear().await;
        }
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            self.start_parts();
            if self.active.is_empty() {
                self.finished = true;
                return Ok(None);
            }
            match self.look()? {
                Look::Batch(batch) => return Ok(Some(batch)),
                Look::Ended => {}
                Look::Nothing => self.hear().await,
            }
        }
    }

    /// Looks for a batch: in the part whose turn it is, or in all of them where they have no order.
    fn look(&mut self) -> Result<Look> {
        let parts = if self.info.ordered { 1 } else { self.active.len() };
        for _ in 0..parts {
            let Some(part) = self.active.front_mut() else { break };
            if let Some((batch, bytes)) = part.batches.pop_front() {
                self.budget.give_back(&part.lane, bytes);
                if !self.info.ordered {
                    self.active.rotate_left(1);
                }
                return Ok(Look::Batch(batch));
            }
            if let Some(end) = part.end.take() {
                self.active.pop_front();
                return end.map(|()| Look::Ended);
            }
            if !self.info.ordered {
                self.active.rotate_left(1);
            }
        }
        Ok(Look::Nothing)
    }

    /// Takes in what the tasks have sent, and waits for it if there is nothing.
    async fn hear(&mut self) {
        // There is always an event to come: we hold a sender ourselves, and a task that ends says so.
        let mut event = self.events.recv().await;
        while let Some(Event { number, what }) = event {
            if let Some(part) = self.active.iter_mut().find(|part| part.number == number) {
                match what {
                    What::Opened => {}
                    What::Batch(batch, bytes) => part.batches.push_back((batch, bytes)),
                    What::End(end) => {
                        part.end.get_or_insert(end);
                    }
                }
            }
            event = self.events.try_recv().ok();
        }
    }

    fn start_parts(&mut self) {
        while self.active.len() < self.asked.shared.config.parallel_parts {
            let next = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((number, endpoint)) = next else { return };
            let lane = Arc::new(Lane::default());
            self.active.push_back(Active {
                number,
                batches: VecDeque::new(),
                end: None,
                lane: Arc::clone(&lane),
            });
            let task = PartTask {
                asked: self.asked.clone(),
                number,
                lane,
                budget: Arc::clone(&self.budget),
                events: self.sender.clone(),
            };
            self.tasks.spawn(task.work(endpoint));
        }
    }
}

enum Look {
    Batch(RecordBatch),
    /// A part has ended, and another one takes its place.
    Ended,
    Nothing,
}

impl Drop for Parts {
    /// Dropping a stream ends the calls that are under way. What the server still keeps for those that were not made, it
    /// has to be told.
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if self.finished || !self.asked.shared.may_cancel() {
            return;
        }
        self.info.endpoint = std::mem::take(&mut self.endpoints);
        let request = CancelFlightInfoRequest {
            info: Some(std::mem::take(&mut self.info)),
        };
        let (shared, home) = (Arc::clone(&self.asked.shared), self.asked.home.clone());
        runtime.spawn(async move {
            let deadline = Deadline::of_one_call(expiry::PATIENCE);
            let body = request.encode_to_vec().into();
            if let Err(error) = shared.action_at(home, Call::Cancel, body, deadline).await {
                tracing::debug!(%error, "the server was not told that the result is not wanted any more");
                // Servers say in both ways that they do not know an action.
                if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) {
                    shared.cannot_cancel();
                }
            }
        });
    }
}

/// The task of one part.
struct PartTask {
    asked: Asked,
    number: usize,
    lane: Arc<Lane>,
    budget: Arc<Budget>,
    events: mpsc::UnboundedSender<Event>,
}

impl PartTask {
    async fn work(self, endpoint: FlightEndpoint) {
        let outcome = self.fetch(endpoint).await;
        self.send(What::End(outcome));
    }

    async fn fetch(&self, endpoint: FlightEndpoint) -> Result<()> {
        let endpoint = expiry::renewed_if_needed(&self.asked, endpoint).await;
        let mut part = self.asked.enter(endpoint).await?;
        self.send(What::Opened);
        while let Some(batch) = part.next_batch().await? {
            let bytes = part.message_bytes();
            self.budget.take(&self.lane, bytes).await;
            self.send(What::Batch(self.asked.with_common_schema(batch)?, bytes));
        }
        Ok(())
    }

    fn send(&self, what: What) {
        // Nobody listens when the result is not wanted any more, and then this task is about to end.
        let _ = self.events.send(Event {
            number: self.number,
            what,
        });
    }
}

impl Drop for PartTask {
    /// A task that panics ends too, so that nobody waits for it for ever. The first end counts.
    fn drop(&mut self) {
        self.send(What::End(Err(Error::new(
            ErrorKind::Internal,
            "the task of a part of the result ended early",
        ))));
    }
}

/// How many messages of a part wait to be taken.
#[derive(Debug, Default)]
struct Lane(AtomicUsize);

/// The bytes of all messages that wait to be taken.
#[derive(Debug)]
struct Budget {
    most_bytes: usize,
    bytes: Mutex<usize>,
    given_back: Notify,
}

impl Budget {
    fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            bytes: Mutex::new(0),
            given_back: Notify::new(),
        }
    }

    /// Waits until there is room for a message of a part.
    async fn take(&self, lane: &Lane, bytes: usize) {
        loop {
            let mut given_back = pin!(self.given_back.notified());
            // Before the look, so that what is given back after it is not missed.
            given_back.as_mut().enable();
            {
                let mut taken = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
                if lane.0.load(Ordering::Relaxed) == 0 || taken.saturating_add(bytes) <= self.most_bytes {
                    *taken += bytes;
                    lane.0.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
            given_back.await;
        }
    }

    fn give_back(&self, lane: &Lane, bytes: usize) {
        let mut taken = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        *taken -= bytes;
        lane.0.fetch_sub(1, Ordering::Relaxed);
        drop(taken);
        self.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn the_budget_is_for_all_and_a_part_without_anything_goes_on() {
        let budget = Budget::new(100);
        let (one, other) = (Lane::default(), Lane::default());
        budget.take(&one, 90).await;
        // A single message over the budget passes where nothing of its part waits.
        budget.take(&other, 500).await;
        assert!(budget.take(&one, 1).now_or_never().is_none());
        assert!(budget.take(&other, 1).now_or_never().is_none());
        let waiting = budget.take(&one, 5);
        let mut waiting = pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        budget.give_back(&other, 500);
        waiting.await;
        assert_eq!(*budget.bytes.lock().unwrap(), 95);
    }
}
