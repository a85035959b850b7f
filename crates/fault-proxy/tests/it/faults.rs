//! What goes wrong, and where.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lakepilot_fault_proxy::{Direction, FaultProxy, Schedule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Long enough for a slow machine, and no test takes it when it passes.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn bound<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it hangs")
}

/// Bytes that are different at different places.
pub(crate) fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

/// A server of bytes, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    sent: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream, Arc<AtomicU64>) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&counter)));
            }
        });
        Self { address, sent, task }
    }

    /// Sends back what it gets.
    pub(crate) async fn echoing() -> Self {
        Self::start(|socket, _| async {
            socket.set_nodelay(true).unwrap();
            let (mut from, mut to) = socket.into_split();
            if tokio::io::copy(&mut from, &mut to).await.is_ok() {
                let _ = to.shutdown().await;
            }
        })
        .await
    }

    /// Sends the pattern, and then waits for the client to hang up.
    async fn sending(bytes: usize) -> Self {
        Self::start(move |mut socket, _| async move {
            let _ = socket.write_all(&pattern(bytes)).await;
            let _ = socket.read_to_end(&mut Vec::new()).await;
        })
        .await
    }

    pub(crate) async fn sending_without_end() -> Self {
        Self::start(|mut socket, sent| async move {
            let chunk = vec![0; 64 * 1024];
            while socket.write_all(&chunk).await.is_ok() {
                sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            }
        })
        .await
    }

    /// How many bytes it got rid of.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn proxy(server: &Server, schedule: &str) -> FaultProxy {
    FaultProxy::start(server.address, schedule.parse().unwrap()).unwrap()
}

/// All that arrives on a connection, and how it ends.
async fn received(proxy: &FaultProxy) -> (Vec<u8>, std::io::Result<usize>) {
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let mut bytes = Vec::new();
    let end = bound(client.read_to_end(&mut bytes)).await;
    (bytes, end)
}

#[tokio::test]
async fn a_truncation_ends_in_good_order_after_exactly_its_bytes() {
    let server = Server::sending(300_000).await;
    for at in [0, 1, 4_096, 299_999] {
        let proxy = proxy(&server, &format!("connection 0 to-client byte {at} truncate"));
        let (bytes, end) = received(&proxy).await;
        assert!(end.is_ok(), "{end:?}");
        assert!(bytes == pattern(300_000)[..at], "{} of {at}", bytes.len());
        assert_eq!(proxy.transferred(0, Direction::ToClient), at as u64);
    }
}

#[tokio::test]
async fn a_reset_breaks_both_sides() {
    let server = Server::sending(1_000).await;
    let proxy = proxy(&server, "connection 0 to-client byte 500 reset");
    let (bytes, end) = received(&proxy).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert!(pattern(500).starts_with(&bytes), "{}", bytes.len());
}

#[tokio::test]
async fn corruption_changes_its_bytes_and_no_others() {
    let server = Server::echoing().await;
    for (direction, at, bytes) in [("to-client", 0, 1), ("to-server", 70_000, 8), ("to-client", 99_998, 8)] {
        let proxy = proxy(
            &server,
            &format!("connection 0 {direction} byte {at} corrupt {bytes} bytes by 0x5a"),
        );
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        client.write_all(&pattern(100_000)).await.unwrap();
        client.shutdown().await.unwrap();
        let mut received = Vec::new();
        bound(client.read_to_end(&mut received)).await.unwrap();
        let mut expected = pattern(100_000);
        expected.iter_mut().skip(at).take(bytes).for_each(|byte| *byte ^= 0x5a);
        assert!(received == expected, "{direction} {at}");
    }
}

#[tokio::test]
async fn a_stall_holds_one_direction_and_keeps_the_connection() {
    let server = Server::echoing().await;
    let proxy = proxy(&server, "connection 0 to-client byte 2 stall");
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(b"four").await.unwrap();
    let mut bytes = [0; 2];
    bound(client.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"fo");
    bound(proxy.wait_until_fired(1)).await.unwrap();
    client.write_all(b"more").await.unwrap();
    let nothing = tokio::time::timeout(Duration::from_millis(50), client.read(&mut bytes)).await;
    assert!(nothing.is_err(), "{nothing:?}");
    // The other direction still passes.
    bound(async {
        while proxy.transferred(0, Direction::ToServer) < 8 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_delay_holds_one_direction_for_its_time() {
    let server = Server::sending(10).await;
    let proxy = proxy(&server, "connection 0 to-client byte 4 delay 40ms");
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let start = Instant::now();
    let mut bytes = [0; 10];
    bound(client.read_exact(&mut bytes)).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(40));
    assert_eq!(bytes, pattern(10)[..]);
}

#[tokio::test]
async fn faults_are_for_their_connections_alone() {
    let server = Server::sending(100).await;
    let proxy = proxy(
        &server,
        "connection 1 to-client byte 10 truncate; every connection to-client byte 50 truncate",
    );
    let lengths = [
        received(&proxy).await.0.len(),
        received(&proxy).await.0.len(),
        received(&proxy).await.0.len(),
    ];
    assert_eq!(lengths, [50, 10, 50]);
    let fired: Vec<u32> = proxy.fired().iter().map(|fired| fired.connection).collect();
    assert_eq!(fired, [0, 1, 2]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_reset() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let proxy = FaultProxy::start(address, Schedule::new()).unwrap();
    let (_, end) = received(&proxy).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_side_that_breaks_is_passed_on() {
    let server = Server::start(|socket, _| async move {
        socket2::SockRef::from(&socket)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    })
    .await;
    let proxy = FaultProxy::start(server.address, Schedule::new()).unwrap();
    let (_, end) = received(&proxy).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}
