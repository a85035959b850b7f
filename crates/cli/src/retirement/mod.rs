//! Plans and reports of retirements as a person reads them.

mod plan;
mod progress;
mod report;

pub(crate) use plan::describe_plan;
pub(crate) use progress::AdminProgress;
pub(crate) use report::{describe_report, describe_verification};

use crate::output::text;

/// Lines of a table of instances. Beyond them a person reads the sums; JSON has all.
const MOST_INSTANCES: usize = 100;

/// What the table leaves out, if it does.
fn left_out(instances: usize) -> String {
    match instances.saturating_sub(MOST_INSTANCES) {
        0 => String::new(),
        more => format!(
            "and {} more; --format json has all of them\n",
            text::counted(more as u64, "instance")
        ),
    }
}

/// A number of partitions and what they do, in the right number.
fn verb(count: u64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        text::counted(count, "partition"),
        if count == 1 { one } else { many }
    )
}
