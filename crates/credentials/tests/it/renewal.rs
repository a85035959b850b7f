//! Tokens over time: when they are renewed, when not, and what is said when they cannot be.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use lakepilot_credentials::{
    ClientCredentials, OidcCredentials, OidcSettings, Secret, StoredTokens, login_with_device_code,
};
use lakepilot_flight_client::CredentialProvider;
use lakepilot_query::{ErrorKind, FixedClock};
use serde_json::json;

use crate::provider::settings;
use crate::small_provider::{SmallProvider, id_token};

fn now() -> DateTime<Utc> {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn stored(settings: &OidcSettings, token: &str) {
    let stored: StoredTokens = serde_json::from_value(json!({
        "issuer": settings.issuer, "client_id": settings.client_id,
        "token": {"access_token": "hunter2-access", "id_token": token, "refresh_token": "hunter2-refresh"},
    }))
    .unwrap();
    stored.write(&settings.token_file).unwrap();
}

fn token_until(minutes: i64) -> String {
    let issued = now() - TimeDelta::hours(1);
    id_token(
        "ann",
        issued.timestamp(),
        (now() + TimeDelta::minutes(minutes)).timestamp(),
    )
}

fn at(settings: &OidcSettings, time: DateTime<Utc>) -> OidcCredentials {
    OidcCredentials::with_clock(settings.clone(), Arc::new(FixedClock(time)))
}

#[tokio::test]
async fn a_token_that_is_good_still_is_sent_without_asking_the_provider() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings("http://127.0.0.1:1", folder.path());
    stored(&settings, &token_until(6));
    let headers = at(&settings, now()).headers().await.unwrap();
    assert_eq!(headers["authorization"], format!("Bearer {}", token_until(6)));
    assert!(headers["authorization"].is_sensitive());
}

#[tokio::test]
async fn a_token_about_to_expire_is_renewed_and_kept() {
    let provider = SmallProvider::start(|_, _| {
        (
            200,
            json!({"access_token": "a2", "token_type": "Bearer", "id_token": token_until(120)}),
        )
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&provider.issuer, folder.path());
    stored(&settings, &token_until(4));
    let headers = at(&settings, now()).headers().await.unwrap();
    assert_eq!(headers["authorization"], format!("Bearer {}", token_until(120)));
    assert_eq!(provider.fields("refresh_token"), ["hunter2-refresh"]);
    assert_eq!(provider.fields("grant_type"), ["refresh_token"]);
    let kept = StoredTokens::read(&settings.token_file).unwrap().unwrap();
    assert_eq!(
        kept.token.refresh_token,
        Some(Secret::new("hunter2-refresh")),
        "the provider sent no other"
    );

    // Another program finds it in the file, and does not ask.
    at(&settings, now()).headers().await.unwrap();
    assert_eq!(provider.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn of_many_calls_that_were_refused_one_renews() {
    let provider = SmallProvider::start(|_, number| {
        let token = json!({
            "access_token": "a", "token_type": "Bearer", "id_token": token_until(120 + number as i64),
            "refresh_token": format!("rotated-{number}"),
        });
        (200, token)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&provider.issuer, folder.path());
    stored(&settings, &token_until(60));
    // Two programs with ten calls each.
    let programs = [Arc::new(at(&settings, now())), Arc::new(at(&settings, now()))];
    let refused = programs[0].headers().await.unwrap();
    assert_eq!(programs[1].headers().await.unwrap(), refused);
    let calls = (0..20).map(|index| {
        let (credentials, refused) = (Arc::clone(&programs[index % 2]), refused.clone());
        tokio::spawn(async move { credentials.renew(&refused).await })
    });
    for call in futures::future::join_all(calls).await {
        assert!(call.unwrap().unwrap());
    }
    assert_eq!(
        provider.fields("refresh_token"),
        ["hunter2-refresh"],
        "one renewal, by one of them"
    );
    for program in programs {
        let headers = program.headers().await.unwrap();
        assert_eq!(headers["authorization"], format!("Bearer {}", token_until(120)));
    }
    let kept = StoredTokens::read(&settings.token_file).unwrap().unwrap();
    assert_eq!(kept.token.refresh_token, Some(Secret::new("rotated-0")));
}

#[tokio::test]
async fn a_refused_renewal_says_to_log_in_again_and_no_secret() {
    let provider = SmallProvider::start(|_, _| {
        (
            400,
            json!({"error": "invalid_grant", "error_description": "the login was revoked"}),
        )
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&provider.issuer, folder.path());
    stored(&settings, &token_until(-1));
    let error = at(&settings, now()).headers().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("invalid_grant") && shown.contains("lakepilot login"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_before_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings("http://127.0.0.1:1", folder.path());
    let nobody = at(&settings, now()).headers().await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Unauthenticated);
    assert!(nobody.message().contains("nobody has logged in"), "{nobody}");

    stored(&settings, &token_until(60));
    let other = OidcSettings {
        client_id: "another".to_owned(),
        ..settings.clone()
    };
    let error = at(&other, now()).headers().await.unwrap_err();
    assert!(error.message().contains("of another provider or client"), "{error}");

    let unsigned = {
        let signed = token_until(60);
        let (_, rest) = signed.split_once('.').unwrap();
        format!("eyJhbGciOiJub25lIn0.{rest}")
    };
    stored(&settings, &unsigned);
    let error = at(&settings, now()).headers().await.unwrap_err();
    assert!(error.message().contains("not signed"), "{error}");
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let settings = settings(&issuer, folder.path());
    stored(&settings, &token_until(-1));
    assert_eq!(
        at(&settings, now()).headers().await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

#[tokio::test]
async fn a_provider_that_says_it_is_another_is_not_believed() {
    let provider = SmallProvider::start_as(Some("https://idp.example.com"), |_, _| (200, json!({}))).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&provider.issuer, folder.path());
    stored(&settings, &token_until(-1));
    let error = at(&settings, now()).headers().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(
        error.message().contains("says that it is https://idp.example.com"),
        "{error}"
    );
    assert!(provider.requests.lock().unwrap().is_empty(), "it was sent nothing");
}

#[tokio::test]
async fn an_answer_that_is_no_token_is_a_protocol_error() {
    let provider = SmallProvider::start(|_, _| (200, json!({"secret": "hunter2"}))).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&provider.issuer, folder.path());
    stored(&settings, &token_until(-1));
    let error = at(&settings, now()).headers().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn a_program_logs_in_with_its_secret_once_and_again_when_refused() {
    let provider = SmallProvider::start(|_, number| {
        (
            200,
            json!({"access_token": format!("t{number}"), "token_type": "Bearer", "expires_in": 3600}),
        )
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let settings = OidcSettings {
        client_secret: Some(Secret::new("hunter2-client")),
        audience: Some("lake".to_owned()),
        ..settings(&provider.issuer, folder.path())
    };
    let credentials = ClientCredentials::with_clock(settings, Arc::new(FixedClock(now()))).unwrap();
    let first = credentials.headers().await.unwrap();
    assert_eq!(first["authorization"], "Bearer t0");
    assert_eq!(credentials.headers().await.unwrap(), first);
    assert_eq!(provider.fields("grant_type"), ["client_credentials"]);
    assert_eq!(provider.fields("audience"), ["lake"]);
    assert_eq!(provider.fields("client_secret"), ["hunter2-client"]);
    assert!(credentials.renew(&first).await.unwrap());
    let second = credentials.headers().await.unwrap();
    assert_eq!(second["authorization"], "Bearer t1");
    // Another call was refused with the old token: the new one is there already.
    assert!(credentials.renew(&first).await.unwrap());
    assert_eq!(credentials.headers().await.unwrap(), second);
    assert!(!folder.path().join("tokens.json").exists(), "nothing is kept on disk");
}

#[test]
fn a_program_without_its_secret_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = ClientCredentials::new(settings("http://127.0.0.1:1", folder.path()))
        .err()
        .unwrap();
    assert!(error.message().contains("MICROMEGAS_OIDC_CLIENT_SECRET"), "{error}");
}

#[tokio::test]
async fn a_person_logs_in_with_a_code_on_another_device() {
    let provider = SmallProvider::start(|form, number| {
        assert!(
            form.contains(&("device_code".to_owned(), "hunter2-device".to_owned())),
            "{form:?}"
        );
        match number {
            0 => (400, json!({"error": "authorization_pending"})),
            _ => (
                200,
                json!({"access_token": "a", "token_type": "Bearer", "id_token": token_until(60)}),
            ),
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&provider.issuer, folder.path());
    let mut shown = None;
    let stored = login_with_device_code(&settings, |code| shown = Some(code))
        .await
        .unwrap();
    assert_eq!(shown.unwrap().code, "ABCD-EFGH");
    assert_eq!(stored.claims().unwrap().subject.as_deref(), Some("ann"));
    assert!(settings.token_file.exists());
}

#[tokio::test]
async fn a_code_that_is_refused_ends_the_login() {
    let provider = SmallProvider::start(|_, _| (400, json!({"error": "access_denied"}))).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&provider.issuer, folder.path());
    let error = login_with_device_code(&settings, |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("access_denied"), "{error}");
    assert!(!settings.token_file.exists());
}
