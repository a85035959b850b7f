//! Reports as a person reads them: what a listing showed, never what a server said.

use std::collections::BTreeMap;

use lakepilot_admin::{Outcome, PartitionOutcome, Presence, RetirementReport, StillThere, Verification, ViewInstance};
use lakepilot_catalog::Partition;
use lakepilot_query::to_rfc3339;

use super::{MOST_INSTANCES, left_out, verb};
use crate::output::{Heading, printable, table, text};

/// Partitions that are named one by one.
const MOST_NAMED: usize = 10;

/// What came of a plan, as seen by listing again.
pub(crate) fn describe_report(report: &RetirementReport, width: Option<usize>) -> String {
    let counts = report.counts();
    let mut told = instances(report, width);
    told.push_str(&left_out(report.instances().len()));
    told.push_str(&format!(
        "seen by listing again: {} retired, {} remaining, {} unknown, {} already gone\n",
        text::counted(counts.retired, "partition"),
        text::count(counts.remaining),
        text::count(counts.unknown),
        text::count(counts.already_gone),
    ));
    told.push_str(&remaining(report));
    told.push_str(&failures(report));
    if let Some(failure) = report.unverified() {
        told.push_str(&format!("could not list again: {}\n", printable(failure.message())));
    }
    if counts.unplanned > 0 {
        told.push_str(&format!(
            "{} not planned and gone as well: somebody else retired or merged them\n",
            verb(counts.unplanned, "was", "were")
        ));
    }
    if !report.appeared().is_empty() {
        told.push_str(&format!(
            "{} written since the plan was made, and left alone\n",
            verb(report.appeared().len() as u64, "was", "were")
        ));
    }
    if !report.is_complete() {
        let only_ended_early = counts.unknown == 0 && !report.partitions().iter().any(is_trouble);
        told.push_str(if only_ended_early {
            "NOT VERIFIED: not everything is gone; run the command again to go on\n"
        } else {
            "NOT VERIFIED: not everything is gone; see the server's log for why, then run the command again\n"
        });
    }
    text::wrap(&told, width)
}

/// Whether a partition is still there although it was asked for, or could not be.
fn is_trouble(partition: &PartitionOutcome) -> bool {
    matches!(partition.outcome, Outcome::Remaining(why) if why != StillThere::NotAsked)
}

fn instances(report: &RetirementReport, width: Option<usize>) -> String {
    let headings = [
        Heading::text("view set"),
        Heading::text("instance"),
        Heading::number("retired"),
        Heading::number("remaining"),
        Heading::number("unknown").optional(),
        Heading::number("already gone").optional(),
    ];
    let rows: Vec<Vec<String>> = report
        .instances()
        .iter()
        .take(MOST_INSTANCES)
        .map(|instance| {
            let counts = instance.counts();
            vec![
                instance.instance().view_set_name.clone(),
                instance.instance().view_instance_id.clone(),
                text::count(counts.retired),
                text::count(counts.remaining),
                text::count(counts.unknown),
                text::count(counts.already_gone),
            ]
        })
        .collect();
    table(&headings, &rows, width)
}

/// What is still there and why, and the first of it by name.
fn remaining(report: &RetirementReport) -> String {
    let mut reasons: BTreeMap<&str, Vec<&Partition>> = BTreeMap::new();
    for partition in report.partitions() {
        if let Outcome::Remaining(why) = partition.outcome {
            reasons.entry(why_there(why)).or_default().push(&partition.partition);
        }
    }
    let mut told = String::new();
    for (why, partitions) in reasons {
        told.push_str(&format!(
            "{}: {why}\n",
            verb(partitions.len() as u64, "remains", "remain")
        ));
        told.push_str(&named(&partitions));
    }
    told
}

fn why_there(why: StillThere) -> &'static str {
    match why {
        StillThere::Swallowed => {
            "the server answered that all is well, and still lists them; what failed is in its log"
        }
        StillThere::Failed => "the server answered with an error",
        StillThere::Inseparable => {
            "another partition has appeared within their range, and they cannot be had without it"
        }
        StillThere::NotAsked => "the work was ended before they were asked for",
    }
}

/// The first partitions by their insert times, under their view instance.
fn named(partitions: &[&Partition]) -> String {
    let mut told = String::new();
    let mut last = None;
    for partition in partitions.iter().take(MOST_NAMED) {
        let instance = ViewInstance::of(partition);
        if last.as_ref() != Some(&instance) {
            told.push_str(&format!("  {instance}\n"));
            last = Some(instance);
        }
        told.push_str(&format!(
            "    {} to {}\n",
            to_rfc3339(partition.begin_insert_time),
            to_rfc3339(partition.end_insert_time)
        ));
    }
    match partitions.len().saturating_sub(MOST_NAMED) {
        0 => {}
        more => told.push_str(&format!("  and {} more\n", text::count(more as u64))),
    }
    told
}

/// Each failure once, with the instances that it was told for.
fn failures(report: &RetirementReport) -> String {
    let mut failures: BTreeMap<&str, Vec<&ViewInstance>> = BTreeMap::new();
    for instance in report.instances() {
        for failure in instance.failures() {
            failures.entry(failure.message()).or_default().push(instance.instance());
        }
    }
    let mut told = String::new();
    for (message, instances) in failures {
        let of = match instances.as_slice() {
            [one] => one.to_string(),
            many => text::counted(many.len() as u64, "instance"),
        };
        told.push_str(&format!("failed: {of}: {}\n", printable(message)));
    }
    told
}

/// Where the partitions of a plan are.
pub(crate) fn describe_verification(verification: &Verification, width: Option<usize>) -> String {
    let headings = [
        Heading::text("view set"),
        Heading::text("instance"),
        Heading::number("retired"),
        Heading::number("remaining"),
    ];
    let instances = verification.instances();
    let rows: Vec<Vec<String>> = instances
        .iter()
        .take(MOST_INSTANCES)
        .map(|(instance, retired, remaining)| {
            vec![
                instance.view_set_name.clone(),
                instance.view_instance_id.clone(),
                text::count(*retired),
                text::count(*remaining),
            ]
        })
        .collect();
    let mut told = if rows.is_empty() {
        String::new()
    } else {
        table(&headings, &rows, width)
    };
    told.push_str(&left_out(instances.len()));
    told.push_str(&format!(
        "seen by listing: {} of the plan retired, {} remaining\n",
        text::counted(verification.retired(), "partition"),
        text::count(verification.remaining()),
    ));
    let there: Vec<&Partition> = verification
        .partitions()
        .iter()
        .filter(|verified| verified.outcome == Presence::Remaining)
        .map(|verified| &verified.partition)
        .collect();
    told.push_str(&named(&there));
    text::wrap(&told, width)
}
