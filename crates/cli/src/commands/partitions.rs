//! `lakepilot partitions`: list, retire and materialise.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use chrono::Utc;
use lakepilot_admin::{
    ApplyOptions, Materialisation, MaterialisationReport, PartitionAdmin, RetirementPlan, Selection, StopSignal,
    ViewInstance,
};
use lakepilot_catalog::{Catalog, Partition, PartitionFilter};
use lakepilot_query::{Error, ErrorKind, Result, parse_duration, parse_time, to_rfc3339};

use super::listing::{self, texts, times};
use crate::args::{ConfirmArgs, ListArgs, MaterializeArgs, PartitionsCommand, RetireInstancesArgs};
use crate::context::Context;
use crate::exit::Outcome;
use crate::messages::Messages;
use crate::output::{self, ReportFormat, text};
use crate::{retirement, terminal};

pub(crate) async fn partitions(command: PartitionsCommand, context: &Context) -> Result<Outcome> {
    match command {
        PartitionsCommand::List(args) => list(args, context).await,
        PartitionsCommand::Retire(args) => {
            let range = context.required_time_range()?;
            let instance = ViewInstance::new(args.view_set, args.instance);
            let admin = PartitionAdmin::new(context.service().await?);
            let plan = admin.plan_range(&instance, range).await?;
            retire(&admin, plan, args.confirm, context).await
        }
        PartitionsCommand::RetireInstances(args) => retire_instances(args, context).await,
        PartitionsCommand::RetireProcess(args) => {
            context.refuse_time_range("--older-than says which partitions of the process are meant")?;
            let cutoff = args
                .older_than
                .as_deref()
                .map(|text| parse_time(text, Utc::now()).map_err(|error| error.context("--older-than")))
                .transpose()?;
            let admin = PartitionAdmin::new(context.service().await?);
            let plan = admin.plan_process(&args.process_id, cutoff).await?;
            retire(&admin, plan, args.confirm, context).await
        }
        PartitionsCommand::Materialize(args) => materialise(args, false, context).await,
        PartitionsCommand::Regenerate(args) => materialise(args, true, context).await,
    }
}

async fn list(args: ListArgs, context: &Context) -> Result<Outcome> {
    let mut filter = PartitionFilter::all();
    if let Some(view_set) = args.view_set {
        filter = filter.with_view_sets([view_set]);
    }
    if let Some(instance) = args.instance {
        filter = filter.with_instances([instance]);
    }
    if args.non_global {
        filter = filter.non_global();
    }
    if let Some(range) = context.time_range()? {
        filter = filter.overlapping(range);
    }
    let partitions = Catalog::new(context.service().await?).partitions(&filter).await?;
    listing::write(listed(&partitions)?, args.listing, context).await
}

fn listed(partitions: &[Partition]) -> Result<RecordBatch> {
    let numbers = |value: fn(&Partition) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(
            partitions
                .iter()
                .map(|partition| i64::try_from(value(partition)).unwrap_or(i64::MAX)),
        ))
    };
    Ok(RecordBatch::try_from_iter([
        (
            "view_set",
            texts(
                partitions
                    .iter()
                    .map(|partition| Some(partition.view_set_name.as_str())),
            ),
        ),
        (
            "instance",
            texts(
                partitions
                    .iter()
                    .map(|partition| Some(partition.view_instance_id.as_str())),
            ),
        ),
        (
            "begin_insert_time",
            times(partitions.iter().map(|partition| Some(partition.begin_insert_time))),
        ),
        (
            "end_insert_time",
            times(partitions.iter().map(|partition| Some(partition.end_insert_time))),
        ),
        ("rows", numbers(|partition| partition.num_rows)),
        ("bytes", numbers(|partition| partition.file_size_bytes)),
        (
            "min_event_time",
            times(partitions.iter().map(|partition| partition.min_event_time)),
        ),
        (
            "max_event_time",
            times(partitions.iter().map(|partition| partition.max_event_time)),
        ),
        (
            "file",
            texts(partitions.iter().map(|partition| partition.file_path.as_deref())),
        ),
    ])?)
}

async fn retire_instances(args: RetireInstancesArgs, context: &Context) -> Result<Outcome> {
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
async fn retire(
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
    let question = format!(
        "retire {} ({}) for good?",
        text::counted(totals.partitions, "partition"),
        text::counted(totals.rows, "row")
    );
    if !confirmed(confirm, &shown, &question, context.messages)? {
        context.messages.tell("nothing was retired");
        return Ok(Outcome::Declined);
    }
    let stop = StopSignal::new();
    let options = ApplyOptions::default().with_stop(stop.clone());
    let messages = context.messages;
    let observer = retirement::observer(messages);
    let applying = admin.apply(&plan, &options, &observer);
    tokio::pin!(applying);
    let report = loop {
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
            report = &mut applying => break report?,
        }
    };
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

/// Shows the plan, and asks unless `--yes` is there. Who is asked sees the plan even with `--quiet`.
fn confirmed(confirm: ConfirmArgs, plan: &str, question: &str, messages: Messages) -> Result<bool> {
    if confirm.yes {
        messages.tell(plan.trim_end());
        return Ok(true);
    }
    messages.confirm(plan.trim_end(), question)
}

async fn materialise(args: MaterializeArgs, anew: bool, context: &Context) -> Result<Outcome> {
    let range = context.required_time_range()?;
    let step = parse_duration(&args.step).map_err(|error| error.context("--step"))?;
    let what = Materialisation::new(args.view_set, range, step)?;
    let plan = describe_plan(&what, step, anew);
    if args.confirm.dry_run {
        match args.confirm.format {
            ReportFormat::Json => output::print_json(&plan_as_json(&what, step, anew))?,
            ReportFormat::Table => output::print(&(plan + "\n"))?,
        }
        return Ok(Outcome::Done);
    }
    // Writing partitions anew replaces them, which is a deletion; materialising only adds.
    let confirm = ConfirmArgs {
        yes: args.confirm.yes || !anew,
        ..args.confirm
    };
    if !confirmed(
        confirm,
        &plan,
        "replace the partitions of this range?",
        context.messages,
    )? {
        context.messages.tell("nothing was replaced");
        return Ok(Outcome::Declined);
    }
    let admin = PartitionAdmin::new(context.service().await?);
    let observer = retirement::observer(context.messages);
    let report = if anew {
        admin.regenerate(&what, &observer).await?
    } else {
        admin.materialize(&what, &observer).await?
    };
    match args.confirm.format {
        ReportFormat::Json => output::print_json(&report)?,
        ReportFormat::Table => output::print(&describe_materialisation(&report))?,
    }
    Ok(if report.is_complete() {
        Outcome::Done
    } else {
        Outcome::NotVerified
    })
}

fn describe_plan(what: &Materialisation, step: Duration, anew: bool) -> String {
    let verb = if anew { "write anew" } else { "materialise" };
    format!(
        "{verb} {} from {} to {} in steps of {}",
        output::printable(what.view_set_name()),
        to_rfc3339(what.range().begin()),
        to_rfc3339(what.end_of_steps()),
        text::duration(step)
    )
}

fn plan_as_json(what: &Materialisation, step: Duration, anew: bool) -> serde_json::Value {
    serde_json::json!({
        "action": if anew { "regenerate" } else { "materialize" },
        "view_set": what.view_set_name(),
        "instance": "global",
        "begin_insert_time": to_rfc3339(what.range().begin()),
        "end_insert_time": to_rfc3339(what.end_of_steps()),
        "step_seconds": step.as_secs(),
    })
}

fn describe_materialisation(report: &MaterialisationReport) -> String {
    let mut told = format!(
        "{}: {} created, {} replaced, {} kept\n",
        report.instance(),
        text::counted(report.created().len() as u64, "partition"),
        report.replaced().len(),
        report.kept().len()
    );
    for gap in report.gaps() {
        told.push_str(&format!("  no partition from {}\n", text::range(Some(*gap))));
    }
    if let Some(tail) = report.skipped_tail() {
        told.push_str(&format!(
            "  left out, since it is shorter than the step: {}\n",
            text::range(Some(tail))
        ));
    }
    for failure in report.failures() {
        told.push_str(&format!("  failed: {}\n", output::printable(failure)));
    }
    told
}
