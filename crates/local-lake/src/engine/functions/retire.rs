//! `retire_partitions('<view set>', '<instance>', '<begin>', '<end>')`: retires the partitions that lie in a range of
//! insert time.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::Result;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use lakepilot_query::{Error, ErrorKind};

use super::arguments::Arguments;
use super::messages::{Action, Message, MessageTable};
use crate::engine::failure::blocking;
use crate::engine::options::Fault;
use crate::store::{Lake, PartitionRecord};

pub(crate) struct RetirePartitions {
    lake: Lake,
    fault: Option<Fault>,
}

impl RetirePartitions {
    pub(crate) fn new(lake: Lake, fault: Option<Fault>) -> Self {
        Self { lake, fault }
    }
}

impl fmt::Debug for RetirePartitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetirePartitions")
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl TableFunctionImpl for RetirePartitions {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let mut arguments = Arguments::new("retire_partitions", args.exprs());
        let retirement = Retirement {
            lake: self.lake.clone(),
            fault: self.fault,
            view_set: arguments.text("the view set as text")?,
            instance: arguments.text("the instance as text")?,
            begin: arguments.time("the begin of the insert times as RFC 3339 or a UTC timestamp")?,
            end: arguments.time("the end of the insert times as RFC 3339 or a UTC timestamp")?,
        };
        Ok(Arc::new(MessageTable::new(Arc::new(retirement))))
    }
}

/// One call. The messages tell what is going to be retired; it is when the reader comes back for what follows the last.
#[derive(Clone)]
struct Retirement {
    lake: Lake,
    fault: Option<Fault>,
    view_set: String,
    instance: String,
    begin: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl fmt::Debug for Retirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Retirement({}/{} [{}, {}])",
            self.view_set, self.instance, self.begin, self.end
        )
    }
}

impl Action for Retirement {
    fn name(&self) -> &'static str {
        "retire_partitions"
    }

    fn start(&self) -> BoxStream<'static, Result<Vec<Message>>> {
        // The catalogue is not locked while the messages are read, however slow the reader is; so the retirement looks
        // once more at what it told.
        let steps = stream::try_unfold(State::Find(self.clone()), |state| async move {
            match state {
                State::Find(retirement) => {
                    let (retirement, found) = retirement.find().await?;
                    let messages = retirement.messages(&found);
                    Ok(Some((messages, State::Retire(retirement, found))))
                }
                State::Retire(retirement, found) => {
                    retirement.retire(found).await?;
                    Ok(None)
                }
            }
        });
        steps.boxed()
    }
}

enum State {
    Find(Retirement),
    Retire(Retirement, Vec<PartitionRecord>),
}

impl Retirement {
    async fn find(self) -> Result<(Self, Vec<PartitionRecord>)> {
        blocking(move || {
            let found = self
                .lake
                .transaction(|changes| changes.contained(&self.view_set, &self.instance, self.begin, self.end))?;
            Ok((self, found))
        })
        .await
    }

    fn messages(&self, found: &[PartitionRecord]) -> Vec<Message> {
        if found.is_empty() {
            return Vec::new();
        }
        let head = format!(
            "[RETIRE_FOUND] view={}/{} time_range=[{}, {}] found_partitions={}",
            self.view_set,
            self.instance,
            self.begin,
            self.end,
            found.len()
        );
        let files = found.iter().filter_map(|partition| partition.file_path.as_deref());
        let files = files.map(|path| format!("adding out of date partition {path} to temporary files to be deleted"));
        std::iter::once(head)
            .chain(files)
            .map(|text| (Utc::now(), text))
            .collect()
    }

    /// Retires what was found, in one transaction.
    async fn retire(self, found: Vec<PartitionRecord>) -> Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        blocking(move || {
            self.lake.transaction(|changes| {
                let present = changes.contained(&self.view_set, &self.instance, self.begin, self.end)?;
                if present != found {
                    return Err(Error::new(
                        ErrorKind::Internal,
                        format!(
                            "the partitions of {}/{} changed while their retirement was read; nothing was retired, \
                             list them and try again",
                            self.view_set, self.instance
                        ),
                    ));
                }
                let step = match self.fault {
                    Some(Fault::SwallowRetirement) => 2,
                    None => 1,
                };
                for partition in found.iter().step_by(step) {
                    changes.retire(partition)?;
                }
                Ok(())
            })
        })
        .await
    }
}
