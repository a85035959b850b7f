//! Materialising and regenerating partitions of `global`.

use std::time::Duration;

use lakepilot_admin::{Materialisation, Silent};
use lakepilot_catalog::Partition;
use lakepilot_query::TimeRange;

use crate::suite::case::{Failure, Observations, Outcome, ensure, ensure_equal};
use crate::suite::{Context, spell};

/// The last partition of the global log entries that has rows, as what would be materialised to make it.
async fn last_partition(context: &Context) -> Result<(Partition, Materialisation), Failure> {
    let partitions = context.partitions("log_entries", "global").await?;
    let partition = partitions
        .into_iter()
        .rfind(|partition| partition.num_rows > 0)
        .ok_or_else(|| Failure::new("the global log entries have no partition"))?;
    let range = TimeRange::new(partition.begin_insert_time, partition.end_insert_time)?;
    let step = Duration::from_secs(range.duration().as_secs());
    Ok((partition, Materialisation::new("log_entries", range, step)?))
}

pub(super) async fn what_is_there(context: &Context) -> Outcome {
    let mut seen = Observations::default();
    let unknown =
        "SELECT msg FROM materialize_partitions('nope', '2020-01-01T00:00:00Z', '2020-01-02T00:00:00Z', 86400)";
    let answer = context.rows(unknown, None).await;
    seen.note(
        "an unknown view set",
        answer.map_or_else(
            |error| spell::error(&error),
            |rows| format!("{} rows", rows.len().min(1)),
        ),
    );

    let (partition, what) = last_partition(context).await?;
    let report = context.admin().materialize(&what, &Silent).await?;
    ensure_equal("partitions that were made", report.created().len(), 0)?;
    let partitions = context.partitions("log_entries", "global").await?;
    ensure(partitions.contains(&partition), || {
        "a partition that was up to date is not there any more".to_owned()
    })?;
    Ok(seen)
}

pub(super) async fn regenerate(context: &Context) -> Outcome {
    let rows = context.count("log_entries", None).await?;
    let (partition, what) = last_partition(context).await?;
    let report = context.admin().regenerate(&what, &Silent).await?;
    ensure(report.is_complete(), || {
        format!("the report is not complete: {:?}", report.failures())
    })?;
    let partitions = context.partitions("log_entries", "global").await?;
    let is_in_its_place = |other: &&Partition| {
        other.begin_insert_time == partition.begin_insert_time && other.end_insert_time == partition.end_insert_time
    };
    let again: Vec<&Partition> = partitions.iter().filter(is_in_its_place).collect();
    ensure_equal("partitions in its place", again.len(), 1)?;
    ensure(again[0].file_path != partition.file_path, || {
        "the file is the old one".to_owned()
    })?;
    ensure_equal("rows of the partition", again[0].num_rows, partition.num_rows)?;
    ensure_equal("rows of the view", context.count("log_entries", None).await?, rows)?;
    Ok(Observations::default())
}
