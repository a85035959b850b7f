//! Doing what a plan says.

use std::collections::HashSet;

use futures::StreamExt;
use futures::stream;
use lakepilot_catalog::{Partition, PartitionFilter};
use lakepilot_query::{Error, ErrorKind, Result};

use crate::drift::{drift, listing_of};
use crate::journal::Step;
use crate::planner::{Identity, identity};
use crate::report::{Evidence, Failure};
use crate::run::{Answer, Run, Told};
use crate::work::{Start, Work};
use crate::{ApplyOptions, Capabilities, Event, Observer, OnDrift, PartitionAdmin, RetirementPlan, RetirementReport};

/// How often the partitions are listed once more while something is there that should be gone. Each takes a round trip
/// and a query, a few milliseconds at the least, which is what a commit takes.
pub(crate) const MOST_LISTINGS_MORE: usize = 20;

impl PartitionAdmin {
    /// Retires what the plan says, lists the partitions again, and reports what was seen.
    ///
    /// The catalogue is read once more before the server is asked for anything. Where planned partitions are gone or were
    /// written anew, the plan is refused, or they are left out, as the options say; what is new is left alone. A failure
    /// of a statement is in the report, not the result: what did happen has to be told.
    ///
    /// Retirement is irreversible, and the server logs its own failures without telling them. So only the
    /// [report](RetirementReport) says what happened, and it goes by the listing.
    ///
    /// # Errors
    /// `InvalidInput` when the plan is for another server, or the lake has drifted; the error of reading the catalogue
    /// beforehand, or of the history; nothing was asked for then. `PermissionDenied` or `Unauthenticated` when the server
    /// offers no way to retire partitions, or refused everything that it was asked.
    pub async fn apply(
        &self,
        plan: &RetirementPlan,
        options: &ApplyOptions,
        observer: &dyn Observer,
    ) -> Result<RetirementReport> {
        let Some(history) = options.history() else {
            return self.apply_plan(plan, options, observer).await;
        };
        let run = history.started(plan, self.server())?;
        let mut outcome = self.apply_plan(plan, options, observer).await;
        if let Err(error) = history.finished(&run, &outcome) {
            tracing::error!(%error, "the end of a retirement could not be recorded");
            if let Ok(report) = &mut outcome {
                report.note_unrecorded(Failure::of(&error));
            }
        }
        outcome
    }

    async fn apply_plan(
        &self,
        plan: &RetirementPlan,
        options: &ApplyOptions,
        observer: &dyn Observer,
    ) -> Result<RetirementReport> {
        self.check_server(plan)?;
        let filter = listing_of(plan);
        let before = self
            .catalog()
            .partitions(&filter)
            .await
            .map_err(|error| error.context("look at the partitions before retiring any"))?;
        let count = plan.partitions().count();
        let steps = options
            .journal()
            .map_or_else(|| vec![Step::Open; count], |journal| journal.steps());
        if steps.len() != count {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the journal belongs to another plan; open it with this one",
            ));
        }
        let drift = drift(plan, &steps, &before)?;
        if options.on_drift() == OnDrift::Refuse && !drift.is_none() {
            return Err(drift.refusal());
        }
        let capabilities = self.capabilities_for(plan).await?;
        let work = Work::new(plan, capabilities, &steps, &before, options.statement_size());
        observer.observe(&Event::Started {
            statements: work.statements(),
            partitions: work.to_ask(),
        });
        let run = Run::new(self, &work, options, observer, capabilities.by_metadata);
        let answers = perform(&run, &work, options).await;
        if let Some(refusal) = run.take_refusal()
            && !answers
                .iter()
                .flat_map(|answer| &answer.told)
                .any(|(_, told)| !matches!(told, Told::Failed(_)))
        {
            return Err(refusal);
        }
        observer.observe(&Event::Verifying);
        let after = self.list_settled(&filter, &work, &answers).await;
        if let Err(error) = &after {
            tracing::warn!(%error, "the partitions could not be listed after a retirement");
        }
        let mut report = RetirementReport::new(
            plan,
            &work,
            answers,
            &Evidence {
                before: &before,
                after,
                drift,
            },
        );
        if let Some(journal) = options.journal() {
            let noted = journal.seen(&report.remaining_numbers(), report.counts().unknown);
            if let Err(error) = noted {
                report.note_unrecorded(Failure::of(&error));
            }
        }
        Ok(report)
    }

    pub(crate) fn check_server(&self, plan: &RetirementPlan) -> Result<()> {
        if plan.server() == self.server() {
            return Ok(());
        }
        let told = |name: Option<&str>| name.unwrap_or("a server without a name").to_owned();
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "the plan was made for {}, and this is {}; apply it there, or make a new plan",
                told(plan.server()),
                told(self.server())
            ),
        ))
    }

    /// What the plan goes by. One that was made without the rights to see a better way takes it now, if there is one: it
    /// is never less exact than planned.
    async fn capabilities_for(&self, plan: &RetirementPlan) -> Result<Capabilities> {
        if plan.is_empty() || plan.capabilities().by_file {
            return Ok(plan.capabilities());
        }
        let capabilities = self.capabilities().await?;
        if capabilities.is_none() {
            return Err(Error::new(
                ErrorKind::PermissionDenied,
                "the server offers these credentials no function that retires partitions: administrator rights are \
                 missing (it tells those without them that there is no such function), or it is too old; ask with an \
                 administrator's token, or see which accounts the server's configuration makes administrators",
            ));
        }
        Ok(capabilities)
    }

    /// The listing that the report goes by.
    ///
    /// The service ends the answer of a retirement by range before it commits it, so that a listing right after it may
    /// still show what is about to go. Only what is still there after a few more of them is believed to stay.
    async fn list_settled(
        &self,
        filter: &PartitionFilter,
        work: &Work<'_>,
        answers: &[Answer],
    ) -> Result<Vec<Partition>> {
        let mut after = self.list_again(filter).await?;
        for _ in 0..MOST_LISTINGS_MORE {
            if is_settled(work, answers, &after) {
                break;
            }
            // What was seen counts if the server cannot be asked once more.
            let Ok(partitions) = self.catalog().partitions(filter).await else {
                break;
            };
            after = partitions;
        }
        Ok(after)
    }

    /// It is worth a second attempt.
    pub(crate) async fn list_again(&self, filter: &PartitionFilter) -> Result<Vec<Partition>> {
        match self.catalog().partitions(filter).await {
            Ok(partitions) => Ok(partitions),
            Err(_) => self.catalog().partitions(filter).await,
        }
    }
}

async fn perform(run: &Run<'_>, work: &Work<'_>, options: &ApplyOptions) -> Vec<Answer> {
    let mut answers: Vec<(usize, Answer)> = stream::iter(0..work.tasks.len())
        .map(|at| async move { (at, run.perform(&work.tasks[at]).await) })
        .buffer_unordered(options.concurrency())
        .collect()
        .await;
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Whether everything is gone whose retirement was answered to the end, now or in an earlier run.
fn is_settled(work: &Work<'_>, answers: &[Answer], listed: &[Partition]) -> bool {
    let listed: HashSet<Identity<'_>> = listed.iter().map(identity).collect();
    let is_gone = |number: usize| work.planned.get(number).is_none_or(|p| !listed.contains(&identity(p)));
    let answered = answers.iter().flat_map(|answer| &answer.told);
    let now = answered
        .filter(|(_, told)| matches!(told, Told::Retired))
        .map(|(number, _)| *number);
    let starts = work.starts.iter().enumerate();
    let earlier = starts
        .filter(|(_, start)| **start == Start::AnsweredEarlier)
        .map(|(number, _)| number);
    now.chain(earlier).all(is_gone)
}
