//! Logging a person in: in the browser, or with a code on another device.

use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lakepilot_query::{Clock, Error, ErrorKind, Result, SystemClock};
use oauth2::{PkceCodeVerifier, RedirectUrl};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::client::OidcClient;
use super::token_file::{StoredTokens, Tokens};
use crate::profile::OidcSettings;

/// A login in the browser that waits for the person (RFC 6749 with PKCE, on a loopback address as RFC 8252 asks).
pub struct BrowserLogin {
    client: OidcClient,
    settings: OidcSettings,
    url: String,
    state: String,
    verifier: PkceCodeVerifier,
    redirect: RedirectUrl,
    listeners: Vec<TcpListener>,
}

impl BrowserLogin {
    /// Asks the provider what it offers, and listens for the browser on `localhost:PORT/callback`; port 0 takes a free one,
    /// for providers that accept any. 48080 is what the Python client uses, and what a client is usually registered with.
    ///
    /// # Errors
    /// Of the provider, when it cannot be asked; `Unsupported` when it has no login in a browser; `Io` when the port is
    /// taken.
    pub async fn begin(settings: &OidcSettings, port: u16) -> Result<Self> {
        let client = OidcClient::discover(settings).await?;
        let listeners = listen(port).await?;
        let port = listeners
            .first()
            .and_then(|listener| listener.local_addr().ok())
            .map_or(port, |address| address.port());
        let redirect = RedirectUrl::new(format!("http://localhost:{port}/callback")).map_err(|error| {
            Error::new(ErrorKind::Internal, "the address of the callback is not a URL").with_source(error)
        })?;
        let authorization = client.authorize(&redirect)?;
        Ok(Self {
            client,
            settings: settings.clone(),
            url: authorization.url.to_string(),
            state: authorization.state.secret().clone(),
            verifier: authorization.verifier,
            redirect,
            listeners,
        })
    }

    /// Where the person has to log in.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the browser to come back, gets the tokens, and keeps them in the token file.
    ///
    /// # Errors
    /// `TimedOut` when nobody comes back in time; `Unauthenticated` when the provider or the person refuses; `Io` when the
    /// tokens cannot be kept.
    pub async fn finish(self, patience: Duration) -> Result<StoredTokens> {
        let code = tokio::time::timeout(patience, wait_for_code(self.listeners, self.state))
            .await
            .map_err(|_| {
                Error::new(
                    ErrorKind::TimedOut,
                    format!("nobody has logged in within {} s", patience.as_secs()),
                )
            })??;
        let now = SystemClock.now();
        let token = self.client.exchange(code, self.verifier, &self.redirect, now).await?;
        keep(&self.settings, token)
    }
}

/// What a person has to type, and where.
#[derive(Clone, Debug)]
pub struct DeviceCode {
    /// The page to open, on any device.
    pub url: String,
    /// The code to type there.
    pub code: String,
    /// A page with the code in it already, for a link or a QR code.
    pub complete_url: Option<String>,
    /// How long the code is good.
    pub expires_in: Duration,
}

/// Logs a person in with a code that is typed on another device (RFC 8628), and keeps the tokens in the token file.
///
/// # Errors
/// `Unsupported` when the provider has no such login; `Unauthenticated` when the person refuses or the code expires.
pub async fn login_with_device_code(settings: &OidcSettings, show: impl FnOnce(DeviceCode)) -> Result<StoredTokens> {
    let client = OidcClient::discover(settings).await?;
    let code = client.device_code().await?;
    show(DeviceCode {
        url: code.verification_uri().to_string(),
        code: code.user_code().secret().clone(),
        complete_url: code.verification_uri_complete().map(|url| url.secret().clone()),
        expires_in: code.expires_in(),
    });
    let token = client.await_device(&code, || SystemClock.now()).await?;
    keep(settings, token)
}

fn keep(settings: &OidcSettings, token: Tokens) -> Result<StoredTokens> {
    let stored = StoredTokens {
        issuer: settings.issuer.clone(),
        client_id: settings.client_id.clone(),
        token,
        audience: settings.audience.clone(),
    };
    stored.claims()?;
    stored.write(&settings.token_file)?;
    Ok(stored)
}

/// Browsers resolve `localhost` to either family, and try the sixth first.
async fn listen(port: u16) -> Result<Vec<TcpListener>> {
    let failed = |error: std::io::Error| {
        Error::from(error).context(format!(
            "cannot wait for the browser on port {port}: is another login waiting? Give another port, if the provider accepts it"
        ))
    };
    let first = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await
        .map_err(failed)?;
    let port = first.local_addr().map_err(failed)?.port();
    let mut listeners = vec![first];
    // A machine without IPv6 has the other.
    if let Ok(second) = TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await {
        listeners.push(second);
    }
    Ok(listeners)
}

type Answer = Result<String>;

/// The code with which the browser comes back. Whatever else asks is told so, and does not end the wait.
async fn wait_for_code(listeners: Vec<TcpListener>, state: String) -> Answer {
    let (sender, receiver) = oneshot::channel();
    let callback = Arc::new(Callback {
        state,
        answer: Mutex::new(Some(sender)),
    });
    let mut tasks = tokio::task::JoinSet::new();
    for listener in listeners {
        let callback = Arc::clone(&callback);
        tasks.spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&callback)));
            }
        });
    }
    let answer = receiver.await;
    // The browser gets its page before the listeners go: the answer is sent after it was written.
    tasks.abort_all();
    answer.unwrap_or_else(|_| Err(Error::new(ErrorKind::Io, "the wait for the browser ended")))
}

struct Callback {
    state: String,
    answer: Mutex<Option<oneshot::Sender<Answer>>>,
}

async fn serve(stream: TcpStream, callback: Arc<Callback>) {
    let answer = Arc::new(Mutex::new(None));
    let found = Arc::clone(&answer);
    let asked = Arc::clone(&callback);
    let service = service_fn(move |request: Request<Incoming>| {
        let (page, result) = asked.page(&request);
        if let Some(result) = result {
            *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
        async move { Ok::<_, Infallible>(page) }
    });
    // One request a connection: what the browser does with the connection afterwards is not waited for.
    let served = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of the browser");
    }
    let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(answer) = answer {
        let sender = callback.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Nobody waits any more when the time was up.
            let _ = sender.send(answer);
        }
    }
}

impl Callback {
    fn page(&self, request: &Request<Incoming>) -> (Response<Full<Bytes>>, Option<Answer>) {
        if request.method() != Method::GET || request.uri().path() != "/callback" {
            return (page(StatusCode::NOT_FOUND, "There is nothing here."), None);
        }
        let query = request.uri().query().unwrap_or_default();
        let parameter = |name: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.into_owned())
        };
        // Whoever does not know the state was not sent here by the provider (RFC 6749, section 10.12).
        if parameter("state").as_deref() != Some(self.state.as_str()) {
            return (
                page(StatusCode::BAD_REQUEST, "This is not the login that was begun."),
                None,
            );
        }
        match (parameter("code"), parameter("error")) {
            (Some(code), _) => (
                page(StatusCode::OK, "You are logged in. This page can be closed."),
                Some(Ok(code)),
            ),
            (None, error) => {
                let error = error.unwrap_or_else(|| "no code came back".to_owned());
                let description = parameter("error_description").map_or_else(String::new, |text| format!(" ({text})"));
                (
                    page(StatusCode::OK, "The login was refused. This page can be closed."),
                    Some(Err(Error::new(
                        ErrorKind::Unauthenticated,
                        format!("the provider refused the login: {error}{description}"),
                    ))),
                )
            }
        }
    }
}

/// Only sentences of our own: nothing of the request is ever shown.
fn page(status: StatusCode, sentence: &'static str) -> Response<Full<Bytes>> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Lakepilot</title><h1>Lakepilot</h1><p>{sentence}</p></html>"
    );
    let mut response = Response::new(Full::new(Bytes::from(html)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        header::HeaderValue::from_static("default-src 'none'"),
    );
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}
