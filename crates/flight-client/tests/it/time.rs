//! A server, or a network, that stands still: every call ends, within its limit, and says which call it was.

use std::time::Duration;

use arrow_flight::sql::DoPutUpdateResult;
use arrow_flight::{FlightData, PutResult};
use futures::{StreamExt, TryStreamExt, stream};
use lakepilot_fault_proxy::FaultProxy;
use lakepilot_flight_client::{ClientConfig, FlightClient, QuerySpelling};
use lakepilot_query::{
    BulkIngestion, Error, ErrorKind, QueryService, QueryServiceExt, RecordBatchStream, Result, ServerMetadata,
};
use prost::Message;
use tokio::net::TcpListener;

use crate::answers::{answering, batch, client, config, messages, query, schema, sending};
use crate::server::{PATIENCE, Script, Step, TestServer};

/// The limit that is to run out, which a slow machine still keeps before it does.
const LIMIT: Duration = Duration::from_millis(150);

/// A limit that no test reaches.
const LONG: Duration = Duration::from_secs(1_000);

fn unlimited(config: ClientConfig) -> ClientConfig {
    config
        .with_connect_timeout(LONG)
        .with_plan_timeout(None)
        .with_first_batch_timeout(None)
        .with_gap_timeout(None)
}

/// Checks that the work timed out, in time, with these words in its message.
async fn timed_out<T: std::fmt::Debug>(words: &[&str], work: impl Future<Output = Result<T>>) -> Error {
    let error = tokio::time::timeout(PATIENCE, work)
        .await
        .expect("it hangs")
        .expect_err("it was to time out");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:?}");
    for words in words {
        assert!(error.message().contains(words), "no '{words}' in: {error}");
    }
    error
}

#[tokio::test]
async fn a_server_silent_in_every_call() {
    let server = TestServer::start(Script::new().silent()).await;
    let limited = FlightClient::connect(unlimited(config(&server)).with_plan_timeout(LIMIT))
        .await
        .unwrap();
    timed_out(
        &["GetFlightInfo", "was not answered within 150ms"],
        limited.run(&query()),
    )
    .await;
    timed_out(
        &["CreatePreparedStatement", "was not answered within 150ms"],
        limited.prepare(&query()),
    )
    .await;
    timed_out(&["GetFlightInfo", "was not answered within 150ms"], limited.catalogs()).await;

    let direct = unlimited(config(&server))
        .with_spelling(QuerySpelling::DirectTicket)
        .with_first_batch_timeout(LIMIT);
    let direct = FlightClient::connect(direct).await.unwrap();
    timed_out(&["DoGet", "brought no batch within 150ms"], direct.run(&query())).await;

    let ingesting = FlightClient::connect(unlimited(config(&server)).with_gap_timeout(LIMIT))
        .await
        .unwrap();
    let rows = RecordBatchStream::from_batches(schema(), vec![batch(&[1])]);
    timed_out(
        &["DoPut", "stands still: nothing has come for 150ms"],
        ingesting.ingest("t", rows),
    )
    .await;
}

#[tokio::test]
async fn a_result_that_stands_still_before_its_schema_before_a_batch_and_between_two() {
    let limits = |server: &TestServer| {
        unlimited(config(server))
            .with_first_batch_timeout(LIMIT)
            .with_gap_timeout(2 * LIMIT)
    };
    for (messages_before, words) in [
        (0, "brought no batch within 150ms"),
        (1, "brought no batch within 150ms"),
    ] {
        let mut steps: Vec<_> = sending(&[batch(&[1])]).into_iter().take(messages_before).collect();
        steps.push(Step::Hang);
        let server = TestServer::start(answering(steps)).await;
        let client = FlightClient::connect(limits(&server)).await.unwrap();
        timed_out(&["DoGet", words], client.collect(&query())).await;
    }

    let mut steps = sending(&[batch(&[1]), batch(&[2])]);
    steps.push(Step::Hang);
    let server = TestServer::start(answering(steps)).await;
    let client = limits(&server).with_first_batch_timeout(LONG).with_gap_timeout(LIMIT);
    let client = FlightClient::connect(client).await.unwrap();
    let mut stream = client.run(&query()).await.unwrap();
    for expected in [batch(&[1]), batch(&[2])] {
        assert_eq!(stream.try_next().await.unwrap(), Some(expected));
    }
    timed_out(
        &["DoGet", "stands still: nothing has come for 150ms"],
        stream.try_next(),
    )
    .await;
    assert!(stream.next().await.is_none(), "nothing follows an error");
}

#[tokio::test]
async fn an_action_that_never_ends_after_its_answer() {
    let script = Script::new().on_action(|_| Ok(vec![Step::Send(arrow_flight::Result::default()), Step::Hang]));
    let server = TestServer::start(script).await;
    let client = FlightClient::connect(unlimited(config(&server)).with_plan_timeout(LIMIT))
        .await
        .unwrap();
    timed_out(&["CreatePreparedStatement"], client.prepare(&query())).await;
}

#[tokio::test]
async fn an_ingestion_that_is_not_answered_after_its_rows_or_after_its_count() {
    let count = DoPutUpdateResult { record_count: 1 };
    let counted = Step::Send(PutResult {
        app_metadata: count.encode_to_vec().into(),
    });
    for steps in [vec![Step::Hang], vec![counted, Step::Hang]] {
        let server = TestServer::start(Script::new().on_put(move |_| Ok(steps.clone()))).await;
        let client = FlightClient::connect(unlimited(config(&server)).with_gap_timeout(LIMIT))
            .await
            .unwrap();
        let rows = RecordBatchStream::from_batches(schema(), vec![batch(&[1])]);
        timed_out(
            &["DoPut", "stands still: nothing has come for 150ms"],
            client.ingest("t", rows),
        )
        .await;
    }
}

#[tokio::test]
async fn an_ingestion_whose_rows_take_their_time_is_not_the_servers_fault() {
    let count = DoPutUpdateResult { record_count: 2 };
    let script = Script::new().on_put(move |_| {
        Ok(vec![Step::Send(PutResult {
            app_metadata: count.encode_to_vec().into(),
        })])
    });
    let server = TestServer::start(script).await;
    let client = FlightClient::connect(unlimited(config(&server)).with_gap_timeout(LIMIT))
        .await
        .unwrap();
    let rows = stream::iter([batch(&[1]), batch(&[2])]).then(|batch| async {
        // Longer than the server may take: the time is the rows' own.
        let _ = tokio::time::timeout(2 * LIMIT, std::future::pending::<()>()).await;
        Ok(batch)
    });
    let rows = RecordBatchStream::new(schema(), rows);
    assert_eq!(client.ingest("t", rows).await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_consumer_that_takes_its_time_is_not_the_servers_fault() {
    let server = TestServer::start(answering(sending(&[batch(&[1]), batch(&[2])]))).await;
    let client = FlightClient::connect(config(&server).with_first_batch_timeout(LIMIT).with_gap_timeout(LIMIT))
        .await
        .unwrap();
    let mut stream = client.run(&query()).await.unwrap();
    for expected in [Some(batch(&[1])), Some(batch(&[2])), None] {
        tokio::time::sleep(2 * LIMIT).await;
        assert_eq!(stream.try_next().await.unwrap(), expected);
    }
}

/// A port that accepts connections and says nothing.
async fn mute() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[tokio::test]
async fn handshakes_that_are_not_answered() {
    let (_listener, address) = mute().await;
    // That of TLS is a part of connecting.
    let config = |scheme: &str| unlimited(ClientConfig::new(format!("{scheme}://{address}")).unwrap());
    let tls = config("grpc+tls").with_connect_timeout(LIMIT);
    timed_out(&["no connection to", "150ms"], FlightClient::connect(tls.clone())).await;
    let lazy = FlightClient::connect_lazily(tls).unwrap();
    timed_out(&["no connection to"], lazy.run(&query())).await;
    // That of HTTP/2 waits for nothing, so that the first call is what is not answered.
    let plain = FlightClient::connect(config("grpc").with_plan_timeout(LIMIT))
        .await
        .unwrap();
    timed_out(&["GetFlightInfo"], plain.run(&query())).await;
}

#[tokio::test]
async fn every_call_has_a_limit_that_nobody_has_to_set() {
    let text = format!("{:?}", ClientConfig::new("grpc://localhost").unwrap());
    for limit in [
        "connect_timeout: 10s",
        "plan: Some(60s)",
        "first_batch: Some(600s)",
        "gap: Some(600s)",
    ] {
        assert!(text.contains(limit), "no '{limit}' in {text}");
    }
    // And the server is told of the ones that are for one answer.
    let server = TestServer::start(answering(sending(&[]))).await;
    client(&server).await.collect(&query()).await.unwrap();
    let told: Vec<_> = server
        .calls()
        .iter()
        .map(|call| call.header("grpc-timeout").is_some())
        .collect();
    assert_eq!(told, [true, false]);
}

#[tokio::test]
async fn a_connection_that_died_without_a_word_is_replaced_after_one_call() {
    let server = TestServer::start(answering(sending(&[batch(&[1])]))).await;
    // The first connection is made, and then nothing passes any more.
    let stall = "connection 0 to-server byte 24 stall".parse().unwrap();
    let proxy = FaultProxy::start(([127, 0, 0, 1], server.port()).into(), stall).unwrap();
    let limit = Duration::from_secs(2);
    let config = ClientConfig::new(format!("grpc://{}", proxy.address())).unwrap();
    let client = FlightClient::connect(unlimited(config).with_plan_timeout(limit))
        .await
        .unwrap();
    timed_out(&["GetFlightInfo", "within 2s"], client.run(&query())).await;
    assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 1);
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn streams_that_nobody_reads_do_not_hold_up_the_one_that_is_read() {
    // Each is larger than what may be under way on one stream.
    let large = batch(&vec![7; 256 * 1024]);
    let messages: Vec<FlightData> = messages(schema(), &[large]);
    let (schema_message, data) = messages.split_first().unwrap();
    let steps: Vec<_> = std::iter::once(schema_message)
        .chain(std::iter::repeat_n(data, 20).flatten())
        .cloned()
        .map(Step::Send)
        .collect();
    let server = TestServer::start(answering(steps)).await;
    let client = client(&server).await;
    let mut unread = Vec::new();
    for _ in 0..3 {
        let mut stream = client.run(&query()).await.unwrap();
        stream.try_next().await.unwrap().unwrap();
        unread.push(stream);
    }
    let read = tokio::time::timeout(PATIENCE, client.collect(&query()))
        .await
        .expect("the streams that nobody reads hold it up");
    assert_eq!(read.unwrap().num_rows(), 20 * 256 * 1024);
}
