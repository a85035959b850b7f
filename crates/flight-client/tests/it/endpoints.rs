//! Results that lie in several places.

use arrow::array::{Int32Array, RecordBatch};
use arrow_flight::{FlightEndpoint, Location};
use lakepilot_flight_client::FlightClient;
use lakepilot_query::{ErrorKind, QueryServiceExt};
use std::sync::Arc;
use tonic::Status;

use crate::answers::{batch, client, config, messages, numbered, query, sending, with_endpoints};
use crate::server::{Step, TestServer};

pub(crate) fn at(endpoint: FlightEndpoint, locations: &[&str]) -> FlightEndpoint {
    let location = locations
        .iter()
        .map(|uri| Location { uri: (*uri).to_owned() })
        .collect();
    FlightEndpoint { location, ..endpoint }
}

#[tokio::test]
async fn every_endpoint_is_read_in_order() {
    let endpoints = vec![numbered(0), numbered(1), numbered(2)];
    let parts = vec![
        sending(&[batch(&[1]), batch(&[2])]),
        sending(&[]),
        sending(&[batch(&[3])]),
    ];
    let server = TestServer::start(with_endpoints(endpoints, parts)).await;
    let query = query().with_limit(9);
    let result = client(&server).await.collect(&query).await.unwrap();
    assert_eq!(result.to_batch().unwrap(), batch(&[1, 2, 3]));
    assert!(
        result
            .batches
            .iter()
            .all(|batch| Arc::ptr_eq(batch.schema_ref(), &result.schema))
    );
    assert_eq!(server.methods(), ["GetFlightInfo", "DoGet", "DoGet", "DoGet"]);
    assert!(server.calls().iter().all(|call| call.header("limit") == Some("9")));
}

#[tokio::test]
async fn endpoints_whose_schemas_differ_are_an_error_that_tells_the_difference() {
    let other = RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(vec![1])) as _)]).unwrap();
    let other: Vec<_> = messages(other.schema(), &[other]).into_iter().map(Step::Send).collect();
    let server = TestServer::start(with_endpoints(
        vec![numbered(0), numbered(1)],
        vec![sending(&[batch(&[1])]), other],
    ))
    .await;
    let error = client(&server).await.collect(&query()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(
        error.message().contains("n Int64") && error.message().contains("n Int32"),
        "{error}"
    );
}

#[tokio::test]
async fn an_error_of_a_later_endpoint_is_in_the_stream() {
    let failing = vec![Step::Fail(Status::resource_exhausted("out of memory"))];
    let server = TestServer::start(with_endpoints(
        vec![numbered(0), numbered(1)],
        vec![sending(&[batch(&[1])]), failing],
    ))
    .await;
    let error = client(&server).await.collect(&query()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
}

#[tokio::test]
async fn the_connection_in_use_serves_its_own_locations() {
    let dead = TestServer::start(with_endpoints(Vec::new(), Vec::new())).await;
    let elsewhere = dead.url();
    dead.stop().await;
    let reuse = "arrow-flight-reuse-connection://?";
    // The dead one is not needed where ours is named too.
    let endpoints = vec![
        at(numbered(0), &[reuse]),
        at(numbered(0), &[&elsewhere, reuse]),
        at(numbered(0), &[""]),
    ];
    let server = TestServer::start(with_endpoints(endpoints, vec![sending(&[batch(&[1])])])).await;
    let result = client(&server).await.collect(&query()).await.unwrap();
    assert_eq!(result.num_rows(), 3);
    assert_eq!(server.methods(), ["GetFlightInfo", "DoGet", "DoGet", "DoGet"]);
}

#[tokio::test]
async fn another_location_is_connected_to_and_a_dead_one_passed_over() {
    let dead = TestServer::start(with_endpoints(Vec::new(), Vec::new())).await;
    let dead_url = dead.url();
    dead.stop().await;
    let worker = TestServer::start(with_endpoints(Vec::new(), vec![sending(&[batch(&[7])])])).await;
    let locations = ["grpc+unix:///nowhere", &dead_url, &worker.url()];
    let endpoints = vec![at(numbered(0), &locations), at(numbered(0), &locations)];
    let server = TestServer::start(with_endpoints(endpoints, Vec::new())).await;

    let config = config(&server).with_bearer_token("token-1").unwrap();
    let client = FlightClient::connect(config).await.unwrap();
    let result = client.collect(&query()).await.unwrap();
    assert_eq!(result.to_batch().unwrap(), batch(&[7, 7]));
    assert_eq!(server.methods(), ["GetFlightInfo"]);
    assert_eq!(worker.methods(), ["DoGet", "DoGet"]);
    // It is on the same host.
    assert_eq!(worker.calls()[0].header("authorization"), Some("Bearer token-1"));
}

#[tokio::test]
async fn another_host_is_not_told_the_credentials() {
    let script = with_endpoints(Vec::new(), vec![sending(&[batch(&[7])])]);
    let worker = TestServer::start(script).await;
    // By another name it is another host, as far as anybody can tell.
    let by_name = format!("grpc+tcp://localhost:{}", worker.port());
    let server = TestServer::start(with_endpoints(vec![at(numbered(0), &[&by_name])], Vec::new())).await;
    let config = config(&server)
        .with_bearer_token("token-1")
        .unwrap()
        .with_api_key("key-1")
        .unwrap();
    let client = FlightClient::connect(config).await.unwrap();
    assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 1);
    let call = &worker.calls()[0];
    assert_eq!((call.header("authorization"), call.header("x-api-key")), (None, None));
    assert_eq!(call.header("x-client-type"), Some("lakepilot"));
}

#[tokio::test]
async fn another_host_that_wants_credentials_is_an_error_that_says_so() {
    let script = with_endpoints(Vec::new(), vec![sending(&[])]).with_token("token-1");
    let worker = TestServer::start(script).await;
    let by_name = format!("grpc+tcp://localhost:{}", worker.port());
    let server = TestServer::start(with_endpoints(vec![at(numbered(0), &[&by_name])], Vec::new())).await;
    let config = config(&server).with_bearer_token("token-1").unwrap();
    let error = FlightClient::connect(config)
        .await
        .unwrap()
        .collect(&query())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("another host"), "{error}");
}

#[tokio::test]
async fn locations_that_are_of_no_use_are_an_error() {
    for (uri, kind) in [
        ("https://bucket.example/part", ErrorKind::Protocol),
        ("https://bucket.example", ErrorKind::Unsupported),
        ("grpc+unix:///socket", ErrorKind::Protocol),
        ("nonsense", ErrorKind::Protocol),
    ] {
        let server = TestServer::start(with_endpoints(vec![at(numbered(0), &[uri])], Vec::new())).await;
        let error = client(&server).await.collect(&query()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}
