//! Tokens for every call: the one that is good still, or a new one.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;
use lakepilot_flight_client::{CredentialProvider, StaticCredentials};
use lakepilot_query::{Clock, Error, ErrorKind, Result, SystemClock};
use tokio::sync::Mutex;

use super::client::OidcClient;
use super::token_file::StoredTokens;
use crate::profile::OidcSettings;
use crate::secret::Secret;

/// A token is renewed this long before it expires, as the Python client does; one that lives shortly, when four fifths of
/// its life are over.
const EARLY: TimeDelta = TimeDelta::minutes(5);

/// The ID token of a person who has logged in, renewed with the refresh token before it expires.
///
/// Of many calls at once, one renews and the others wait for it; of several programs on a machine the same, by a lock
/// beside the token file: with providers that change the refresh token at every use, two renewals would end the login.
pub struct OidcCredentials {
    settings: OidcSettings,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    client: Option<OidcClient>,
    stored: Option<StoredTokens>,
}

impl OidcCredentials {
    /// Credentials from the token file of the settings. Nothing is read or asked before the first call.
    pub fn new(settings: OidcSettings) -> Self {
        Self::with_clock(settings, Arc::new(SystemClock))
    }

    /// The same with another clock.
    pub fn with_clock(settings: OidcSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            settings,
            clock,
            state: Mutex::default(),
        }
    }

    /// The tokens that are good now, renewed if need be.
    ///
    /// # Errors
    /// `Unauthenticated` when nobody has logged in, or the provider does not renew the login; the kind of what failed when
    /// the provider cannot be asked.
    pub async fn tokens(&self) -> Result<StoredTokens> {
        self.good_tokens(None).await
    }

    /// Tokens that are good, and not those with the ID token that a server has refused.
    async fn good_tokens(&self, refused: Option<&str>) -> Result<StoredTokens> {
        let mut state = self.state.lock().await;
        if state.stored.is_none() {
            state.stored = StoredTokens::read(&self.settings.token_file)?;
        }
        if let Some(stored) = self.if_good(state.stored.as_ref(), refused)? {
            return Ok(stored);
        }
        let _lock = lock(&self.settings.token_file).await?;
        // Another program may have renewed them, or the person may have logged in, since they were read.
        state.stored = StoredTokens::read(&self.settings.token_file)?;
        if let Some(stored) = self.if_good(state.stored.as_ref(), refused)? {
            return Ok(stored);
        }
        let old = state.stored.clone().ok_or_else(|| log_in("nobody has logged in"))?;
        self.check_owner(&old)?;
        let refresh_token = old
            .token
            .refresh_token
            .clone()
            .ok_or_else(|| log_in("the login has expired, and the provider gave no refresh token"))?;
        if state.client.is_none() {
            state.client = Some(OidcClient::discover(&self.settings).await?);
        }
        let Some(client) = &state.client else {
            return Err(Error::new(ErrorKind::Internal, "the provider is not known"));
        };
        tracing::debug!(issuer = self.settings.issuer, "renewing the login");
        let mut token = client
            .refresh(&refresh_token, old.token.scope.as_deref(), self.clock.now())
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::Unauthenticated => error.context("log in again with `lakepilot login`"),
                _ => error,
            })?;
        token.refresh_token = token.refresh_token.or(Some(refresh_token));
        token.scope = token.scope.or_else(|| old.token.scope.clone());
        let renewed = StoredTokens { token, ..old };
        renewed.claims().map_err(|error| error.context("the renewed login"))?;
        renewed.write(&self.settings.token_file)?;
        state.stored = Some(renewed.clone());
        Ok(renewed)
    }

    /// The tokens, when they can be sent.
    fn if_good(&self, stored: Option<&StoredTokens>, refused: Option<&str>) -> Result<Option<StoredTokens>> {
        let Some(stored) = stored else { return Ok(None) };
        self.check_owner(stored)?;
        let id_token = stored.id_token()?;
        if refused == Some(id_token.reveal()) {
            return Ok(None);
        }
        let claims = stored.claims()?;
        Ok(is_good(claims.issued, claims.expires, self.clock.now()).then(|| stored.clone()))
    }

    /// Tokens of another provider or client are not sent to this server.
    fn check_owner(&self, stored: &StoredTokens) -> Result<()> {
        if stored.issuer.trim_end_matches('/') == self.settings.issuer && stored.client_id == self.settings.client_id {
            return Ok(());
        }
        Err(log_in(&format!(
            "the tokens in {} are of another provider or client",
            self.settings.token_file.display()
        )))
    }
}

#[async_trait]
impl CredentialProvider for OidcCredentials {
    async fn headers(&self) -> Result<HeaderMap> {
        let stored = self.tokens().await?;
        bearer(stored.id_token()?).await
    }

    async fn renew(&self, refused: &HeaderMap) -> Result<bool> {
        let Some(token) = bearer_of(refused) else {
            return Ok(false);
        };
        self.good_tokens(Some(token)).await.map(|_| true)
    }
}

/// A token for the program itself, had with its id and secret, and kept in memory only.
pub struct ClientCredentials {
    settings: OidcSettings,
    clock: Arc<dyn Clock>,
    state: Mutex<Issued>,
}

struct IssuedToken {
    token: Secret,
    issued: DateTime<Utc>,
    expires: Option<DateTime<Utc>>,
}

#[derive(Default)]
struct Issued {
    client: Option<OidcClient>,
    token: Option<IssuedToken>,
}

impl ClientCredentials {
    /// Credentials of the settings' client. The provider is asked with the first call.
    ///
    /// # Errors
    /// `InvalidInput` when the settings have no client secret.
    pub fn new(settings: OidcSettings) -> Result<Self> {
        Self::with_clock(settings, Arc::new(SystemClock))
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_clock(settings: OidcSettings, clock: Arc<dyn Clock>) -> Result<Self> {
        if settings.client_secret.is_none() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "a program that logs in by itself needs its secret: set MICROMEGAS_OIDC_CLIENT_SECRET",
            ));
        }
        Ok(Self {
            settings,
            clock,
            state: Mutex::default(),
        })
    }

    async fn token(&self, refused: Option<&str>) -> Result<Secret> {
        let mut state = self.state.lock().await;
        if let Some(known) = &state.token
            && refused != Some(known.token.reveal())
            && is_good(Some(known.issued), known.expires, self.clock.now())
        {
            return Ok(known.token.clone());
        }
        if state.client.is_none() {
            state.client = Some(OidcClient::discover(&self.settings).await?);
        }
        let Some(client) = &state.client else {
            return Err(Error::new(ErrorKind::Internal, "the provider is not known"));
        };
        let now = self.clock.now();
        let tokens = client.client_credentials(now).await?;
        // A provider that does not say how long is taken at the hour that is usual.
        let expires = tokens
            .expires_at
            .map_or(now.checked_add_signed(TimeDelta::hours(1)), |seconds| {
                DateTime::from_timestamp(seconds, 0)
            });
        state.token = Some(IssuedToken {
            token: tokens.access_token.clone(),
            issued: now,
            expires,
        });
        Ok(tokens.access_token)
    }
}

#[async_trait]
impl CredentialProvider for ClientCredentials {
    async fn headers(&self) -> Result<HeaderMap> {
        bearer(&self.token(None).await?).await
    }

    async fn renew(&self, refused: &HeaderMap) -> Result<bool> {
        let Some(token) = bearer_of(refused) else {
            return Ok(false);
        };
        self.token(Some(token)).await.map(|_| true)
    }
}

async fn bearer(token: &Secret) -> Result<HeaderMap> {
    StaticCredentials::new()
        .with_bearer_token(token.reveal())?
        .headers()
        .await
}

fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(http::header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}

/// Whether a token can be sent now, and will be good still when it arrives.
fn is_good(issued: Option<DateTime<Utc>>, expires: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    let Some(expires) = expires else { return false };
    let early = issued.map_or(EARLY, |issued| EARLY.min((expires - issued) / 5));
    expires - early > now
}

fn log_in(problem: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("{problem}: run `lakepilot login`"))
}

/// Holds other programs off the token file. The lock file stays: taking it away would open a gap between two holders.
async fn lock(token_file: &Path) -> Result<std::fs::File> {
    let path = token_file.with_extension("lock");
    let failed = move |error: std::io::Error| Error::from(error).context("cannot lock the token file");
    tokio::task::spawn_blocking(move || {
        let file = std::fs::File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)?;
        file.lock()?;
        Ok(file)
    })
    .await
    .map_err(|error| {
        Error::new(ErrorKind::Internal, "the lock of the token file was not waited for").with_source(error)
    })?
    .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_until_shortly_before_it_expires() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().ok();
        let now = time("2026-01-01T12:00:00Z").unwrap();
        for (issued, expires, good) in [
            (None, None, false),
            (None, time("2026-01-01T12:05:00Z"), false),
            (None, time("2026-01-01T12:05:01Z"), true),
            (time("2026-01-01T11:00:00Z"), time("2026-01-01T12:04:00Z"), false),
            (time("2026-01-01T12:00:00Z"), time("2026-01-01T12:01:00Z"), true),
            (time("2026-01-01T11:59:10Z"), time("2026-01-01T12:00:10Z"), false),
        ] {
            assert_eq!(is_good(issued, expires, now), good, "{issued:?} {expires:?}");
        }
    }
}
