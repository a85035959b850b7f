//! The place that a URL names, and what to do when it takes nothing.

use std::sync::Arc;
use std::time::Duration;

use lakepilot_query::{Error, ErrorKind, Result};
use object_store::ObjectStoreScheme;
use url::Url;

use super::BatchSink;
use super::encoder::Encoding;
use super::file::FileSink;

/// A sink for the place that a URL names: `s3://BUCKET/KEY`, `gs://BUCKET/KEY`, `az://CONTAINER/KEY`, `file:///PATH`.
///
/// What a store needs beside the name (credentials, region, endpoint) comes from the environment, in the names that the
/// [`object_store`] crate documents: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`
/// and so on. A file is a [`FileSink`], and is synced and renamed as such.
///
/// # Errors
/// `InvalidInput` for what is not such a URL, or when the environment lacks something; `Unsupported` for a store that this
/// build does not have (the feature `cloud`); those of [`FileSink::create`]. Whether the store takes the object is found out
/// when the sink is started.
pub fn sink_to_url(url: &str, format: impl Into<Encoding>) -> Result<Box<dyn BatchSink>> {
    let told = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    sink_to_url_with(url, format, std::env::vars_os().filter_map(told))
}

/// The same as [`sink_to_url`] with variables that are given, and not those of the environment.
///
/// # Errors
/// Those of [`sink_to_url`].
pub fn sink_to_url_with(
    url: &str,
    format: impl Into<Encoding>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Box<dyn BatchSink>> {
    let parsed = Url::parse(url).map_err(|error| not_a_place(url).with_source(error))?;
    if parsed.scheme() == "file" {
        let path = parsed.to_file_path().map_err(|()| not_a_place(url))?;
        return Ok(Box::new(FileSink::create(path, format)?));
    }
    let (scheme, path) = ObjectStoreScheme::parse(&parsed).map_err(|error| not_a_place(url).with_source(error))?;
    let kind = match scheme {
        ObjectStoreScheme::AmazonS3 => StoreKind::S3,
        ObjectStoreScheme::GoogleCloudStorage => StoreKind::Google,
        ObjectStoreScheme::MicrosoftAzure => StoreKind::Azure,
        _ => return Err(not_a_place(url)),
    };
    if path.as_ref().is_empty() || url.ends_with('/') {
        return Err(not_a_place(url));
    }
    in_store(&parsed, kind, path, format.into(), variables)
}

#[cfg(feature = "cloud")]
fn in_store(
    url: &Url,
    kind: StoreKind,
    path: object_store::path::Path,
    format: Encoding,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Box<dyn BatchSink>> {
    let variables = super::cloud::Variables::of(kind, variables);
    variables.refuse_plain_text(url)?;
    let store = variables.open(url).map_err(|error| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("the store of {url} cannot be set up from the environment"),
        )
        .with_source(error)
    })?;
    let place = Place {
        name: url.as_str().into(),
        kind: Some(kind),
        without_credentials: !variables.have_credentials(),
    };
    Ok(Box::new(super::object::ObjectSink::at(place, store, path, format)))
}

#[cfg(not(feature = "cloud"))]
fn in_store(
    url: &Url,
    _kind: StoreKind,
    _path: object_store::path::Path,
    _format: Encoding,
    _variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Box<dyn BatchSink>> {
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("cannot write {url}: this build has no object stores; build it with the feature cloud"),
    ))
}

fn not_a_place(url: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!(
            "'{url}' names no place to write to: use s3://BUCKET/KEY, gs://BUCKET/KEY, az://CONTAINER/KEY or file:///PATH"
        ),
    )
}

/// The stores that are reached by the names of their own variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreKind {
    S3,
    Google,
    Azure,
}

impl StoreKind {
    fn bucket(self) -> &'static str {
        match self {
            Self::S3 | Self::Google => "bucket",
            Self::Azure => "container",
        }
    }

    fn credentials(self) -> &'static str {
        match self {
            Self::S3 => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            Self::Google => "GOOGLE_SERVICE_ACCOUNT (a file)",
            Self::Azure => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        }
    }

    fn address(self) -> &'static str {
        match self {
            Self::S3 => "AWS_REGION, AWS_ENDPOINT",
            Self::Google => "the service account",
            Self::Azure => "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ENDPOINT",
        }
    }
}

/// The codes of Azure, and of Azurite, for a key that is wrong.
const REFUSALS: [&str; 2] = ["AuthenticationFailed", "AuthorizationFailure"];

/// Where an object goes, as errors tell of it.
pub(super) struct Place {
    name: Arc<str>,
    /// `None` for a store that a caller has made.
    kind: Option<StoreKind>,
    /// Whether the store was set up without credentials, so that it asks the machine for some.
    without_credentials: bool,
}

impl Place {
    pub(super) fn named(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            kind: None,
            without_credentials: false,
        }
    }

    pub(super) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Whether an upload begins without a request: a block of Azure needs none before it.
    pub(super) fn begins_without_asking(&self) -> bool {
        self.kind == Some(StoreKind::Azure)
    }

    /// Whether what was asked is refused to who asks for it, while it may be known who that is.
    pub(super) fn is_of_rights(&self, error: &object_store::Error) -> bool {
        let rights = ["AuthorizationPermissionMismatch", "InsufficientAccountPermissions"];
        rights.iter().any(|code| has_code(error, code))
    }

    fn kind_of(&self, error: &object_store::Error) -> ErrorKind {
        match error {
            object_store::Error::NotFound { .. } => ErrorKind::NotFound,
            object_store::Error::PermissionDenied { .. } => ErrorKind::PermissionDenied,
            object_store::Error::Unauthenticated { .. } => ErrorKind::Unauthenticated,
            object_store::Error::NotSupported { .. } | object_store::Error::NotImplemented { .. } => {
                ErrorKind::Unsupported
            }
            object_store::Error::InvalidPath { .. } => ErrorKind::InvalidInput,
            _ if has_code(error, "ContainerNotFound") => ErrorKind::NotFound,
            _ if REFUSALS.iter().any(|code| has_code(error, code)) || self.is_of_rights(error) => {
                ErrorKind::PermissionDenied
            }
            _ => ErrorKind::Io,
        }
    }

    pub(super) fn error(&self, error: object_store::Error) -> Error {
        let kind = self.kind_of(&error);
        Error::new(kind, format!("cannot write {}{}", self.name, self.advice(kind))).with_source(error)
    }

    /// The error for a store that does not answer.
    pub(super) fn silent(&self, bound: Duration) -> Error {
        Error::new(
            ErrorKind::TimedOut,
            format!(
                "cannot write {}: the store does not answer within {} s{}",
                self.name,
                bound.as_secs(),
                self.advice(ErrorKind::TimedOut)
            ),
        )
    }

    /// What to do about an error of a kind.
    fn advice(&self, error: ErrorKind) -> String {
        let Some(kind) = self.kind else { return String::new() };
        let (bucket, credentials, address) = (kind.bucket(), kind.credentials(), kind.address());
        match error {
            ErrorKind::NotFound => format!("; is there such a {bucket}, and is it there ({address})?"),
            ErrorKind::Io | ErrorKind::TimedOut | ErrorKind::PermissionDenied | ErrorKind::Unauthenticated
                if self.without_credentials =>
            {
                format!("; the environment has no credentials: set {credentials}")
            }
            ErrorKind::PermissionDenied | ErrorKind::Unauthenticated => {
                format!("; check {credentials}, and that they may write into the {bucket}")
            }
            ErrorKind::Io | ErrorKind::TimedOut => format!("; check its address ({address}) and the network"),
            _ => String::new(),
        }
    }
}

/// Whether the answer of a store has a code of its own. What fails to be listed in Azure is an error of no kind, which has
/// the answer in its text.
fn has_code(error: &object_store::Error, code: &str) -> bool {
    error.to_string().contains(&format!("<Code>{code}</Code>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(without_credentials: bool) -> Place {
        Place {
            name: "s3://bucket/rows".into(),
            kind: Some(StoreKind::S3),
            without_credentials,
        }
    }

    #[test]
    fn an_error_says_what_to_do() {
        let refused = || object_store::Error::PermissionDenied {
            path: "rows".to_owned(),
            source: "no".into(),
        };
        for (told, words) in [
            (place(false).error(refused()), "check AWS_ACCESS_KEY_ID"),
            (
                place(true).error(refused()),
                "has no credentials: set AWS_ACCESS_KEY_ID",
            ),
            (
                place(false).silent(Duration::from_secs(15)),
                "within 15 s; check its address (AWS_REGION",
            ),
            (
                Place::named("s3://bucket/rows").error(refused()),
                "cannot write s3://bucket/rows",
            ),
        ] {
            assert!(told.message().starts_with("cannot write s3://bucket/rows"), "{told}");
            assert!(told.message().contains(words), "{told}");
        }
        let missing = object_store::Error::NotFound {
            path: "rows".to_owned(),
            source: "no".into(),
        };
        assert_eq!(
            place(false).error(missing).message(),
            "cannot write s3://bucket/rows; is there such a bucket, and is it there (AWS_REGION, AWS_ENDPOINT)?"
        );
    }
}
