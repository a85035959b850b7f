//! A user name and a password that become a token with `Handshake`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow_flight::HandshakeResponse;
use futures::future::join_all;
use http::HeaderMap;
use lakepilot_flight_client::{ClientConfig, FlightClient, QuerySpelling};
use lakepilot_query::{ErrorKind, QueryService, QueryServiceExt};
use tonic::metadata::MetadataMap;
use tonic::{Code, Response, Status};

use crate::answers::{answering, batch, config, query, sending};
use crate::server::{PATIENCE, Script, Step, Steps, TestServer};

/// `user:hunter2`
const BASIC: &str = "Basic dXNlcjpodW50ZXIy";

type Answer = Result<Response<Steps<HandshakeResponse>>, Status>;

/// Where a server puts its token.
#[derive(Clone, Copy, Debug)]
enum Place {
    Headers,
    Trailers,
    Payload,
}

fn metadata(token: &str) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
    metadata
}

fn payload(text: &str) -> Step<HandshakeResponse> {
    Step::Send(HandshakeResponse {
        protocol_version: 0,
        payload: text.to_owned().into(),
    })
}

fn answer(place: Place, token: &str) -> Answer {
    Ok(match place {
        Place::Headers => Response::from_parts(metadata(token), Ok(Vec::new()), Default::default()),
        Place::Trailers => {
            let end = Status::with_metadata(Code::Ok, "", metadata(token));
            Response::new(Ok(vec![payload(""), Step::Fail(end)]))
        }
        Place::Payload => Response::new(Ok(vec![payload(token)])),
    })
}

/// Lets in whoever has the password.
fn checked(headers: &HeaderMap) -> Result<(), Status> {
    match headers.get("authorization") {
        Some(value) if value == BASIC => Ok(()),
        _ => Err(Status::unauthenticated("no such user, or another password")),
    }
}

fn rows() -> Script {
    answering(sending(&[batch(&[1, 2, 3])]))
}

/// A server that gives `token-1`, `token-2` and so on.
fn counting(script: Script, place: Place) -> Script {
    let given = AtomicUsize::new(0);
    script.on_handshake(move |headers| {
        checked(&headers)?;
        answer(place, &format!("token-{}", given.fetch_add(1, Ordering::SeqCst) + 1))
    })
}

fn with_login(config: ClientConfig) -> ClientConfig {
    config.with_basic_login("user", "hunter2").unwrap()
}

fn handshakes(server: &TestServer) -> usize {
    server.methods().iter().filter(|method| **method == "Handshake").count()
}

#[tokio::test]
async fn the_password_goes_with_the_handshake_and_the_token_with_all_other_calls() {
    for place in [Place::Headers, Place::Trailers, Place::Payload] {
        for spelling in [QuerySpelling::FlightInfo, QuerySpelling::DirectTicket] {
            let server = TestServer::start(counting(rows().with_token("token-1"), place)).await;
            let config = with_login(config(&server))
                .with_spelling(spelling)
                .with_header("x-tenant-id", "t")
                .unwrap();
            let client = FlightClient::connect(config).await.unwrap();
            assert!(server.calls().is_empty());
            for _ in 0..2 {
                assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 3, "{place:?}");
            }
            let calls = server.calls();
            assert_eq!(calls[0].method, "Handshake", "{place:?}");
            assert_eq!(calls[0].header("authorization"), Some(BASIC));
            for call in &calls[1..] {
                assert_ne!(call.method, "Handshake");
                assert_eq!(call.header("authorization"), Some("Bearer token-1"), "{}", call.method);
            }
            assert!(calls.iter().all(|call| call.header("x-tenant-id") == Some("t")));
        }
    }
}

#[tokio::test]
async fn calls_at_once_log_in_once() {
    let server = TestServer::start(counting(rows().with_token("token-1"), Place::Headers)).await;
    let client = FlightClient::connect(with_login(config(&server))).await.unwrap();
    let query = query();
    for outcome in join_all((0..8).map(|_| client.collect(&query))).await {
        assert_eq!(outcome.unwrap().num_rows(), 3);
    }
    assert_eq!(handshakes(&server), 1);
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let server = TestServer::start(counting(rows().with_token("token-2"), Place::Headers)).await;
    let client = FlightClient::connect(with_login(config(&server))).await.unwrap();
    let query = query();
    for outcome in join_all((0..8).map(|_| client.collect(&query))).await {
        assert_eq!(outcome.unwrap().num_rows(), 3);
    }
    assert_eq!(handshakes(&server), 2);

    let server = TestServer::start(counting(rows().with_token("another"), Place::Headers)).await;
    let client = FlightClient::connect(with_login(config(&server))).await.unwrap();
    let error = client.run(&query).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(
        server.methods(),
        ["Handshake", "GetFlightInfo", "Handshake", "GetFlightInfo"]
    );
}

#[tokio::test]
async fn a_login_that_fails_is_the_error_of_the_call() {
    let nothing = |_: HeaderMap| -> Answer { Ok(Response::new(Ok(vec![payload("")]))) };
    for (script, password, kind, says) in [
        (
            counting(rows(), Place::Headers),
            "wrong-word",
            ErrorKind::Unauthenticated,
            "the login of the user 'user'",
        ),
        (
            rows().on_handshake(nothing),
            "hunter2",
            ErrorKind::Protocol,
            "gave no token",
        ),
        (rows(), "hunter2", ErrorKind::Unsupported, "has no login"),
    ] {
        let server = TestServer::start(script).await;
        let config = config(&server).with_basic_login("user", password).unwrap();
        let client = FlightClient::connect(config).await.unwrap();
        let error = client.run(&query()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.message().contains(says), "{error}");
        assert!(!format!("{error:?}").contains(password), "{error:?}");
        assert_eq!(server.methods(), ["Handshake"]);
    }
}

#[tokio::test]
async fn a_server_silent_in_the_handshake_is_told_by_its_name() {
    let server = TestServer::start(Script::new().silent()).await;
    let config = with_login(config(&server)).with_plan_timeout(Duration::from_millis(150));
    let client = FlightClient::connect(config).await.unwrap();
    let query = query();
    let run = tokio::time::timeout(PATIENCE, client.run(&query));
    let error = run.await.expect("it hangs").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:?}");
    assert!(error.message().contains("Handshake"), "{error}");
}

#[tokio::test]
async fn each_replica_has_a_token_of_its_own() {
    let start = |token: &'static str| {
        let script = rows().with_token(token).on_handshake(move |headers| {
            checked(&headers)?;
            answer(Place::Headers, token)
        });
        TestServer::start(script)
    };
    let (one, other) = (start("one").await, start("other").await);
    let config = with_login(config(&one)).with_replica(other.url()).unwrap();
    let client = Arc::new(FlightClient::connect(config).await.unwrap());
    client.collect(&query()).await.unwrap();
    let (gone, left) = if client.url() == one.url() {
        (one, other)
    } else {
        (other, one)
    };
    assert_eq!((handshakes(&gone), handshakes(&left)), (1, 0));
    gone.kill_connections();
    gone.stop().await;
    for _ in 0..2 {
        assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 3);
    }
    assert_eq!(handshakes(&left), 1);
}
