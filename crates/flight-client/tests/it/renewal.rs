//! Credentials that the server refuses, and a provider that has others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use http::HeaderMap;
use lakepilot_flight_client::{CredentialProvider, FlightClient, QuerySpelling, StaticCredentials};
use lakepilot_query::{ErrorKind, QueryService, QueryServiceExt, Result};

use crate::answers::{answering, batch, config, query, sending};
use crate::server::TestServer;

/// Gives `token-0`, and after each renewal the next.
struct Counting {
    renewals: AtomicUsize,
    /// After so many there are no more.
    most: usize,
}

impl Counting {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            renewals: AtomicUsize::new(0),
            most,
        })
    }

    fn renewals(&self) -> usize {
        self.renewals.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl CredentialProvider for Counting {
    async fn headers(&self) -> Result<HeaderMap> {
        StaticCredentials::new()
            .with_bearer_token(format!("token-{}", self.renewals()))?
            .headers()
            .await
    }

    async fn renew(&self, refused: &HeaderMap) -> Result<bool> {
        assert_eq!(refused["authorization"], format!("Bearer token-{}", self.renewals()));
        if self.renewals() == self.most {
            return Ok(false);
        }
        self.renewals.fetch_add(1, Ordering::SeqCst);
        Ok(true)
    }
}

async fn client(server: &TestServer, spelling: QuerySpelling, provider: &Arc<Counting>) -> FlightClient {
    let provider: Arc<dyn CredentialProvider> = Arc::clone(provider) as _;
    FlightClient::connect(config(server).with_spelling(spelling).with_credentials(provider))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_refused_query_is_put_again_with_renewed_credentials() {
    for spelling in [QuerySpelling::FlightInfo, QuerySpelling::DirectTicket] {
        let server = TestServer::start(answering(sending(&[batch(&[1, 2])])).with_token("token-1")).await;
        let provider = Counting::new(5);
        let client = client(&server, spelling, &provider).await;
        assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 2);
        assert_eq!(client.collect(&query()).await.unwrap().num_rows(), 2);
        assert_eq!(provider.renewals(), 1, "{spelling:?}: it stays good");
    }
}

#[tokio::test]
async fn credentials_are_renewed_once_for_a_call() {
    let server = TestServer::start(answering(sending(&[batch(&[1])])).with_token("another")).await;
    let provider = Counting::new(5);
    let client = client(&server, QuerySpelling::FlightInfo, &provider).await;
    let error = client.run(&query()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!((provider.renewals(), server.calls().len()), (1, 2));
    let error = client.prepare(&query()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!((provider.renewals(), server.calls().len()), (2, 4));
}

#[tokio::test]
async fn a_provider_without_others_leaves_the_refusal_as_it_is() {
    let server = TestServer::start(answering(sending(&[batch(&[1])])).with_token("another")).await;
    let client = client(&server, QuerySpelling::FlightInfo, &Counting::new(0)).await;
    let error = client.run(&query()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("invalid token"), "{error}");
    assert_eq!(server.calls().len(), 1);
}

/// Never gives anything.
struct Stuck;

#[async_trait]
impl CredentialProvider for Stuck {
    async fn headers(&self) -> Result<HeaderMap> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_provider_that_hangs_ends_with_the_query() {
    for spelling in [QuerySpelling::FlightInfo, QuerySpelling::DirectTicket] {
        let server = TestServer::start(answering(sending(&[batch(&[1])]))).await;
        let config = config(&server)
            .with_spelling(spelling)
            .with_query_deadline(std::time::Duration::from_millis(50))
            .with_credentials(Arc::new(Stuck));
        let client = FlightClient::connect(config).await.unwrap();
        assert_eq!(client.run(&query()).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(client.prepare(&query()).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(server.calls().is_empty());
    }
}
