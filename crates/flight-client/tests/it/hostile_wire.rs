//! Servers that break the rules below Flight: of gRPC, in their headers and trailers, and of HTTP/2, in their frames.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response};
use lakepilot_flight_client::{ClientConfig, FlightClient, QuerySpelling};
use lakepilot_query::{
    BulkIngestion, Error, ErrorKind, QueryService, QueryServiceExt, RecordBatchStream, Result, ServerMetadata,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::answers::{batch, query, schema};
use crate::server::PATIENCE;

/// A port where every connection is served by the function.
async fn serving<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> ClientConfig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("grpc://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket));
        }
    });
    ClientConfig::new(url).unwrap()
}

/// A port where every call of HTTP/2 is answered by the function.
async fn answering_calls(answer: impl Fn(SendResponse<Bytes>) + Clone + Send + Sync + 'static) -> ClientConfig {
    serving(move |socket| {
        let answer = answer.clone();
        async move {
            let Ok(mut connection) = h2::server::handshake(socket).await else {
                return;
            };
            while let Some(Ok((_, respond))) = connection.accept().await {
                answer(respond);
            }
        }
    })
    .await
}

fn grpc() -> http::response::Builder {
    Response::builder().header("content-type", "application/grpc")
}

/// The error of every call that a client makes, by its name.
async fn errors_of_every_call(config: ClientConfig) -> Vec<(&'static str, Error)> {
    let direct = config.clone().with_spelling(QuerySpelling::DirectTicket);
    let client = FlightClient::connect(config).await.unwrap();
    let direct = FlightClient::connect(direct).await.unwrap();
    let rows = RecordBatchStream::from_batches(schema(), vec![batch(&[1])]);
    vec![
        ("GetFlightInfo", ended(client.run(&query())).await),
        ("DoGet", ended(direct.run(&query())).await),
        ("CreatePreparedStatement", ended(client.prepare(&query())).await),
        ("GetFlightInfo", ended(client.catalogs()).await),
        ("DoPut", ended(client.ingest("table", rows)).await),
    ]
}

async fn ended<T: std::fmt::Debug>(work: impl Future<Output = Result<T>>) -> Error {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it hangs")
        .expect_err("there is nothing to answer with")
}

#[tokio::test]
async fn a_connection_closed_at_every_call_is_unavailable() {
    // Before it has heard of the call, and in the middle of it.
    for bytes_read in [24, 150] {
        let config = serving(move |mut socket| async move {
            let mut seen = vec![0; bytes_read];
            let _ = socket.read_exact(&mut seen).await;
        })
        .await;
        for (call, error) in errors_of_every_call(config).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{call}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_call_that_ends_with_no_word_or_with_an_empty_one_is_a_protocol_error() {
    let answers: [fn(SendResponse<Bytes>); 4] = [
        // Good headers, no message and no status.
        |mut respond| {
            let _ = respond.send_response(grpc().body(()).unwrap(), true);
        },
        // A status that all is well, and no message.
        |mut respond| {
            let _ = respond.send_response(grpc().header("grpc-status", "0").body(()).unwrap(), true);
        },
        // The beginning of a message, and the end of the stream.
        |mut respond| {
            if let Ok(mut body) = respond.send_response(grpc().body(()).unwrap(), false) {
                let _ = body.send_data(Bytes::from_static(&[0, 0, 0, 1, 0, 7, 7]), true);
            }
        },
        // A message of bytes that are no message, and a status that all is well.
        |mut respond| {
            if let Ok(mut body) = respond.send_response(grpc().body(()).unwrap(), false) {
                let _ = body.send_data(Bytes::from_static(&[0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]), false);
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                let _ = body.send_trailers(trailers);
            }
        },
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let config = answering_calls(answer).await;
        for (call, error) in errors_of_every_call(config).await {
            assert_eq!(error.kind(), ErrorKind::Protocol, "answer {number}, {call}: {error:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_grpc_is_an_error_that_says_so() {
    for status in [200, 302, 404, 502] {
        let config = answering_calls(move |mut respond| {
            let page = Response::builder().status(status).header("content-type", "text/html");
            if let Ok(mut body) = respond.send_response(page.body(()).unwrap(), false) {
                let _ = body.send_data(Bytes::from_static(b"<html>hello</html>"), true);
            }
        })
        .await;
        for (call, error) in errors_of_every_call(config).await {
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::Protocol | ErrorKind::Unsupported | ErrorKind::Unavailable
                ),
                "{status}, {call}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn garbage_in_the_metadata_of_a_status_does_no_harm() {
    let of_bytes = |bytes: &[u8]| HeaderValue::from_bytes(bytes).unwrap();
    let garbage: Vec<(&str, &str, HeaderValue)> = vec![
        ("a code that is no number", "grpc-status", of_bytes(b"many")),
        ("a code that is none", "grpc-status", of_bytes(b"9999999999999")),
        (
            "a message that is no text",
            "grpc-message",
            of_bytes(b"\xff\xfe\x80 broken"),
        ),
        (
            "a message of broken escapes",
            "grpc-message",
            of_bytes(b"%zz%F%%25%ff%C3"),
        ),
        (
            "details that are no base64",
            "grpc-status-details-bin",
            of_bytes(b"!!! not base64 !!!"),
        ),
        (
            "details that are no message",
            "grpc-status-details-bin",
            of_bytes(b"////////////"),
        ),
        ("other binary metadata", "x-thing-bin", of_bytes(b"\xff\xfe")),
        ("a repeated status", "grpc-encoding", of_bytes(b"nonsense")),
    ];
    for (what, name, value) in garbage {
        let config = answering_calls(move |mut respond| {
            let mut response = grpc().header("grpc-status", "13").body(()).unwrap();
            response
                .headers_mut()
                .insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.clone());
            let _ = respond.send_response(response, true);
        })
        .await;
        for (call, error) in errors_of_every_call(config).await {
            assert!(
                matches!(
                    error.kind(),
                    ErrorKind::Internal | ErrorKind::Protocol | ErrorKind::Unsupported
                ),
                "{what}, {call}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_great_many_headers_are_refused() {
    let config = answering_calls(|mut respond| {
        let mut headers = HeaderMap::new();
        for number in 0..1_500 {
            let name = http::HeaderName::try_from(format!("x-header-{number}")).unwrap();
            headers.insert(name, HeaderValue::try_from("x".repeat(1_000)).unwrap());
        }
        let mut response = grpc().body(()).unwrap();
        *response.headers_mut() = headers;
        let _ = respond.send_response(response, true);
    })
    .await;
    for (call, error) in errors_of_every_call(config).await {
        assert!(
            matches!(error.kind(), ErrorKind::Protocol | ErrorKind::ResourceExhausted),
            "{call}: {error:?}"
        );
    }
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;

#[tokio::test]
async fn headers_that_never_end_are_an_error_after_a_few_of_them() {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let config = serving(move |mut socket| {
        let sent = Arc::clone(&counter);
        async move {
            let mut seen = [0; 24];
            let _ = socket.read_exact(&mut seen).await;
            let (mut from, mut to) = socket.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from, &mut tokio::io::sink()).await });
            let _ = to.write_all(&frame(SETTINGS, 0, 0, &[])).await;
            // :status 200 from the static table, and then literal fields, on and on, with no END_HEADERS.
            let mut kind = HEADERS;
            let mut payload = vec![0x88];
            loop {
                payload.extend([0, 3]);
                payload.extend(b"x-a");
                payload.push(100);
                payload.extend([b'y'; 100]);
                if payload.len() < 12_000 {
                    continue;
                }
                if to.write_all(&frame(kind, 0, 1, &payload)).await.is_err() {
                    return;
                }
                sent.fetch_add(payload.len() as u64, Ordering::Relaxed);
                kind = CONTINUATION;
                payload.clear();
            }
        }
    })
    .await;
    let client = FlightClient::connect(config).await.unwrap();
    let error = ended(client.collect(&query())).await;
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Protocol | ErrorKind::ResourceExhausted | ErrorKind::Unavailable
        ),
        "{error:?}"
    );
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 64 * 1024 * 1024, "{sent} bytes of headers were taken");
}

#[tokio::test]
async fn frames_of_garbage_are_an_error() {
    for garbage in [
        frame(0xee, 0xff, 1, &[0xff; 100]),
        frame(HEADERS, 0xff, 1, &[0xff; 100]),
        frame(SETTINGS, 0, 0, &[1, 2, 3]),
        vec![0xff; 1_000],
    ] {
        let config = serving(move |mut socket| {
            let garbage = garbage.clone();
            async move {
                let mut seen = [0; 24];
                let _ = socket.read_exact(&mut seen).await;
                let _ = socket.write_all(&frame(SETTINGS, 0, 0, &[])).await;
                let _ = socket.write_all(&garbage).await;
                let _ = socket.shutdown().await;
                let _ = tokio::io::copy(&mut socket, &mut tokio::io::sink()).await;
            }
        })
        .await;
        let client = FlightClient::connect(config).await.unwrap();
        let error = ended(client.collect(&query())).await;
        assert!(
            matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Unavailable),
            "{error:?}"
        );
    }
}
