//! Retiring every instance that is not `global`, by the guide's loop and by a plan, side by side on lakes of the same
//! content.
//!
//! It makes a lake for each side and serves it on a loopback port. With `--url` it works on a server that is there instead,
//! and **retires everything that is not `global` there**. The result is one JSON object.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Parser, ValueEnum};
use lakepilot_admin::{ApplyOptions, Guards, PartitionAdmin, Silent};
use lakepilot_catalog::{Catalog, ColumnReader, PartitionFilter};
use lakepilot_flight_client::{ClientConfig, FlightClient};
use lakepilot_local_lake::{FlightServer, Lake, LakeService, ServeOptions, view_set};
use lakepilot_query::{Query, QueryService, QueryServiceExt, quote_literal};

type Anything<T> = Result<T, Box<dyn Error>>;

#[derive(Parser)]
#[command(about = "Retire many instances by the guide's loop and by a plan, and tell how long each took")]
struct Options {
    /// Instances of the lakes that are made
    #[arg(long, value_name = "N", default_value_t = 10_000, conflicts_with = "url")]
    instances: u32,
    /// Retire EVERYTHING that is not global on this server, instead of making lakes
    #[arg(long, requires = "side")]
    url: Option<String>,
    /// One side only
    #[arg(long)]
    side: Option<Side>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Side {
    /// The loop of the guide
    Guide,
    /// A plan, applied and verified
    Plan,
}

impl Side {
    async fn retire(self, service: &Arc<dyn QueryService>) -> Anything<Took> {
        match self {
            Self::Guide => Ok(Took {
                plan: None,
                whole: guide(service).await?,
            }),
            Self::Plan => planned(service).await,
        }
    }
}

#[tokio::main]
async fn main() -> Anything<()> {
    let options = Options::parse();
    if let (Some(url), Some(side)) = (&options.url, options.side) {
        let took = side.retire(&connect(url).await?).await?;
        println!(
            "{}",
            serde_json::json!({ "url": url, "took": took.told(), "peak_rss_kb": peak_rss_kb() })
        );
        return Ok(());
    }
    let (mut plan, mut guide) = (None, None);
    for (side, took) in [(Side::Plan, &mut plan), (Side::Guide, &mut guide)] {
        if options.side.is_none_or(|only| only == side) {
            *took = Some(on_a_lake(options.instances, async |service| side.retire(service).await).await?);
        }
    }
    let ratio = plan
        .as_ref()
        .zip(guide.as_ref())
        .map(|(plan, guide)| guide.whole.as_secs_f64() / plan.whole.as_secs_f64());
    println!(
        "{}",
        serde_json::json!({
            "instances": options.instances,
            "guide": guide.map(|took| took.told()),
            "lakepilot": plan.map(|took| took.told()),
            "ratio": ratio,
            "peak_rss_kb": peak_rss_kb(),
        })
    );
    Ok(())
}

struct Took {
    plan: Option<Duration>,
    whole: Duration,
}

impl Took {
    fn told(&self) -> serde_json::Value {
        serde_json::json!({
            "plan_s": self.plan.map(|plan| plan.as_secs_f64()),
            "whole_s": self.whole.as_secs_f64(),
        })
    }
}

async fn connect(url: &str) -> Anything<Arc<dyn QueryService>> {
    Ok(Arc::new(FlightClient::connect(ClientConfig::new(url)?).await?))
}

/// The guide's loop: one retirement an instance, over all of its insert time, one after the other, each read to its end.
async fn guide(service: &Arc<dyn QueryService>) -> Anything<Duration> {
    let start = Instant::now();
    let instances = service
        .collect(&Query::new(
            "SELECT view_set_name, view_instance_id, min(begin_insert_time) AS first, max(end_insert_time) AS last \
             FROM list_partitions() WHERE view_instance_id != 'global' GROUP BY view_set_name, view_instance_id",
        )?)
        .await?
        .to_batch()?;
    let columns = ColumnReader::new(&instances, "the instances");
    let view_sets = columns.required::<String>("view_set_name")?;
    let ids = columns.required::<String>("view_instance_id")?;
    let (first, last) = (
        columns.required::<DateTime<Utc>>("first")?,
        columns.required::<DateTime<Utc>>("last")?,
    );
    let time = |time: DateTime<Utc>| quote_literal(&time.to_rfc3339_opts(SecondsFormat::Micros, true));
    for row in 0..instances.num_rows() {
        let sql = format!(
            "SELECT time, msg FROM retire_partitions({}, {}, {}, {})",
            quote_literal(&view_sets.value(row)?),
            quote_literal(&ids.value(row)?),
            time(first.value(row)?),
            time(last.value(row)?)
        );
        service.collect(&Query::new(sql)?).await?;
    }
    let took = start.elapsed();
    all_is_gone(service).await?;
    Ok(took)
}

/// A plan, its application, and its verification.
async fn planned(service: &Arc<dyn QueryService>) -> Anything<Took> {
    let start = Instant::now();
    let admin = PartitionAdmin::new(Arc::clone(service)).with_guards(Guards::none());
    let plan = admin.plan_non_global().await?;
    let took_to_plan = start.elapsed();
    let report = admin.apply(&plan, &ApplyOptions::default(), &Silent).await?;
    let whole = start.elapsed();
    if !report.is_complete() {
        return Err(format!("not everything is gone: {:?}", report.counts()).into());
    }
    all_is_gone(service).await?;
    Ok(Took {
        plan: Some(took_to_plan),
        whole,
    })
}

async fn all_is_gone(service: &Arc<dyn QueryService>) -> Anything<()> {
    let left = Catalog::new(Arc::clone(service))
        .partitions(&PartitionFilter::all().non_global())
        .await?;
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("{} partitions are left", left.len()).into())
    }
}

async fn on_a_lake(instances: u32, work: impl AsyncFnOnce(&Arc<dyn QueryService>) -> Anything<Took>) -> Anything<Took> {
    let folder = tempfile::tempdir()?;
    let lake = Lake::create(folder.path().join("lake"))?;
    fill(&lake, instances)?;
    let options = ServeOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        ..ServeOptions::default()
    };
    let server = FlightServer::bind(Arc::new(LakeService::new(lake)?), options)?.spawn();
    let service = connect(server.url()).await?;
    work(&service).await
}

/// Two partitions of each instance, one of them without rows.
fn fill(lake: &Lake, instances: u32) -> Anything<()> {
    let view_set = view_set("log_entries").ok_or("there is no view set log_entries")?;
    let begin = DateTime::<Utc>::from_timestamp_nanos(1_767_225_600_000_000_000);
    let hour = TimeDelta::hours(1);
    let row = one_row(&view_set.schema(), begin)?;
    lake.transaction(|changes| {
        for instance in 0..instances {
            let id = format!("8d1f0000-0000-4000-8000-{instance:012}");
            changes.add(view_set, &id, (begin, begin + hour), std::slice::from_ref(&row))?;
            changes.add(view_set, &id, (begin + hour, begin + hour * 2), &[])?;
        }
        Ok(())
    })?;
    Ok(())
}

fn one_row(schema: &arrow::datatypes::SchemaRef, time: DateTime<Utc>) -> Anything<RecordBatch> {
    let value = |data_type: &DataType| -> Result<ArrayRef, arrow::error::ArrowError> {
        let is_binary = match data_type {
            DataType::Dictionary(_, value) => value.is_binary(),
            other => other.is_binary(),
        };
        let plain: ArrayRef = match data_type {
            DataType::Timestamp(..) => Arc::new(Int64Array::from(vec![time.timestamp_nanos_opt()])),
            DataType::Int32 | DataType::Int64 => Arc::new(Int64Array::from(vec![1])),
            _ if is_binary => Arc::new(BinaryArray::from(vec![b"{}".as_slice()])),
            _ => Arc::new(StringArray::from(vec!["x"])),
        };
        cast(&plain, data_type)
    };
    let columns = schema
        .fields()
        .iter()
        .map(|field| value(field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// The most memory that this process, with the server in it, had at a time; Linux tells.
fn peak_rss_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
