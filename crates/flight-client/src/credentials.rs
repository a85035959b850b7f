//! Who we are, told to the server with every call.

use std::fmt;

use async_trait::async_trait;
use http::HeaderMap;
use lakepilot_query::{Error, ErrorKind, Result};

use crate::headers::{header_name, secret_value};

/// Gives the headers that prove who is calling.
///
/// It is asked before every call, so that a token can be renewed while a client lives, and once more before a query, so that
/// it can be told what a server refused. Several calls may ask at once.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait CredentialProvider: Send + Sync {
    /// The headers for one call, with lower-case names, such as `authorization`.
    ///
    /// Whatever is returned is treated as secret: it is marked as sensitive before it is sent, which keeps it out of
    /// `Debug` output, logs and the compression table of HTTP/2. It replaces headers of the same name that were set on
    /// the configuration.
    ///
    /// # Errors
    /// `Unauthenticated` when there are no credentials to be had, or the kind of what failed in getting them. The call
    /// is then not made, and the error is the caller's result.
    async fn headers(&self) -> Result<HeaderMap>;

    /// Gets other headers than those that a server has just refused, and says whether there are: the call is then made
    /// once more. Not to be had unless the provider says so.
    ///
    /// # Errors
    /// As [`headers`](Self::headers). The error is then the caller's result, in place of the server's refusal.
    async fn renew(&self, refused: &HeaderMap) -> Result<bool> {
        let _ = refused;
        Ok(false)
    }
}

/// Credentials that stay the same: any headers, kept secret.
///
/// ```
/// use lakepilot_flight_client::StaticCredentials;
/// # fn main() -> lakepilot_query::Result<()> {
/// let credentials = StaticCredentials::new()
///     .with_bearer_token("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9")?
///     .with_header("x-tenant-id", "production")?;
/// assert_eq!(format!("{credentials:?}"), r#"StaticCredentials { headers: ["authorization", "x-tenant-id"] }"#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct StaticCredentials {
    headers: HeaderMap,
}

impl StaticCredentials {
    /// No headers at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more header. A header of the same name is replaced.
    ///
    /// # Errors
    /// `InvalidInput` when the name or the value cannot be sent, or when the name is one that the client or the protocol
    /// sets. The value is never in the error.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self> {
        let value = secret_value(name, value)?;
        self.headers.insert(header_name(name)?, value);
        Ok(self)
    }

    /// The same with the token as `authorization: Bearer TOKEN`.
    ///
    /// # Errors
    /// `InvalidInput` when the token is empty or has spaces in it, as one has that still begins with `Bearer`.
    pub fn with_bearer_token(self, token: impl AsRef<str>) -> Result<Self> {
        let token = token.as_ref().trim();
        if token.is_empty() || token.contains(char::is_whitespace) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the bearer token is empty or has spaces in it: give the token alone, without 'Bearer'",
            ));
        }
        self.with_header("authorization", &format!("Bearer {token}"))
    }

    /// The same with the key as `x-api-key: KEY`, which is what gateways in front of a lake ask for. Micromegas itself
    /// takes its API keys as bearer tokens.
    ///
    /// # Errors
    /// `InvalidInput` when the key is empty or cannot be sent.
    pub fn with_api_key(self, key: impl AsRef<str>) -> Result<Self> {
        self.with_header("x-api-key", key.as_ref())
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    pub(crate) fn as_headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(|name| name.as_str()).collect();
        f.debug_struct("StaticCredentials").field("headers", &names).finish()
    }
}

#[async_trait]
impl CredentialProvider for StaticCredentials {
    async fn headers(&self) -> Result<HeaderMap> {
        Ok(self.headers.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_with_its_scheme_is_told_to_leave_it_out() {
        for token in ["", "  ", "Bearer hunter2", "hunter2\nx"] {
            let error = StaticCredentials::new().with_bearer_token(token).unwrap_err();
            assert!(error.message().contains("without 'Bearer'"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn the_headers_are_given_and_marked_as_secret() {
        let credentials = StaticCredentials::new()
            .with_bearer_token("hunter2\n")
            .unwrap()
            .with_api_key("k")
            .unwrap();
        let headers = credentials.headers().await.unwrap();
        assert_eq!(headers["authorization"], "Bearer hunter2");
        assert!(headers.values().all(|value| value.is_sensitive()));
        assert!(!format!("{credentials:?} {headers:?}").contains("hunter2"));
    }
}
