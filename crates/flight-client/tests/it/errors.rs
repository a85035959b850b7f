//! What a server refuses, and a server that is not there.

use std::sync::Arc;

use lakepilot_flight_client::{ClientConfig, FlightClient, MockCredentialProvider, QuerySpelling};
use lakepilot_query::{Error, ErrorKind, Position, QueryService, QueryServiceExt};
use tonic::{Code, Status};

use crate::answers::{answering, batch, client, client_with, config, query, sending};
use crate::server::{Script, TestServer};

#[tokio::test]
async fn bad_sql_is_an_invalid_query_in_both_spellings() {
    let status = || {
        Status::invalid_argument(
            "error building dataframe: table 'datafusion.public.nope' not found (at line 1, column 15) \
             (query_id=5f0d4c3e-2b1a-4c9d-8e7f-0a1b2c3d4e5f)",
        )
    };
    let server = TestServer::start(
        Script::new()
            .on_flight_info(move |_| Err(status()))
            .on_get(move |_| Err(status())),
    )
    .await;
    for spelling in [QuerySpelling::FlightInfo, QuerySpelling::DirectTicket] {
        let error = client_with(&server, spelling).await.run(&query()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidQuery);
        assert_eq!(error.position(), Some(Position { line: 1, column: 15 }));
        assert_eq!(error.query_id(), Some("5f0d4c3e-2b1a-4c9d-8e7f-0a1b2c3d4e5f"));
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn codes_of_the_server_become_kinds() {
    for (code, kind) in [
        (Code::Unauthenticated, ErrorKind::Unauthenticated),
        (Code::PermissionDenied, ErrorKind::PermissionDenied),
        (Code::ResourceExhausted, ErrorKind::ResourceExhausted),
        (Code::Unimplemented, ErrorKind::Unsupported),
        (Code::Unavailable, ErrorKind::Unavailable),
        (Code::DeadlineExceeded, ErrorKind::TimedOut),
    ] {
        let server =
            TestServer::start(Script::new().on_flight_info(move |_| Err(Status::new(code, "the reason")))).await;
        let error = client(&server).await.run(&query()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code:?}");
        assert!(error.message().contains("the reason"), "{error}");
    }
}

#[tokio::test]
async fn only_the_right_token_is_let_in() {
    let server = TestServer::start(answering(sending(&[batch(&[1])])).with_token("right")).await;
    let right = config(&server).with_bearer_token("right").unwrap();
    assert_eq!(
        FlightClient::connect(right)
            .await
            .unwrap()
            .collect(&query())
            .await
            .unwrap()
            .num_rows(),
        1
    );
    for config in [config(&server), config(&server).with_bearer_token("wrong").unwrap()] {
        let error = FlightClient::connect(config)
            .await
            .unwrap()
            .run(&query())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(error.message().contains("credentials"), "{error}");
    }
}

#[tokio::test]
async fn a_provider_is_asked_for_every_call_and_its_failure_is_the_result() {
    let server = TestServer::start(answering(sending(&[]))).await;
    let mut provider = MockCredentialProvider::new();
    let mut calls = 0;
    provider.expect_headers().returning(move || {
        calls += 1;
        // Once for what a query may be refused with, and once for each of its calls.
        if calls > 3 {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                "the login has expired; log in again",
            ));
        }
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer token-{calls}").parse().unwrap());
        Ok(headers)
    });
    let client = FlightClient::connect(config(&server).with_credentials(Arc::new(provider)))
        .await
        .unwrap();
    client.collect(&query()).await.unwrap();
    let sent: Vec<_> = server
        .calls()
        .iter()
        .map(|call| call.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(sent, ["Bearer token-2", "Bearer token-3"]);

    let error = client.collect(&query()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("log in again"), "{error}");
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let server = TestServer::start(Script::new()).await;
    let config = config(&server);
    let url = server.url();
    server.stop().await;
    let lazy = FlightClient::connect_lazily(config.clone()).unwrap();
    for error in [
        FlightClient::connect(config).await.unwrap_err(),
        lazy.run(&query()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.is_retryable());
        assert!(
            error.message().contains(&url) && error.message().contains("is the server running"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_host_that_does_not_exist_is_unavailable() {
    // A label of more than 63 letters is no name, so that no name server has to be asked.
    let config = ClientConfig::new(format!("grpc://{}.invalid", "x".repeat(64))).unwrap();
    let error = FlightClient::connect(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.message().contains("cannot be resolved"), "{error}");
}
