//! Several servers that answer the same: one that is gone is not noticed.

use std::collections::HashSet;

use futures::TryStreamExt;
use lakepilot_flight_client::{ClientConfig, FlightClient, QuerySpelling};
use lakepilot_query::{BulkIngestion, ErrorKind, QueryService, QueryServiceExt, RecordBatchStream, ServerMetadata};
use tonic::Status;

use crate::answers::{answering, batch, numbered, query, schema, sending, with_endpoints};
use crate::server::{Event, Script, Step, TestServer};

async fn replica() -> TestServer {
    TestServer::start(answering(sending(&[batch(&[1])]))).await
}

fn config_of(servers: &[&TestServer]) -> ClientConfig {
    let (first, others) = servers.split_first().unwrap();
    others
        .iter()
        .fold(ClientConfig::new(first.url()).unwrap(), |config, server| {
            config.with_replica(server.url()).unwrap()
        })
}

#[tokio::test]
async fn clients_spread_over_all_of_them_and_a_query_stays_with_one() {
    let servers = [replica().await, replica().await, replica().await];
    let config = config_of(&[&servers[0], &servers[1], &servers[2]]);
    let mut urls = HashSet::new();
    for _ in 0..60 {
        let client = FlightClient::connect(config.clone()).await.unwrap();
        urls.insert(client.url());
        client.collect(&query()).await.unwrap();
    }
    assert_eq!(urls.len(), 3);
    for server in &servers {
        let methods = server.methods();
        assert!(
            methods.chunks(2).all(|pair| pair == ["GetFlightInfo", "DoGet"]),
            "{methods:?}"
        );
    }
}

#[tokio::test]
async fn when_one_goes_away_queries_go_on_with_another() {
    for spelling in [QuerySpelling::FlightInfo, QuerySpelling::DirectTicket] {
        let (one, other) = (replica().await, replica().await);
        let config = config_of(&[&one, &other]).with_spelling(spelling);
        let client = FlightClient::connect(config).await.unwrap();
        client.collect(&query()).await.unwrap();
        let (gone, left) = if client.url() == one.url() {
            (one, other)
        } else {
            (other, one)
        };
        gone.kill_connections();
        gone.stop().await;
        for _ in 0..3 {
            assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 1, "{spelling:?}");
        }
        assert_eq!(client.url(), left.url());
    }
}

#[tokio::test]
async fn connecting_takes_whichever_is_there() {
    let (gone, left) = (replica().await, replica().await);
    let config = config_of(&[&gone, &left]);
    gone.stop().await;
    for _ in 0..10 {
        let client = FlightClient::connect(config.clone()).await.unwrap();
        assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 1);
    }
    left.stop().await;
    let error = FlightClient::connect(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn what_one_server_refuses_is_not_asked_of_another() {
    let refusing = || Script::new().on_flight_info(|_| Err(Status::invalid_argument("no such table")));
    let (one, other) = (TestServer::start(refusing()).await, TestServer::start(refusing()).await);
    let client = FlightClient::connect(config_of(&[&one, &other])).await.unwrap();
    let error = client.catalogs().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidQuery);
    assert_eq!(one.calls().len() + other.calls().len(), 1);
}

#[tokio::test]
async fn rows_are_never_sent_twice() {
    let (one, other) = (
        TestServer::start(Script::new().on_put(|_| Err(Status::unavailable("going down")))).await,
        TestServer::start(Script::new().on_put(|_| Err(Status::unavailable("going down")))).await,
    );
    let client = FlightClient::connect(config_of(&[&one, &other])).await.unwrap();
    for expected in 1..=2 {
        let rows = RecordBatchStream::from_batches(schema(), vec![batch(&[1])]);
        let error = client.ingest("table", rows).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(one.calls().len() + other.calls().len(), expected);
    }
    // But the next ones go to the next server.
    assert_eq!((one.calls().len(), other.calls().len()), (1, 1));
}

#[tokio::test]
async fn a_result_is_fetched_where_it_was_planned_though_calls_have_moved_on() {
    let script = || {
        let parts = vec![sending(&[batch(&[1]), batch(&[2])]), sending(&[batch(&[3])])];
        with_endpoints(vec![numbered(0), numbered(1)], parts).on_put(|_| Err(Status::unavailable("going down")))
    };
    let (one, other) = (TestServer::start(script()).await, TestServer::start(script()).await);
    let config = config_of(&[&one, &other]).with_parallel_parts(1);
    let client = FlightClient::connect(config).await.unwrap();
    let planned_on = client.url();
    let mut stream = client.run(&query()).await.unwrap();
    stream.try_next().await.unwrap();
    let rows = RecordBatchStream::from_batches(schema(), vec![batch(&[1])]);
    client.ingest("table", rows).await.unwrap_err();
    assert_ne!(client.url(), planned_on);
    let rest: Vec<_> = stream.try_collect().await.unwrap();
    assert_eq!(rest, [batch(&[2]), batch(&[3])]);
    let (planned, moved) = if planned_on == one.url() {
        (one, other)
    } else {
        (other, one)
    };
    let gets = |server: &TestServer| server.methods().iter().filter(|method| **method == "DoGet").count();
    assert_eq!((gets(&planned), gets(&moved)), (2, 0));
}

#[tokio::test]
async fn a_result_is_called_off_where_it_was_planned() {
    let script = || {
        let hanging = || vec![sending(&[batch(&[1])]).remove(0), Step::Hang];
        with_endpoints(vec![numbered(0), numbered(1)], vec![hanging(), hanging()])
            .on_action(|_| Ok(Vec::new()))
            .on_put(|_| Err(Status::unavailable("going down")))
    };
    let (one, other) = (TestServer::start(script()).await, TestServer::start(script()).await);
    let client = FlightClient::connect(config_of(&[&one, &other])).await.unwrap();
    let (planned, moved) = if client.url() == one.url() {
        (one, other)
    } else {
        (other, one)
    };
    let stream = client.run(&query()).await.unwrap();
    // Ingestion fails at one server only, so that calls go to the other from now on.
    let rows = RecordBatchStream::from_batches(schema(), vec![batch(&[1])]);
    client.ingest("table", rows).await.unwrap_err();
    assert_eq!(client.url(), moved.url());
    let actions = |server: &TestServer| server.methods().iter().filter(|method| **method == "DoAction").count();
    let (before, elsewhere) = (actions(&planned), actions(&moved));
    drop(stream);
    planned
        .wait_until(|events| {
            let action = |event: &&Event| matches!(event, Event::Call(call) if call.method == "DoAction");
            events.iter().filter(action).count() == before + 1
        })
        .await;
    assert_eq!(actions(&moved), elsewhere);
}
