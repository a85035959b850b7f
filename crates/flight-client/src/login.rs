//! A user name and a password, exchanged for a token with Flight's `Handshake`.
//!
//! As pyarrow's `authenticate_basic_token` and the JDBC driver do it: `authorization: Basic ...` goes with that call alone,
//! and the `authorization: Bearer ...` in the headers or the trailers of its answer with every other.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_flight::HandshakeRequest;
use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::stream;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use lakepilot_query::{Error, ErrorKind, Result};
use tokio::sync::Mutex;
use tonic::Request;
use tonic::metadata::MetadataMap;

use crate::address::ServerUrl;
use crate::config::ClientConfig;
use crate::connection::{Connection, Connections};
use crate::credentials::CredentialProvider;
use crate::deadline::Deadline;
use crate::headers::secret_value;
use crate::status::Call;

const CALL: Call = Call::Handshake;

/// Who logs in.
#[derive(Clone)]
pub(crate) struct Login {
    user: String,
    basic: HeaderValue,
}

impl Login {
    pub(crate) fn new(user: &str, password: &str) -> Result<Self> {
        // RFC 7617, 2: the first colon ends the name.
        if user.is_empty() || user.contains(':') {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the user name is empty or has a ':' in it, which cannot be sent",
            ));
        }
        let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
        Ok(Self {
            user: user.to_owned(),
            basic: secret_value("authorization", &format!("Basic {encoded}"))?,
        })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish()
    }
}

/// The tokens of a login, one of each server: replicas need not know each other's.
///
/// Of many calls at once one logs in, and the others wait for it.
pub(crate) struct HandshakeTokens {
    login: Login,
    /// Without this login in it.
    config: ClientConfig,
    connections: Arc<Connections>,
    tokens: Mutex<HashMap<ServerUrl, HeaderValue>>,
}

impl HandshakeTokens {
    pub(crate) fn new(login: Login, config: ClientConfig, connections: Arc<Connections>) -> Self {
        Self {
            login,
            config,
            connections,
            tokens: Mutex::default(),
        }
    }

    /// The token for the server that calls go to, and not the one that it refused.
    async fn token(&self, refused: Option<&HeaderValue>) -> Result<HeaderValue> {
        let mut tokens = self.tokens.lock().await;
        if let Some(token) = tokens.get(&self.connections.home().url)
            && Some(token) != refused
        {
            return Ok(token.clone());
        }
        let (token, url) = self.connections.with_failover(|home| self.log_in(home)).await?;
        tokens.insert(url, token.clone());
        Ok(token)
    }

    async fn log_in(&self, home: Connection) -> Result<(HeaderValue, ServerUrl)> {
        let deadline = Deadline::starting_now(self.config.limits);
        let mut patience = deadline.plan();
        let hello = stream::iter([HandshakeRequest {
            protocol_version: 0,
            payload: Bytes::new(),
        }]);
        let request = home
            .request(hello, &self.config, None, deadline, CALL, &patience)
            .await?;
        let request = self.with_password(request);
        tracing::debug!(url = %home.url, user = self.login.user, call = %CALL, "logging in");
        let mut service = home.service();
        let work = async {
            let refused = |status| self.refused(home.error(status, CALL));
            let response = service.handshake(request).await.map_err(refused)?;
            let (headers, mut messages, _) = response.into_parts();
            let mut payload = None;
            while let Some(message) = messages.message().await.map_err(refused)? {
                payload.get_or_insert(message.payload);
            }
            let trailers = messages.trailers().await.map_err(refused)?;
            let token = bearer_of(&headers)
                .or_else(|| trailers.as_ref().and_then(bearer_of))
                .or_else(|| payload.as_deref().and_then(bearer_from_payload));
            token.ok_or_else(|| {
                Error::new(
                    ErrorKind::Protocol,
                    format!(
                        "the server at {} took the password in {CALL} and gave no token for it: does it want \
                         'authorization: Basic ...' with every call? Then give that as a header",
                        home.url
                    ),
                )
            })
        };
        let token = home.bounded(deadline, &mut patience, CALL, work).await?;
        Ok((token, home.url.clone()))
    }

    fn with_password<T>(&self, mut request: Request<T>) -> Request<T> {
        let mut headers = std::mem::take(request.metadata_mut()).into_headers();
        headers.insert(AUTHORIZATION, self.login.basic.clone());
        *request.metadata_mut() = MetadataMap::from_headers(headers);
        request
    }

    fn refused(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Unauthenticated | ErrorKind::PermissionDenied => {
                error.context(format!("the login of the user '{}'", self.login.user.escape_debug()))
            }
            ErrorKind::Unsupported => error.context("the server has no login with a user name and a password"),
            _ => error,
        }
    }
}

#[async_trait]
impl CredentialProvider for HandshakeTokens {
    async fn headers(&self) -> Result<HeaderMap> {
        Ok(HeaderMap::from_iter([(AUTHORIZATION, self.token(None).await?)]))
    }

    async fn renew(&self, refused: &HeaderMap) -> Result<bool> {
        self.token(refused.get(AUTHORIZATION)).await.map(|_| true)
    }
}

fn bearer_of(metadata: &MetadataMap) -> Option<HeaderValue> {
    let headers = metadata.as_ref();
    let values = headers.get_all(AUTHORIZATION).iter();
    let mut tokens = values.filter_map(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| bearer(token)).flatten()
    });
    tokens.next()
}

/// Servers that were made before the header was usual answer with the token alone.
fn bearer_from_payload(payload: &[u8]) -> Option<HeaderValue> {
    bearer(std::str::from_utf8(payload).ok()?)
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let token = token.trim();
    let is_one = !token.is_empty() && !token.contains(char::is_whitespace);
    is_one.then(|| secret_value("authorization", &format!("Bearer {token}")).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_sent_as_it_is_usual_and_never_shown() {
        let login = Login::new("Aladdin", "open sesame").unwrap();
        assert_eq!(login.basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(login.basic.is_sensitive());
        assert_eq!(format!("{login:?}"), r#"Login { user: "Aladdin" }"#);
        Login::new("пользователь", "пароль:ü\n").unwrap();
        for user in ["", "a:b"] {
            let error = Login::new(user, "hunter2").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_token_is_a_bearer_token_and_nothing_else() {
        let metadata = |value: &'static str| {
            MetadataMap::from_headers(HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]))
        };
        for value in ["Bearer t", "bearer t", "BEARER  t "] {
            let token = bearer_of(&metadata(value)).unwrap();
            assert_eq!(token, "Bearer t", "{value}");
            assert!(token.is_sensitive());
        }
        for value in ["Basic dA==", "Bearer", "Bearer ", "t", "Bearer two words"] {
            assert_eq!(bearer_of(&metadata(value)), None, "{value}");
        }
        assert_eq!(bearer_from_payload(b"t").unwrap(), "Bearer t");
        for payload in [&b""[..], b"two words", b"\xff\x00", b"\n"] {
            assert_eq!(bearer_from_payload(payload), None);
        }
    }
}
