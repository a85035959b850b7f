//! Retirements: plan, ask, apply, look again.

use lakepilot_admin::{ApplyOptions, PartitionAdmin, RetirementPlan, RetirementReport, Selection, StopSignal};
use lakepilot_query::{Error, ErrorKind, Result};

use crate::args::{ConfirmArgs, RetireInstancesArgs};
use crate::context::Context;
use crate::exit::Outcome;
use crate::messages::{Messages, Question};
use crate::output::{self, ReportFormat, text};
use crate::retirement::{self, AdminProgress};
use crate::terminal;

pub(super) async fn retire_instances(args: RetireInstancesArgs, context: &Context) -> Result<Outcome> {
    let admin = PartitionAdmin::new(context.service().await?);
    let mut selection = Selection::non_global();
    if !args.view_set.is_empty() {
        selection = selection.in_view_sets(args.view_set);
    }
    if let Some(range) = context.time_range()? {
        selection = selection.within(range);
    }
    let plan = admin.plan(selection).await?;
    retire(&admin, plan, args.confirm, context).await
}

/// Shows a plan, asks, applies it, and reports what was seen afterwards.
pub(super) async fn retire(
    admin: &PartitionAdmin,
    plan: RetirementPlan,
    confirm: ConfirmArgs,
    context: &Context,
) -> Result<Outcome> {
    let json = confirm.format == ReportFormat::Json;
    let totals = plan.totals();
    if confirm.dry_run || totals.partitions == 0 {
        if json {
            output::print_json(&plan)?
        } else {
            output::print(&retirement::describe_plan(&plan, terminal::stdout_width()))?
        }
        return Ok(Outcome::Done);
    }
    let shown = retirement::describe_plan(&plan, terminal::stderr_width());
    let question = Question {
        what: &format!(
            "retiring {} ({}) cannot be undone",
            text::counted(totals.partitions, "partition"),
            text::counted(totals.rows, "row")
        ),
        word: &totals.partitions.to_string(),
    };
    if !confirmed(confirm, &shown, &question, context.messages)? {
        context.messages.tell("nothing was retired");
        return Ok(Outcome::Declined);
    }
    let report = applied(admin, &plan, context.messages).await?;
    if json {
        output::print_json(&report)?;
    } else {
        output::print(&retirement::describe_report(&report, terminal::stdout_width()))?;
    }
    Ok(if report.is_complete() {
        Outcome::Done
    } else {
        Outcome::NotVerified
    })
}

/// Applies a plan. Ctrl-C finishes what is in flight and stops; a second one ends at once.
async fn applied(admin: &PartitionAdmin, plan: &RetirementPlan, messages: Messages) -> Result<RetirementReport> {
    let stop = StopSignal::new();
    let options = ApplyOptions::default().with_stop(stop.clone());
    let progress = AdminProgress::new(messages);
    let applying = admin.apply(plan, &options, &progress);
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

/// Shows the plan, and asks unless `--yes` is there. Who is asked sees the plan even with `--quiet`.
pub(super) fn confirmed(confirm: ConfirmArgs, plan: &str, question: &Question<'_>, messages: Messages) -> Result<bool> {
    if confirm.yes {
        messages.tell(plan.trim_end());
        return Ok(true);
    }
    messages.confirm(plan.trim_end(), question)
}
