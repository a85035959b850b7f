//! `materialize_partitions` and `regenerate_partitions`: `('<view set>', '<begin>', '<end>', <seconds>)`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::{DataFusionError, Result};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::arguments::Arguments;
use super::messages::{Action, Message, MessageTable};
use crate::engine::failure::blocking;
use crate::store::Lake;

/// How many messages that are waiting go into one batch.
const MESSAGES_A_BATCH: usize = 256;

/// Which partitions a function writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Materialization {
    /// Those that are missing or out of date.
    Missing,
    /// All of the range, which has to tile those that are there.
    All,
}

impl Materialization {
    pub(crate) fn function(self) -> &'static str {
        match self {
            Self::Missing => "materialize_partitions",
            Self::All => "regenerate_partitions",
        }
    }
}

pub(crate) struct Materialize {
    lake: Lake,
    kind: Materialization,
}

impl Materialize {
    pub(crate) fn new(lake: Lake, kind: Materialization) -> Self {
        Self { lake, kind }
    }
}

impl fmt::Debug for Materialize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Materialize")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl TableFunctionImpl for Materialize {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let mut arguments = Arguments::new(self.kind.function(), args.exprs());
        let run = Run {
            lake: self.lake.clone(),
            kind: self.kind,
            view_set: arguments.text("the view set as text")?,
            begin: arguments.time("the begin of the insert times as RFC 3339 or a UTC timestamp")?,
            end: arguments.time("the end of the insert times as RFC 3339 or a UTC timestamp")?,
            // A step that is not positive is refused with the others that do not fit.
            step: Duration::from_secs(
                arguments
                    .integer("the length of a partition in whole seconds")?
                    .try_into()
                    .unwrap_or(0),
            ),
        };
        Ok(Arc::new(MessageTable::new(Arc::new(run))))
    }
}

/// One call. It goes on to its end once it has started, step by step, even when nobody reads its messages.
#[derive(Clone)]
struct Run {
    lake: Lake,
    kind: Materialization,
    view_set: String,
    begin: DateTime<Utc>,
    end: DateTime<Utc>,
    step: Duration,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}({} [{}, {}])",
            self.kind.function(),
            self.view_set,
            self.begin,
            self.end
        )
    }
}

impl Action for Run {
    fn name(&self) -> &'static str {
        self.kind.function()
    }

    fn start(&self) -> BoxStream<'static, Result<Vec<Message>>> {
        let run = self.clone();
        stream::once(async move { run.spawn() }).flatten().boxed()
    }
}

impl Run {
    fn spawn(self) -> BoxStream<'static, Result<Vec<Message>>> {
        let kind = self.kind;
        // Unbounded, because a message may be sent inside a transaction, which must not wait for a slow reader.
        let (sender, receiver) = unbounded_channel();
        let work = blocking(move || {
            let mut on_message = |text| {
                // Nobody reads on: the work is finished all the same.
                let _ = sender.send((Utc::now(), text));
            };
            let Self {
                lake,
                view_set,
                begin,
                end,
                step,
                ..
            } = &self;
            match kind {
                Materialization::Missing => lake.materialize(view_set, *begin, *end, *step, &mut on_message),
                Materialization::All => lake.regenerate(view_set, *begin, *end, *step, &mut on_message),
            }
        });
        let work = tokio::spawn(work);
        let messages = UnboundedReceiverStream::new(receiver)
            .ready_chunks(MESSAGES_A_BATCH)
            .map(Ok);
        let outcome = stream::once(async move {
            match work.await {
                Ok(Ok(())) => Ok(Vec::new()),
                Ok(Err(error)) => failed(kind, &error),
                Err(error) => Err(DataFusionError::External(Box::new(error))),
            }
        });
        messages.chain(outcome).boxed()
    }
}

/// How a failure is told. As on the real service, one of a materialisation is its last message, and one of a
/// regeneration is an error.
fn failed(kind: Materialization, error: &DataFusionError) -> Result<Vec<Message>> {
    let cause = match error {
        DataFusionError::External(source) => source.to_string(),
        other => other.to_string(),
    };
    let text = format!("{}_impl\n\nCaused by:\n    {cause}", kind.function());
    match kind {
        Materialization::Missing => Ok(vec![(Utc::now(), text)]),
        Materialization::All => Err(DataFusionError::Internal(text)),
    }
}
