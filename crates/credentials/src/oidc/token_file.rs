//! Tokens on disk, in the form and the place that the Python client uses.

use std::io::Write;
use std::path::Path;

use lakepilot_query::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::claims::Claims;
use crate::secret::Secret;

/// What a provider answered. Fields that are not known here are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tokens {
    /// The token for the provider's own services, and for servers when a program logs in.
    pub access_token: Secret,
    /// The token that says who the person is: what a Micromegas server is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token: Option<Secret>,
    /// The token that new ones are had for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// `bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// What the tokens allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// When the access token expires, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Tokens {
    pub(crate) fn new(access_token: Secret) -> Self {
        Self {
            access_token,
            id_token: None,
            refresh_token: None,
            token_type: None,
            scope: None,
            expires_at: None,
            other: Map::new(),
        }
    }
}

/// A token file: the tokens, and whose they are. The client's secret is never in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredTokens {
    /// The provider.
    pub issuer: String,
    /// The id of the client that they were given to.
    pub client_id: String,
    /// The tokens.
    pub token: Tokens,
    /// The audience that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

impl StoredTokens {
    /// Reads a token file; none when there is no file.
    ///
    /// # Errors
    /// `InvalidInput` when it is not one, `Io` when it cannot be read. What is in it is never in the error.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Error::from(error).context(format!("cannot read the tokens in {}", path.display())));
            }
        };
        // The cause may quote a token.
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "{} is not a token file (line {}, column {}): log in again with `lakepilot login`",
                    path.display(),
                    error.line(),
                    error.column()
                ),
            )
        })
    }

    /// Writes the file, for its owner only, whole or not at all.
    ///
    /// # Errors
    /// `Io` when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed =
            |error: std::io::Error| Error::from(error).context(format!("cannot keep the tokens in {}", path.display()));
        let folder = path.parent().unwrap_or(Path::new("."));
        make_private_folder(folder).map_err(failed)?;
        let text = serde_json::to_vec_pretty(self).map_err(|error| {
            Error::new(ErrorKind::Internal, "the tokens cannot be written as JSON").with_source(error)
        })?;
        // A temporary file is made for its owner only.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The claims of the ID token.
    ///
    /// # Errors
    /// `Unauthenticated` when there is no ID token or it is not signed; `Protocol` when it is none.
    pub fn claims(&self) -> Result<Claims> {
        Claims::of(self.id_token()?.reveal())
    }

    pub(crate) fn id_token(&self) -> Result<&Secret> {
        self.token.id_token.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Unauthenticated,
                "the provider gave no ID token: ask for the scope 'openid' (MICROMEGAS_OIDC_SCOPE), and log in again",
            )
        })
    }
}

fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHONS: &str = r#"{"issuer": "https://idp", "client_id": "c", "audience": "a", "token": {
        "access_token": "hunter2-a", "id_token": "hunter2-i", "refresh_token": "hunter2-r",
        "token_type": "Bearer", "expires_in": 3600, "expires_at": 1767225600, "scope": "openid", "x": [1]}}"#;

    #[test]
    fn the_python_clients_file_is_read_and_written_with_all_that_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/tokens.json");
        let stored: StoredTokens = serde_json::from_str(PYTHONS).unwrap();
        stored.write(&path).unwrap();
        let written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(PYTHONS).unwrap());
        assert!(!format!("{stored:?}").contains("hunter2"), "{stored:?}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        }
    }

    #[test]
    fn a_damaged_file_is_told_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        assert!(StoredTokens::read(&path).unwrap().is_none());
        std::fs::write(&path, r#"{"issuer": "hunter2", "token": "hunter2""#).unwrap();
        let error = StoredTokens::read(&path).unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error:?}");
        assert!(error.message().contains("lakepilot login"), "{error}");
    }
}
