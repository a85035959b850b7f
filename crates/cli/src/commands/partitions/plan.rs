//! `lakepilot partitions plan-retire` and `verify`: what would go, and what is gone.

use std::path::Path;

use lakepilot_admin::{RetirementPlan, Selection};
use lakepilot_query::{Error, ErrorKind, Result};

use super::selection;
use crate::args::{PlanRetireArgs, VerifyArgs};
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::{self, ReportFormat};
use crate::retirement;
use crate::terminal;

pub(super) async fn plan_retire(args: PlanRetireArgs, context: &Context) -> Result<Outcome> {
    let selection = selection::selection(&args.selection, context)?;
    if selection == Selection::everything() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "say which partitions are meant: --non-global for all that are not global, or another option of the selection",
        ));
    }
    let guards = selection::guards(&args.guards, context)?;
    let plan = selection::admin(context)
        .await?
        .with_guards(guards)
        .plan(selection)
        .await?;
    show_and_save(&plan, args.plan.as_deref(), args.format, context)?;
    Ok(Outcome::Done)
}

/// Shows a plan on standard output, and saves it when there is a name for it.
pub(super) fn show_and_save(
    plan: &RetirementPlan,
    path: Option<&Path>,
    format: ReportFormat,
    context: &Context,
) -> Result<()> {
    match format {
        ReportFormat::Json => output::print_json(plan)?,
        ReportFormat::Table => output::print(&retirement::describe_plan(plan, terminal::stdout_width()))?,
    }
    if plan.capabilities().is_none() && !plan.is_empty() {
        context.messages.warn(
            "the server offers these credentials no function that retires: to apply the plan takes an administrator",
        );
    }
    let Some(path) = path else { return Ok(()) };
    plan.save(path)?;
    let path = path.display();
    context.messages.tell(if plan.is_empty() {
        format!("saved to {path}, though there is nothing in it to apply")
    } else {
        format!("saved to {path}; nothing was retired; to do so: lakepilot partitions apply --plan {path}")
    });
    Ok(())
}

pub(super) async fn verify(args: VerifyArgs, context: &Context) -> Result<Outcome> {
    let plan = RetirementPlan::load(&args.plan)?;
    let verification = selection::admin(context).await?.verify(&plan).await?;
    match args.format {
        ReportFormat::Json => output::print_json(&verification)?,
        ReportFormat::Table => {
            output::print(&retirement::describe_verification(
                &verification,
                terminal::stdout_width(),
            ))?;
        }
    }
    Ok(if verification.is_complete() {
        Outcome::Done
    } else {
        Outcome::NotVerified
    })
}
