//! Results in several parts: side by side, in order or not, from the places that answer, and not for longer than wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use arrow_flight::{CancelFlightInfoRequest, FlightEndpoint, FlightInfo, RenewFlightEndpointRequest};
use futures::TryStreamExt;
use lakepilot_flight_client::{ClientConfig, FlightClient};
use lakepilot_query::{ErrorKind, QueryService, QueryServiceExt, RecordBatchStream};
use prost::Message;
use tokio::net::TcpListener;
use tonic::Status;

use crate::answers::{batch, client, config, numbered, query, sending, with_endpoints, with_info};
use crate::endpoints::at;
use crate::server::{Event, PATIENCE, Step, TestServer};

async fn next(stream: &mut RecordBatchStream) -> Option<arrow::array::RecordBatch> {
    tokio::time::timeout(PATIENCE, stream.try_next())
        .await
        .expect("it hangs")
        .unwrap()
}

/// So many batches, and then nothing more.
fn hanging_after(values: &[i64]) -> Vec<Step<arrow_flight::FlightData>> {
    let batches: Vec<_> = values.iter().map(|value| batch(&[*value])).collect();
    let mut steps = sending(&batches);
    steps.push(Step::Hang);
    steps
}

#[tokio::test]
async fn parts_without_an_order_come_as_they_arrive() {
    let parts = vec![hanging_after(&[1]), sending(&[batch(&[2])]), sending(&[batch(&[3])])];
    let endpoints = vec![numbered(0), numbered(1), numbered(2)];
    let server = TestServer::start(with_info(FlightInfo::new(), endpoints, parts)).await;
    let client = client(&server).await;
    let mut stream = client.run(&query()).await.unwrap();
    let mut seen = Vec::new();
    // The first part never ends, and holds up nobody.
    for _ in 0..3 {
        seen.push(next(&mut stream).await.unwrap());
    }
    seen.sort_by_key(|batch| batch.column(0).to_data().buffers()[0].as_slice().to_vec());
    assert_eq!(seen, [batch(&[1]), batch(&[2]), batch(&[3])]);
}

#[tokio::test]
async fn parts_with_an_order_keep_it_and_are_fetched_ahead() {
    let parts = vec![hanging_after(&[1]), sending(&[batch(&[2])])];
    let server = TestServer::start(with_endpoints(vec![numbered(0), numbered(1)], parts)).await;
    let client = client(&server).await;
    let mut stream = client.run(&query()).await.unwrap();
    assert_eq!(next(&mut stream).await, Some(batch(&[1])));
    let both_asked = |events: &[Event]| {
        let gets = |event: &&Event| matches!(event, Event::Call(call) if call.method == "DoGet");
        events.iter().filter(gets).count() == 2
    };
    server.wait_until(both_asked).await;
    // The second part is there, and is not next.
    let early = tokio::time::timeout(Duration::from_millis(100), stream.try_next()).await;
    assert!(early.is_err(), "{early:?}");
}

#[tokio::test]
async fn no_more_parts_are_fetched_at_a_time_than_allowed() {
    let parts = vec![sending(&[batch(&[7])]); 20];
    let endpoints: Vec<_> = (0..20).map(numbered).collect();
    for (parallel, budget) in [(1, 0), (3, 0), (100, usize::MAX)] {
        let script = with_info(FlightInfo::new(), endpoints.clone(), parts.clone());
        let server = TestServer::start(script).await;
        let config = config(&server)
            .with_parallel_parts(parallel)
            .with_parts_budget_bytes(budget);
        let client = FlightClient::connect(config).await.unwrap();
        let stream = client.run(&query()).await.unwrap();
        assert!(server.methods().iter().filter(|method| **method == "DoGet").count() <= parallel);
        let rows: usize = stream
            .map_ok(|batch| batch.num_rows())
            .try_fold(0, |sum, rows| async move { Ok(sum + rows) })
            .await
            .unwrap();
        assert_eq!((rows, server.methods().len()), (20, 21));
    }
}

#[tokio::test]
async fn a_location_that_does_not_answer_is_remembered() {
    // It takes connections and drops them, and counts.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = format!("grpc://{}", listener.local_addr().unwrap());
    let connected = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&connected);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    let worker = TestServer::start(with_endpoints(Vec::new(), vec![sending(&[batch(&[7])])])).await;
    let locations = [&*dead, &worker.url()];
    let endpoints = vec![at(numbered(0), &locations); 10];
    let server = TestServer::start(with_endpoints(endpoints, Vec::new())).await;
    let client = FlightClient::connect(config(&server).with_parallel_parts(1))
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 10);
    }
    assert_eq!(worker.methods().len(), 20);
    // A connection that breaks is made once more for the call that it was for. Not remembered, it would be for every part.
    let connected = connected.load(Ordering::Relaxed);
    assert!(connected <= 2, "{connected} connections");
}

#[tokio::test]
async fn when_every_location_is_dead_they_are_all_tried_and_the_error_says_so() {
    let script = with_endpoints(Vec::new(), Vec::new());
    let (one, other) = (
        TestServer::start(script).await,
        TestServer::start(with_endpoints(Vec::new(), Vec::new())).await,
    );
    let locations = [one.url(), other.url()];
    one.stop().await;
    other.stop().await;
    let locations = [&*locations[0], &*locations[1]];
    let server = TestServer::start(with_endpoints(vec![at(numbered(0), &locations); 2], Vec::new())).await;
    let client = client(&server).await;
    for _ in 0..2 {
        let error = client.collect(&query()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.message().contains("cannot be fetched from"), "{error}");
    }
}

#[tokio::test]
async fn a_location_that_only_means_something_elsewhere_is_rewritten() {
    let worker = TestServer::start(with_endpoints(Vec::new(), vec![sending(&[batch(&[7])])])).await;
    let inside = ["grpc+tcp://executor-3.cluster.internal:50050"];
    let server = TestServer::start(with_endpoints(vec![at(numbered(0), &inside); 2], Vec::new())).await;
    let config = config(&server).with_location_rewrite(inside[0], worker.url()).unwrap();
    let client = FlightClient::connect(config).await.unwrap();
    assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 2);
    assert_eq!(worker.methods(), ["DoGet", "DoGet"]);

    for (from, to) in [("nonsense", "grpc://localhost"), ("grpc://localhost", "nonsense")] {
        let error = ClientConfig::new("grpc://localhost")
            .unwrap()
            .with_location_rewrite(from, to)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

fn expiring(endpoint: FlightEndpoint, left: Duration) -> FlightEndpoint {
    let moment = SystemTime::now() + left;
    let moment = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut time = endpoint.expiration_time.unwrap_or_default();
    time.seconds = moment.as_secs() as i64;
    time.nanos = moment.subsec_nanos() as i32;
    FlightEndpoint {
        expiration_time: Some(time),
        ..endpoint
    }
}

#[tokio::test]
async fn a_part_about_to_expire_is_renewed_and_fetched_by_its_new_ticket() {
    let endpoints = vec![numbered(0), expiring(numbered(1), Duration::from_secs(1))];
    let parts = vec![sending(&[batch(&[1])]), Vec::new(), sending(&[batch(&[2])])];
    let script = with_endpoints(endpoints, parts).on_action(|action| {
        assert_eq!(action.r#type, "RenewFlightEndpoint");
        let asked = RenewFlightEndpointRequest::decode(action.body)
            .unwrap()
            .endpoint
            .unwrap();
        assert_eq!(asked.ticket.unwrap().ticket[..], [1]);
        let renewed = expiring(numbered(2), Duration::from_secs(1_000));
        Ok(vec![Step::Send(arrow_flight::Result {
            body: renewed.encode_to_vec().into(),
        })])
    });
    let server = TestServer::start(script).await;
    let result = client(&server).await.collect(&query()).await.unwrap();
    assert_eq!(result.to_batch().unwrap(), batch(&[1, 2]));
}

#[tokio::test]
async fn a_part_that_waits_is_renewed_in_time_however_long_it_waits() {
    let endpoints = vec![numbered(0), expiring(numbered(1), Duration::from_millis(600))];
    let parts = vec![
        sending(&[batch(&[1]), batch(&[2])]),
        Vec::new(),
        sending(&[batch(&[3])]),
    ];
    let script = with_endpoints(endpoints, parts).on_action(|_| {
        let renewed = expiring(numbered(2), Duration::from_secs(1_000));
        Ok(vec![Step::Send(arrow_flight::Result {
            body: renewed.encode_to_vec().into(),
        })])
    });
    let server = TestServer::start(script).await;
    let client = FlightClient::connect(config(&server).with_parallel_parts(1))
        .await
        .unwrap();
    let mut stream = client.run(&query()).await.unwrap();
    assert_eq!(next(&mut stream).await, Some(batch(&[1])));
    // Nobody reads on, and the second part is not asked for.
    let renewed = |events: &[Event]| {
        events
            .iter()
            .any(|event| matches!(event, Event::Call(call) if call.method == "DoAction"))
    };
    server.wait_until(renewed).await;
    assert_eq!(next(&mut stream).await, Some(batch(&[2])));
    assert_eq!(next(&mut stream).await, Some(batch(&[3])));
    assert_eq!(next(&mut stream).await, None);
}

#[tokio::test]
async fn a_server_that_does_not_renew_is_asked_for_the_part_all_the_same() {
    let endpoints = vec![numbered(0), expiring(numbered(1), Duration::from_secs(1))];
    let parts = vec![sending(&[batch(&[1])]), sending(&[batch(&[2])])];
    let server = TestServer::start(with_endpoints(endpoints, parts)).await;
    let result = client(&server).await.collect(&query()).await.unwrap();
    assert_eq!(result.to_batch().unwrap(), batch(&[1, 2]));
}

#[tokio::test]
async fn a_result_that_is_dropped_is_called_off_with_the_parts_that_were_not_fetched() {
    let endpoints = vec![numbered(0), numbered(1), numbered(2)];
    let parts = vec![hanging_after(&[1]), hanging_after(&[2]), hanging_after(&[3])];
    let server = TestServer::start(with_endpoints(endpoints, parts).on_action(|_| Ok(Vec::new()))).await;
    let client = FlightClient::connect(config(&server).with_parallel_parts(2))
        .await
        .unwrap();
    let mut stream = client.run(&query()).await.unwrap();
    assert_eq!(next(&mut stream).await, Some(batch(&[1])));
    drop(stream);
    let ended = |events: &[Event]| {
        let abandoned = |event: &&Event| matches!(event, Event::Abandoned("DoGet"));
        let cancels = |event: &&Event| matches!(event, Event::Call(call) if call.method == "DoAction");
        events.iter().filter(cancels).count() == 1 && events.iter().filter(abandoned).count() >= 1
    };
    server.wait_until(ended).await;
    let calls = server.calls();
    let action = calls.iter().find(|call| call.method == "DoAction").unwrap();
    let request = CancelFlightInfoRequest::decode(&action.body[..]).unwrap();
    assert_eq!(request.info.unwrap().endpoint.len(), 3);
}

#[tokio::test]
async fn a_server_that_cannot_call_off_is_asked_once() {
    let endpoints = vec![numbered(0), numbered(1)];
    let parts = vec![hanging_after(&[1]), hanging_after(&[2])];
    let script = with_endpoints(endpoints, parts).on_action(|_| Err(Status::unimplemented("no such action")));
    let server = TestServer::start(script).await;
    let client = client(&server).await;
    let cancels = |server: &TestServer| server.methods().iter().filter(|method| **method == "DoAction").count();
    drop(client.run(&query()).await.unwrap());
    server
        .wait_until(|events| {
            events
                .iter()
                .any(|event| matches!(event, Event::Call(call) if call.method == "DoAction"))
        })
        .await;
    // The answer to it has to be back before it is known.
    client.prepare(&query()).await.unwrap_err();
    let before = cancels(&server);
    drop(client.run(&query()).await.unwrap());
    client.prepare(&query()).await.unwrap_err();
    // Only the prepare.
    assert_eq!(cancels(&server), before + 1);
}
