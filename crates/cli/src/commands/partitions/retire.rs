//! Retirements without a saved plan: the same plan, applied as soon as it was seen.

use lakepilot_admin::{OnDrift, PartitionAdmin, Selection};
use lakepilot_query::Result;

use super::apply::Application;
use super::plan::show_and_save;
use super::selection;
use crate::args::{RetireArgs, RetireInstancesArgs, RetireProcessArgs, RetirementArgs};
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::printable;

pub(super) async fn retire(args: RetireArgs, context: &Context) -> Result<Outcome> {
    let range = context.required_time_range()?;
    let selection = Selection::of_instances([&args.instance])
        .in_view_sets([&args.view_set])
        .within(range);
    settle(selection, args.retirement, context).await
}

pub(super) async fn retire_instances(args: RetireInstancesArgs, context: &Context) -> Result<Outcome> {
    let mut selection = Selection::non_global();
    if !args.view_set.is_empty() {
        selection = selection.in_view_sets_like(args.view_set);
    }
    if let Some(range) = context.time_range()? {
        selection = selection.within(range);
    }
    settle(selection, args.retirement, context).await
}

pub(super) async fn retire_process(args: RetireProcessArgs, context: &Context) -> Result<Outcome> {
    context.refuse_time_range("--older-than says which partitions of the process are meant")?;
    let cutoff = selection::time(args.older_than.as_deref(), "--older-than")?;
    let selection = Selection::of_process(args.process_id).older_than(cutoff);
    settle(selection, args.retirement, context).await
}

async fn settle(selection: Selection, args: RetirementArgs, context: &Context) -> Result<Outcome> {
    let guards = selection::guards(&args.guards, context)?;
    let admin: PartitionAdmin = selection::admin(context).await?.with_guards(guards);
    let process = selection.process().map(printable);
    let plan = admin.plan(selection).await?;
    if let Some(process) = process.filter(|_| plan.instances().is_empty()) {
        // A mistyped id looks just like one of which nothing is left.
        let told = format!("no partition is kept under the process {process} or one of its streams");
        context.messages.tell(told);
    }
    if args.confirm.dry_run {
        show_and_save(&plan, None, args.confirm.format, context)?;
        return Ok(Outcome::Done);
    }
    let application = Application {
        yes: args.confirm.yes,
        format: args.confirm.format,
        // The plan is a moment old: what has gone meanwhile is told, and no reason to stop.
        on_drift: OnDrift::LeaveOut,
        journal: None,
        is_quiet_about_nothing: false,
        applying: args.applying,
    };
    application.run(&admin, &plan, context).await
}
