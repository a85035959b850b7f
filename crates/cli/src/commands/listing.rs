//! `lakepilot processes` and `lakepilot streams`: who sends telemetry.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray};
use chrono::{DateTime, Utc};
use lakepilot_catalog::{Catalog, ProcessFilter};
use lakepilot_query::Result;

use crate::args::{ListingArgs, ProcessesArgs, StreamsArgs};
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::{self, DataFormat, RowsOptions};

pub(crate) async fn processes(args: ProcessesArgs, context: &Context) -> Result<Outcome> {
    let mut filter = ProcessFilter::all()
        .with_limit(args.limit)
        .seen_in(context.time_range()?);
    if let Some(exe) = args.exe {
        filter = filter.with_exe_containing(exe);
    }
    let processes = Catalog::new(context.service().await?).processes(&filter).await?;
    let batch = RecordBatch::try_from_iter([
        (
            "process_id",
            texts(processes.iter().map(|process| Some(process.process_id.as_str()))),
        ),
        ("exe", texts(processes.iter().map(|process| process.exe.as_deref()))),
        (
            "username",
            texts(processes.iter().map(|process| process.username.as_deref())),
        ),
        (
            "computer",
            texts(processes.iter().map(|process| process.computer.as_deref())),
        ),
        ("start_time", times(processes.iter().map(|process| process.start_time))),
        (
            "last_update_time",
            times(processes.iter().map(|process| process.last_update_time)),
        ),
    ])?;
    write(batch, args.listing, context).await
}

pub(crate) async fn streams(args: StreamsArgs, context: &Context) -> Result<Outcome> {
    let streams = Catalog::new(context.service().await?)
        .streams_of_process(&args.process_id)
        .await?;
    let tags = streams.iter().map(|stream| stream.tags.join(", ")).collect::<Vec<_>>();
    let batch = RecordBatch::try_from_iter([
        (
            "stream_id",
            texts(streams.iter().map(|stream| Some(stream.stream_id.as_str()))),
        ),
        (
            "process_id",
            texts(streams.iter().map(|stream| stream.process_id.as_deref())),
        ),
        ("tags", texts(tags.iter().map(|tags| Some(tags.as_str())))),
        ("insert_time", times(streams.iter().map(|stream| stream.insert_time))),
        (
            "last_update_time",
            times(streams.iter().map(|stream| stream.last_update_time)),
        ),
    ])?;
    write(batch, args.listing, context).await
}

pub(crate) fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

pub(crate) fn times(values: impl Iterator<Item = Option<DateTime<Utc>>>) -> ArrayRef {
    let times: TimestampNanosecondArray = values
        .map(|time| time.and_then(|time| time.timestamp_nanos_opt()))
        .collect();
    Arc::new(times.with_timezone("UTC"))
}

/// Writes a listing to standard output or to a file.
pub(crate) async fn write(batch: RecordBatch, args: ListingArgs, context: &Context) -> Result<Outcome> {
    let mut sink = output::sink(&RowsOptions {
        format: DataFormat::choose(args.format, args.output.as_deref())?,
        output: args.output.clone(),
        compression: None,
        max_display_rows: usize::MAX,
    })?;
    sink.start(batch.schema()).await?;
    if batch.num_rows() > 0 {
        sink.write(0, batch).await?;
    }
    sink.finish().await?;
    context.tell_written(args.output.as_deref());
    Ok(Outcome::Done)
}
