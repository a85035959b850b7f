//! Logging in with a real provider, and what the Python client makes of the result.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use lakepilot_credentials::{BrowserLogin, OidcCredentials, OidcGrant, OidcSettings, Secret, StoredTokens};
use lakepilot_flight_client::CredentialProvider;
use lakepilot_query::ErrorKind;

use crate::python::{self, Provider};

pub(crate) fn settings(issuer: &str, folder: &std::path::Path) -> OidcSettings {
    OidcSettings {
        issuer: issuer.to_owned(),
        client_id: "lakepilot".to_owned(),
        client_secret: None,
        audience: None,
        scope: "openid email profile offline_access".to_owned(),
        token_file: folder.join("tokens.json"),
        grant: OidcGrant::Person,
    }
}

/// The person and the browser: fills in the form at the URL, and follows where the provider sends it.
async fn log_in(url: &str, form: &str) -> String {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = http::Request::post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(form.to_owned())))
        .unwrap();
    let response = client.request(request).await.unwrap();
    let Some(location) = response.headers().get("location") else {
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        panic!("{status}: {}", String::from_utf8_lossy(&body));
    };
    fetch(location.to_str().unwrap()).await
}

async fn fetch(url: &str) -> String {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client.get(url.parse().unwrap()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// This provider knows no public clients.
fn with_secret(provider: &Provider, folder: &std::path::Path) -> OidcSettings {
    OidcSettings {
        client_secret: Some(Secret::new("hunter2-client")),
        ..settings(&provider.issuer, folder)
    }
}

async fn logged_in(provider: &Provider, folder: &std::path::Path) -> (OidcSettings, StoredTokens) {
    let settings = with_secret(provider, folder);
    let login = BrowserLogin::begin(&settings, 0).await.unwrap();
    let url = login.url().to_owned();
    let finished = tokio::spawn(login.finish(Duration::from_secs(60)));
    let page = log_in(&url, "sub=ann").await;
    assert!(page.contains("You are logged in"), "{page}");
    let stored = finished.await.unwrap().unwrap();
    (settings, stored)
}

#[tokio::test]
async fn a_person_logs_in_and_the_python_client_takes_the_tokens() {
    let provider = Provider::start(3600);
    let folder = tempfile::tempdir().unwrap();
    let (settings, stored) = logged_in(&provider, folder.path()).await;
    let claims = stored.claims().unwrap();
    assert_eq!(claims.subject.as_deref(), Some("ann"));
    assert_eq!(claims.email.as_deref(), Some("ann@example.com"));

    let headers = OidcCredentials::new(settings.clone()).headers().await.unwrap();
    let ours = headers["authorization"]
        .to_str()
        .unwrap()
        .strip_prefix("Bearer ")
        .unwrap()
        .to_owned();
    let file = settings.token_file.to_str().unwrap().to_owned();
    let theirs = tokio::task::spawn_blocking(move || python::run("client.py", &["token", &file], ""))
        .await
        .unwrap();
    assert_eq!(theirs.trim(), ours);
}

#[tokio::test]
async fn a_provider_that_renews_without_an_id_token_is_told_so() {
    let provider = Provider::start(3600);
    let folder = tempfile::tempdir().unwrap();
    let (settings, stored) = logged_in(&provider, folder.path()).await;
    let credentials = OidcCredentials::new(settings);
    let refused = credentials.headers().await.unwrap();
    // This provider takes the refresh token, and gives an access token only, which says nothing of the person.
    let error = credentials.renew(&refused).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("the provider gave no ID token"), "{error}");
    let kept = StoredTokens::read(&folder.path().join("tokens.json")).unwrap().unwrap();
    assert_eq!(kept.token.id_token, stored.token.id_token, "the login is as it was");
}

/// A parameter of the login's URL.
fn parameter(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.unwrap().1.into_owned()
}

#[tokio::test]
async fn a_person_who_refuses_is_told_so() {
    let provider = Provider::start(3600);
    let folder = tempfile::tempdir().unwrap();
    let login = BrowserLogin::begin(&with_secret(&provider, folder.path()), 0)
        .await
        .unwrap();
    let (redirect, state) = (parameter(login.url(), "redirect_uri"), parameter(login.url(), "state"));
    let finished = tokio::spawn(login.finish(Duration::from_secs(60)));
    // As RFC 6749, section 4.1.2.1 says; this provider would leave the state out, and is then not listened to.
    fetch(&format!(
        "{redirect}?error=access_denied&error_description=not+today&state={state}"
    ))
    .await;
    let error = finished.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("access_denied (not today)"), "{error}");
    assert!(!folder.path().join("tokens.json").exists());
}

#[tokio::test]
async fn whoever_does_not_know_the_state_is_not_listened_to() {
    let provider = Provider::start(3600);
    let folder = tempfile::tempdir().unwrap();
    let login = BrowserLogin::begin(&with_secret(&provider, folder.path()), 0)
        .await
        .unwrap();
    let url = login.url().to_owned();
    let redirect = parameter(&url, "redirect_uri");
    assert_eq!(parameter(&url, "code_challenge_method"), "S256");
    let finished = tokio::spawn(login.finish(Duration::from_secs(60)));
    for wrong in ["?code=stolen", "?code=stolen&state=guess", "/other?code=stolen"] {
        let page = fetch(&format!("{redirect}{wrong}")).await;
        assert!(!page.contains("logged in"), "{page}");
    }
    assert!(!finished.is_finished(), "the login still waits");
    log_in(&url, "sub=ann").await;
    finished.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_login_that_nobody_finishes_ends() {
    let provider = Provider::start(3600);
    let folder = tempfile::tempdir().unwrap();
    let login = BrowserLogin::begin(&with_secret(&provider, folder.path()), 0)
        .await
        .unwrap();
    let error = login.finish(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}
