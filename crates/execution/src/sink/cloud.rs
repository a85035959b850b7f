//! The stores of the clouds, set up from variables.

use std::sync::Arc;

use lakepilot_query::{Error, ErrorKind, Result};
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use url::Url;

use super::place::StoreKind;

/// The variables that are about a store. Names that only mean something to others, such as `REGION` or `TOKEN`, are none.
pub(super) struct Variables {
    kind: StoreKind,
    /// In lower case, as the builders know them.
    named: Vec<(String, String)>,
}

impl Variables {
    pub(super) fn of(kind: StoreKind, all: impl IntoIterator<Item = (String, String)>) -> Self {
        let named = all
            .into_iter()
            .filter(|(name, value)| name.starts_with(prefix(kind)) && !value.is_empty())
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        Self { kind, named }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.named.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether something is there that says who asks; the store asks the machine that it runs on otherwise.
    pub(super) fn have_credentials(&self) -> bool {
        let names: &[&str] = match self.kind {
            StoreKind::S3 => &[
                "aws_access_key_id",
                "aws_web_identity_token_file",
                "aws_container_credentials_relative_uri",
                "aws_container_credentials_full_uri",
                "aws_skip_signature",
            ],
            StoreKind::Google => &[
                "google_service_account",
                "google_service_account_path",
                "google_service_account_key",
                "google_application_credentials",
                "google_skip_signature",
            ],
            StoreKind::Azure => &[
                "azure_storage_account_key",
                "azure_storage_access_key",
                "azure_storage_master_key",
                "azure_storage_sas_key",
                "azure_storage_sas_token",
                "azure_storage_token",
                "azure_client_secret",
                "azure_storage_client_secret",
                "azure_federated_token_file",
                "azure_use_azure_cli",
                "azure_storage_use_emulator",
                "azure_skip_signature",
            ],
        };
        names.iter().any(|name| self.get(name).is_some())
    }

    /// An address without TLS is taken when that is said, and is refused by the client in the middle of a request otherwise.
    pub(super) fn refuse_plain_text(&self, url: &Url) -> Result<()> {
        let prefix = prefix(self.kind).to_ascii_lowercase();
        if self.get(&format!("{prefix}allow_http")).is_some() {
            return Ok(());
        }
        let plain = self.named.iter().find(|(name, value)| {
            (name.contains("endpoint") || name.contains("base_url")) && value.starts_with("http://")
        });
        match plain {
            None => Ok(()),
            Some((name, value)) => Err(Error::new(
                ErrorKind::InvalidInput,
                format!(
                    "cannot write {url}: {} is {value}, without TLS; use https, or set {}=true when that is meant",
                    name.to_ascii_uppercase(),
                    format!("{prefix}allow_http").to_ascii_uppercase()
                ),
            )),
        }
    }

    /// The store of the bucket that a URL names.
    pub(super) fn open(&self, url: &Url) -> object_store::Result<Arc<dyn ObjectStore>> {
        match self.kind {
            StoreKind::S3 => {
                let known = self.known(
                    AmazonS3Builder::new().with_url(url.as_str()),
                    AmazonS3Builder::with_config,
                );
                Ok(Arc::new(known.build()?))
            }
            StoreKind::Google => {
                let builder = GoogleCloudStorageBuilder::new().with_url(url.as_str());
                Ok(Arc::new(
                    self.known(builder, GoogleCloudStorageBuilder::with_config).build()?,
                ))
            }
            StoreKind::Azure => {
                let builder = MicrosoftAzureBuilder::new().with_url(url.as_str());
                Ok(Arc::new(
                    self.known(builder, MicrosoftAzureBuilder::with_config).build()?,
                ))
            }
        }
    }

    /// A builder with the variables that it knows.
    fn known<B, K: std::str::FromStr>(&self, builder: B, with: fn(B, K, String) -> B) -> B {
        self.named
            .iter()
            .fold(builder, |builder, (name, value)| match name.parse() {
                Ok(key) => with(builder, key, value.clone()),
                Err(_) => builder,
            })
    }
}

fn prefix(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::S3 => "AWS_",
        StoreKind::Google => "GOOGLE_",
        StoreKind::Azure => "AZURE_",
    }
}
