//! Plans as a person reads them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use lakepilot_admin::{InstancePlan, Request, RetirementPlan, StayReason};
use lakepilot_query::to_rfc3339;

use super::{MOST_INSTANCES, left_out, verb};
use crate::output::{Heading, printable, table, text};

/// What would be retired, an instance a line, and the sums.
pub(crate) fn describe_plan(plan: &RetirementPlan, width: Option<usize>) -> String {
    let totals = plan.totals();
    if plan.is_empty() {
        return text::wrap(&format!("nothing to retire\n{}", staying(plan)), width);
    }
    let concerned: Vec<&InstancePlan> = plan
        .instances()
        .iter()
        .filter(|one| !one.partitions().is_empty())
        .collect();
    let mut told = match plan.server() {
        Some(server) => format!("to retire from {}:\n", printable(server)),
        None => "to retire:\n".to_owned(),
    };
    told.push_str(&instances(&concerned, width));
    told.push_str(&left_out(concerned.len()));
    told.push_str(&format!(
        "in all {} of {}, {}, {}\n",
        text::counted(totals.partitions, "partition"),
        text::counted(totals.instances, "instance"),
        text::counted(totals.rows, "row"),
        text::bytes(totals.file_size_bytes as f64),
    ));
    let summaries = || concerned.iter().map(|instance| instance.summary());
    for (name, range) in [
        ("insert", hull(summaries().filter_map(|summary| summary.insert_range))),
        ("event", hull(summaries().filter_map(|summary| summary.event_range))),
    ] {
        if range.is_some() {
            told.push_str(&format!("{name} time {}\n", text::range(range)));
        }
    }
    if plan.takes_global() {
        told.push_str("among them partitions of global, which hold the rows of all processes\n");
    }
    told.push_str(&staying(plan));
    told.push_str(&format!("guards: {}\n", plan.guards()));
    told.push_str(&format!("to be asked for: {}\n", requests(plan)));
    told.push_str(&format!(
        "plan {}\nmade {}\n",
        plan.digest(),
        to_rfc3339(plan.made_at())
    ));
    text::wrap(&told, width)
}

type Times = (DateTime<Utc>, DateTime<Utc>);

/// From the first beginning to the last end.
fn hull(ranges: impl Iterator<Item = Times>) -> Option<Times> {
    ranges.reduce(|(begin, end), (other_begin, other_end)| (begin.min(other_begin), end.max(other_end)))
}

fn instances(concerned: &[&InstancePlan], width: Option<usize>) -> String {
    let headings = [
        Heading::text("view set"),
        Heading::text("instance"),
        Heading::number("partitions"),
        Heading::number("rows"),
        Heading::number("bytes").optional(),
        Heading::number("staying").optional(),
        Heading::text("insert time").optional(),
        Heading::text("event time").optional(),
    ];
    let rows: Vec<Vec<String>> = concerned
        .iter()
        .take(MOST_INSTANCES)
        .map(|instance| {
            let summary = instance.summary();
            vec![
                instance.instance().view_set_name.clone(),
                instance.instance().view_instance_id.clone(),
                text::count(summary.partitions),
                text::count(summary.rows),
                text::bytes(summary.file_size_bytes as f64),
                text::count(instance.staying().len() as u64),
                text::range(summary.insert_range),
                text::range(summary.event_range),
            ]
        })
        .collect();
    table(&headings, &rows, width)
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

/// What the server will be asked, from the most exact to the least.
fn requests(plan: &RetirementPlan) -> String {
    let (mut files, mut metadata, mut ranges, mut in_ranges) = (0, 0, 0, 0);
    for request in plan.instances().iter().flat_map(|instance| instance.requests()) {
        match request {
            Request::File { partitions } => files += partitions,
            Request::Metadata { partitions } => metadata += partitions,
            Request::Range { partitions, .. } => {
                ranges += 1;
                in_ranges += partitions;
            }
        }
    }
    let mut told = Vec::new();
    if files > 0 {
        told.push(format!("{} by file", text::count(files)));
    }
    if metadata > 0 {
        told.push(format!("{} by view instance and insert time", text::count(metadata)));
    }
    if ranges > 0 {
        let over = text::counted(ranges, "range");
        told.push(format!(
            "{} by {over} of insert time, around all that stays",
            text::count(in_ranges)
        ));
    }
    told.join(", ")
}
