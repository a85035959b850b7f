//! `lakepilot partitions list`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use lakepilot_catalog::Partition;
use lakepilot_query::Result;

use super::selection;
use crate::args::ListArgs;
use crate::commands::listing::{self, texts, times};
use crate::context::Context;
use crate::exit::Outcome;

pub(super) async fn list(args: ListArgs, context: &Context) -> Result<Outcome> {
    let selection = selection::selection(&args.selection, context)?;
    let partitions = selection::admin(context).await?.list(&selection).await?;
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
