//! TLS, and what goes wrong with it.

use lakepilot_flight_client::{ClientConfig, FlightClient};
use lakepilot_query::{Error, ErrorKind, QueryService, QueryServiceExt};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::answers::{answering, batch, query, sending};
use crate::secrets::Captured;
use crate::server::{PATIENCE, TestServer};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate for a host name, and its key, both in PEM.
    pub(crate) fn certificate(&self, host: &str, adjust: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        adjust(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) async fn server(&self, host: &str, adjust: impl FnOnce(&mut CertificateParams)) -> TestServer {
        let (certificate, key) = self.certificate(host, adjust);
        TestServer::start_with_tls(answering(sending(&[batch(&[1, 2, 3])])), &certificate, &key).await
    }
}

fn config(scheme: &str, server: &TestServer) -> ClientConfig {
    ClientConfig::new(format!("{scheme}://localhost:{}", server.port())).unwrap()
}

async fn connect_error(config: ClientConfig) -> Error {
    FlightClient::connect(config).await.unwrap_err()
}

#[tokio::test]
async fn a_server_whose_authority_is_given_is_trusted() {
    let authority = Authority::new("ours");
    let server = authority.server("localhost", |_| {}).await;
    for scheme in ["grpc+tls", "https"] {
        let config = config(scheme, &server)
            .with_ca_certificate(&authority.pem)
            .unwrap()
            .with_bearer_token("token-1")
            .unwrap();
        let client = FlightClient::connect(config).await.unwrap();
        assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 3);
    }
    assert_eq!(server.calls()[0].header("authorization"), Some("Bearer token-1"));
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_not_trusted() {
    let authority = Authority::new("ours");
    let server = authority.server("localhost", |_| {}).await;
    let other = Authority::new("another");
    for config in [
        config("grpc+tls", &server),
        config("grpc+tls", &server).with_ca_certificate(&other.pem).unwrap(),
    ] {
        let error = connect_error(config).await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
        assert!(error.message().contains("give the authority's certificate"), "{error}");
        assert!(!error.is_retryable());
    }
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_name_or_another_time_is_refused() {
    let authority = Authority::new("ours");
    let other_name = authority.server("lake.example", |_| {}).await;
    let expired = authority
        .server("localhost", |params| {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1)
        })
        .await;
    for (server, says) in [(other_name, "another host name"), (expired, "has expired")] {
        let config = config("grpc+tls", &server).with_ca_certificate(&authority.pem).unwrap();
        let error = connect_error(config).await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
        assert!(error.message().contains(says), "{error}");
    }
}

#[tokio::test]
async fn tls_to_a_server_of_plain_text_says_so() {
    let server = TestServer::start(answering(sending(&[]))).await;
    let error = tokio::time::timeout(PATIENCE, connect_error(config("grpc+tls", &server)))
        .await
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert!(
        error.message().contains("use grpc:// in place of grpc+tls://"),
        "{error}"
    );
}

#[tokio::test]
async fn plain_text_to_a_server_of_tls_says_so() {
    let server = Authority::new("ours").server("localhost", |_| {}).await;
    // Nothing is known to be wrong before the first answer.
    let client = FlightClient::connect(config("grpc", &server)).await.unwrap();
    let error = tokio::time::timeout(PATIENCE, client.run(&query()))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert!(
        error.message().contains("use grpc+tls:// in place of grpc://"),
        "{error}"
    );
}

/// A server that wants certificates which `clients` has signed.
async fn demanding(server: &Authority, clients: &Authority) -> TestServer {
    let (certificate, key) = server.certificate("localhost", |_| {});
    let script = answering(sending(&[batch(&[1, 2, 3])]));
    TestServer::start_with_mutual_tls(script, &certificate, &key, &clients.pem).await
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_is_shown_one() {
    let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
    let server = demanding(&ours, &clients).await;
    let (certificate, key) = clients.certificate("somebody", |_| {});
    let config = config("grpc+tls", &server)
        .with_ca_certificate(&ours.pem)
        .unwrap()
        .with_client_certificate(&certificate, &key)
        .unwrap();
    let client = FlightClient::connect(config).await.unwrap();
    assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 3);
}

/// What goes wrong in connecting, or in the first call: a client learns what a server thinks of its certificate late.
async fn first_error(config: ClientConfig) -> Error {
    match FlightClient::connect(config).await {
        Ok(client) => client.run(&query()).await.unwrap_err(),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_client_certificate_that_is_missing_or_of_another_authority_is_told() {
    let (ours, clients, strangers) = (
        Authority::new("ours"),
        Authority::new("clients"),
        Authority::new("strangers"),
    );
    let server = demanding(&ours, &clients).await;
    let config = config("grpc+tls", &server).with_ca_certificate(&ours.pem).unwrap();
    let (certificate, key) = strangers.certificate("somebody", |_| {});
    let strange = config.clone().with_client_certificate(&certificate, &key).unwrap();
    for (config, says) in [
        (config, "wants a client certificate"),
        (strange, "does not accept the client certificate"),
    ] {
        for lazily in [false, true] {
            let error = if lazily {
                let client = FlightClient::connect_lazily(config.clone()).unwrap();
                client.run(&query()).await.unwrap_err()
            } else {
                first_error(config.clone()).await
            };
            assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
            assert!(error.message().contains(says), "{error:?}");
            assert!(!error.is_retryable());
        }
    }
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn a_certificate_is_checked_against_the_name_that_is_given() {
    let ours = Authority::new("ours");
    let server = ours.server("lake.example", |_| {}).await;
    let config = config("grpc+tls", &server).with_ca_certificate(&ours.pem).unwrap();
    let named = config.clone().with_tls_server_name("lake.example").unwrap();
    let client = FlightClient::connect(named).await.unwrap();
    assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 3);
    for config in [config.clone(), config.with_tls_server_name("other.example").unwrap()] {
        let error = connect_error(config).await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
        assert!(error.message().contains("give it as the TLS server name"), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_verified_when_that_is_said_and_each_connection_is_warned_about() {
    let logs = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(logs.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Authority::new("nobody's").server("lake.example", |_| {}).await;
    let config = config("grpc+tls", &server).without_certificate_verification();
    for connections in 1..=2 {
        let client = FlightClient::connect(config.clone()).await.unwrap();
        assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 3);
        let warnings = logs.text().matches("is not verified").count();
        assert_eq!(warnings, connections, "{}", logs.text());
    }
    assert!(logs.text().contains(&format!("grpc+tls://localhost:{}", server.port())));
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_one_when_its_own_is_not_verified() {
    let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
    let server = demanding(&ours, &clients).await;
    let (certificate, key) = clients.certificate("somebody", |_| {});
    let config = config("grpc+tls", &server)
        .with_client_certificate(&certificate, &key)
        .unwrap()
        .without_certificate_verification();
    let client = FlightClient::connect(config).await.unwrap();
    assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 3);
}
