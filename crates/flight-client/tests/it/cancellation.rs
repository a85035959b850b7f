//! Calls that are given up, by the caller or by a deadline, end on the server too.

use std::time::Duration;

use futures::StreamExt;
use lakepilot_flight_client::{ClientConfig, FlightClient, QuerySpelling};
use lakepilot_query::{ErrorKind, QueryService, QueryServiceExt};

use crate::answers::{answering, batch, client, client_with, config, query, sending};
use crate::server::{Event, PATIENCE, Script, Step, TestServer};

fn abandoned(method: &str) -> impl Fn(&[Event]) -> bool {
    move |events| {
        events
            .iter()
            .any(|event| matches!(event, Event::Abandoned(name) if *name == method))
    }
}

fn hanging_after(batches: usize) -> Script {
    let mut steps = sending(&vec![batch(&[1]); batches]);
    steps.push(Step::Hang);
    answering(steps)
}

#[tokio::test]
async fn dropping_the_stream_ends_the_query_on_the_server() {
    for spelling in [QuerySpelling::FlightInfo, QuerySpelling::DirectTicket] {
        let server = TestServer::start(hanging_after(1)).await;
        let client = client_with(&server, spelling).await;
        let mut stream = client.run(&query()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), batch(&[1]));
        assert!(!abandoned("DoGet")(&server.events()));
        drop(stream);
        server.wait_until(abandoned("DoGet")).await;
    }
}

#[tokio::test]
async fn a_stream_that_was_never_read_ends_too() {
    let server = TestServer::start(hanging_after(0)).await;
    let client = client(&server).await;
    drop(client.run(&query()).await.unwrap());
    server.wait_until(abandoned("DoGet")).await;
}

#[tokio::test]
async fn the_first_row_is_enough_and_the_rest_is_called_off() {
    let server = TestServer::start(hanging_after(2)).await;
    let client = client(&server).await;
    assert_eq!(client.first_row(&query()).await.unwrap(), Some(batch(&[1])));
    server.wait_until(abandoned("DoGet")).await;
}

#[tokio::test]
async fn dropping_the_future_of_a_call_ends_it_on_the_server() {
    let server = TestServer::start(Script::new().silent()).await;
    let client = client(&server).await;
    let call = tokio::spawn(async move { client.run(&query()).await });
    server.wait_until(|events| !events.is_empty()).await;
    call.abort();
    server.wait_until(abandoned("GetFlightInfo")).await;
}

#[tokio::test]
async fn a_read_to_the_end_is_not_a_cancellation() {
    let server = TestServer::start(answering(sending(&[batch(&[1])]))).await;
    client(&server).await.collect(&query()).await.unwrap();
    assert!(!abandoned("DoGet")(&server.events()));
}

#[tokio::test]
async fn a_deadline_ends_every_wait_and_names_the_call() {
    for (script, call) in [
        (Script::new().silent(), "GetFlightInfo"),
        (answering(vec![Step::Hang]), "DoGet"),
        (hanging_after(3), "DoGet"),
    ] {
        let server = TestServer::start(script).await;
        let config = config(&server).with_query_deadline(Duration::from_millis(100));
        let client = FlightClient::connect(config).await.unwrap();
        let error = tokio::time::timeout(PATIENCE, client.collect(&query()))
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(
            error.message().contains(call) && error.message().contains("100ms"),
            "{error}"
        );
        assert!(server.calls()[0].header("grpc-timeout").is_some());
        server.wait_until(abandoned(call)).await;
    }
}

#[tokio::test]
async fn a_server_that_takes_no_connections_runs_into_the_connect_timeout() {
    // Nothing accepts, and the TLS handshake waits for ever.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("grpc+tls://{}", listener.local_addr().unwrap());
    let config = ClientConfig::new(url)
        .unwrap()
        .with_connect_timeout(Duration::from_millis(100));
    let error = FlightClient::connect(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:?}");
    assert!(error.message().contains("100ms"), "{error}");
}
