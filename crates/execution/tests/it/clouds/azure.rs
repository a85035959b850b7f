//! Azure's blobs, served by Azurite.

use lakepilot_execution::{BatchSink, BatchedExecutor, ExecutionOptions, FileFormat, NoProgress, sink_to_url_with};
use lakepilot_query::ErrorKind;

use super::server::Server;
use super::{batches, writes_what_a_file_has};
use crate::service::{End, Scripted, query};

/// What the environment has for the account of a server.
fn variables(server: &Server, key: &str) -> Vec<(String, String)> {
    let pairs = [
        ("AZURE_STORAGE_ENDPOINT", server.url()),
        ("AZURE_ALLOW_HTTP", "true"),
        ("AZURE_STORAGE_ACCOUNT_NAME", server.text("/account")),
        ("AZURE_STORAGE_ACCOUNT_KEY", key),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

fn sink(server: &Server, url: &str, format: FileFormat) -> Box<dyn BatchSink> {
    sink_to_url_with(url, format, variables(server, server.text("/key"))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_there_when_it_is_whole_and_has_what_a_file_has() {
    let server = Server::azure();
    writes_what_a_file_has(&server, |name, format| {
        sink(&server, &format!("az://lake/{name}"), format)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_fails_leaves_no_blob() {
    let server = Server::azure();
    let executor = BatchedExecutor::new(Scripted::new(batches(), End::WithError), ExecutionOptions::new());
    let mut sink = sink(&server, "az://lake/rows.parquet", FileFormat::Parquet);
    let failed = executor.execute(&query(), sink.as_mut(), &NoProgress).await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(server.objects(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_refuses_is_told_before_rows_with_what_to_do() {
    let server = Server::azure();
    let wrong_key = "bm90IHRoZSBrZXk=";
    for (url, key, kind, advice) in [
        (
            "az://no-lake/rows",
            server.text("/key"),
            ErrorKind::NotFound,
            "such a container",
        ),
        (
            "az://lake/rows",
            wrong_key,
            ErrorKind::PermissionDenied,
            "check AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        ),
    ] {
        let mut sink = sink_to_url_with(url, FileFormat::Parquet, variables(&server, key)).unwrap();
        let error = sink.start(crate::service::schema()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(
            error.message().contains(advice) && error.message().contains(url),
            "{error}"
        );
    }
}
