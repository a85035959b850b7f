//! Tests of profiles.

use super::*;

struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".micromegas")).unwrap();
        std::fs::write(folder.path().join(".micromegas/config.json"), config).unwrap();
        Self { folder }
    }

    fn environment(&self) -> Environment {
        Environment::with_home(self.folder.path())
    }

    fn settings(&self, profile: Option<&str>) -> Result<Settings> {
        Profiles::load(&self.environment())?.settings(profile, &self.environment())
    }
}

const TWO: &str = r#"{"default_profile": "prod", "profiles": {
    "prod": {"uri": "grpc+tls://prod:50051", "api_key_file": "~/prod.key"},
    "dev.1": {"uri": "grpc://dev:50051", "client_id": "lakepilot", "issuers": [{"issuer": "https://idp/", "audience": "a"}]}
}}"#;

#[test]
fn without_a_file_it_is_the_local_server_without_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment::with_home(folder.path());
    let settings = Profiles::load(&environment)
        .unwrap()
        .settings(None, &environment)
        .unwrap();
    assert_eq!(
        (settings.url.as_str(), settings.url_source.as_str()),
        (DEFAULT_URL, "default")
    );
    assert!(matches!(settings.authentication, Authentication::None));
}

#[test]
fn a_flat_file_is_one_connection() {
    let home = Home::new(r#"{"uri": "grpc://flat:1", "client_id": "c", "issuers": [{"issuer": "https://idp"}]}"#);
    let settings = home.settings(None).unwrap();
    assert_eq!(settings.url, "grpc://flat:1");
    let Authentication::Oidc(oidc) = settings.authentication else {
        panic!("no provider")
    };
    assert_eq!(oidc.token_file, home.folder.path().join(".micromegas/tokens.json"));
    assert_eq!(oidc.scope, DEFAULT_SCOPE);
    assert!(
        home.settings(Some("prod"))
            .unwrap_err()
            .message()
            .contains("has no 'profiles'")
    );
}

#[test]
fn the_caller_goes_over_the_variable_and_that_over_the_default() {
    let home = Home::new(TWO);
    assert_eq!(home.settings(None).unwrap().profile.as_deref(), Some("prod"));
    let environment = home.environment().with_variable("MICROMEGAS_PROFILE", "dev.1");
    let profiles = Profiles::load(&environment).unwrap();
    let settings = profiles.settings(None, &environment).unwrap();
    assert_eq!(settings.profile.as_deref(), Some("dev.1"));
    let Authentication::Oidc(oidc) = settings.authentication else {
        panic!("no provider")
    };
    assert_eq!(oidc.issuer, "https://idp");
    assert_eq!(oidc.audience.as_deref(), Some("a"));
    assert!(oidc.token_file.ends_with("tokens-dev.1.json"));
    let settings = profiles.settings(Some("prod"), &environment).unwrap();
    assert!(
        matches!(&settings.authentication, Authentication::ApiKeyFile(path) if *path == home.folder.path().join("prod.key"))
    );
}

#[test]
fn the_environment_goes_over_the_profile() {
    let home = Home::new(TWO);
    let environment = home
        .environment()
        .with_variable("MICROMEGAS_ANALYTICS_URI", "grpc://other:7")
        .with_variable("MICROMEGAS_OIDC_AUDIENCE", "b")
        .with_variable("MICROMEGAS_OIDC_CLIENT_SECRET", "hunter2")
        .with_variable("MICROMEGAS_OIDC_SCOPE", "");
    let settings = Profiles::load(&environment)
        .unwrap()
        .settings(Some("dev.1"), &environment)
        .unwrap();
    assert_eq!(settings.url, "grpc://other:7");
    assert_eq!(settings.url_source, "MICROMEGAS_ANALYTICS_URI");
    assert!(!format!("{settings:?} {environment:?}").contains("hunter2"));
    let Authentication::Oidc(oidc) = settings.authentication else {
        panic!("no provider")
    };
    assert_eq!(
        (oidc.audience.as_deref(), oidc.scope.as_str()),
        (Some("b"), DEFAULT_SCOPE)
    );
    assert_eq!(oidc.client_secret.unwrap().reveal(), "hunter2");
}

#[test]
fn a_key_and_a_provider_together_are_refused() {
    let home = Home::new(TWO);
    let environment = home
        .environment()
        .with_variable("MICROMEGAS_OIDC_ISSUER", "https://idp")
        .with_variable("MICROMEGAS_OIDC_CLIENT_ID", "c");
    let error = Profiles::load(&environment)
        .unwrap()
        .settings(None, &environment)
        .unwrap_err();
    assert!(error.message().contains("profile 'prod' has an API key"), "{error}");
}

#[test]
fn what_is_wrong_in_the_file_is_told_with_its_place() {
    for (config, profile, says) in [
        ("{", None, "line 1, column 1"),
        ("[]", None, "not a JSON object"),
        (r#"{"profiles": []}"#, None, "'profiles' has to be an object"),
        (r#"{"profiles": {}}"#, None, "'profiles' is empty"),
        (r#"{"profiles": {"a": {}, "b": {}}}"#, None, "(there are: a, b)"),
        (r#"{"profiles": {"a": {}}}"#, Some("b"), "there is no profile 'b'"),
        (r#"{"profiles": {"a": 1}}"#, Some("a"), "'a' has to be an object"),
        (
            r#"{"profiles": {"a": {}}}"#,
            Some("../a"),
            "cannot be the name of a profile",
        ),
        (
            r#"{"profiles": {"a": {"uri": 1}}}"#,
            Some("a"),
            "'profiles.a.uri' has to be text",
        ),
        (r#"{"api_key_file": ""}"#, None, "'api_key_file' has to be the path"),
        (r#"{"issuers": {}}"#, None, "'issuers' has to be a list"),
        (
            r#"{"issuers": [{"issuer": 1}]}"#,
            None,
            "'issuers[0].issuer' has to be text",
        ),
        (
            r#"{"default_profile": 1, "profiles": {"a": {}}}"#,
            None,
            "'default_profile' has to be the name",
        ),
    ] {
        let error = Home::new(config).settings(profile).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{config}");
        assert!(error.message().contains(says), "{config}: {error}");
    }
}

#[test]
fn a_profile_may_have_a_user_whose_password_is_elsewhere() {
    let home = Home::new(r#"{"uri": "grpc://h", "user": "ann", "password_file": "~/ann.password"}"#);
    let settings = home.settings(None).unwrap();
    let Authentication::Basic { user, password } = &settings.authentication else {
        panic!("no user")
    };
    assert_eq!(user, "ann");
    assert!(matches!(password, Password::File(path) if *path == home.folder.path().join("ann.password")));
    let config = || lakepilot_flight_client::ClientConfig::new("grpc://h").unwrap();
    let error = settings.authentication.apply(config()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    std::fs::write(home.folder.path().join("ann.password"), "hunter2\n").unwrap();
    settings.authentication.apply(config()).unwrap();

    let environment = home.environment().with_variable("LAKEPILOT_PASSWORD", "hunter2");
    let settings = Profiles::load(&environment)
        .unwrap()
        .settings(None, &environment)
        .unwrap();
    assert!(matches!(
        &settings.authentication,
        Authentication::Basic { password: Password::Given(password), .. } if password.reveal() == "hunter2"
    ));
    assert!(!format!("{settings:?}").contains("hunter2"));
    for (config, says) in [
        (r#"{"user": "ann"}"#, "'password_file' has to be the path"),
        (
            r#"{"user": "ann", "password_file": 1}"#,
            "'password_file' has to be text",
        ),
        (
            r#"{"user": "ann", "password_file": "p", "api_key_file": "k"}"#,
            "leave one of them out",
        ),
        (
            r#"{"user": "ann", "password_file": "p", "client_id": "c", "issuers": [{"issuer": "https://idp"}]}"#,
            "leave one of them out",
        ),
    ] {
        let error = Home::new(config).settings(None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{config}");
        assert!(error.message().contains(says), "{config}: {error}");
    }
}
