//! Profiles, keys and logins, from files in a home folder of the test's own.

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Ran, Server, command};

const KEY: &str = "battery-staple";

struct Home {
    dir: TempDir,
}

impl Home {
    fn new(config: &serde_json::Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".micromegas")).unwrap();
        fs::write(dir.path().join(".micromegas/config.json"), config.to_string()).unwrap();
        let home = Self { dir };
        home.write_private("a.key", KEY);
        home
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(".micromegas").join(name)
    }

    fn write_private(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
        set_mode(&self.path(name), 0o600);
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(&[], arguments)
    }

    fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        command()
            .env("HOME", self.dir.path())
            .envs(variables.iter().copied())
            .args(arguments)
            .output()
            .unwrap()
            .into()
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn guarded() -> (TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    fs::write(&token, KEY).unwrap();
    let server = Server::with(&["--token-file", token.to_str().unwrap()]);
    (dir, server)
}

#[test]
fn a_profile_names_the_server_and_its_key() {
    let (_dir, server) = guarded();
    let home = Home::new(&json!({"default_profile": "prod", "profiles": {
        "prod": {"uri": server.url, "api_key_file": "~/.micromegas/a.key"},
        "open": {"uri": server.url},
    }}));
    let query = ["query", "SELECT 1 AS one", "--format", "csv"];
    assert_eq!(home.run(&query).good().stdout, "one\n1\n");
    let ran = home.run(&["--profile", "open", "query", "SELECT 1"]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    let ran = home.run_with(&[("MICROMEGAS_PROFILE", "open")], &query);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    home.run_with(
        &[("MICROMEGAS_PROFILE", "open")],
        &["--profile", "prod", "query", "SELECT 1"],
    )
    .good();

    assert_eq!(home.run(&["profiles", "check"]).code, 12, "one of them is refused");
    let checked = home
        .run(&["profiles", "check", "prod", "--format", "json"])
        .good()
        .json();
    assert_eq!(checked[0]["ok"], true, "{checked}");
}

#[test]
fn a_key_goes_to_the_server_of_its_profile_only() {
    let (_dir, server) = guarded();
    let home = Home::new(&json!({"uri": "grpc://localhost:1", "api_key_file": "~/.micromegas/a.key"}));
    let ran = home.run(&["--url", &server.url, "query", "SELECT 1"]);
    assert_eq!(ran.code, 5, "the server was sent another server's key: {}", ran.stderr);
    // The variable goes over the profile's URL, and leaves its key, as for the Python client.
    home.run_with(&[("MICROMEGAS_ANALYTICS_URI", &server.url)], &["query", "SELECT 1"])
        .good();
}

#[test]
fn profiles_are_listed_and_shown_without_secrets() {
    let home = Home::new(&json!({"default_profile": "b", "profiles": {
        "a": {"uri": "grpc://a:1", "api_key_file": "~/.micromegas/a.key"},
        "b": {"client_id": "c", "issuers": [{"issuer": "https://idp"}]},
        "bad": {"uri": 1},
    }}));
    let variables = [("MICROMEGAS_OIDC_CLIENT_SECRET", "hunter2")];
    let listed = home
        .run_with(&variables, &["profiles", "list", "--format", "json"])
        .good()
        .json();
    assert_eq!(
        listed[1],
        json!({"name": "b", "is_default": true, "url": "grpc://localhost:50051", "authentication": "OpenID Connect"})
    );
    assert!(
        listed[2]["problem"].as_str().unwrap().contains("profiles.bad.uri"),
        "{listed}"
    );
    let table = home.run(&["profiles", "list"]).good().stdout;
    assert!(table.contains("grpc://a:1") && table.contains("API key"), "{table}");
    let shown = home.run_with(&variables, &["profiles", "show"]).good().stdout;
    assert!(
        shown.contains("https://idp") && shown.contains("nobody has logged in"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2") && !shown.contains(KEY), "{shown}");
    let checked = home.run(&["profiles", "check", "--offline", "--format", "json"]);
    assert_eq!(checked.code, 12);
    let checked = checked.json();
    assert_eq!(
        [&checked[0]["ok"], &checked[1]["ok"], &checked[2]["ok"]],
        [true, false, false],
        "{checked}"
    );

    set_mode(&home.path("a.key"), 0o644);
    let ran = home.run(&["profiles", "check", "a", "--offline"]);
    assert!(ran.code == 12 && ran.stdout.contains("chmod 600"), "{}", ran.stdout);
}

#[test]
fn a_profile_that_is_wrong_is_told_and_one_that_is_not_needed_is_not_read() {
    let home = Home::new(&json!({"profiles": {"a": {}}}));
    let ran = home.run(&["query", "SELECT 1"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("no profile is chosen") && ran.stderr.contains("there are: a"),
        "{}",
        ran.stderr
    );
    let ran = home.run(&["--profile", "b", "whoami"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("there is no profile 'b'"),
        "{}",
        ran.stderr
    );
    home.run(&["rules"]).good();
    let server = Server::start();
    home.run(&["--url", &server.url, "query", "SELECT 1"]).good();
}

#[test]
fn logins_are_told_and_forgotten() {
    let home = Home::new(&json!({"profiles": {
        "a": {"client_id": "c", "issuers": [{"issuer": "https://idp"}]},
        "key": {"api_key_file": "~/.micromegas/a.key"},
        "none": {},
    }}));
    let ran = home.run(&["--profile", "a", "whoami"]);
    assert!(
        ran.code == 12 && ran.stdout.contains("lakepilot login"),
        "{}",
        ran.stdout
    );
    // {"alg":"RS256"} and {"sub":"ann","email":"ann@example.com","exp":4102444800}
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4iLCJlbWFpbCI6ImFubkBleGFtcGxlLmNvbSIsImV4cCI6NDEwMjQ0NDgwMH0.c2ln";
    home.write_private(
        "tokens-a.json",
        &json!({
            "issuer": "https://idp", "client_id": "c", "token": {"access_token": "hunter2", "id_token": token},
        })
        .to_string(),
    );
    let who = home
        .run(&["--profile", "a", "whoami", "--format", "json"])
        .good()
        .json();
    assert_eq!(who["email"], "ann@example.com");
    assert_eq!(who["expires"], "2100-01-01T00:00:00Z");
    assert!(!who.to_string().contains("hunter2"));

    for (profile, says) in [("key", "which needs no login"), ("none", "MICROMEGAS_OIDC_ISSUER")] {
        let ran = home.run(&["--profile", profile, "login"]);
        assert!(ran.code == 2 && ran.stderr.contains(says), "{}", ran.stderr);
    }
    home.write_private("tokens.json", "{}");
    home.run(&["--profile", "a", "logout"]).good();
    assert!(!home.path("tokens-a.json").exists() && home.path("tokens.json").exists());
    home.run(&["logout"]).good();
    assert!(!home.path("tokens.json").exists() && home.path("config.json").exists());
    assert!(home.run(&["logout"]).good().stderr.contains("nobody was logged in"));
}

#[test]
fn a_login_with_a_provider_that_is_not_there_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let home = Home::new(&json!({"client_id": "c", "issuers": [{"issuer": issuer}]}));
    let ran = home.run(&["login", "--no-browser", "--port", "0"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    let home = Home::new(&json!({"client_id": "c", "issuers": [{"issuer": "http://idp.example.com"}]}));
    let ran = home.run(&["login", "--no-browser", "--port", "0"]);
    assert!(ran.code == 2 && ran.stderr.contains("https://"), "{}", ran.stderr);
}
