//! S3, served by moto, with its check of credentials.

use std::sync::Arc;
use std::time::Duration;

use lakepilot_execution::{BatchSink, BatchedExecutor, ExecutionOptions, FileFormat, NoProgress, sink_to_url_with};
use lakepilot_query::{ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use super::server::Server;
use super::{MEMORY_BYTES, batch, batches, until, write, writes_what_a_file_has};
use crate::service::{End, Scripted, query};

const URL: &str = "s3://lake/some/rows.arrows";

/// What the environment has for a user of a server.
fn variables(server: &Server, user: &str) -> Vec<(String, String)> {
    let pairs = [
        ("AWS_ENDPOINT", server.url()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", server.text(&format!("/users/{user}/id"))),
        ("AWS_SECRET_ACCESS_KEY", server.text(&format!("/users/{user}/secret"))),
        // Those of others, which mean nothing here.
        ("TOKEN", "of another"),
        ("ENDPOINT", "http://127.0.0.1:1"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

fn sink(server: &Server, url: &str) -> Box<dyn BatchSink> {
    let mut sink = sink_to_url_with(url, FileFormat::ArrowStream, variables(server, "writer")).unwrap();
    sink.limit_memory(MEMORY_BYTES);
    sink
}

fn assert_nothing_is_left(server: &Server) {
    assert_eq!(server.objects(), [""; 0]);
    assert_eq!(server.uploads(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_in_parts_is_there_when_it_is_whole_and_has_what_a_file_has() {
    let server = Server::s3();
    writes_what_a_file_has(&server, |name, format| {
        sink_to_url_with(&format!("s3://lake/{name}"), format, variables(&server, "writer")).unwrap()
    })
    .await;
    // S3 tells the number of parts behind the checksum of an object.
    let etag = server.ask("etag some/rows.parquet");
    let parts = etag
        .as_str()
        .unwrap()
        .trim_matches('"')
        .split_once('-')
        .map(|(_, parts)| parts.parse::<u32>().unwrap());
    assert!(parts.is_some_and(|parts| parts >= 2), "{etag}");
    assert_eq!(server.uploads(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_no_rows_is_an_object() {
    let server = Server::s3();
    let mut sink = sink_to_url_with(
        "s3://lake/none.ndjson",
        FileFormat::Ndjson,
        variables(&server, "writer"),
    )
    .unwrap();
    sink.start(crate::service::schema()).await.unwrap();
    sink.finish().await.unwrap();
    assert_eq!(server.objects(), ["none.ndjson"]);
    assert_eq!(server.uploads(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_replaced_by_one_that_is_whole_and_only_by_that() {
    let server = Server::s3();
    write(sink(&server, URL).as_mut(), || ()).await.unwrap();
    let first = server.ask("etag some/rows.arrows");
    let executor = BatchedExecutor::new(Scripted::new(batches(), End::WithError), ExecutionOptions::new());
    let failed = executor
        .execute(&query(), sink(&server, URL).as_mut(), &NoProgress)
        .await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(server.ask("etag some/rows.arrows"), first);
    let executor = BatchedExecutor::new(Scripted::new(vec![batch(9)], End::Well), ExecutionOptions::new());
    executor
        .execute(&query(), sink(&server, URL).as_mut(), &NoProgress)
        .await
        .unwrap();
    assert_ne!(server.ask("etag some/rows.arrows"), first);
    assert_eq!(server.uploads(), [""; 0]);
}

/// Runs a query that never ends until parts of it are on their way, and ends it in some way.
async fn called_off(server: &Server, end: impl AsyncFnOnce(CancellationToken, tokio::task::JoinHandle<Result<()>>)) {
    let service = Scripted::new(batches(), End::Never);
    let token = CancellationToken::new();
    let options = ExecutionOptions::new()
        .with_batch_size(lakepilot_execution::BatchSize::AsReceived)
        .with_cancellation(token.clone());
    let mut sink = sink(server, URL);
    let seen = Arc::clone(&service.seen);
    let run = tokio::spawn(async move {
        let executor = BatchedExecutor::new(service, options);
        executor.execute(&query(), sink.as_mut(), &NoProgress).await.map(drop)
    });
    let all = batches().len() as u64;
    until("an upload", || {
        seen.taken.load(std::sync::atomic::Ordering::SeqCst) == all && !server.uploads().is_empty()
    })
    .await;
    end(token, run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_called_off_leaves_no_object_and_no_upload() {
    let server = Server::s3();
    called_off(&server, async |token, run| {
        token.cancel();
        assert_eq!(run.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    })
    .await;
    assert_nothing_is_left(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_dropped_leaves_no_object_and_no_upload() {
    let server = Server::s3();
    called_off(&server, async |_, run| run.abort()).await;
    until("giving up", || server.uploads().is_empty()).await;
    assert_nothing_is_left(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_fails_leaves_no_object_and_no_upload() {
    let server = Server::s3();
    let executor = BatchedExecutor::new(Scripted::new(batches(), End::WithError), ExecutionOptions::new());
    let failed = executor
        .execute(&query(), sink(&server, URL).as_mut(), &NoProgress)
        .await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Internal);
    assert_nothing_is_left(&server);
}

/// The error of a run into a place; no row of it was written.
async fn refused(url: &str, variables: Vec<(String, String)>) -> lakepilot_query::Error {
    let mut sink = sink_to_url_with(url, FileFormat::Parquet, variables).unwrap();
    let executor = BatchedExecutor::new(Scripted::new(batches(), End::Never), ExecutionOptions::new());
    // The query never ends, so that an error at its end is none.
    let query = query();
    let run = executor.execute(&query, sink.as_mut(), &NoProgress);
    let ended = tokio::time::timeout(Duration::from_secs(60), run);
    let error = ended.await.expect("the run does not end").unwrap_err();
    assert!(error.message().contains(url), "{error}");
    error
}

fn with(mut variables: Vec<(String, String)>, name: &str, value: &str) -> Vec<(String, String)> {
    variables.retain(|(known, _)| known != name);
    variables.push((name.to_owned(), value.to_owned()));
    variables
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_refuses_is_told_before_rows_with_what_to_do() {
    let server = Server::s3();
    let writer = || variables(&server, "writer");
    for (what, url, variables, kind, advice) in [
        (
            "no such bucket",
            "s3://no-lake/rows",
            writer(),
            ErrorKind::NotFound,
            "such a bucket",
        ),
        (
            "an unknown key",
            URL,
            with(writer(), "AWS_ACCESS_KEY_ID", "AKIA0000000000000000"),
            ErrorKind::PermissionDenied,
            "check AWS_ACCESS_KEY_ID",
        ),
        (
            "a wrong secret",
            URL,
            with(writer(), "AWS_SECRET_ACCESS_KEY", "not-the-secret"),
            ErrorKind::PermissionDenied,
            "check AWS_ACCESS_KEY_ID",
        ),
        (
            "one who may not write",
            URL,
            variables(&server, "stranger"),
            ErrorKind::PermissionDenied,
            "may write into the bucket",
        ),
    ] {
        let error = refused(url, variables).await;
        assert_eq!(error.kind(), kind, "{what}: {error:?}");
        assert!(error.message().contains(advice), "{what}: {error}");
        let all = format!("{error:?} {error}");
        assert!(!all.contains("not-the-secret"), "{what} tells the secret");
    }
    assert_nothing_is_left(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_is_told_soon() {
    let server = Server::s3();
    // Nobody listens there any more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = refused(URL, with(variables(&server, "writer"), "AWS_ENDPOINT", &closed)).await;
    assert!(matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Io), "{error:?}");
    assert!(error.message().contains("AWS_ENDPOINT"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_google_make_an_object_too() {
    let server = Server::open_s3();
    let url = server.url();
    let account = format!(
        r#"{{"gcs_base_url": "{url}", "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": ""}}"#
    );
    let variables = || {
        let pairs = [
            ("GOOGLE_SERVICE_ACCOUNT_KEY", account.as_str()),
            ("GOOGLE_ALLOW_HTTP", "true"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    writes_what_a_file_has(&server, |name, format| {
        sink_to_url_with(&format!("gs://lake/{name}"), format, variables()).unwrap()
    })
    .await;
    let mut given_up = sink_to_url_with("gs://lake/none", FileFormat::Csv, variables()).unwrap();
    given_up.start(crate::service::schema()).await.unwrap();
    assert_eq!(server.uploads(), ["none"]);
    given_up.abort().await;
    assert_eq!(server.uploads(), [""; 0]);
}
