//! Applying a plan: ask, do, look again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lakepilot_admin::{
    ApplyOptions, Journal, OnDrift, OnFailure, PartitionAdmin, RetirementPlan, RetirementReport, StopSignal,
};
use lakepilot_query::{Error, ErrorKind, Result};

use super::selection;
use crate::args::{ApplyArgs, ApplyPlanArgs};
use crate::context::Context;
use crate::exit::Outcome;
use crate::messages::{Messages, Question};
use crate::output::{self, ReportFormat, text};
use crate::retirement::{self, AdminProgress};
use crate::state::State;
use crate::terminal;

pub(super) async fn apply_plan(args: ApplyPlanArgs, context: &Context) -> Result<Outcome> {
    let plan = RetirementPlan::load(&args.plan)?;
    let admin = selection::admin(context).await?;
    let journal = args.journal.unwrap_or_else(|| journal_of(&args.plan));
    let application = Application {
        yes: args.yes,
        format: args.format,
        on_drift: if args.leave_out_changed {
            OnDrift::LeaveOut
        } else {
            OnDrift::Refuse
        },
        journal: Some(journal),
        is_quiet_about_nothing: false,
        applying: args.applying,
    };
    application.run(&admin, &plan, context).await
}

/// The plan's name with `.journal` behind it.
fn journal_of(plan: &Path) -> PathBuf {
    let mut name = OsString::from(plan);
    name.push(".journal");
    PathBuf::from(name)
}

/// How a plan is applied.
pub(super) struct Application {
    pub(super) yes: bool,
    pub(super) format: ReportFormat,
    pub(super) on_drift: OnDrift,
    pub(super) journal: Option<PathBuf>,
    /// Whether a plan of nothing is passed over in silence.
    pub(super) is_quiet_about_nothing: bool,
    pub(super) applying: ApplyArgs,
}

impl Application {
    /// Shows the plan, asks, applies it, and reports what was seen afterwards.
    pub(super) async fn run(self, admin: &PartitionAdmin, plan: &RetirementPlan, context: &Context) -> Result<Outcome> {
        let json = self.format == ReportFormat::Json;
        if plan.is_empty() && !json {
            if !self.is_quiet_about_nothing {
                output::print(&retirement::describe_plan(plan, terminal::stdout_width()))?;
            }
            return Ok(Outcome::Done);
        }
        if !plan.is_empty() && !self.is_confirmed(plan, context.messages)? {
            context.messages.tell("nothing was retired");
            return Ok(Outcome::Declined);
        }
        let report = self.apply(admin, plan, context).await?;
        if json {
            output::print_json(&report)?;
        } else {
            output::print(&retirement::describe_report(&report, terminal::stdout_width()))?;
        }
        if let Some(failure) = report.unrecorded() {
            let told = output::printable(failure.message());
            context
                .messages
                .warn(format!("the end of this run is not recorded: {told}"));
        }
        Ok(if report.is_complete() {
            Outcome::Done
        } else {
            Outcome::NotVerified
        })
    }

    /// Shows the plan, and asks unless `--yes` is there. Who is asked sees the plan even with `--quiet`.
    fn is_confirmed(&self, plan: &RetirementPlan, messages: Messages) -> Result<bool> {
        let shown = retirement::describe_plan(plan, terminal::stderr_width());
        if self.yes {
            messages.tell(shown.trim_end());
            return Ok(true);
        }
        let totals = plan.totals();
        let question = Question {
            what: &format!(
                "retiring {} ({}) cannot be undone",
                text::counted(totals.partitions, "partition"),
                text::counted(totals.rows, "row")
            ),
            word: &totals.partitions.to_string(),
        };
        messages.confirm(shown.trim_end(), &question)
    }

    async fn apply(
        &self,
        admin: &PartitionAdmin,
        plan: &RetirementPlan,
        context: &Context,
    ) -> Result<RetirementReport> {
        let stop = StopSignal::new();
        let mut options = ApplyOptions::default()
            .with_concurrency(self.applying.concurrency.get() as usize)
            .with_rate(self.applying.rate)
            .with_on_drift(self.on_drift)
            .with_on_failure(if self.applying.stop_on_failure {
                OnFailure::Stop
            } else {
                OnFailure::CarryOn
            })
            .with_stop(stop.clone());
        if plan.is_empty() {
            return admin.apply(plan, &options, &lakepilot_admin::Silent).await;
        }
        let state = State::of_environment()?;
        // Kept until the end.
        let _lock = state.lock(admin.server().unwrap_or_default())?;
        options = options.with_history(state.history()?);
        if let Some(path) = &self.journal {
            let journal = Journal::open(path, plan)?;
            if journal.is_resumed() {
                let told = format!("taking up the run before: {} says what it has done", path.display());
                context.messages.tell(told);
            }
            options = options.with_journal(Arc::new(journal));
        }
        until_interrupted(admin, plan, &options, &stop, context.messages).await
    }
}

/// Applies a plan. Ctrl-C finishes what is in flight and stops; a second one ends at once.
async fn until_interrupted(
    admin: &PartitionAdmin,
    plan: &RetirementPlan,
    options: &ApplyOptions,
    stop: &StopSignal,
    messages: Messages,
) -> Result<RetirementReport> {
    let progress = AdminProgress::new(messages);
    let applying = admin.apply(plan, options, &progress);
    tokio::pin!(applying);
    loop {
        tokio::select! {
            // The signal first: its handler has to stand before the first partition goes.
            biased;
            signal = tokio::signal::ctrl_c() => {
                signal?;
                if stop.is_stopped() {
                    return Err(Error::new(
                        ErrorKind::Cancelled,
                        "interrupted twice: list the partitions to see what was retired",
                    ));
                }
                messages.tell("stopping: what is in flight is finished first; Ctrl-C again to end at once");
                stop.stop();
            }
            report = &mut applying => return report,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_stands_beside_its_plan() {
        assert_eq!(journal_of(Path::new("a/old.plan")), Path::new("a/old.plan.journal"));
    }
}
