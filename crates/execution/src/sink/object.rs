//! A sink into an object store: the object is there when it is whole, and not before.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use lakepilot_query::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, ObjectStoreScheme, PutPayload};
use tokio::task::JoinSet;
use url::Url;

use super::encoder::Encoding;
use super::file::FileSink;
use super::writer::WriterSink;
use super::{BatchSink, SinkSummary};

/// Stores take 10,000 parts of an object and more, so that this is enough for 80 GB.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// The least that S3 takes of every part but the last.
const LEAST_PART_BYTES: usize = 5 * 1024 * 1024;

/// Parts on their way at one time.
const PARTS_AT_A_TIME: usize = 2;

/// A sink for the place that a URL names: `s3://BUCKET/KEY`, `gs://BUCKET/KEY`, `az://CONTAINER/KEY`, `file:///PATH`.
///
/// What a store needs beside the name (credentials, region, endpoint) comes from the environment, in the names that the
/// [`object_store`] crate documents: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`
/// and so on. A file is a [`FileSink`], and is synced and renamed as such.
///
/// # Errors
/// `InvalidInput` for what is not such a URL, or when the environment lacks something; `Unsupported` for a store that this
/// build does not have (the feature `cloud`); those of [`FileSink::create`].
pub fn sink_to_url(url: &str, format: impl Into<Encoding>) -> Result<Box<dyn BatchSink>> {
    let parsed = Url::parse(url).map_err(|error| not_a_place(url).with_source(error))?;
    if parsed.scheme() == "file" {
        let path = parsed.to_file_path().map_err(|()| not_a_place(url))?;
        return Ok(Box::new(FileSink::create(path, format)?));
    }
    let (scheme, path) = ObjectStoreScheme::parse(&parsed).map_err(|error| not_a_place(url).with_source(error))?;
    let is_cloud = matches!(
        scheme,
        ObjectStoreScheme::AmazonS3 | ObjectStoreScheme::GoogleCloudStorage | ObjectStoreScheme::MicrosoftAzure
    );
    if !is_cloud || path.as_ref().is_empty() {
        return Err(not_a_place(url));
    }
    if !cfg!(feature = "cloud") {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("cannot write {url}: this build has no object stores; build it with the feature cloud"),
        ));
    }
    let (store, path) = object_store::parse_url_opts(&parsed, std::env::vars()).map_err(|error| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("the store of {url} cannot be set up from the environment"),
        )
        .with_source(error)
    })?;
    Ok(Box::new(ObjectSink::new(Arc::from(store), path, format, url)))
}

fn not_a_place(url: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!(
            "'{url}' names no place to write to: use s3://BUCKET/KEY, gs://BUCKET/KEY, az://CONTAINER/KEY or file:///PATH"
        ),
    )
}

/// Encodes batches into an object of a store.
///
/// The rows go up in parts while the query runs. What makes an object of them comes last, so that nobody sees it before it
/// is whole, and an object of that name stays as it was until then. An error, an abort or a drop gives the parts up; a store
/// keeps those of a process that was killed until its own rules remove them.
pub struct ObjectSink {
    inner: WriterSink<Spool>,
    spool: Spool,
    store: Arc<dyn ObjectStore>,
    path: Path,
    name: Arc<str>,
    part_bytes: usize,
    /// Begun with the first part; an object of less than one is put as it is.
    upload: Option<Upload>,
}

/// An upload that is not yet an object.
struct Upload {
    parts: Box<dyn MultipartUpload>,
    sending: JoinSet<object_store::Result<()>>,
}

/// What was encoded and is not on its way yet.
#[derive(Clone, Default)]
struct Spool(Arc<Mutex<Vec<u8>>>);

impl Spool {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first so many bytes, if there are as many.
    fn take(&self, bytes: usize) -> Option<Vec<u8>> {
        let mut spooled = self.bytes();
        if spooled.len() < bytes {
            return None;
        }
        let rest = spooled.split_off(bytes);
        Some(std::mem::replace(&mut spooled, rest))
    }
}

impl Write for Spool {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ObjectSink {
    /// A sink into the object at `path` of a store, which errors call `name`. The object is replaced when it exists.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        path: Path,
        format: impl Into<Encoding>,
        name: impl Into<Arc<str>>,
    ) -> Self {
        let (name, spool) = (name.into(), Spool::default());
        Self {
            inner: WriterSink::new(spool.clone(), format, Arc::clone(&name)),
            spool,
            store,
            path,
            name,
            part_bytes: PART_BYTES,
            upload: None,
        }
    }

    /// Sends what is enough for parts.
    async fn send_parts(&mut self) -> object_store::Result<()> {
        while let Some(part) = self.spool.take(self.part_bytes) {
            self.send(part).await?;
        }
        Ok(())
    }

    async fn send(&mut self, part: Vec<u8>) -> object_store::Result<()> {
        let upload = match &mut self.upload {
            Some(upload) => upload,
            begun => begun.insert(Upload {
                parts: self.store.put_multipart(&self.path).await?,
                sending: JoinSet::new(),
            }),
        };
        while upload.sending.len() >= PARTS_AT_A_TIME {
            upload.sent().await?;
        }
        upload.sending.spawn(upload.parts.put_part(PutPayload::from(part)));
        Ok(())
    }

    /// Sends the rest, and makes an object of all.
    async fn complete(&mut self) -> object_store::Result<()> {
        self.send_parts().await?;
        let rest = std::mem::take(&mut *self.spool.bytes());
        if self.upload.is_none() {
            self.store.put(&self.path, PutPayload::from(rest)).await?;
            return Ok(());
        }
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        if let Some(upload) = &mut self.upload {
            while upload.sent().await? {}
            upload.parts.complete().await?;
        }
        self.upload = None;
        Ok(())
    }

    fn error(&self, error: object_store::Error) -> Error {
        let kind = match &error {
            object_store::Error::NotFound { .. } => ErrorKind::NotFound,
            object_store::Error::PermissionDenied { .. } => ErrorKind::PermissionDenied,
            object_store::Error::Unauthenticated { .. } => ErrorKind::Unauthenticated,
            object_store::Error::NotSupported { .. } | object_store::Error::NotImplemented { .. } => {
                ErrorKind::Unsupported
            }
            object_store::Error::InvalidPath { .. } => ErrorKind::InvalidInput,
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("cannot write {}", self.name)).with_source(error)
    }
}

impl Upload {
    /// Waits until one more part has arrived; tells whether one was on its way.
    async fn sent(&mut self) -> object_store::Result<bool> {
        match self.sending.join_next().await {
            None => Ok(false),
            Some(Ok(sent)) => sent.map(|()| true),
            Some(Err(source)) => Err(object_store::Error::JoinError { source }),
        }
    }

    async fn give_up(mut self) {
        self.sending.shutdown().await;
        if let Err(error) = self.parts.abort().await {
            tracing::warn!(%error, "the parts of an object that was given up may stay in the store");
        }
    }
}

impl Drop for ObjectSink {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        // Without a runtime nothing can be sent any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(upload.give_up());
        }
    }
}

#[async_trait]
impl BatchSink for ObjectSink {
    async fn start(&mut self, schema: SchemaRef) -> Result<()> {
        self.inner.start(schema).await
    }

    async fn write(&mut self, index: u64, batch: RecordBatch) -> Result<()> {
        self.inner.write(index, batch).await?;
        self.send_parts().await.map_err(|error| self.error(error))
    }

    async fn finish(&mut self) -> Result<SinkSummary> {
        let summary = self.inner.finish().await?;
        self.complete().await.map_err(|error| self.error(error))?;
        Ok(summary)
    }

    async fn abort(&mut self) {
        self.inner.abort().await;
        self.spool.bytes().clear();
        if let Some(upload) = self.upload.take() {
            upload.give_up().await;
        }
    }

    fn limit_memory(&mut self, bytes: usize) {
        self.inner.limit_memory(bytes / 2);
        // One is filled while the others are on their way.
        self.part_bytes = (bytes / 2 / (PARTS_AT_A_TIME + 1)).clamp(LEAST_PART_BYTES, PART_BYTES);
    }

    fn held_bytes(&self) -> usize {
        let sending = self.upload.as_ref().map_or(0, |upload| upload.sending.len());
        self.inner.held_bytes() + self.spool.bytes().len() + sending * self.part_bytes
    }

    fn most_batch_bytes(&self) -> Option<usize> {
        self.inner.most_batch_bytes()
    }
}
