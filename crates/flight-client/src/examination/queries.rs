//! Queries, and the calls of Flight around them.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow_flight::sql::{CommandStatementQuery, TicketStatementQuery};
use arrow_flight::{FlightEndpoint, FlightInfo, Ticket};
use futures::TryStreamExt;
use lakepilot_query::{QueryResult, RecordBatchStream, Result};
use std::sync::Arc;

use super::probing::{Probing, right, wrong};
use super::report::ResultFacts;
use crate::client::{FlightClient, packed};
use crate::results;

/// The query that every server can answer.
const SQL: &str = "SELECT 1";

/// The call whose time is that of a warm query.
pub(super) const QUERY: &str = "DoGet";

const NO_INFO: &str = "there is no FlightInfo to try it with";

fn command() -> bytes::Bytes {
    packed(&CommandStatementQuery {
        query: SQL.to_owned(),
        transaction_id: None,
    })
}

/// Runs queries in each of the ways that there are; returns what their result is made of.
pub(super) async fn queries(probing: &mut Probing<'_>) -> Option<ResultFacts> {
    let (client, home) = (probing.client, probing.home.clone());
    let info = probing
        .needed("GetFlightInfo", async || {
            let info = client
                .flight_info_at(&home, command(), None, client.query_deadline())
                .await?;
            right(described(&info), info)
        })
        .await;
    let mut facts = probing
        .needed(QUERY, async || {
            let stream = client
                .stream_at(&home, command(), None, client.query_deadline())
                .await?;
            let facts = one(stream).await?;
            right(
                format!("SELECT 1 is {} B in {} batch", facts.wire_bytes, facts.batches),
                facts,
            )
        })
        .await;
    let direct = probing
        .call("DoGet of a ticket with SQL", async || {
            let ticket = TicketStatementQuery {
                statement_handle: SQL.into(),
            };
            let info = FlightInfo::new().with_endpoint(FlightEndpoint::new().with_ticket(Ticket::new(packed(&ticket))));
            let stream = fetch(client, &home, info).await?;
            right("SELECT 1", one(stream).await?)
        })
        .await;
    if facts.is_none() && direct.is_some() {
        probing.is_of_use_all_the_same();
        facts = direct;
    }
    if let (Some(facts), Some(info)) = (&mut facts, info) {
        facts.endpoints = info.endpoint.len();
        facts.has_locations = info.endpoint.iter().any(|endpoint| !endpoint.location.is_empty());
        facts.schema_told = !info.schema.is_empty() && names_columns(&info);
        if let Some(ticket) = info.endpoint.into_iter().find_map(|endpoint| endpoint.ticket) {
            // What cannot be found out is not said.
            facts.compression = client.compression_of(&home, ticket).await.unwrap_or_default();
        }
    }
    facts
}

fn names_columns(info: &FlightInfo) -> bool {
    crate::ipc::decode_schema(&info.schema).is_ok_and(|schema| !schema.fields().is_empty())
}

fn described(info: &FlightInfo) -> String {
    let endpoints = match info.endpoint.len() {
        1 => "1 endpoint".to_owned(),
        several => format!("{several} endpoints"),
    };
    let locations: Vec<&str> = info
        .endpoint
        .iter()
        .flat_map(|endpoint| &endpoint.location)
        .map(|location| location.uri.as_str())
        .collect();
    let at = match locations.first() {
        Some(first) => format!("at {first}"),
        None => "without locations".to_owned(),
    };
    let schema = if names_columns(info) {
        "schema told"
    } else {
        "schema not told"
    };
    format!("{endpoints} {at}, {schema}")
}

async fn fetch(
    client: &FlightClient,
    home: &crate::connection::Connection,
    info: FlightInfo,
) -> Result<RecordBatchStream> {
    results::open(
        Arc::clone(&client.shared),
        home.clone(),
        info,
        None,
        client.query_deadline(),
    )
    .await
}

/// Reads the result of `SELECT 1`, which has to be that.
async fn one(stream: RecordBatchStream) -> Result<ResultFacts> {
    let meter = stream.transfer().cloned();
    let schema = stream.schema();
    let batches = stream.try_collect().await?;
    let result = QueryResult { schema, batches };
    is_one(&result, 1)?;
    Ok(ResultFacts {
        rows: result.num_rows(),
        batches: result.batches.len(),
        wire_bytes: meter.map(|meter| meter.so_far().wire_bytes).unwrap_or_default(),
        ..ResultFacts::default()
    })
}

/// Checks that a result is one number.
pub(super) fn is_one(result: &QueryResult, expected: i64) -> Result<()> {
    let rows = result.num_rows();
    if rows != 1 || result.schema.fields().len() != 1 {
        let columns = result.schema.fields().len();
        return Err(wrong(format!(
            "the result has {rows} rows of {columns} columns, and is to be one number"
        )));
    }
    let batch = result.to_batch()?;
    let number = cast(batch.column(0), &DataType::Int64).map_err(|_| {
        wrong(format!(
            "the result is {}, and not a number",
            batch.column(0).data_type()
        ))
    })?;
    let number = number.as_primitive::<Int64Type>();
    match number.iter().next().flatten() {
        Some(number) if number == expected => Ok(()),
        other => Err(wrong(format!("the result is {other:?}, and not {expected}"))),
    }
}

/// The other calls of Flight.
pub(super) async fn flight_calls(probing: &mut Probing<'_>) {
    let (client, home) = (probing.client, probing.home.clone());
    probing
        .call("GetSchema", async || {
            let schema = client.schema_of(&home, command()).await?;
            let columns: Vec<_> = schema
                .fields()
                .iter()
                .map(|field| field.data_type().to_string())
                .collect();
            match columns.len() {
                1 => right(columns.join(", "), ()),
                other => Err(wrong(format!("the schema has {other} columns, and is to have one"))),
            }
        })
        .await;
    polled(probing).await;
    called_off(probing).await;
    probing
        .call("Handshake", async || match client.shake_hands(&home).await? {
            0 => right("no answer in it", ()),
            _ => right("", ()),
        })
        .await;
    let actions = probing
        .call("ListActions", async || {
            let actions = client.list_actions(&home).await?;
            right(actions.join(", "), actions)
        })
        .await;
    probing.set_listed_actions(actions.unwrap_or_default());
    probing
        .call("ListFlights", async || {
            let count = client.count_flights(&home).await?;
            right(format!("{count} flights"), ())
        })
        .await;
    probing
        .call("DoExchange", async || {
            let count = client.exchange_nothing(&home).await?;
            right(format!("{count} answers to nothing"), ())
        })
        .await;
}

async fn polled(probing: &mut Probing<'_>) {
    let (client, home) = (probing.client, probing.home.clone());
    probing
        .call("PollFlightInfo", async || {
            let descriptor = arrow_flight::FlightDescriptor::new_cmd(command());
            // Asked by itself first: the client would ask with GetFlightInfo where it is not offered.
            client.poll(&home, descriptor, None, client.query_deadline()).await?;
            let (info, _) = client.polled_info(command(), None, client.query_deadline()).await?;
            one(fetch(client, &home, info).await?).await?;
            right("SELECT 1", ())
        })
        .await;
}

/// Calls for a result that is there and not fetched: each gets its own.
async fn called_off(probing: &mut Probing<'_>) {
    let (client, home) = (probing.client, probing.home.clone());
    let fresh = async || {
        client
            .flight_info_at(&home, command(), None, client.query_deadline())
            .await
    };
    if fresh().await.is_err() {
        for call in ["RenewFlightEndpoint", "CancelFlightInfo", "CancelQuery"] {
            probing.not_tried(call, NO_INFO);
        }
        return;
    }
    probing
        .call("RenewFlightEndpoint", async || {
            let endpoint = fresh().await?.endpoint.into_iter().next();
            let endpoint = endpoint.ok_or_else(|| wrong(NO_INFO))?;
            let renewed = client.renew_endpoint(&home, endpoint).await?;
            let expires = if renewed.expiration_time.is_some() {
                "it expires"
            } else {
                "it does not expire"
            };
            right(expires, ())
        })
        .await;
    probing
        .call("CancelFlightInfo", async || {
            let status = client.cancel_info(&home, fresh().await?).await?;
            right(cancel_status(status)?, ())
        })
        .await;
    probing
        .call("CancelQuery", async || {
            let status = client.cancel_query(&home, &fresh().await?).await?;
            right(cancel_status(status)?, ())
        })
        .await;
}

/// The numbers are the same in both calls.
fn cancel_status(status: i32) -> Result<&'static str> {
    match status {
        0 => Ok("unspecified"),
        1 => Ok("cancelled"),
        2 => Ok("cancelling"),
        3 => Ok("not cancellable"),
        other => Err(wrong(format!(
            "it answered with the status {other}, which there is not"
        ))),
    }
}
