//! Who is calling, and which server is meant: profiles, API keys, and tokens from an OpenID Connect provider.
//!
//! The files are those of the Micromegas Python client, so that whoever has logged in or written a profile for one has done
//! it for both: `~/.micromegas/config.json` with one connection or several `profiles`, and `~/.micromegas/tokens.json` or
//! `tokens-PROFILE.json`. The environment variables are the same too, and go over the file:
//! `MICROMEGAS_PROFILE`, `MICROMEGAS_ANALYTICS_URI`, and `MICROMEGAS_OIDC_` with `ISSUER`, `CLIENT_ID`, `CLIENT_SECRET`,
//! `AUDIENCE` and `SCOPE`. Of our own are `user` and `password_file` in a connection, and `LAKEPILOT_PASSWORD`.
//!
//! It is a crate of its own beside the client, which takes any [`CredentialProvider`]: who needs no login needs neither
//! an HTTP client nor OAuth.
//!
//! - [`Profiles`] finds the [`Settings`]: the URL, and how to prove who is calling.
//! - [`ApiKeyFile`], [`OidcCredentials`] and [`ClientCredentials`] are the providers that a client asks before every call.
//! - [`BrowserLogin`] and [`login_with_device_code`] log a person in.
//!
//! # Example
//! A client for the profile that the user has chosen:
//!
//! ```no_run
//! use lakepilot_credentials::{Environment, Profiles};
//! use lakepilot_flight_client::{ClientConfig, FlightClient};
//!
//! # async fn example() -> lakepilot_query::Result<()> {
//! let environment = Environment::of_process();
//! let settings = Profiles::load(&environment)?.settings(None, &environment)?;
//! let config = settings.authentication.apply(ClientConfig::new(&settings.url)?)?;
//! let client = FlightClient::connect(config).await?;
//! # let _ = client;
//! # Ok(())
//! # }
//! ```
//!
//! [`CredentialProvider`]: lakepilot_flight_client::CredentialProvider

mod api_key;
mod environment;
mod oidc;
mod password;
mod profile;
mod secret;

pub use api_key::ApiKeyFile;
pub use environment::Environment;
pub use oidc::{
    BrowserLogin, Claims, ClientCredentials, DeviceCode, OidcCredentials, StoredTokens, Tokens, login_with_device_code,
};
pub use password::Password;
pub use profile::{Authentication, DEFAULT_URL, OidcGrant, OidcSettings, Profiles, Settings, token_file};
pub use secret::Secret;
