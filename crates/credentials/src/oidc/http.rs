//! The few small HTTP requests that a provider is sent.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use ::http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lakepilot_query::{Error, ErrorKind, Result};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};

/// How long the provider may take for an answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// More than any provider answers; a login page in place of an answer ends here.
const MOST_BYTES: usize = 1024 * 1024;

/// Sends requests to a provider. Redirects are not followed: a token request must go nowhere else.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<hyper::body::Bytes>>,
}

impl Http {
    pub(crate) fn new() -> Result<Self> {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = || {
            rustls::ClientConfig::builder_with_provider(std::sync::Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| Error::new(ErrorKind::Internal, "TLS cannot be set up").with_source(error))
        };
        // A machine without system roots, such as a small container, has Mozilla's.
        let config = match tls()?.with_native_roots() {
            Ok(config) => config.with_no_client_auth(),
            Err(_) => tls()?.with_webpki_roots().with_no_client_auth(),
        };
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// The answer to a request, with its body whole.
    ///
    /// # Errors
    /// `Unavailable` when there is none, `TimedOut` when it takes too long, `Protocol` when it is too large.
    pub(crate) async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>> {
        let host = request.uri().authority().map_or_else(String::new, ToString::to_string);
        let work = async {
            let request = request.map(|body| Full::new(body.into()));
            let response = self.client.request(request).await.map_err(|error| {
                Error::new(
                    ErrorKind::Unavailable,
                    format!("the OpenID Connect provider at {host} cannot be reached"),
                )
                .with_source(error)
            })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MOST_BYTES).collect().await.map_err(|error| {
                Error::new(
                    ErrorKind::Protocol,
                    format!("the answer of the OpenID Connect provider at {host} cannot be read"),
                )
                .with_source(error)
            })?;
            Ok(Response::from_parts(head, body.to_bytes().to_vec()))
        };
        tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::TimedOut,
                format!(
                    "the OpenID Connect provider at {host} gave no answer within {} s",
                    PATIENCE.as_secs()
                ),
            ))
        })
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpFailure;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpFailure>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async { self.send(request).await.map_err(HttpFailure) })
    }
}

/// A request without an answer, as oauth2 wants it: an error of the standard library's trait.
#[derive(Debug)]
pub(crate) struct HttpFailure(pub(crate) Error);

impl fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for HttpFailure {}
