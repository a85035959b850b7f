//! Parts of a result that a server keeps for a while only, and can be asked to keep for longer.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use arrow_flight::{FlightEndpoint, RenewFlightEndpointRequest};
use lakepilot_query::{Error, ErrorKind, Result};
use prost::Message;

use crate::deadline::Deadline;
use crate::parts::Waiting;
use crate::results::Asked;
use crate::status::Call;

/// How long a server may take for what nobody waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// A part that expires sooner than this is renewed before it is asked for.
const MARGIN: Duration = Duration::from_secs(5);

const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// Renews the parts that wait, each when two thirds of the time that it has left are over, until none waits that expires,
/// or the server does not renew.
pub(crate) async fn keep_alive(asked: Asked, waiting: Waiting) {
    while let Some((number, endpoint, left)) = soonest(&waiting) {
        // Not more often than this, however short the server keeps them.
        tokio::time::sleep((left * 2 / 3).max(SHORTEST_WAIT)).await;
        let Ok(renewed) = renew(&asked, &endpoint).await else {
            return;
        };
        if expires(&renewed) <= expires(&endpoint) {
            return;
        }
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, endpoint)) = waiting.iter_mut().find(|(other, _)| *other == number) {
            *endpoint = renewed;
        }
    }
}

/// The endpoint, renewed if it is about to expire and the server can.
pub(crate) async fn renewed_if_needed(asked: &Asked, endpoint: FlightEndpoint) -> FlightEndpoint {
    let soon = SystemTime::now() + MARGIN;
    if expires(&endpoint).is_none_or(|moment| moment > soon) {
        return endpoint;
    }
    renew(asked, &endpoint).await.unwrap_or(endpoint)
}

/// The part that waits and expires first, and how long it has left.
fn soonest(waiting: &Waiting) -> Option<(usize, FlightEndpoint, Duration)> {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let (moment, number, endpoint) = waiting
        .iter()
        .filter_map(|(number, endpoint)| Some((expires(endpoint)?, *number, endpoint)))
        .min_by_key(|(moment, ..)| *moment)?;
    let left = moment.duration_since(SystemTime::now()).unwrap_or_default();
    Some((number, endpoint.clone(), left))
}

async fn renew(asked: &Asked, endpoint: &FlightEndpoint) -> Result<FlightEndpoint> {
    let request = RenewFlightEndpointRequest {
        endpoint: Some(endpoint.clone()),
    };
    let deadline = Deadline::of_one_call(PATIENCE);
    let answer = asked
        .shared
        .action_at(
            asked.home.clone(),
            Call::Renew,
            request.encode_to_vec().into(),
            deadline,
        )
        .await
        .and_then(|answer| {
            let body = answer.unwrap_or_default();
            FlightEndpoint::decode(body).map_err(|error| {
                Error::new(ErrorKind::Protocol, "the renewal of a part is another message").with_source(error)
            })
        });
    match answer {
        // A server that only tells the new time keeps the ticket.
        Ok(renewed) if renewed.ticket.is_some() => Ok(renewed),
        Ok(renewed) => Ok(FlightEndpoint {
            expiration_time: renewed.expiration_time,
            ..endpoint.clone()
        }),
        Err(error) => {
            tracing::debug!(%error, "a part of the result was not renewed");
            Err(error)
        }
    }
}

/// When a part expires, if it does.
fn expires(endpoint: &FlightEndpoint) -> Option<SystemTime> {
    let time = endpoint.expiration_time.as_ref()?;
    let seconds = Duration::from_secs(u64::try_from(time.seconds).ok()?);
    let nanoseconds = Duration::from_nanos(u64::try_from(time.nanos).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds)?.checked_add(nanoseconds)
}
