//! Plans and reports of retirements as a person reads them.

mod progress;

use std::collections::BTreeMap;

use lakepilot_admin::{RetirementPlan, RetirementReport, StayReason};

pub(crate) use progress::AdminProgress;

use crate::output::{Heading, printable, table, text};

/// What would be retired, an instance a line, and the sums.
pub(crate) fn describe_plan(plan: &RetirementPlan, width: Option<usize>) -> String {
    let totals = plan.totals();
    if totals.partitions == 0 {
        let mut told = "nothing to retire\n".to_owned();
        told.push_str(&staying(plan));
        return text::wrap(&told, width);
    }
    let headings = [
        Heading::text("view set"),
        Heading::text("instance"),
        Heading::number("partitions"),
        Heading::number("rows"),
        Heading::number("bytes").optional(),
        Heading::number("staying").optional(),
        Heading::text("insert time").optional(),
    ];
    let rows: Vec<Vec<String>> = plan
        .instances()
        .iter()
        .map(|instance| {
            vec![
                instance.instance().view_set_name.clone(),
                instance.instance().view_instance_id.clone(),
                text::count(instance.partitions().len() as u64),
                text::count(instance.summary().rows),
                text::bytes(instance.summary().file_size_bytes as f64),
                text::count(instance.staying().len() as u64),
                text::range(instance.summary().insert_range),
            ]
        })
        .collect();
    let mut told = format!("to retire:\n{}", table(&headings, &rows, width));
    told.push_str(&format!(
        "in all {} of {}, {}, {}",
        text::counted(totals.partitions, "partition"),
        text::counted(totals.instances, "instance"),
        text::counted(totals.rows, "row"),
        text::bytes(totals.file_size_bytes as f64),
    ));
    told.push('\n');
    told.push_str(&staying(plan));
    text::wrap(&told, width)
}

/// How many partitions stay for which reason, a reason a line.
fn staying(plan: &RetirementPlan) -> String {
    let mut reasons: BTreeMap<StayReason, u64> = BTreeMap::new();
    for stays in plan.instances().iter().flat_map(|instance| instance.staying()) {
        *reasons.entry(stays.reason).or_default() += 1;
    }
    let lines = reasons
        .into_iter()
        .map(|(reason, count)| format!("{}: {}\n", verb(count, "stays", "stay"), reason.as_str()));
    lines.collect()
}

fn verb(count: u64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        text::counted(count, "partition"),
        if count == 1 { one } else { many }
    )
}

/// What came of it, as seen by listing again.
pub(crate) fn describe_report(report: &RetirementReport, width: Option<usize>) -> String {
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
    let counts = report.counts();
    let mut told = table(&headings, &rows, width);
    told.push_str(&format!(
        "seen by listing again: {} retired, {} remaining, {} unknown, {} already gone\n",
        text::counted(counts.retired, "partition"),
        counts.remaining,
        counts.unknown,
        counts.already_gone,
    ));
    for instance in report.instances() {
        for failure in instance.failures() {
            told.push_str(&format!(
                "failed: {}: {}\n",
                instance.instance(),
                printable(failure.message())
            ));
        }
    }
    if let Some(failure) = report.unverified() {
        told.push_str(&format!("could not list again: {}\n", printable(failure.message())));
    }
    if counts.unplanned > 0 {
        told.push_str(&format!(
            "{} not planned and gone as well: somebody else retired or merged them\n",
            verb(counts.unplanned, "was", "were")
        ));
    }
    if !report.is_complete() {
        told.push_str("not everything is gone: run the command again, and see the server's log for what failed\n");
    }
    text::wrap(&told, width)
}
