//! One provider: what it offers, and the requests for tokens.

use std::time::Duration;

use ::http::{Request, StatusCode, header};
use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_query::{Error, ErrorKind, Result};
use oauth2::basic::{BasicErrorResponse, BasicTokenType};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, DeviceAuthorizationUrl, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, ExtraTokenFields, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, Scope, StandardDeviceAuthorizationResponse, StandardRevocableToken, StandardTokenResponse,
    TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::http::{Http, HttpFailure};
use super::token_file::Tokens;
use crate::profile::OidcSettings;
use crate::secret::Secret;

/// What a provider says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
    #[serde(default = "basic_only")]
    token_endpoint_auth_methods_supported: Vec<String>,
}

const BASIC: &str = "client_secret_basic";

/// What a provider takes that does not say (OpenID Connect Discovery 1.0, section 3).
fn basic_only() -> Vec<String> {
    vec![BASIC.to_owned()]
}

impl Discovery {
    /// How the client's secret is sent, where there is one.
    fn auth_type(&self) -> AuthType {
        if self
            .token_endpoint_auth_methods_supported
            .iter()
            .any(|method| method == BASIC)
        {
            AuthType::BasicAuth
        } else {
            AuthType::RequestBody
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct IdToken {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdToken {}

type Response = StandardTokenResponse<IdToken, BasicTokenType>;

type Client = oauth2::Client<
    BasicErrorResponse,
    Response,
    oauth2::basic::BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    oauth2::basic::BasicRevocationErrorResponse,
    EndpointMaybeSet,
    EndpointMaybeSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// A provider whose endpoints are known.
#[derive(Debug)]
pub(crate) struct OidcClient {
    http: Http,
    client: Client,
    issuer: String,
    scopes: Vec<Scope>,
    audience: Option<String>,
}

/// A login that was begun: where the person has to go, and what has to come back.
pub(crate) struct Authorization {
    pub(crate) url: Url,
    pub(crate) state: CsrfToken,
    pub(crate) verifier: PkceCodeVerifier,
}

impl OidcClient {
    /// Asks the provider what it offers.
    pub(crate) async fn discover(settings: &OidcSettings) -> Result<Self> {
        let issuer = settings.issuer.trim_end_matches('/');
        check_url(issuer, "issuer")?;
        let http = Http::new()?;
        let address = format!("{issuer}/.well-known/openid-configuration");
        let request = Request::get(&address)
            .header(header::ACCEPT, "application/json")
            .body(Vec::new())
            .map_err(|error| invalid(format!("the issuer '{issuer}' is not a URL")).with_source(error))?;
        let response = http.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{address} answers {}: is '{issuer}' the issuer?", response.status()),
            ));
        }
        let found: Discovery = serde_json::from_slice(response.body()).map_err(|error| {
            Error::new(
                ErrorKind::Protocol,
                format!("what {address} answers is not a provider's configuration"),
            )
            .with_source(error)
        })?;
        // Section 4.3: a provider that says it is another one must not be believed.
        if found.issuer.trim_end_matches('/') != issuer {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("the provider at {issuer} says that it is {}", found.issuer),
            ));
        }
        for (url, what) in [
            (Some(&found.token_endpoint), "token endpoint"),
            (found.authorization_endpoint.as_ref(), "authorization endpoint"),
            (
                found.device_authorization_endpoint.as_ref(),
                "device authorization endpoint",
            ),
        ] {
            if let Some(url) = url {
                check_url(url, what).map_err(|error| Error::new(ErrorKind::Protocol, error.message().to_owned()))?;
            }
        }
        let auth_type = found.auth_type();
        let mut client: Client = oauth2::Client::new(ClientId::new(settings.client_id.clone()))
            .set_auth_uri_option(optional(found.authorization_endpoint, AuthUrl::new)?)
            .set_device_authorization_url_option(optional(
                found.device_authorization_endpoint,
                DeviceAuthorizationUrl::new,
            )?)
            .set_token_uri(TokenUrl::new(found.token_endpoint).map_err(not_a_url)?)
            .set_auth_type(auth_type);
        if let Some(secret) = &settings.client_secret {
            client = client.set_client_secret(ClientSecret::new(secret.reveal().to_owned()));
        }
        Ok(Self {
            http,
            client,
            issuer: issuer.to_owned(),
            scopes: scopes(&settings.scope),
            audience: settings.audience.clone(),
        })
    }

    /// Where a person logs in (RFC 6749 with PKCE, RFC 7636).
    pub(crate) fn authorize(&self, redirect: &RedirectUrl) -> Result<Authorization> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = self
            .client
            .authorize_url(CsrfToken::new_random)
            .map_err(|error| {
                Error::new(
                    ErrorKind::Unsupported,
                    format!("the provider {} has no login in a browser", self.issuer),
                )
                .with_source(error)
            })?
            .add_scopes(self.scopes.iter().cloned())
            .set_pkce_challenge(challenge)
            .set_redirect_uri(std::borrow::Cow::Borrowed(redirect));
        if let Some(audience) = &self.audience {
            request = request.add_extra_param("audience", audience);
        }
        let (url, state) = request.url();
        Ok(Authorization { url, state, verifier })
    }

    /// The tokens for the code that came back.
    pub(crate) async fn exchange(
        &self,
        code: String,
        verifier: PkceCodeVerifier,
        redirect: &RedirectUrl,
        now: DateTime<Utc>,
    ) -> Result<Tokens> {
        let response = self
            .client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(verifier)
            .set_redirect_uri(std::borrow::Cow::Borrowed(redirect))
            .request_async(&self.http)
            .await
            .map_err(|error| self.refused(error, "the login"))?;
        Ok(tokens(&response, now))
    }

    /// New tokens for the refresh token, with the scopes that were granted: a provider may refuse any other (RFC 6749,
    /// section 6), and some give no ID token unless they are asked for it again.
    pub(crate) async fn refresh(
        &self,
        refresh_token: &Secret,
        granted: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Tokens> {
        let scopes = granted.map_or_else(|| self.scopes.clone(), scopes);
        let token = RefreshToken::new(refresh_token.reveal().to_owned());
        let response = self
            .client
            .exchange_refresh_token(&token)
            .add_scopes(scopes)
            .request_async(&self.http)
            .await
            .map_err(|error| self.refused(error, "renewing the login"))?;
        Ok(tokens(&response, now))
    }

    /// A token for the program itself (RFC 6749, section 4.4).
    pub(crate) async fn client_credentials(&self, now: DateTime<Utc>) -> Result<Tokens> {
        let mut request = self.client.exchange_client_credentials();
        if let Some(audience) = &self.audience {
            request = request.add_extra_param("audience", audience);
        }
        let response = request
            .request_async(&self.http)
            .await
            .map_err(|error| self.refused(error, "the client credentials"))?;
        Ok(tokens(&response, now))
    }

    /// A code that a person types on another device (RFC 8628).
    pub(crate) async fn device_code(&self) -> Result<StandardDeviceAuthorizationResponse> {
        let mut request = self
            .client
            .exchange_device_code()
            .map_err(|error| {
                Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "the provider {} has no login with a code on another device",
                        self.issuer
                    ),
                )
                .with_source(error)
            })?
            .add_scopes(self.scopes.iter().cloned());
        if let Some(audience) = &self.audience {
            request = request.add_extra_param("audience", audience);
        }
        request
            .request_async(&self.http)
            .await
            .map_err(|error| self.refused(error, "the login with a code"))
    }

    /// Waits until the person has typed the code, as often and as long as the provider said.
    pub(crate) async fn await_device(
        &self,
        code: &StandardDeviceAuthorizationResponse,
        now: impl Fn() -> DateTime<Utc> + Send + Sync,
    ) -> Result<Tokens> {
        let response = self
            .client
            .exchange_device_access_token(code)
            .set_time_fn(&now)
            .request_async(&self.http, tokio::time::sleep, None::<Duration>)
            .await
            .map_err(|error| self.refused(error, "the login with a code"))?;
        Ok(tokens(&response, now()))
    }

    /// The error that a request for tokens ended with. What the provider sent may hold secrets and is not repeated, but for
    /// the code and the description that it gives to be shown.
    fn refused<T>(&self, error: RequestTokenError<HttpFailure, T>, what: &str) -> Error
    where
        T: oauth2::ErrorResponse + std::fmt::Display + 'static,
    {
        match error {
            RequestTokenError::Request(HttpFailure(error)) => error,
            RequestTokenError::ServerResponse(response) => Error::new(
                ErrorKind::Unauthenticated,
                format!("{} refused {what}: {response}", self.issuer),
            ),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Error::new(
                ErrorKind::Protocol,
                format!(
                    "{} answered {what} with something that is no token response",
                    self.issuer
                ),
            ),
        }
    }
}

fn scopes(text: &str) -> Vec<Scope> {
    text.split_whitespace()
        .map(|scope| Scope::new(scope.to_owned()))
        .collect()
}

fn tokens(response: &Response, now: DateTime<Utc>) -> Tokens {
    let mut tokens = Tokens::new(Secret::new(response.access_token().secret().clone()));
    tokens.token_type = Some(response.token_type().as_ref().to_owned());
    tokens.id_token = response.extra_fields().id_token.clone().map(Secret::new);
    tokens.refresh_token = response
        .refresh_token()
        .map(|token| Secret::new(token.secret().clone()));
    tokens.scope = response.scopes().map(|scopes| {
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        scopes.join(" ")
    });
    tokens.expires_at = response
        .expires_in()
        .and_then(|span| TimeDelta::from_std(span).ok())
        .and_then(|span| now.checked_add_signed(span))
        .map(|time| time.timestamp());
    tokens
}

fn optional<T>(
    url: Option<String>,
    parse: impl Fn(String) -> std::result::Result<T, url::ParseError>,
) -> Result<Option<T>> {
    url.map(parse).transpose().map_err(not_a_url)
}

fn not_a_url(error: url::ParseError) -> Error {
    Error::new(ErrorKind::Protocol, "an endpoint of the provider is not a URL").with_source(error)
}

/// Secrets go to the provider: over plain HTTP only on this machine.
fn check_url(text: &str, what: &str) -> Result<()> {
    let url =
        Url::parse(text).map_err(|error| invalid(format!("the {what} '{text}' is not a URL")).with_source(error))?;
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if local => Ok(()),
        _ => Err(invalid(format!("the {what} '{text}' has to begin with https://"))),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_in_plain_text_to_this_machine_only() {
        for good in [
            "https://idp.example.com",
            "http://127.0.0.1:8080",
            "http://localhost:1",
            "http://[::1]:2/realm",
        ] {
            check_url(good, "issuer").unwrap();
        }
        for bad in [
            "http://idp.example.com",
            "http://127.example.com",
            "ftp://localhost",
            "idp",
            "",
            "http://10.0.0.1",
        ] {
            assert_eq!(
                check_url(bad, "issuer").unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{bad}"
            );
        }
    }
}
