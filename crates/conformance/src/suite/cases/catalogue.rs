//! The catalogue as values.

use lakepilot_catalog::{PartitionFilter, ProcessFilter};

use crate::suite::Context;
use crate::suite::case::{Failure, Observations, Outcome, ensure, ensure_equal};

/// The view sets that both lakes have.
const COMMON: &[&str] = &[
    "log_entries",
    "measures",
    "log_stats",
    "thread_spans",
    "async_events",
    "processes",
    "streams",
    "blocks",
];

pub(super) async fn agrees(context: &Context) -> Outcome {
    let catalog = context.catalog();
    let processes = catalog.processes(&ProcessFilter::all()).await?;
    ensure_equal(
        "processes",
        processes.len() as i64,
        context.count("processes", None).await?,
    )?;
    let process = catalog.find_process(&context.process_id).await?;
    ensure(process.is_some(), || {
        format!("the process {} is not found", context.process_id)
    })?;

    let streams = catalog.streams_of_process(&context.process_id).await?;
    ensure(
        streams.iter().any(|stream| stream.stream_id == context.stream_id),
        || format!("the stream {} is not one of its process", context.stream_id),
    )?;
    let blocks = catalog.blocks_of_process(&context.process_id, None).await?;
    let ids: Vec<&str> = streams.iter().map(|stream| stream.stream_id.as_str()).collect();
    ensure(!blocks.is_empty(), || "the process has no blocks".to_owned())?;
    for block in &blocks {
        ensure(ids.contains(&block.stream_id.as_str()), || {
            format!(
                "the block {} is of a stream that the process does not have",
                block.block_id
            )
        })?;
    }

    let mut seen = Observations::default();
    let view_sets = catalog.view_sets().await?;
    for name in COMMON {
        let view_set = view_sets.iter().find(|view_set| view_set.name == *name);
        let view_set = view_set.ok_or_else(|| Failure::new(format!("there is no view set {name}")))?;
        seen.note(
            *name,
            format!(
                "has a view maker: {}, has a global instance: {}",
                view_set.has_view_maker, view_set.global_instance_available
            ),
        );
        let partitions = catalog
            .partitions(&PartitionFilter::all().with_view_sets([*name]))
            .await?;
        for partition in partitions {
            ensure(partition.file_schema_hash == view_set.current_schema_hash, || {
                format!("a partition of {name} has another schema than its view set")
            })?;
        }
    }
    let global = context.partitions("log_entries", "global").await?;
    let rows: u64 = global.iter().map(|partition| partition.num_rows).sum();
    ensure_equal(
        "the rows of the partitions of log_entries",
        rows as i64,
        context.count("log_entries", None).await?,
    )?;
    Ok(seen)
}
