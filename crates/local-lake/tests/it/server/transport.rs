//! Ports, tokens, certificates, health.

use std::net::TcpListener;
use std::sync::Arc;

use arrow_flight::flight_service_client::FlightServiceClient;
use lakepilot_local_lake::{BearerToken, FlightServer, MockServedLake, ServeOptions, TlsIdentity};
use lakepilot_query::ErrorKind;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::fixture::{answering, channel, get, on_any_port, serve, statement, ticket, with};

fn refused(options: ServeOptions) -> lakepilot_query::Error {
    FlightServer::bind(Arc::new(MockServedLake::new()), options).unwrap_err()
}

#[test]
fn other_machines_need_a_token() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let options = ServeOptions {
            listen: address.parse().unwrap(),
            ..ServeOptions::default()
        };
        let error = refused(options.clone());
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error.message().contains("set a token, or listen on 127.0.0.1"),
            "{error}"
        );
    }
    let options = ServeOptions {
        listen: "0.0.0.0:0".parse().unwrap(),
        token: Some(BearerToken::new("secret").unwrap()),
        ..ServeOptions::default()
    };
    let server = FlightServer::bind(Arc::new(MockServedLake::new()), options).unwrap();
    assert_eq!(server.url(), format!("grpc://0.0.0.0:{}", server.local_addr().port()));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let error = refused(ServeOptions {
        listen,
        ..ServeOptions::default()
    });
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains(&listen.to_string()), "{error}");
    assert!(error.message().contains("another program listens there"), "{error}");

    // An address for documentation (RFC 5737), which no machine has.
    let error = refused(ServeOptions {
        listen: "192.0.2.1:0".parse().unwrap(),
        token: Some(BearerToken::new("secret").unwrap()),
        ..ServeOptions::default()
    });
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("does not have that address"), "{error}");
}

#[tokio::test]
async fn every_call_needs_the_token_and_health_none() {
    let (lake, _) = answering();
    let options = ServeOptions {
        token: Some(BearerToken::new("secret").unwrap()),
        ..on_any_port()
    };
    let server = FlightServer::bind(Arc::new(lake), options).unwrap().spawn();
    let channel = channel(&server).await;
    let mut client = FlightServiceClient::new(channel.clone());
    for metadata in [
        vec![],
        vec![("authorization", "Bearer guess")],
        vec![("authorization", "secret")],
    ] {
        let get = client.do_get(with(ticket("SELECT 1"), &metadata)).await.unwrap_err();
        assert_eq!(get.code(), Code::Unauthenticated, "{metadata:?}");
        let info = client.get_flight_info(with(statement("SELECT 1"), &metadata)).await;
        assert_eq!(info.unwrap_err().code(), Code::Unauthenticated);
        let put = client.do_put(with(futures::stream::pending(), &metadata)).await;
        assert_eq!(put.unwrap_err().code(), Code::Unauthenticated);
    }
    let metadata = [("authorization", "Bearer secret")];
    get(&mut client, with(ticket("SELECT 1"), &metadata)).await.unwrap();

    let mut health = HealthClient::new(channel);
    for service in ["", "arrow.flight.protocol.FlightService"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
    let request = HealthCheckRequest {
        service: "nothing".to_owned(),
    };
    assert_eq!(health.check(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn tls_is_spoken_with_a_certificate() {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let options = ServeOptions {
        tls: Some(TlsIdentity::from_pem(certificate.as_str(), key.as_str())),
        ..on_any_port()
    };
    let (lake, _) = answering();
    let server = FlightServer::bind(Arc::new(lake), options).unwrap().spawn();
    assert!(server.url().starts_with("grpc+tls://127.0.0.1:"));
    let url = format!("https://{}", server.local_addr());
    let trusting = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate));
    let channel = Channel::from_shared(url.clone())
        .unwrap()
        .tls_config(trusting)
        .unwrap()
        .connect()
        .await
        .unwrap();
    get(&mut FlightServiceClient::new(channel), Request::new(ticket("SELECT 1")))
        .await
        .unwrap();

    let distrusting = ClientTlsConfig::new().with_webpki_roots();
    let channel = Channel::from_shared(url)
        .unwrap()
        .tls_config(distrusting)
        .unwrap()
        .connect()
        .await;
    assert!(channel.is_err());
    let plain = Channel::from_shared(format!("http://{}", server.local_addr()))
        .unwrap()
        .connect()
        .await;
    if let Ok(channel) = plain {
        assert!(
            FlightServiceClient::new(channel)
                .do_get(ticket("SELECT 1"))
                .await
                .is_err()
        );
    }
    server.shutdown().await.unwrap();
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_when_the_server_is_bound() {
    let pem = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (one, other) = (pem(), pem());
    let (certificate, key) = (one.cert.pem(), one.signing_key.serialize_pem());
    for (certificate, key) in [
        ("", ""),
        ("nonsense", key.as_str()),
        (certificate.as_str(), "nonsense"),
        (key.as_str(), certificate.as_str()),
        (certificate.as_str(), other.signing_key.serialize_pem().as_str()),
    ] {
        let error = refused(ServeOptions {
            tls: Some(TlsIdentity::from_pem(certificate, key)),
            ..on_any_port()
        });
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error.message().contains("the certificate and its key cannot be used"),
            "{error}"
        );
        assert!(!error.to_string().contains("PRIVATE"), "{error}");
    }
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused() {
    let options = ServeOptions {
        max_message_bytes: 1000,
        ..on_any_port()
    };
    let (lake, _) = answering();
    let server = FlightServer::bind(Arc::new(lake), options).unwrap().spawn();
    let mut client = FlightServiceClient::new(channel(&server).await);
    client.do_get(ticket("SELECT 1")).await.unwrap();
    let status = client.do_get(ticket(&"x".repeat(2000))).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
}

#[tokio::test]
async fn a_server_that_is_not_run_yet_answers_once_it_is() {
    let (lake, _) = answering();
    let bound = FlightServer::bind(Arc::new(lake), on_any_port()).unwrap();
    let connecting = tokio::net::TcpStream::connect(bound.local_addr()).await;
    assert!(connecting.is_ok());
    let server = bound.spawn();
    let mut client = FlightServiceClient::new(channel(&server).await);
    get(&mut client, Request::new(ticket("SELECT 1"))).await.unwrap();
    drop(serve(MockServedLake::new()));
}
