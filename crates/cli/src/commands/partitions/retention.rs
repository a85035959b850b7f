//! `lakepilot partitions retention`: what a policy does not keep.

use lakepilot_admin::{Guards, OnDrift, PartitionAdmin, RetentionPolicy};
use lakepilot_query::Result;

use super::apply::Application;
use super::plan::show_and_save;
use super::selection;
use crate::args::{ProtectArgs, RetentionApplyArgs, RetentionPlanArgs};
use crate::context::Context;
use crate::exit::Outcome;

pub(super) async fn plan(args: RetentionPlanArgs, context: &Context) -> Result<Outcome> {
    let (admin, policy) = prepared(&args.policy, &args.protect, context).await?;
    let plan = admin.plan_retention(&policy).await?;
    show_and_save(&plan, args.plan.as_deref(), args.format, context)?;
    Ok(Outcome::Done)
}

pub(super) async fn apply(args: RetentionApplyArgs, context: &Context) -> Result<Outcome> {
    let (admin, policy) = prepared(&args.policy, &args.protect, context).await?;
    let plan = admin.plan_retention(&policy).await?;
    let application = Application {
        yes: args.yes,
        format: args.format,
        on_drift: OnDrift::LeaveOut,
        journal: None,
        // Cron mails what is printed.
        is_quiet_about_nothing: true,
        applying: args.applying,
    };
    application.run(&admin, &plan, context).await
}

async fn prepared(
    policy: &std::path::Path,
    protect: &ProtectArgs,
    context: &Context,
) -> Result<(PartitionAdmin, RetentionPolicy)> {
    context.refuse_time_range("the policy says how long partitions are kept")?;
    // A mistake in the file is told before a server is asked.
    let policy = RetentionPolicy::load(policy)?;
    let guards = Guards::none().with_protected(selection::protected(protect, context)?);
    let admin = selection::admin(context).await?.with_guards(guards);
    Ok((admin, policy))
}
