//! Tokens from an OpenID Connect provider: had by a person once, or by the program itself, and renewed.

mod claims;
mod client;
mod http;
mod login;
mod provider;
mod token_file;

pub use claims::Claims;
pub use login::{BrowserLogin, DeviceCode, login_with_device_code};
pub use provider::{ClientCredentials, OidcCredentials};
pub use token_file::{StoredTokens, Tokens};
