//! `lakepilot partitions materialize` and `regenerate`.

use std::time::Duration;

use lakepilot_admin::{Materialisation, MaterialisationReport};
use lakepilot_query::{Result, parse_duration, to_rfc3339};

use super::selection;
use crate::args::MaterializeArgs;
use crate::context::Context;
use crate::exit::Outcome;
use crate::messages::Question;
use crate::output::{self, ReportFormat, text};
use crate::retirement::AdminProgress;
use crate::state::State;

pub(super) async fn materialise(args: MaterializeArgs, anew: bool, context: &Context) -> Result<Outcome> {
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
    let question = Question {
        what: "the partitions of this range are replaced",
        word: "yes",
    };
    // Writing partitions anew replaces them, which is a deletion; materialising only adds.
    if args.confirm.yes || !anew {
        context.messages.tell(&plan);
    } else if !context.messages.confirm(&plan, &question)? {
        context.messages.tell("nothing was replaced");
        return Ok(Outcome::Declined);
    }
    let history = State::of_environment()?.history()?;
    let admin = selection::admin(context).await?.with_history(history);
    let progress = AdminProgress::new(context.messages);
    let report = if anew {
        admin.regenerate(&what, &progress).await?
    } else {
        admin.materialize(&what, &progress).await?
    };
    drop(progress);
    match args.confirm.format {
        ReportFormat::Json => output::print_json(&report)?,
        ReportFormat::Table => output::print(&describe_materialisation(&report))?,
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
