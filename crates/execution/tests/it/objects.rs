//! Object stores: an object is there when it is whole, and what was given up leaves nothing.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::ipc::reader::StreamReader;
use async_trait::async_trait;
use futures::TryStreamExt;
use futures::stream::BoxStream;
#[cfg(feature = "cloud")]
use lakepilot_execution::sink_to_url_with;
use lakepilot_execution::{
    BatchSink, BatchedExecutor, ExecutionOptions, FileFormat, NoProgress, ObjectSink, sink_to_url,
};
use lakepilot_query::ErrorKind;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, UploadPart,
};

use crate::service::{End, Scripted, query};

/// A store that counts its parts, and fails at one of them when it is told to.
#[derive(Clone, Debug)]
struct Watched {
    inner: Arc<InMemory>,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    parts: AtomicUsize,
    aborted: AtomicBool,
    /// The part that fails, from 1; none when 0.
    fails_at: AtomicUsize,
}

impl Watched {
    fn new() -> Self {
        Self {
            inner: Arc::new(InMemory::new()),
            seen: Arc::default(),
        }
    }

    fn sink(&self) -> ObjectSink {
        ObjectSink::new(
            Arc::new(self.clone()),
            path(),
            FileFormat::ArrowStream,
            "s3://bucket/rows.arrows",
        )
    }

    async fn names(&self) -> Vec<String> {
        let listed: Vec<_> = self.inner.list(None).try_collect().await.unwrap();
        listed.into_iter().map(|object| object.location.to_string()).collect()
    }
}

fn path() -> Path {
    Path::from("rows.arrows")
}

impl std::fmt::Display for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("watched")
    }
}

#[derive(Debug)]
struct WatchedUpload {
    inner: Box<dyn MultipartUpload>,
    seen: Arc<Seen>,
}

#[async_trait]
impl MultipartUpload for WatchedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let part = self.seen.parts.fetch_add(1, Ordering::SeqCst) + 1;
        if part == self.seen.fails_at.load(Ordering::SeqCst) {
            return Box::pin(async {
                Err(object_store::Error::PermissionDenied {
                    path: "rows.arrows".to_owned(),
                    source: "the quota is used up".into(),
                })
            });
        }
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> object_store::Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        self.seen.aborted.store(true, Ordering::SeqCst);
        self.inner.abort().await
    }
}

#[async_trait]
impl ObjectStore for Watched {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(WatchedUpload {
            inner: self.inner.put_multipart_opts(location, opts).await?,
            seen: Arc::clone(&self.seen),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Three megabytes of text.
fn batch(number: u64) -> RecordBatch {
    let texts = (0..3_000).map(|row| format!("{number} {row:01000}"));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    RecordBatch::try_from_iter([("text", texts)]).unwrap()
}

async fn read(store: &InMemory) -> Vec<RecordBatch> {
    let bytes = store.get(&path()).await.unwrap().bytes().await.unwrap();
    let reader = StreamReader::try_new(Cursor::new(bytes), None).unwrap();
    reader.map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_large_object_goes_up_in_parts_and_appears_when_it_is_whole() {
    let store = Watched::new();
    let mut sink = store.sink();
    // Small parts, so that some go up before the end.
    sink.limit_memory(20_000_000);
    sink.start(batch(0).schema()).await.unwrap();
    let batches: Vec<_> = (0..5).map(batch).collect();
    for (index, batch) in batches.iter().enumerate() {
        sink.write(index as u64, batch.clone()).await.unwrap();
        assert!(store.names().await.is_empty(), "the object is there before it is whole");
    }
    let before_the_end = store.seen.parts.load(Ordering::SeqCst);
    assert!(before_the_end >= 1, "nothing goes up before the end");
    assert!(sink.held_bytes() < 30_000_000, "{}", sink.held_bytes());
    let written = sink.finish().await.unwrap().bytes_written;
    assert_eq!(store.inner.head(&path()).await.unwrap().size, written);
    assert_eq!(read(&store.inner).await, batches);
    assert!(!store.seen.aborted.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_small_object_is_one_part_and_replaces_the_one_before() {
    let store = Watched::new();
    store.inner.put(&path(), PutPayload::from_static(b"old")).await.unwrap();
    let mut sink = store.sink();
    sink.start(batch(0).schema()).await.unwrap();
    sink.write(0, batch(1).slice(0, 10)).await.unwrap();
    sink.finish().await.unwrap();
    assert_eq!(store.seen.parts.load(Ordering::SeqCst), 1);
    assert_eq!(read(&store.inner).await, [batch(1).slice(0, 10)]);
}

/// Writes batches that take several parts; the fourth may be the one that fails.
async fn write_several(sink: &mut ObjectSink) -> lakepilot_query::Result<()> {
    sink.limit_memory(20_000_000);
    sink.start(batch(0).schema()).await?;
    for index in 0..5 {
        sink.write(index, batch(index)).await?;
    }
    sink.finish().await?;
    Ok(())
}

#[tokio::test]
async fn a_part_that_fails_names_the_object_and_leaves_the_one_before() {
    let store = Watched::new();
    store.inner.put(&path(), PutPayload::from_static(b"old")).await.unwrap();
    store.seen.fails_at.store(2, Ordering::SeqCst);
    let mut sink = store.sink();
    let error = write_several(&mut sink).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.message().contains("s3://bucket/rows.arrows"), "{error}");
    sink.abort().await;
    assert!(store.seen.aborted.load(Ordering::SeqCst));
    let kept = store.inner.get(&path()).await.unwrap().bytes().await.unwrap();
    assert_eq!(kept, "old".as_bytes());
}

#[tokio::test]
async fn a_sink_that_is_dropped_gives_its_parts_up() {
    let store = Watched::new();
    let mut sink = store.sink();
    sink.limit_memory(20_000_000);
    sink.start(batch(0).schema()).await.unwrap();
    for index in 0..5 {
        sink.write(index, batch(index)).await.unwrap();
    }
    assert!(store.seen.parts.load(Ordering::SeqCst) > 0);
    drop(sink);
    let given_up = async {
        while !store.seen.aborted.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), given_up)
        .await
        .expect("the parts stay");
    assert!(store.names().await.is_empty());
}

#[tokio::test]
async fn a_query_that_fails_leaves_no_object() {
    let store = Watched::new();
    let service = Scripted::new(vec![crate::service::batch(0, 10)], End::WithError);
    let executor = BatchedExecutor::new(service, ExecutionOptions::new());
    let error = executor.execute(&query(), &mut store.sink(), &NoProgress).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Internal);
    assert!(store.names().await.is_empty());
}

#[tokio::test]
async fn a_file_url_is_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rows of today.ndjson");
    let url = url::Url::from_file_path(&file).unwrap();
    let mut sink = sink_to_url(url.as_str(), FileFormat::Ndjson).unwrap();
    sink.start(crate::service::schema()).await.unwrap();
    sink.write(0, crate::service::batch(0, 3)).await.unwrap();
    assert!(!file.exists(), "the file is there before it is whole");
    sink.finish().await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 3);
}

#[test]
fn places_that_are_none_are_told() {
    for url in [
        "rows.arrows",
        "ftp://host/rows",
        "memory:///rows",
        "s3://bucket",
        "s3://bucket/",
        "s3://bucket/folder/",
        "file://host/rows",
    ] {
        let error = sink_to_url(url, FileFormat::Parquet).err().expect(url);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}: {error}");
        assert!(error.message().contains(url), "{error}");
    }
}

#[cfg(feature = "cloud")]
#[test]
fn an_address_without_tls_has_to_be_meant() {
    let variables = |meant: bool| {
        let endpoint = ("AWS_ENDPOINT".to_owned(), "http://127.0.0.1:9000".to_owned());
        std::iter::once(endpoint).chain(meant.then(|| ("AWS_ALLOW_HTTP".to_owned(), "true".to_owned())))
    };
    let open = |meant| sink_to_url_with("s3://bucket/rows", FileFormat::Parquet, variables(meant));
    assert!(open(true).is_ok());
    let error = open(false).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.message().contains("set AWS_ALLOW_HTTP=true"), "{error}");
}

#[cfg(not(feature = "cloud"))]
#[test]
fn a_store_that_this_build_does_not_have_is_told() {
    for url in ["s3://bucket/rows", "gs://bucket/rows", "az://container/rows"] {
        let error = sink_to_url(url, FileFormat::Parquet).err().expect(url);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("feature cloud"), "{error}");
    }
}
