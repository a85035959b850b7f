//! A provider of our own, for what the real one does not offer: device codes, client credentials, refusals, lies.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Answers a token request, given its form fields and its number from 0: a status and a JSON body.
type Answer = dyn Fn(&[(String, String)], usize) -> (u16, Value) + Send + Sync;

/// The fields of a request's form.
type Form = Vec<(String, String)>;

pub(crate) struct SmallProvider {
    pub(crate) issuer: String,
    /// The form of every token request.
    pub(crate) requests: Arc<Mutex<Vec<Form>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for SmallProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A token with the claims, signed with nothing that anybody could verify: the client does not.
pub(crate) fn id_token(subject: &str, issued: i64, expires: i64) -> String {
    use base64::Engine;
    let part = |value: Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256"}));
    let payload = part(json!({"sub": subject, "iat": issued, "exp": expires}));
    format!("{header}.{payload}.c2ln")
}

impl SmallProvider {
    pub(crate) async fn start(
        answer: impl Fn(&[(String, String)], usize) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        Self::start_as(None, answer).await
    }

    /// One that says it is another.
    pub(crate) async fn start_as(
        claimed: Option<&str>,
        answer: impl Fn(&[(String, String)], usize) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let claimed = claimed.map_or_else(|| issuer.clone(), str::to_owned);
        let discovery = json!({
            "issuer": claimed,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "device_authorization_endpoint": format!("{issuer}/device"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "none"],
        });
        let device = json!({
            "device_code": "hunter2-device", "user_code": "ABCD-EFGH", "verification_uri": format!("{issuer}/go"),
            "expires_in": 60, "interval": 0,
        });
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let answer: Arc<Answer> = Arc::new(answer);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                let (discovery, device) = (discovery.clone(), device.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                    let (discovery, device) = (discovery.clone(), device.clone());
                    async move {
                        let path = request.uri().path().to_owned();
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        let (status, body) = match path.as_str() {
                            "/.well-known/openid-configuration" => (200, discovery),
                            "/device" => (200, device),
                            "/token" => {
                                let form: Form = url::form_urlencoded::parse(&body).into_owned().collect();
                                let number = {
                                    let mut seen = seen.lock().unwrap();
                                    seen.push(form.clone());
                                    seen.len() - 1
                                };
                                answer(&form, number)
                            }
                            _ => (404, json!({})),
                        };
                        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
                        *response.status_mut() = status.try_into().unwrap();
                        response
                            .headers_mut()
                            .insert("content-type", "application/json".parse().unwrap());
                        Ok::<_, Infallible>(response)
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { issuer, requests, task }
    }

    pub(crate) fn fields(&self, name: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .flat_map(|form| {
                form.iter()
                    .filter(|(key, _)| key == name)
                    .map(|(_, value)| value.clone())
            })
            .collect()
    }
}
