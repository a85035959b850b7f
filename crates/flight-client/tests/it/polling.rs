//! `PollFlightInfo`: asked until the result is whole, and not at all where it is not offered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow_flight::{FlightDescriptor, FlightInfo, PollInfo};
use lakepilot_flight_client::{FlightClient, QuerySpelling};
use lakepilot_query::{ErrorKind, Query, QueryService, QueryServiceExt};
use tonic::Status;

use crate::answers::{answering, bare_ticket, batch, client_with, config, endpoint, numbered, query, sending};
use crate::memory_server::{MemoryServer, POLLS};
use crate::server::{Script, TestServer};

/// An answer that there is more to come after.
fn unfinished() -> PollInfo {
    PollInfo {
        info: Some(FlightInfo::new().with_endpoint(numbered(0))),
        flight_descriptor: Some(FlightDescriptor::new_cmd("more")),
        ..PollInfo::default()
    }
}

#[tokio::test]
async fn a_query_is_polled_until_it_is_whole() {
    let server = MemoryServer::start().await;
    let config = server.config().with_spelling(QuerySpelling::PollFlightInfo);
    let client = FlightClient::connect(config).await.unwrap();
    let result = client
        .collect(&Query::new("SELECT n FROM numbers").unwrap())
        .await
        .unwrap();
    assert_eq!(result.to_batch().unwrap(), batch(&[1, 2, 3]));
    assert_eq!(server.seen().polls, POLLS);
    assert_eq!(server.seen().cancelled, 0);
}

#[tokio::test]
async fn a_server_that_cannot_be_polled_is_asked_in_the_other_way_from_then_on() {
    let server = TestServer::start(answering(sending(&[batch(&[1])]))).await;
    let client = client_with(&server, QuerySpelling::PollFlightInfo).await;
    for _ in 0..2 {
        assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 1);
    }
    assert_eq!(
        server.methods(),
        ["PollFlightInfo", "GetFlightInfo", "DoGet", "GetFlightInfo", "DoGet"]
    );
}

#[tokio::test]
async fn a_refusal_in_the_middle_is_the_error_and_the_query_is_called_off() {
    let polls = AtomicUsize::new(0);
    let script = Script::new().on_poll(move |_| match polls.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(unfinished()),
        _ => Err(Status::internal("lost it")),
    });
    let server = TestServer::start(script).await;
    let client = client_with(&server, QuerySpelling::PollFlightInfo).await;
    let error = client.run(&query()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().starts_with("PollFlightInfo at "), "{error}");
    server
        .wait_until(|_| server.methods() == ["PollFlightInfo", "PollFlightInfo", "DoAction"])
        .await;
}

#[tokio::test]
async fn a_query_that_is_never_whole_runs_into_the_deadline() {
    let server = TestServer::start(Script::new().on_poll(|_| Ok(unfinished()))).await;
    let config = config(&server)
        .with_spelling(QuerySpelling::PollFlightInfo)
        .with_query_deadline(Duration::from_millis(200));
    let client = FlightClient::connect(config).await.unwrap();
    let error = client.run(&query()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.message().contains("PollFlightInfo"), "{error}");
    // Not as fast as it answers.
    assert!(server.methods().len() < 10, "{:?}", server.methods());
}

#[tokio::test]
async fn a_poll_that_ends_with_nothing_is_a_protocol_error() {
    let server = TestServer::start(Script::new().on_poll(|_| Ok(PollInfo::default()))).await;
    let client = client_with(&server, QuerySpelling::PollFlightInfo).await;
    let error = client.run(&query()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("PollFlightInfo"), "{error}");
}

#[tokio::test]
async fn a_result_that_is_whole_at_once_is_asked_for_once() {
    let script = answering(sending(&[batch(&[5])])).on_poll(|_| {
        Ok(PollInfo {
            info: Some(FlightInfo::new().with_endpoint(endpoint(bare_ticket("x")))),
            ..PollInfo::default()
        })
    });
    let server = TestServer::start(script).await;
    let client = client_with(&server, QuerySpelling::PollFlightInfo).await;
    assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 1);
    assert_eq!(server.methods(), ["PollFlightInfo", "DoGet"]);
}
