//! A sink into an object store: the object is there when it is whole, and not before.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::TryStreamExt;
use lakepilot_query::Result;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::task::{JoinHandle, JoinSet};

use super::encoder::Encoding;
use super::place::Place;
use super::writer::WriterSink;
use super::{BatchSink, SinkSummary};

/// Stores take 10,000 parts of an object and more, so that this is enough for 80 GB.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// The least that S3 takes of every part but the last.
const LEAST_PART_BYTES: usize = 5 * 1024 * 1024;

/// Parts on their way at one time.
const PARTS_AT_A_TIME: usize = 2;

/// How long a store may take to accept the upload: what it answers to is small, and a wrong address is to be told soon. Later
/// requests are tried again for minutes, since there is work to lose then.
const BEGIN_BOUND: Duration = Duration::from_secs(15);

/// How long giving an upload up may take.
const GIVE_UP_BOUND: Duration = Duration::from_secs(5);

/// Encodes batches into an object of a store.
///
/// The upload begins with the run, so that a missing bucket and wrong credentials are told before rows are fetched. The rows
/// go up in parts while the query runs. What makes an object of them comes last, so that nobody sees it before it is whole,
/// and an object of that name stays as it was until then. An error, an abort or a drop gives the parts up; a store keeps those
/// of a process that was killed until its own rules remove them.
pub struct ObjectSink {
    inner: WriterSink<Spool>,
    spool: Spool,
    store: Arc<dyn ObjectStore>,
    path: Path,
    place: Place,
    part_bytes: usize,
    upload: Upload,
}

/// An upload that is not yet an object.
#[derive(Default)]
struct Upload {
    /// The request that begins it: a task, so that a run that is called off meanwhile learns what there is to give up.
    beginning: Option<JoinHandle<object_store::Result<Box<dyn MultipartUpload>>>>,
    parts: Option<Box<dyn MultipartUpload>>,
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
        Self::at(Place::named(name), store, path, format.into())
    }

    pub(super) fn at(place: Place, store: Arc<dyn ObjectStore>, path: Path, format: Encoding) -> Self {
        let spool = Spool::default();
        Self {
            inner: WriterSink::new(spool.clone(), format, place.name()),
            spool,
            store,
            path,
            place,
            part_bytes: PART_BYTES,
            upload: Upload::default(),
        }
    }

    /// Begins the upload, and finds out whether the store takes it.
    async fn begin(&mut self) -> object_store::Result<()> {
        let (store, path) = (Arc::clone(&self.store), self.path.clone());
        let beginning = tokio::spawn(async move { store.put_multipart(&path).await });
        self.upload.began(beginning).await?;
        if self.place.begins_without_asking() {
            ask_for(&self.place, self.store.as_ref(), &self.path).await?;
        }
        Ok(())
    }

    /// Sends what is enough for parts.
    async fn send_parts(&mut self) -> object_store::Result<()> {
        while let Some(part) = self.spool.take(self.part_bytes) {
            self.upload.send(part).await?;
        }
        Ok(())
    }

    /// Sends the rest, and makes an object of all.
    async fn complete(&mut self) -> object_store::Result<()> {
        self.send_parts().await?;
        let rest = std::mem::take(&mut *self.spool.bytes());
        if !rest.is_empty() {
            self.upload.send(rest).await?;
        }
        self.upload.complete().await
    }
}

/// Where beginning an upload asks the store nothing, a look at the name does. Whoever may write may not always list, so that
/// this alone is no reason to fail.
async fn ask_for(place: &Place, store: &dyn ObjectStore, path: &Path) -> object_store::Result<()> {
    match store.list(Some(path)).try_next().await {
        Err(error) if place.is_of_rights(&error) => {
            tracing::debug!(%error, "the place may not be listed");
            Ok(())
        }
        listed => listed.map(drop),
    }
}

impl Upload {
    async fn began(
        &mut self,
        beginning: JoinHandle<object_store::Result<Box<dyn MultipartUpload>>>,
    ) -> object_store::Result<()> {
        let begun = self.beginning.insert(beginning).await;
        self.beginning = None;
        self.parts = Some(begun??);
        Ok(())
    }

    fn parts(&mut self) -> object_store::Result<&mut Box<dyn MultipartUpload>> {
        self.parts.as_mut().ok_or_else(|| object_store::Error::Generic {
            store: "upload",
            source: "the sink was not started, or has ended".into(),
        })
    }

    async fn send(&mut self, part: Vec<u8>) -> object_store::Result<()> {
        while self.sending.len() >= PARTS_AT_A_TIME {
            self.sent().await?;
        }
        let sending = self.parts()?.put_part(PutPayload::from(part));
        self.sending.spawn(sending);
        Ok(())
    }

    /// Waits until one more part has arrived; tells whether one was on its way.
    async fn sent(&mut self) -> object_store::Result<bool> {
        match self.sending.join_next().await {
            None => Ok(false),
            Some(sent) => sent?.map(|()| true),
        }
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        while self.sent().await? {}
        self.parts()?.complete().await?;
        self.parts = None;
        Ok(())
    }

    fn is_under_way(&self) -> bool {
        self.beginning.is_some() || self.parts.is_some()
    }

    async fn give_up(mut self) {
        let giving_up = async {
            self.sending.shutdown().await;
            if let Some(beginning) = self.beginning.take() {
                // One that failed has left nothing.
                self.parts = beginning.await.ok().and_then(Result::ok);
            }
            match &mut self.parts {
                Some(parts) => parts.abort().await.map_err(|error| error.to_string()),
                None => Ok(()),
            }
        };
        let given_up = tokio::time::timeout(GIVE_UP_BOUND, giving_up).await;
        if let Err(reason) = given_up.unwrap_or_else(|_| Err("the store does not answer".to_owned())) {
            tracing::warn!(%reason, "the parts of an object that was given up may stay in the store");
        }
    }
}

impl Drop for ObjectSink {
    fn drop(&mut self) {
        let upload = std::mem::take(&mut self.upload);
        if !upload.is_under_way() {
            return;
        }
        // Without a runtime nothing can be sent any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(upload.give_up());
        }
    }
}

#[async_trait]
impl BatchSink for ObjectSink {
    async fn start(&mut self, schema: SchemaRef) -> Result<()> {
        match tokio::time::timeout(BEGIN_BOUND, self.begin()).await {
            Ok(begun) => begun.map_err(|error| self.place.error(error))?,
            Err(_) => return Err(self.place.silent(BEGIN_BOUND)),
        }
        self.inner.start(schema).await
    }

    async fn write(&mut self, index: u64, batch: RecordBatch) -> Result<()> {
        self.inner.write(index, batch).await?;
        self.send_parts().await.map_err(|error| self.place.error(error))
    }

    async fn finish(&mut self) -> Result<SinkSummary> {
        let summary = self.inner.finish().await?;
        self.complete().await.map_err(|error| self.place.error(error))?;
        Ok(summary)
    }

    async fn abort(&mut self) {
        self.inner.abort().await;
        self.spool.bytes().clear();
        let upload = std::mem::take(&mut self.upload);
        if upload.is_under_way() {
            upload.give_up().await;
        }
    }

    fn limit_memory(&mut self, bytes: usize) {
        self.inner.limit_memory(bytes / 2);
        // One is filled while the others are on their way.
        self.part_bytes = (bytes / 2 / (PARTS_AT_A_TIME + 1)).clamp(LEAST_PART_BYTES, PART_BYTES);
    }

    fn held_bytes(&self) -> usize {
        self.inner.held_bytes() + self.spool.bytes().len() + self.upload.sending.len() * self.part_bytes
    }

    fn keeps_batches(&self) -> bool {
        self.inner.keeps_batches()
    }
}
