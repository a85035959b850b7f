//! Results in several endpoints.

use std::time::Duration;

use arrow_flight::FlightDescriptor;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use futures::TryStreamExt;
use lakepilot_flight_client::FlightClient;
use lakepilot_query::{ErrorKind, Query, QueryService};
use prost::Message;
use tonic::transport::Endpoint;

use crate::interop::case::{Found, Outcome};
use crate::interop::target::{InteropTarget, numbers};
use crate::suite::{Failure, ensure, ensure_equal};

/// How many endpoints the test server makes of a table in parts.
const PARTS: usize = 6;
const ROWS: i64 = 1_000;

/// How long the server may take to hear of what it is told without being waited for.
const SETTLING: Duration = Duration::from_secs(10);

/// What the server says of a statement, asked with nothing of the client under test.
async fn endpoints(target: &InteropTarget, sql: &str) -> Result<usize, Failure> {
    let failed = |what: &str, error: String| Failure::new(format!("{what}: {error}"));
    let url = target.urls[0].replacen("grpc://", "http://", 1);
    let endpoint = Endpoint::from_shared(url).map_err(|error| failed("the address", error.to_string()))?;
    let channel = endpoint
        .connect()
        .await
        .map_err(|error| failed("connect", error.to_string()))?;
    let mut service = FlightServiceClient::new(channel);
    let command = CommandStatementQuery {
        query: sql.to_owned(),
        transaction_id: None,
    };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info = service
        .get_flight_info(descriptor)
        .await
        .map_err(|status| failed("GetFlightInfo", status.message().to_owned()))?;
    Ok(info.into_inner().endpoint.len())
}

pub(super) async fn spread(target: &InteropTarget) -> Outcome {
    let series = target.dialect.spread();
    let mut found = numbers(&target.collect(series.sql).await?)?;
    found.sort_unstable();
    ensure(
        found == (series.first..series.first + series.rows).collect::<Vec<_>>(),
        || format!("{} rows, and not those that it should be", found.len()),
    )?;
    let endpoints = endpoints(target, series.sql).await?;
    let plural = if endpoints == 1 { "" } else { "s" };
    Ok(Found::good(format!("{endpoints} endpoint{plural}")))
}

/// What the server was asked while something was done.
struct Watch<'a> {
    target: &'a InteropTarget,
    before: usize,
}

impl<'a> Watch<'a> {
    async fn begin(target: &'a InteropTarget) -> Result<Self, Failure> {
        let before = target.rows("SELECT call FROM calls").await?.len();
        Ok(Self { target, before })
    }

    async fn calls(&self) -> Result<Vec<String>, Failure> {
        let mut calls = self.target.rows("SELECT call FROM calls").await?;
        Ok(calls.split_off(self.before))
    }

    /// Looks until a call was made that is so.
    async fn until(&self, what: &str, condition: impl Fn(&str) -> bool) -> Result<(), Failure> {
        let looking = async {
            while !self.calls().await?.iter().any(|call| condition(call)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        tokio::time::timeout(SETTLING, looking)
            .await
            .unwrap_or_else(|_| Err(Failure::new(format!("{what} was not seen"))))
    }

    /// Fails unless every part was asked for once, at that server.
    async fn ensure_each_at(&self, server: &str, table: &str) -> Result<(), Failure> {
        let mut calls = self.calls().await?;
        calls.retain(|call| call.contains(&format!("DoGet {table}#")));
        calls.sort();
        let expected: Vec<String> = (0..PARTS)
            .map(|part| format!("{server} DoGet {table}#{part}"))
            .collect();
        ensure_equal("the calls", calls, expected)
    }
}

/// The rows of a table that lies in parts, in the order in which they came.
async fn fetch(target: &InteropTarget, table: &str) -> Result<Vec<i64>, Failure> {
    numbers(&target.collect(&format!("SELECT n FROM {table}")).await?)
}

fn ensure_whole(mut found: Vec<i64>) -> Result<(), Failure> {
    found.sort_unstable();
    ensure_equal("the rows", found, (0..ROWS).collect())
}

pub(super) async fn in_parallel(target: &InteropTarget) -> Outcome {
    let watch = Watch::begin(target).await?;
    ensure_whole(fetch(target, "parts").await?)?;
    watch.ensure_each_at("first", "parts").await?;
    Ok(Found::good(""))
}

pub(super) async fn in_order(target: &InteropTarget) -> Outcome {
    let found = fetch(target, "ordered_parts").await?;
    ensure_equal("the rows", found, (0..ROWS).collect())?;
    Ok(Found::good(""))
}

pub(super) async fn elsewhere(target: &InteropTarget) -> Outcome {
    let watch = Watch::begin(target).await?;
    ensure_whole(fetch(target, "elsewhere").await?)?;
    watch.ensure_each_at("second", "elsewhere").await?;
    Ok(Found::good(""))
}

pub(super) async fn dead_location(target: &InteropTarget) -> Outcome {
    let watch = Watch::begin(target).await?;
    ensure_whole(fetch(target, "partly_dead").await?)?;
    watch.ensure_each_at("second", "partly_dead").await?;
    let Err(error) = target.collect("SELECT n FROM dead").await else {
        return Err(Failure::new("rows came from where nothing listens"));
    };
    ensure_equal("the kind", error.kind(), ErrorKind::Unavailable)?;
    Ok(Found::good(""))
}

pub(super) async fn reused_connection(target: &InteropTarget) -> Outcome {
    let watch = Watch::begin(target).await?;
    ensure_whole(fetch(target, "reused").await?)?;
    watch.ensure_each_at("first", "reused").await?;
    Ok(Found::good(""))
}

pub(super) async fn expiring(target: &InteropTarget) -> Outcome {
    let watch = Watch::begin(target).await?;
    let config = target.config()?.with_parallel_parts(1);
    let client = FlightClient::connect(config).await?;
    let stream = client.run(&Query::new("SELECT n FROM expiring")?).await?;
    let schema = stream.schema();
    let batches = stream.try_collect().await?;
    let found = numbers(&lakepilot_query::QueryResult { schema, batches })?;
    ensure_equal("the rows", found, (0..ROWS).collect())?;
    let calls = watch.calls().await?;
    let renewals = calls.iter().filter(|call| call.contains("RenewFlightEndpoint")).count();
    ensure(renewals >= PARTS - 1, || format!("{renewals} renewals: {calls:?}"))?;
    Ok(Found::good(format!("{renewals} renewals")))
}

pub(super) async fn called_off(target: &InteropTarget) -> Outcome {
    let watch = Watch::begin(target).await?;
    let client = target.client().await?;
    let mut stream = client.run(&Query::new("SELECT n FROM endless_parts")?).await?;
    ensure(stream.try_next().await?.is_some(), || {
        "a result without end has no rows".to_owned()
    })?;
    drop(stream);
    watch
        .until("CancelFlightInfo", |call| call == "first CancelFlightInfo")
        .await?;
    watch
        .until("the end of the part", |call| call == "endless was called off")
        .await?;
    Ok(Found::good(""))
}

pub(super) async fn no_endpoints(target: &InteropTarget) -> Outcome {
    let result = target.collect("SELECT n FROM no_endpoints").await?;
    ensure_equal("the rows", result.num_rows(), 0)?;
    ensure_equal("the columns", result.schema.fields().len(), 1)?;
    Ok(Found::good(""))
}
