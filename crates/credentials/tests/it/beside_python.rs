//! The same configuration file, read by the published Python client and by us.

use lakepilot_credentials::{Authentication, Environment, Profiles};
use serde_json::{Value, json};

use crate::python;

const FLAT: &str =
    r#"{"uri": "grpc://flat:1", "client_id": "c", "issuers": [{"issuer": "https://idp", "audience": "aud"}]}"#;
const KEY: &str = r#"{"uri": "grpc://flat:1", "api_key_file": "/keys/a.key", "client_id": "c"}"#;
const PROFILES: &str = r#"{"uri": "grpc://ignored:1", "default_profile": "b", "profiles": {
    "a": {"uri": "grpc+tls://a:1", "api_key_file": "/keys/a.key"},
    "b": {"client_id": "c", "issuers": [{"issuer": "https://one"}, {"issuer": "https://two"}]},
    "both": {"api_key_file": "/k", "client_id": "c", "issuers": [{"issuer": "https://one"}]},
    "half": {"issuers": []},
    "wrong": [], "x.y_z-1": {}}}"#;
const NO_DEFAULT: &str = r#"{"profiles": {"a": {}}}"#;

/// A configuration, the profile that is asked for, and the environment.
type Case = (&'static str, Option<&'static str>, Vec<(&'static str, &'static str)>);

fn cases() -> Vec<Case> {
    vec![
        ("{}", None, vec![]),
        ("{}", Some("a"), vec![]),
        ("{}", None, vec![("MICROMEGAS_PROFILE", "a")]),
        ("{}", None, vec![("MICROMEGAS_PROFILE", "")]),
        (
            "{}",
            None,
            vec![
                ("MICROMEGAS_OIDC_ISSUER", "https://e"),
                ("MICROMEGAS_OIDC_CLIENT_ID", "e"),
            ],
        ),
        (FLAT, None, vec![]),
        (
            FLAT,
            None,
            vec![
                ("MICROMEGAS_ANALYTICS_URI", "grpc://over:2"),
                ("MICROMEGAS_OIDC_AUDIENCE", "over"),
            ],
        ),
        (
            FLAT,
            None,
            vec![
                ("MICROMEGAS_OIDC_CLIENT_SECRET", "s"),
                ("MICROMEGAS_OIDC_CLIENT_ID", "over"),
            ],
        ),
        (KEY, None, vec![]),
        (KEY, None, vec![("MICROMEGAS_OIDC_ISSUER", "https://e")]),
        (PROFILES, None, vec![]),
        (PROFILES, Some("a"), vec![("MICROMEGAS_PROFILE", "b")]),
        (PROFILES, None, vec![("MICROMEGAS_PROFILE", "a")]),
        (PROFILES, Some("both"), vec![]),
        (PROFILES, Some("half"), vec![]),
        (PROFILES, Some("wrong"), vec![]),
        (PROFILES, Some("x.y_z-1"), vec![]),
        (PROFILES, Some("nobody"), vec![]),
        (PROFILES, Some("../a"), vec![]),
        (PROFILES, Some(""), vec![]),
        (NO_DEFAULT, None, vec![]),
        (r#"{"profiles": {}}"#, None, vec![]),
        (r#"{"profiles": 1}"#, None, vec![]),
        (r#"{"api_key_file": ""}"#, None, vec![]),
        (r#"{"api_key_file": 1}"#, None, vec![]),
        ("{", None, vec![]),
    ]
}

fn ours(path: &std::path::Path, profile: Option<&str>, variables: &[(&str, &str)]) -> Value {
    let environment = variables.iter().fold(
        Environment::with_home(path.parent().unwrap()),
        |environment, (name, value)| environment.with_variable(name, value),
    );
    let Ok(settings) = Profiles::load_from(path).and_then(|file| file.settings(profile, &environment)) else {
        return json!({"refused": true});
    };
    let mut found = json!({"url": settings.url, "profile": settings.profile});
    match settings.authentication {
        Authentication::None => found["kind"] = json!("none"),
        Authentication::Basic { .. } => found["kind"] = json!("basic"),
        Authentication::ApiKeyFile(path) => found["api_key_file"] = json!(path),
        Authentication::Oidc(oidc) => {
            found["issuer"] = json!(oidc.issuer);
            found["client_id"] = json!(oidc.client_id);
            found["client_secret"] = json!(oidc.client_secret.map(|secret| secret.reveal().to_owned()));
            found["audience"] = json!(oidc.audience);
            found["token_file"] = json!(oidc.token_file.file_name().unwrap().to_str());
        }
    }
    found
}

/// The parts of the Python client's answer that its choice of authentication makes it use.
fn used(theirs: &Value) -> Value {
    let Some(url) = theirs.get("url") else {
        return theirs.clone();
    };
    let mut used = json!({"url": url, "profile": theirs["profile"]});
    if theirs["api_key_file"].is_string() {
        used["api_key_file"] = theirs["api_key_file"].clone();
    } else if theirs["issuer"].is_string() && theirs["client_id"].is_string() {
        for key in ["issuer", "client_id", "client_secret", "audience", "token_file"] {
            used[key] = theirs[key].clone();
        }
    } else {
        used["kind"] = json!("none");
    }
    used
}

#[test]
fn the_same_files_give_the_same_settings() {
    let folder = tempfile::tempdir().unwrap();
    let mut input = Vec::new();
    for (index, (config, profile, variables)) in cases().into_iter().enumerate() {
        let path = folder.path().join(format!("{index}.json"));
        std::fs::write(&path, config).unwrap();
        let variables: serde_json::Map<_, _> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        input.push(json!([path, profile, variables]));
    }
    let theirs: Vec<Value> =
        serde_json::from_str(&python::run("client.py", &["settings"], &json!(input).to_string())).unwrap();
    assert_eq!(theirs.len(), cases().len());
    for (index, (config, profile, variables)) in cases().into_iter().enumerate() {
        let path = folder.path().join(format!("{index}.json"));
        let ours = ours(&path, profile, &variables);
        assert_eq!(ours, used(&theirs[index]), "{config} {profile:?} {variables:?}");
    }
}
