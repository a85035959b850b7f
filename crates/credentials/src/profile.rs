//! Which server, and how to prove who is calling: from the file that the Python client reads too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lakepilot_flight_client::ClientConfig;
use lakepilot_query::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use crate::api_key::ApiKeyFile;
use crate::environment::Environment;
use crate::oidc::{ClientCredentials, OidcCredentials};
use crate::password::Password;
use crate::secret::Secret;

/// Where a server is expected when nobody says.
pub const DEFAULT_URL: &str = "grpc://localhost:50051";

/// The scopes that the Python client asks for: an ID token, who it is for, and a refresh token.
const DEFAULT_SCOPE: &str = "openid email profile offline_access";

/// The file `~/.micromegas/config.json`: one connection, or several by name under `profiles`.
///
/// A profile is chosen by the caller (`--profile`), else by `MICROMEGAS_PROFILE`, else by `default_profile` in the file.
/// Environment variables go over the profile.
#[derive(Clone, Debug)]
pub struct Profiles {
    path: PathBuf,
    content: Map<String, Value>,
}

/// Which server, and how to prove who is calling.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the profile; none when the file has no profiles.
    pub profile: Option<String>,
    /// The URL of the server.
    pub url: String,
    /// Where the URL comes from: a variable, a profile, the file, or `default`.
    pub url_source: String,
    /// How to prove who is calling.
    pub authentication: Authentication,
}

/// How to prove who is calling.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// Not at all.
    None,
    /// With the API key in a file, as a bearer token.
    ApiKeyFile(PathBuf),
    /// With a token from an OpenID Connect provider.
    Oidc(OidcSettings),
    /// With a user name and a password, which the server gives a token for (Flight's `Handshake`).
    Basic {
        /// The name of the user.
        user: String,
        /// Where the password is.
        password: Password,
    },
}

/// Where tokens come from, and where they are kept.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// The URL of the provider, without `/.well-known/openid-configuration`.
    pub issuer: String,
    /// The id that the provider knows this program by.
    pub client_id: String,
    /// The secret that goes with it, for the kinds of client that have one.
    pub client_secret: Option<Secret>,
    /// The audience that tokens are for, where the provider wants to be told.
    pub audience: Option<String>,
    /// The scopes to ask for, with spaces between them.
    pub scope: String,
    /// The file that tokens are kept in.
    pub token_file: PathBuf,
    /// Who logs in: a person, or the program itself.
    pub grant: OidcGrant,
}

/// Who logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OidcGrant {
    /// A person, once, in a browser or with a code on another device; then the refresh token.
    #[default]
    Person,
    /// The program itself, with its id and secret (`"grant": "client_credentials"`).
    ClientCredentials,
}

impl Authentication {
    /// The configuration of a client that proves who is calling in this way.
    ///
    /// # Errors
    /// As [`ApiKeyFile::open`], [`ClientCredentials::new`], [`Password::read`] and [`ClientConfig::with_basic_login`].
    pub fn apply(&self, config: ClientConfig) -> Result<ClientConfig> {
        Ok(match self {
            Self::None => config,
            Self::ApiKeyFile(path) => config.with_credentials(Arc::new(ApiKeyFile::open(path)?)),
            Self::Oidc(settings) => match settings.grant {
                OidcGrant::Person => config.with_credentials(Arc::new(OidcCredentials::new(settings.clone()))),
                OidcGrant::ClientCredentials => {
                    config.with_credentials(Arc::new(ClientCredentials::new(settings.clone())?))
                }
            },
            Self::Basic { user, password } => config.with_basic_login(user, password.read()?.reveal())?,
        })
    }
}

impl Profiles {
    /// Reads `~/.micromegas/config.json`; a file that is not there has nothing in it.
    ///
    /// # Errors
    /// `InvalidInput` when the file is not a JSON object, with the place; `Io` when it cannot be read.
    pub fn load(environment: &Environment) -> Result<Self> {
        Self::load_from(environment.folder()?.join("config.json"))
    }

    /// Reads a file of the same form.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_from(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "{}".to_owned(),
            Err(error) => {
                return Err(Error::from(error).context(format!("cannot read the configuration {}", path.display())));
            }
        };
        let content = serde_json::from_str(&text).map_err(|error| {
            invalid(format!(
                "the configuration {} is not a JSON object (line {}, column {})",
                path.display(),
                error.line(),
                error.column()
            ))
            .with_source(error)
        })?;
        Ok(Self { path, content })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the profiles, sorted.
    ///
    /// # Errors
    /// `InvalidInput` when `profiles` is not an object.
    pub fn names(&self) -> Result<Vec<&str>> {
        let mut names: Vec<&str> = match self.profiles()? {
            Some(profiles) => profiles.keys().map(String::as_str).collect(),
            None => Vec::new(),
        };
        names.sort_unstable();
        Ok(names)
    }

    /// The name that is chosen: by the caller, by `MICROMEGAS_PROFILE`, by `default_profile`. None when the file has no
    /// profiles.
    ///
    /// # Errors
    /// `InvalidInput`, with the names that there are, when none or an unknown one is chosen, when one is chosen and there
    /// are no profiles, or when a name has other characters than letters, digits, `.`, `_` and `-`.
    pub fn chosen(&self, profile: Option<&str>, environment: &Environment) -> Result<Option<String>> {
        if let Some(name) = profile {
            check_name(name)?;
        }
        let asked = profile.or_else(|| environment.variable("MICROMEGAS_PROFILE"));
        let Some(profiles) = self.profiles()? else {
            return match asked {
                None => Ok(None),
                Some(name) => Err(invalid(format!(
                    "there is no profile '{name}': {} has no 'profiles'",
                    self.path.display()
                ))),
            };
        };
        let default = match self.content.get("default_profile") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name.as_str()),
            Some(_) => return Err(self.wrong("default_profile", "has to be the name of a profile")),
        };
        let available = self.names()?.join(", ");
        let Some(name) = asked.or(default) else {
            return Err(invalid(format!(
                "no profile is chosen: give --profile, or set MICROMEGAS_PROFILE, or 'default_profile' in {} \
                 (there are: {available})",
                self.path.display()
            )));
        };
        check_name(name)?;
        if !profiles.contains_key(name) {
            return Err(invalid(format!(
                "there is no profile '{name}' in {} (there are: {available})",
                self.path.display()
            )));
        }
        Ok(Some(name.to_owned()))
    }

    /// The settings of the chosen profile, with the environment over it.
    ///
    /// # Errors
    /// As [`chosen`](Self::chosen); and `InvalidInput`, with the key, when a value is of the wrong kind, when there is more
    /// than one of an API key, an OpenID Connect provider and a user (which of them is meant is not guessed), or when there is a
    /// user and no password.
    pub fn settings(&self, profile: Option<&str>, environment: &Environment) -> Result<Settings> {
        let name = self.chosen(profile, environment)?;
        let section = Section::new(self, name.as_deref())?;
        let (url, url_source) = match (environment.variable("MICROMEGAS_ANALYTICS_URI"), section.text("uri")?) {
            (Some(url), _) => (url.to_owned(), "MICROMEGAS_ANALYTICS_URI".to_owned()),
            (None, Some(url)) => (url.to_owned(), section.place()),
            (None, None) => (DEFAULT_URL.to_owned(), "default".to_owned()),
        };
        let authentication = section.authentication(name.as_deref(), environment)?;
        Ok(Settings {
            profile: name,
            url,
            url_source,
            authentication,
        })
    }

    fn profiles(&self) -> Result<Option<&Map<String, Value>>> {
        match self.content.get("profiles") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(profiles)) if profiles.is_empty() => Err(self.wrong("profiles", "is empty")),
            Some(Value::Object(profiles)) => Ok(Some(profiles)),
            Some(_) => Err(self.wrong("profiles", "has to be an object of profiles by name")),
        }
    }

    fn wrong(&self, key: &str, what: &str) -> Error {
        invalid(format!("'{key}' {what}, in {}", self.path.display()))
    }
}

/// The part of the file that counts: a profile, or all of it.
struct Section<'a> {
    file: &'a Profiles,
    name: Option<&'a str>,
    values: &'a Map<String, Value>,
}

impl<'a> Section<'a> {
    fn new(file: &'a Profiles, name: Option<&'a str>) -> Result<Self> {
        let values = match name {
            None => &file.content,
            Some(name) => match file.profiles()?.and_then(|profiles| profiles.get(name)) {
                Some(Value::Object(values)) => values,
                _ => return Err(file.wrong(name, "has to be an object of settings")),
            },
        };
        Ok(Self { file, name, values })
    }

    fn place(&self) -> String {
        match self.name {
            Some(name) => format!("profile '{name}'"),
            None => self.file.path.display().to_string(),
        }
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>> {
        text(self.values, key).map_err(|what| self.wrong(key, what))
    }

    fn wrong(&self, key: &str, what: &str) -> Error {
        match self.name {
            Some(name) => self.file.wrong(&format!("profiles.{name}.{key}"), what),
            None => self.file.wrong(key, what),
        }
    }

    fn authentication(&self, profile: Option<&str>, environment: &Environment) -> Result<Authentication> {
        let key_file = match self.values.get("api_key_file") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if !path.trim().is_empty() => Some(path.as_str()),
            Some(_) => return Err(self.wrong("api_key_file", "has to be the path of a file")),
        };
        let provider = self.first_issuer()?;
        let issuer = environment.variable("MICROMEGAS_OIDC_ISSUER").or(provider.0);
        let client_id = match environment.variable("MICROMEGAS_OIDC_CLIENT_ID") {
            Some(id) => Some(id),
            None => self.text("client_id")?,
        };
        let user = self.text("user")?;
        if user.is_some() && (key_file.is_some() || (issuer.is_some() && client_id.is_some())) {
            return Err(invalid(format!(
                "{} has a user name ('user') and an API key or an OpenID Connect provider: leave one of them out",
                self.place()
            )));
        }
        if let Some(user) = user {
            return Ok(Authentication::Basic {
                user: user.to_owned(),
                password: self.password(environment)?,
            });
        }
        match (key_file, issuer, client_id) {
            (Some(_), Some(_), Some(_)) => Err(invalid(format!(
                "{} has an API key ('api_key_file') and an OpenID Connect provider (an issuer and a client id, of the \
                 file or of MICROMEGAS_OIDC_ISSUER and MICROMEGAS_OIDC_CLIENT_ID): leave one of them out",
                self.place()
            ))),
            (Some(path), _, _) => Ok(Authentication::ApiKeyFile(environment.expand(path)?)),
            (None, Some(issuer), Some(client_id)) => Ok(Authentication::Oidc(OidcSettings {
                issuer: issuer.trim_end_matches('/').to_owned(),
                client_id: client_id.to_owned(),
                client_secret: environment.variable("MICROMEGAS_OIDC_CLIENT_SECRET").map(Secret::new),
                audience: environment
                    .variable("MICROMEGAS_OIDC_AUDIENCE")
                    .or(provider.1)
                    .map(str::to_owned),
                scope: environment
                    .variable("MICROMEGAS_OIDC_SCOPE")
                    .unwrap_or(DEFAULT_SCOPE)
                    .to_owned(),
                token_file: token_file(profile, environment)?,
                grant: self.grant()?,
            })),
            (None, _, _) => Ok(Authentication::None),
        }
    }

    fn password(&self, environment: &Environment) -> Result<Password> {
        if let Some(password) = Password::of_environment(environment) {
            return Ok(password);
        }
        match self.text("password_file")? {
            Some(path) => Ok(Password::File(environment.expand(path)?)),
            None => Err(self.wrong(
                "password_file",
                "has to be the path of a file with the password of 'user', or LAKEPILOT_PASSWORD be set",
            )),
        }
    }

    /// The first issuer with its audience: the Python client takes no other.
    fn first_issuer(&self) -> Result<(Option<&'a str>, Option<&'a str>)> {
        let first = match self.values.get("issuers") {
            None | Some(Value::Null) => None,
            Some(Value::Array(issuers)) => issuers.first(),
            Some(_) => return Err(self.wrong("issuers", "has to be a list of providers")),
        };
        match first {
            None => Ok((None, None)),
            Some(Value::Object(first)) => {
                let text = |key| text(first, key).map_err(|what| self.wrong(&format!("issuers[0].{key}"), what));
                Ok((text("issuer")?, text("audience")?))
            }
            Some(_) => Err(self.wrong("issuers[0]", "has to be an object with 'issuer'")),
        }
    }

    fn grant(&self) -> Result<OidcGrant> {
        match self.text("grant")? {
            None | Some("authorization_code") => Ok(OidcGrant::Person),
            Some("client_credentials") => Ok(OidcGrant::ClientCredentials),
            Some(_) => Err(self.wrong("grant", "has to be 'authorization_code' or 'client_credentials'")),
        }
    }
}

fn text<'a>(values: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, &'static str> {
    match values.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err("has to be text"),
    }
}

/// The file that tokens of a profile are kept in, the same as the Python client's.
///
/// # Errors
/// `InvalidInput` when the name cannot be part of a file name, or there is no home directory.
pub fn token_file(profile: Option<&str>, environment: &Environment) -> Result<PathBuf> {
    let folder = environment.folder()?;
    match profile {
        None => Ok(folder.join("tokens.json")),
        Some(name) => {
            check_name(name)?;
            Ok(folder.join(format!("tokens-{name}.json")))
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name == "." || name == ".." || !name.chars().all(allowed) {
        return Err(invalid(format!(
            "{name:?} cannot be the name of a profile: letters, digits, '.', '_' and '-' can"
        )));
    }
    Ok(())
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests;
