//! The work by Lakepilot's library.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use futures::TryStreamExt;
use futures::future::try_join_all;
use lakepilot_catalog::{Catalog, PartitionFilter};
use lakepilot_execution::{
    BatchSink, BatchSize, BatchedExecutor, DiscardSink, ExecutionOptions, FileFormat, FileSink, NoProgress, SliceRule,
    Slicing,
};
use lakepilot_flight_client::{ClientConfig, FlightClient};
use lakepilot_query::{Dictionaries, Query, QueryService, TimeRange};

use crate::Asked;
use crate::meter::{Measured, Meter};

async fn connect(asked: &Asked) -> Result<(FlightClient, Query)> {
    let client = FlightClient::connect(ClientConfig::new(&asked.url)?).await?;
    let dictionaries = if asked.preserve_dictionary {
        Dictionaries::Preserved
    } else {
        Dictionaries::Flattened
    };
    Ok((client, Query::new(&asked.sql)?.with_dictionaries(dictionaries)))
}

pub(crate) async fn drain(asked: &Asked) -> Result<Measured> {
    let mut meter = Meter::start()?;
    let (client, query) = connect(asked).await?;
    let mut stream = client.run(&query).await?;
    let mut rows = 0;
    while let Some(batch) = stream.try_next().await? {
        meter.batch();
        rows += batch.num_rows() as u64;
    }
    Ok(Measured { rows, ..meter.stop()? })
}

/// Through the executor: into a Parquet file, or to nowhere.
pub(crate) async fn run(asked: &Asked, output: Option<PathBuf>) -> Result<Measured> {
    let meter = Meter::start()?;
    let (client, query) = connect(asked).await?;
    let mut sink: Box<dyn BatchSink> = match output {
        Some(path) => Box::new(FileSink::create(path, FileFormat::Parquet)?),
        None => Box::new(DiscardSink),
    };
    let options = ExecutionOptions::new().with_batch_size(BatchSize::AsReceived);
    let executor = BatchedExecutor::new(Arc::new(client), options);
    let statistics = executor.execute(&query, sink.as_mut(), &NoProgress).await?;
    Ok(Measured {
        rows: statistics.rows_processed,
        first_batch_seconds: statistics.time_to_first_batch,
        ..meter.stop()?
    })
}

pub(crate) async fn partitions(url: &str) -> Result<Measured> {
    let meter = Meter::start()?;
    let client = FlightClient::connect(ClientConfig::new(url)?).await?;
    let partitions = Catalog::new(Arc::new(client))
        .partitions(&PartitionFilter::all())
        .await?;
    Ok(Measured {
        rows: partitions.len() as u64,
        ..meter.stop()?
    })
}

/// Over the whole range of the log entries, in slices of the same length.
pub(crate) async fn sliced(asked: &Asked, slices: usize) -> Result<Measured> {
    let (client, query) = connect(asked).await?;
    let client: Arc<dyn QueryService> = Arc::new(client);
    let filter = PartitionFilter::all()
        .with_view_sets(["log_entries"])
        .with_instances(["global"]);
    let partitions = Catalog::new(Arc::clone(&client)).partitions(&filter).await?;
    let begin = partitions.iter().filter_map(|partition| partition.min_event_time).min();
    let end = partitions.iter().filter_map(|partition| partition.max_event_time).max();
    let range = TimeRange::new(begin.context("the lake is empty")?, end.context("the lake is empty")?)?;
    let slicing = Slicing::new(SliceRule::Points, range.split(slices))?;
    let meter = Meter::start()?;
    let executor = BatchedExecutor::new(client, ExecutionOptions::new().with_batch_size(BatchSize::AsReceived));
    let query = query.with_time_range(range);
    let mut sink = DiscardSink;
    let run = executor.execute_sliced(&query, &slicing, &mut sink, &NoProgress);
    let statistics = run.await?;
    Ok(Measured {
        rows: statistics.rows_processed,
        first_batch_seconds: statistics.time_to_first_batch,
        ..meter.stop()?
    })
}

async fn rows_of(client: &FlightClient, query: &Query) -> Result<u64> {
    let batches: Vec<_> = client.run(query).await?.try_collect().await?;
    Ok(batches.iter().map(|batch| batch.num_rows() as u64).sum())
}

pub(crate) async fn warm(asked: &Asked, calls: usize) -> Result<Measured> {
    let (client, query) = connect(asked).await?;
    let rows = rows_of(&client, &query).await.context("the first call")?;
    let meter = Meter::start()?;
    let mut taken = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = Instant::now();
        rows_of(&client, &query).await?;
        taken.push(start.elapsed().as_secs_f64());
    }
    Ok(Measured {
        rows,
        calls: taken,
        ..meter.stop()?
    })
}

pub(crate) async fn schema(asked: &Asked, calls: usize) -> Result<Measured> {
    let (client, query) = connect(asked).await?;
    client.prepare(&query).await.context("the first call")?;
    let meter = Meter::start()?;
    let mut taken = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = Instant::now();
        client.prepare(&query).await?;
        taken.push(start.elapsed().as_secs_f64());
    }
    Ok(Measured {
        calls: taken,
        ..meter.stop()?
    })
}

/// One call of many queries is over when the last of them is.
pub(crate) async fn at_once(asked: &Asked, queries: usize, calls: usize) -> Result<Measured> {
    let (client, query) = connect(asked).await?;
    rows_of(&client, &query).await.context("the first call")?;
    let meter = Meter::start()?;
    let mut taken = Vec::with_capacity(calls);
    let mut rows = 0;
    for _ in 0..calls {
        let start = Instant::now();
        let all = try_join_all((0..queries).map(|_| rows_of(&client, &query))).await?;
        taken.push(start.elapsed().as_secs_f64());
        rows = all.iter().sum();
    }
    Ok(Measured {
        rows,
        calls: taken,
        ..meter.stop()?
    })
}
