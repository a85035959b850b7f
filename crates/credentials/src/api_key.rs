//! An API key in a file, which may be replaced while a client lives.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use http::HeaderMap;
use lakepilot_flight_client::{CredentialProvider, StaticCredentials};
use lakepilot_query::{Error, ErrorKind, Result};

/// The key in a file, sent as a bearer token, which is how Micromegas takes its API keys.
///
/// The file is read again when it has changed, so that a key can be rotated under a running program.
#[derive(Debug)]
pub struct ApiKeyFile {
    path: PathBuf,
    known: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    written: Option<SystemTime>,
    credentials: StaticCredentials,
}

impl ApiKeyFile {
    /// Reads the key.
    ///
    /// # Errors
    /// `NotFound` or `Io` when the file cannot be read; `InvalidInput` when there is no key in it, or something that cannot
    /// be sent. The key is never in the error.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let known = read(&path)?;
        Ok(Self {
            path,
            known: Mutex::new(Some(known)),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[async_trait]
impl CredentialProvider for ApiKeyFile {
    async fn headers(&self) -> Result<HeaderMap> {
        let credentials = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let written = modified(&self.path);
            match &*known {
                Some(current) if current.written == written => current.credentials.clone(),
                _ => {
                    let fresh = read(&self.path)?;
                    known.insert(fresh).credentials.clone()
                }
            }
        };
        credentials.headers().await
    }
}

fn read(path: &Path) -> Result<Known> {
    let in_file = |error: Error| error.context(format!("the API key file {}", path.display()));
    // Before the content: a file that is written in between is read again with the next call.
    let written = modified(path);
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => in_file(Error::new(ErrorKind::InvalidInput, "is not text")),
        _ => in_file(Error::from(error)),
    })?;
    let credentials = StaticCredentials::new().with_bearer_token(text).map_err(in_file)?;
    Ok(Known { written, credentials })
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_key_that_is_replaced_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        std::fs::write(&path, "first\n").unwrap();
        let key = ApiKeyFile::open(&path).unwrap();
        assert_eq!(key.headers().await.unwrap()["authorization"], "Bearer first");
        std::fs::write(&path, "second").unwrap();
        let later = SystemTime::now() + Duration::from_secs(60);
        std::fs::File::open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!(key.headers().await.unwrap()["authorization"], "Bearer second");
        assert!(!format!("{key:?}").contains("second"));
    }

    #[test]
    fn a_file_without_a_key_is_refused_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        for content in [&b""[..], b"two words", b"\xff\xfe"] {
            std::fs::write(&path, content).unwrap();
            let error = ApiKeyFile::open(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(
                error.message().contains("a.key") && !error.message().contains("two words"),
                "{error}"
            );
        }
        assert_eq!(
            ApiKeyFile::open(folder.path().join("none")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}
