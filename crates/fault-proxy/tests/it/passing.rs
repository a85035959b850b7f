//! What passes when nothing goes wrong.

use std::time::{Duration, Instant};

use lakepilot_fault_proxy::{Direction, FaultProxy, Schedule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::faults::{Server, bound, pattern};

#[tokio::test]
async fn every_byte_passes_in_both_directions() {
    let server = Server::echoing().await;
    for round_trip in [Duration::ZERO, Duration::from_millis(2)] {
        let proxy = FaultProxy::start(server.address, Schedule::new().with_round_trip(round_trip)).unwrap();
        let sent = pattern(5_000_000);
        let client = TcpStream::connect(proxy.address()).await.unwrap();
        let (mut from, mut to) = client.into_split();
        let expected = sent.clone();
        let sending = tokio::spawn(async move {
            to.write_all(&sent).await.unwrap();
            to.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        bound(from.read_to_end(&mut received)).await.unwrap();
        sending.await.unwrap();
        assert!(received == expected, "{} bytes came back", received.len());
        for direction in Direction::BOTH {
            assert_eq!(proxy.transferred(0, direction), 5_000_000);
        }
        assert_eq!((proxy.connections(), proxy.fired().len()), (1, 0));
    }
}

#[tokio::test]
async fn a_round_trip_takes_its_time_and_many_at_once_take_no_more() {
    let round_trip = Duration::from_millis(30);
    let server = Server::echoing().await;
    let proxy = FaultProxy::start(server.address, Schedule::new().with_round_trip(round_trip)).unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.set_nodelay(true).unwrap();
    let start = Instant::now();
    let mut waited = Vec::new();
    // Each is a chunk of its own, and all are under way together.
    for _ in 0..200 {
        client.write_all(b"ping").await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut byte = [0; 4];
    for _ in 0..200 {
        bound(client.read_exact(&mut byte)).await.unwrap();
        waited.push(start.elapsed());
    }
    assert!(waited[0] >= round_trip, "{:?}", waited[0]);
    // One after the other they would take six seconds.
    assert!(waited[199] < Duration::from_secs(3), "{:?}", waited[199]);
}

#[tokio::test]
async fn a_receiver_that_takes_nothing_stops_the_sender() {
    let server = Server::sending_without_end().await;
    let proxy = FaultProxy::start(server.address, Schedule::new()).unwrap();
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    // The kernel's buffers and the proxy's fill up, and then nothing more is sent.
    let mut before = u64::MAX;
    bound(async {
        loop {
            let now = server.sent();
            if now > 0 && now == before {
                break;
            }
            before = now;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(before < 64 * 1024 * 1024, "{before} bytes");
    drop(client);
}
