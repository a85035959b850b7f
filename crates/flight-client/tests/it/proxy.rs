//! HTTP proxies: a small one on a loopback port, for which every host name is this machine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lakepilot_flight_client::{ClientConfig, FlightClient, ProxySettings};
use lakepilot_query::{Error, ErrorKind, QueryService, QueryServiceExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::answers::{answering, batch, query, sending};
use crate::server::{PATIENCE, TestServer};
use crate::tls::Authority;

const LIMIT: Duration = Duration::from_millis(150);

/// What a proxy does when it is asked for a tunnel.
#[derive(Clone, Copy)]
enum Manner {
    /// Makes it.
    Tunnel,
    /// Makes it, and sends the first bytes of the server in one piece with its own answer.
    TunnelWithFirstBytes,
    /// Makes it for those who have this in their `Proxy-Authorization`.
    Guarded(&'static str),
    Answer(&'static str),
    HangUp,
    Silent,
}

pub(crate) struct TestProxy {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl TestProxy {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, manner, Arc::clone(&seen)));
            }
        });
        Self { port, requests, task }
    }

    /// A proxy that refuses whoever has not this user and password: `user:PASSWORD` in base64.
    pub(crate) async fn guarded(authorization: &'static str) -> Self {
        Self::start(Manner::Guarded(authorization)).await
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn settings(&self) -> ProxySettings {
        ProxySettings::for_all(self.address()).unwrap()
    }

    /// As when this variable is set.
    fn in_environment(&self, variable: &str) -> ProxySettings {
        let value = format!("http://{}", self.address());
        ProxySettings::from_variables(|name| (name == variable).then(|| value.clone()))
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, manner: Manner, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    seen.lock().unwrap().push(head.clone());
    let refusal = match manner {
        Manner::Tunnel | Manner::TunnelWithFirstBytes => None,
        Manner::Guarded(wanted) if head.contains(&format!("Proxy-Authorization: Basic {wanted}\r\n")) => None,
        Manner::Guarded(_) => Some("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"),
        Manner::Answer(answer) => Some(answer),
        Manner::HangUp => return,
        Manner::Silent => {
            // Until the client goes away.
            let _ = client.read_u8().await;
            return;
        }
    };
    if let Some(answer) = refusal {
        let _ = client.write_all(answer.as_bytes()).await;
        return;
    }
    let target = head.split(' ').nth(1).unwrap();
    let port: u16 = target.rsplit_once(':').unwrap().1.parse().unwrap();
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else {
        let _ = client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
        return;
    };
    let mut answer = b"HTTP/1.1 200 Connection established\r\nX-Via: test\r\n\r\n".to_vec();
    if matches!(manner, Manner::TunnelWithFirstBytes) {
        let mut first = [0; 1024];
        let length = tokio::time::timeout(PATIENCE, server.read(&mut first))
            .await
            .unwrap()
            .unwrap();
        answer.extend_from_slice(&first[..length]);
    }
    let _ = client.write_all(&answer).await;
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

async fn server() -> TestServer {
    TestServer::start(answering(sending(&[batch(&[1, 2, 3])]))).await
}

/// The server by a name that only the proxy knows.
fn config(scheme: &str, server: &TestServer) -> ClientConfig {
    ClientConfig::new(format!("{scheme}://lake.example:{}", server.port())).unwrap()
}

async fn rows(config: ClientConfig) -> usize {
    let client = FlightClient::connect(config).await.unwrap();
    client.collect(&query()).await.unwrap().num_rows()
}

async fn error_of(config: ClientConfig, lazily: bool) -> Error {
    let work = async {
        if !lazily {
            return FlightClient::connect(config).await.unwrap_err();
        }
        let client = FlightClient::connect_lazily(config).unwrap();
        client.run(&query()).await.unwrap_err()
    };
    tokio::time::timeout(PATIENCE, work).await.expect("it hangs")
}

#[tokio::test]
async fn plain_text_goes_through_a_proxy() {
    let server = server().await;
    for manner in [Manner::Tunnel, Manner::TunnelWithFirstBytes] {
        let proxy = TestProxy::start(manner).await;
        let config = config("grpc", &server);
        assert_eq!(rows(config.clone().with_proxy(proxy.settings())).await, 3);
        for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            assert_eq!(rows(config.clone().with_proxy(proxy.in_environment(variable))).await, 3);
        }
        let requests = proxy.requests();
        assert_eq!(requests.len(), 5);
        let asked = format!("CONNECT lake.example:{} HTTP/1.1\r\n", server.port());
        assert!(
            requests.iter().all(|request| request.starts_with(&asked)),
            "{requests:?}"
        );
    }
}

#[tokio::test]
async fn tls_goes_through_a_proxy_and_is_between_us_and_the_server() {
    let authority = Authority::new("ours");
    let server = authority.server("lake.example", |_| {}).await;
    let proxy = TestProxy::start(Manner::Tunnel).await;
    let config = config("grpc+tls", &server).with_ca_certificate(&authority.pem).unwrap();
    assert_eq!(rows(config.clone().with_proxy(proxy.settings())).await, 3);
    assert_eq!(
        rows(config.clone().with_proxy(proxy.in_environment("https_proxy"))).await,
        3
    );
    assert_eq!(proxy.requests().len(), 2);
    // The name cannot be resolved without the proxy, and this one is not for TLS.
    let direct = error_of(config.with_proxy(proxy.in_environment("HTTP_PROXY")), false).await;
    assert_eq!(direct.kind(), ErrorKind::Unavailable);
    assert!(direct.message().contains("cannot be resolved"), "{direct}");
    assert_eq!(proxy.requests().len(), 2);
}

#[tokio::test]
async fn a_proxy_is_told_the_user_and_the_password_in_its_url() {
    let server = server().await;
    // user:hunter2
    let proxy = TestProxy::guarded("dXNlcjpodW50ZXIy").await;
    let config = config("grpc", &server);
    let with = |user: &str| ProxySettings::for_all(format!("http://{user}{}", proxy.address())).unwrap();
    assert_eq!(rows(config.clone().with_proxy(with("user:hunter2@"))).await, 3);
    for (user, says) in [
        ("", "wants a user name and a password"),
        ("user:wrong@", "does not accept the user name and password"),
    ] {
        for lazily in [false, true] {
            let error = error_of(config.clone().with_proxy(with(user)), lazily).await;
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
            for words in [
                says,
                "407 Proxy Authentication Required",
                &proxy.address(),
                "lake.example",
            ] {
                assert!(error.message().contains(words), "no {words} in {error}");
            }
            assert!(!format!("{error:?}").contains("wrong"), "{error:?}");
        }
    }
    assert_eq!(server.methods(), ["GetFlightInfo", "DoGet"]);
}

#[tokio::test]
async fn a_proxy_that_makes_no_tunnel_is_named_with_what_it_said() {
    let server = server().await;
    for (manner, kind, says) in [
        (
            Manner::Answer("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops"),
            ErrorKind::Unavailable,
            "502 Bad Gateway",
        ),
        (
            Manner::Answer("HTTP/1.0 403 Forbidden\r\n\r\n"),
            ErrorKind::PermissionDenied,
            "403 Forbidden",
        ),
        (
            Manner::Answer("HTTP/1.1 404 Not Found\r\n\r\n"),
            ErrorKind::Protocol,
            "404 Not Found",
        ),
        (
            Manner::Answer("220 mail.example ESMTP\r\n"),
            ErrorKind::Protocol,
            "is no HTTP proxy",
        ),
        (Manner::HangUp, ErrorKind::Unavailable, "hung up"),
    ] {
        let proxy = TestProxy::start(manner).await;
        for lazily in [false, true] {
            let error = error_of(config("grpc", &server).with_proxy(proxy.settings()), lazily).await;
            assert_eq!(error.kind(), kind, "{error:?}");
            for words in [says, &format!("http://{}", proxy.address()), "grpc://lake.example"] {
                assert!(error.message().contains(words), "no {words} in {error}");
            }
        }
    }
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn a_proxy_that_never_stops_answering_is_given_up() {
    let long: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(20_000)).into_boxed_str());
    let proxy = TestProxy::start(Manner::Answer(long)).await;
    let error = error_of(config("grpc", &server().await).with_proxy(proxy.settings()), false).await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = server().await;
    for (proxy, says) in [
        (gone.to_string(), "nothing answers at the proxy"),
        ("nowhere.invalid:3128".to_owned(), "cannot be resolved"),
    ] {
        let settings = ProxySettings::for_all(&proxy).unwrap();
        let error = error_of(config("grpc", &server).with_proxy(settings), false).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(
            error.message().contains(says) && error.message().contains(&format!("proxy http://{proxy}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_proxy_that_stalls_ends_within_the_limit_of_connecting() {
    let server = server().await;
    let proxy = TestProxy::start(Manner::Silent).await;
    for scheme in ["grpc", "grpc+tls"] {
        let config = config(scheme, &server)
            .with_proxy(proxy.settings())
            .with_connect_timeout(LIMIT);
        for lazily in [false, true] {
            let error = error_of(config.clone(), lazily).await;
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{error:?}");
            for words in [
                "no connection to",
                "lake.example",
                &format!("through the proxy http://{}", proxy.address()),
            ] {
                assert!(error.message().contains(words), "no {words} in {error}");
            }
        }
    }
}

#[tokio::test]
async fn exceptions_and_this_machine_are_reached_directly() {
    let server = server().await;
    let proxy = TestProxy::start(Manner::Answer("HTTP/1.1 502 Bad Gateway\r\n\r\n")).await;
    let config = ClientConfig::new(server.url()).unwrap();
    for settings in [
        proxy.settings().with_exceptions("127.0.0.0/8"),
        proxy
            .settings()
            .with_exceptions(&format!("other, 127.0.0.1:{}", server.port())),
        proxy.in_environment("ALL_PROXY"),
    ] {
        assert_eq!(rows(config.clone().with_proxy(settings)).await, 3);
    }
    assert!(proxy.requests().is_empty());
    let other_port = proxy.settings().with_exceptions("127.0.0.1:1");
    error_of(config.with_proxy(other_port), false).await;
    assert_eq!(proxy.requests().len(), 1);
}

#[tokio::test]
async fn an_error_behind_a_proxy_tells_of_it() {
    let authority = Authority::new("ours");
    let server = authority.server("lake.example", |_| {}).await;
    let proxy = TestProxy::start(Manner::Tunnel).await;
    let error = error_of(config("grpc+tls", &server).with_proxy(proxy.settings()), false).await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    // A proxy that opens TLS shows a certificate of its own.
    assert!(error.message().contains("through the proxy"), "{error}");
    // What the server itself says has nothing to do with it.
    let refusing = TestServer::start(crate::server::Script::new().with_token("t")).await;
    let error = error_of(config("grpc", &refusing).with_proxy(proxy.settings()), true).await;
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(!error.message().contains("proxy"), "{error}");
}
