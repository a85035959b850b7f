//! Servers that do not keep to the protocol, by malice or by mistake.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, NullArray, RecordBatch, StringArray, StructArray};
use arrow_flight::utils::batches_to_flight_data;
use arrow_flight::{FlightData, FlightEndpoint, FlightInfo};
use futures::TryStreamExt;
use lakepilot_flight_client::{ClientConfig, FlightClient, QuerySpelling};
use lakepilot_query::{ErrorKind, QueryService, QueryServiceExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::Status;

use crate::answers::{answering, batch, client, client_with, messages, query, schema, sending};
use crate::server::{PATIENCE, Script, Step, TestServer};

async fn error_of(script: Script) -> lakepilot_query::Error {
    let server = TestServer::start(script).await;
    client(&server).await.collect(&query()).await.unwrap_err()
}

fn send(messages: Vec<FlightData>) -> Vec<Step<FlightData>> {
    messages.into_iter().map(Step::Send).collect()
}

#[tokio::test]
async fn a_result_that_ends_before_its_schema_is_a_protocol_error() {
    for spelling in [QuerySpelling::FlightInfo, QuerySpelling::DirectTicket] {
        let server = TestServer::start(answering(Vec::new())).await;
        let error = client_with(&server, spelling).await.run(&query()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.message().contains("before it told its schema"), "{error}");
    }
}

#[tokio::test]
async fn garbage_in_place_of_arrow_is_a_protocol_error() {
    let good = messages(schema(), &[batch(&[1, 2, 3])]);
    let garbage = |header: &[u8], body: &[u8]| FlightData {
        data_header: header.to_vec().into(),
        data_body: body.to_vec().into(),
        ..FlightData::default()
    };
    let truncated = garbage(&good[1].data_header, &good[1].data_body[..4]);
    let cut_header = garbage(&good[1].data_header[..10], &good[1].data_body);
    for messages in [
        vec![garbage(b"\xff\xff\xff\xff garbage", b"")],
        vec![garbage(b"", b"body")],
        vec![good[1].clone()],
        vec![good[0].clone(), good[0].clone()],
        vec![good[0].clone(), truncated],
        vec![good[0].clone(), cut_header],
    ] {
        let error = error_of(answering(send(messages))).await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
}

#[tokio::test]
async fn garbage_in_application_metadata_is_passed_over() {
    let mut steps = messages(schema(), &[batch(&[1]), batch(&[2])]);
    for message in &mut steps {
        message.app_metadata = vec![0xff; 1000].into();
    }
    steps.insert(
        1,
        FlightData {
            app_metadata: vec![0; 10].into(),
            ..FlightData::default()
        },
    );
    let server = TestServer::start(answering(send(steps))).await;
    let result = client(&server).await.collect(&query()).await.unwrap();
    assert_eq!(result.to_batch().unwrap(), batch(&[1, 2]));
}

#[tokio::test]
async fn an_endpoint_without_a_ticket_is_a_protocol_error() {
    let error =
        error_of(Script::new().on_flight_info(|_| Ok(FlightInfo::new().with_endpoint(FlightEndpoint::new())))).await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn a_schema_of_garbage_without_endpoints_is_a_protocol_error() {
    let info = FlightInfo {
        schema: vec![1, 2, 3, 4, 5].into(),
        ..FlightInfo::new()
    };
    let error = error_of(Script::new().on_flight_info(move |_| Ok(info.clone()))).await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

/// The most memory that this process has held so far, in bytes.
#[cfg(target_os = "linux")]
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kibibytes * 1024
}

#[cfg(not(target_os = "linux"))]
fn peak_bytes() -> usize {
    0
}

/// Set in a process that runs one test alone: the memory of a process tells nothing of one test among others.
const ALONE: &str = "LAKEPILOT_TEST_ALONE";

#[test]
fn a_million_empty_batches_arrive_and_nothing_grows() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(drain_a_million_empty_batches());
    }
    let alone = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::a_million_empty_batches_arrive_and_nothing_grows"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&alone.stdout);
    assert!(alone.status.success() && told.contains("1 passed"), "{told}");
}

async fn drain_a_million_empty_batches() {
    const BATCHES: usize = 1_000_000;
    // A hundred bytes that stay of each batch would show.
    const MOST_GROWTH_BYTES: usize = 100 << 20;
    let messages = batches_to_flight_data(&schema(), vec![batch(&[]); 2]).unwrap();
    let steps = vec![
        Step::Send(messages[0].clone()),
        Step::Repeat(messages[1].clone(), BATCHES),
    ];
    let server = TestServer::start(answering(steps)).await;
    let client = client(&server).await;
    let mut stream = client.run(&query()).await.unwrap();
    let (mut batches, mut peak_at_the_beginning) = (0, 0);
    while let Some(batch) = stream.try_next().await.unwrap() {
        assert_eq!(batch.num_rows(), 0);
        batches += 1;
        if batches == BATCHES / 10 {
            peak_at_the_beginning = peak_bytes();
        }
    }
    assert_eq!(batches, BATCHES);
    let growth = peak_bytes() - peak_at_the_beginning;
    assert!(growth < MOST_GROWTH_BYTES, "{growth} bytes more than after a tenth");
}

#[tokio::test]
async fn a_batch_that_does_not_have_the_schema_of_the_stream_is_a_protocol_error() {
    let others: [(&str, ArrayRef); 4] = [
        ("n", Arc::new(StringArray::from(vec!["one", "two"]))),
        ("n", Arc::new(BooleanArray::from(vec![true, false]))),
        ("n", Arc::new(NullArray::new(2))),
        ("n", Arc::new(StructArray::from(batch(&[1, 2])))),
    ];
    let first = messages(schema(), &[batch(&[1])]);
    for (name, column) in others {
        let other = RecordBatch::try_from_iter([(name, column)]).unwrap();
        let told = other.schema().to_string();
        let mut sent = first.clone();
        sent.extend(messages(other.schema(), &[other]).into_iter().skip(1));
        let server = TestServer::start(answering(send(sent))).await;
        let client = client(&server).await;
        let mut stream = client.run(&query()).await.unwrap();
        assert_eq!(stream.try_next().await.unwrap(), Some(batch(&[1])));
        let error = stream.try_next().await.expect_err(&told);
        assert_eq!(error.kind(), ErrorKind::Protocol, "{told}: {error}");
    }
    // With a column more than the schema has.
    let wide = RecordBatch::try_from_iter([
        ("n", Arc::clone(batch(&[1]).column(0))),
        ("m", Arc::clone(batch(&[2]).column(0))),
    ])
    .unwrap();
    let mut sent = first;
    sent.extend(messages(wide.schema(), &[wide]).into_iter().skip(1));
    let error = error_of(answering(send(sent))).await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn a_long_error_message_is_whole_and_a_huge_one_does_no_harm() {
    let list: Vec<String> = (0..2_000).map(|n| format!("column_{n}")).collect();
    let text = format!(
        "error building dataframe: No field named nope. Valid fields are {}",
        list.join(", ")
    );
    assert!(text.len() > 20_000);
    let error = error_of(Script::new().on_flight_info(move |_| Err(Status::invalid_argument(text.clone())))).await;
    assert_eq!(error.kind(), ErrorKind::InvalidQuery);
    assert!(error.message().contains("column_900"), "{error}");

    let huge = "x".repeat(10_000_000);
    let in_mid_stream = {
        let mut steps = sending(&[batch(&[1])]);
        steps.push(Step::Fail(Status::internal("x".repeat(2_000_000))));
        answering(steps)
    };
    let at_once = Script::new().on_flight_info(move |_| Err(Status::internal(huge.clone())));
    for script in [at_once, in_mid_stream] {
        let error = error_of(script).await;
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Internal | ErrorKind::Protocol | ErrorKind::ResourceExhausted
            ),
            "{}",
            error.kind()
        );
        assert!(error.message().len() < 20_000, "{}", error.message().len());
    }
}

/// A port where something answers every connection with these bytes and hangs up.
async fn answering_with(bytes: &'static [u8]) -> ClientConfig {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("grpc://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = [0; 24];
            let _ = stream.read_exact(&mut seen).await;
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
            // Until the client hangs up too, so that it is not the reset that it sees.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    });
    ClientConfig::new(url).unwrap()
}

#[tokio::test]
async fn a_server_of_another_protocol_is_an_error_and_not_a_hang() {
    for (bytes, kind) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..],
            ErrorKind::Protocol,
        ),
        (b"SSH-2.0-OpenSSH_9.7\r\n", ErrorKind::Protocol),
        (b"", ErrorKind::Unavailable),
    ] {
        let config = answering_with(bytes).await;
        let client = FlightClient::connect(config).await.unwrap();
        let error = tokio::time::timeout(PATIENCE, client.run(&query()))
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        if kind == ErrorKind::Protocol {
            assert!(error.message().contains("grpc+tls://"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_dies_in_mid_stream_is_unavailable() {
    let mut steps = sending(&[batch(&[1])]);
    steps.push(Step::Hang);
    let server = TestServer::start(answering(steps)).await;
    let client = client(&server).await;
    let mut stream = client.run(&query()).await.unwrap();
    assert_eq!(stream.try_next().await.unwrap(), Some(batch(&[1])));
    server.kill_connections();
    let error = tokio::time::timeout(PATIENCE, stream.try_next())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}
