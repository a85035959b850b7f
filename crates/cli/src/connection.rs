//! Which server is meant, the way to it, and who is calling: the command line, the environment, and the Python client's
//! profiles.

use std::path::Path;

use lakepilot_credentials::{Authentication, Environment, Password, Profiles, Settings};
use lakepilot_flight_client::{ClientConfig, ProxySettings};
use lakepilot_query::{Error, ErrorKind, Result};

use crate::args::ConnectionArgs;

/// The server of a command.
#[derive(Debug)]
pub(crate) struct Target {
    /// The servers: at least one. More than one are replicas.
    urls: Vec<String>,
    /// Whether somebody named a server: on the command line, in the environment, or in a profile.
    pub(crate) is_named: bool,
    authentication: Authentication,
}

impl Target {
    /// The server, or the first of its replicas.
    pub(crate) fn url(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }

    /// How a client talks to the server.
    pub(crate) fn client_config(&self, args: &ConnectionArgs) -> Result<ClientConfig> {
        let config = client_config(&self.urls, args)?;
        if let Some(path) = &args.token_file {
            return config.with_bearer_token(read_token(path)?);
        }
        self.authentication.apply(config)
    }

    fn new(urls: Vec<String>, is_named: bool, authentication: Authentication) -> Result<Self> {
        if urls.is_empty() {
            return Err(invalid("no server is named: --url is empty"));
        }
        if urls.len() > 1 && urls.iter().any(|url| is_lake(url)) {
            return Err(invalid(
                "an embedded lake (lake:DIR) has no replicas: name it alone, or servers alone",
            ));
        }
        Ok(Self {
            urls,
            is_named,
            authentication,
        })
    }
}

/// How a client talks to these servers, but for who is calling.
pub(crate) fn client_config(urls: &[String], args: &ConnectionArgs) -> Result<ClientConfig> {
    let (first, replicas) = urls.split_first().ok_or_else(|| invalid("no server is named"))?;
    let mut config = ClientConfig::new(first)?;
    for url in replicas {
        config = config.with_replica(url)?;
    }
    for header in &args.headers {
        // The text may be a secret: it is not repeated.
        let (name, value) = header
            .split_once('=')
            .ok_or_else(|| invalid("a --header has no '=': write it as KEY=VALUE, such as x-tenant-id=production"))?;
        config = config.with_header(name.trim(), value)?;
    }
    for rewrite in &args.location_rewrites {
        let (from, to) = rewrite.split_once('=').ok_or_else(|| {
            invalid("a --location-rewrite has no '=': write it as FROM=TO, such as grpc://node-1:50051=grpc://10.0.0.1:31001")
        })?;
        config = config.with_location_rewrite(from, to)?;
    }
    if let Some(limit) = args.connect_timeout {
        config = config.with_connect_timeout(limit);
    }
    if let Some(limit) = args.plan_timeout {
        config = config.with_plan_timeout(limit);
    }
    if let Some(size) = args.max_message_mb {
        config = config.with_max_message_bytes((size as usize).saturating_mul(1_000_000))?;
    }
    Ok(with_tls(config, args)?.with_proxy(proxies(args)?))
}

fn with_tls(mut config: ClientConfig, args: &ConnectionArgs) -> Result<ClientConfig> {
    if let Some(path) = &args.ca_cert {
        config = config.with_ca_certificate(read_file(path, "certificate")?)?;
    }
    config = match (&args.client_cert, &args.client_key) {
        (Some(certificate), Some(key)) => config
            .with_client_certificate(read_file(certificate, "certificate")?, read_file(key, "private key")?)
            .map_err(|error| error.context("--client-cert and --client-key"))?,
        (None, None) => config,
        (Some(_), None) => return Err(invalid("--client-cert needs --client-key: the file with its key")),
        (None, Some(_)) => {
            return Err(invalid(
                "--client-key needs --client-cert: the file with its certificate",
            ));
        }
    };
    if let Some(name) = &args.tls_server_name {
        config = config.with_tls_server_name(name)?;
    }
    if args.insecure_skip_verify {
        config = config.without_certificate_verification();
    }
    Ok(config)
}

fn proxies(args: &ConnectionArgs) -> Result<ProxySettings> {
    match &args.proxy {
        Some(_) if args.no_proxy => Err(invalid(
            "--proxy and --no-proxy exclude each other: leave one of them out",
        )),
        Some(url) => ProxySettings::for_all(url).map_err(|error| error.context("--proxy")),
        None if args.no_proxy => Ok(ProxySettings::none()),
        None => Ok(ProxySettings::from_environment()),
    }
}

/// Finds the server of the options.
///
/// A URL on the command line goes over all others. The credentials of a profile go with it only when the profile is named
/// too, or is for that URL: they are not sent to a server that they were not made for. A user on the command line goes over
/// the credentials of any profile.
pub(crate) fn resolve(args: &ConnectionArgs, environment: &Environment) -> Result<Target> {
    let asked = user(args, environment)?;
    let profile = args.profile.as_deref();
    if args.urls.is_empty() {
        let settings = Profiles::load(environment)?.settings(profile, environment)?;
        let is_named = settings.url_source != "default";
        return Target::new(
            listed([&*settings.url]),
            is_named,
            asked.unwrap_or(settings.authentication),
        );
    }
    let urls = listed(args.urls.iter().map(String::as_str));
    let authentication = match asked {
        Some(user) => user,
        None if urls.iter().any(|url| is_lake(url)) => Authentication::None,
        None if profile.is_some() => {
            Profiles::load(environment)?
                .settings(profile, environment)?
                .authentication
        }
        None => match Profiles::load(environment).and_then(|file| file.settings(None, environment)) {
            Ok(settings) if is_for(&settings, &urls) => settings.authentication,
            Ok(_) => Authentication::None,
            Err(error) => {
                tracing::debug!(%error, "the profiles are not used");
                Authentication::None
            }
        },
    };
    Target::new(urls, true, authentication)
}

/// The user of the command line.
fn user(args: &ConnectionArgs, environment: &Environment) -> Result<Option<Authentication>> {
    let Some(user) = &args.user else {
        return match &args.password_file {
            Some(_) => Err(invalid("--password-file needs --user: whose password is it?")),
            None => Ok(None),
        };
    };
    if args.token_file.is_some() {
        return Err(invalid(
            "--user and --token-file exclude each other: leave one of them out",
        ));
    }
    let password = match &args.password_file {
        Some(path) => Some(Password::File(path.clone())),
        None => Password::of_environment(environment),
    };
    let password =
        password.ok_or_else(|| invalid("--user needs a password: give --password-file, or set LAKEPILOT_PASSWORD"))?;
    Ok(Some(Authentication::Basic {
        user: user.clone(),
        password,
    }))
}

/// The URLs in texts that are one, or several with commas between them. A directory may have commas in its name.
pub(crate) fn listed<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let mut urls = Vec::new();
    for text in texts {
        if is_lake(text) {
            urls.push(text.to_owned());
        } else {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            urls.extend(parts.map(str::to_owned));
        }
    }
    urls
}

fn is_for(settings: &Settings, urls: &[String]) -> bool {
    listed([&*settings.url]) == urls
}

fn is_lake(url: &str) -> bool {
    url.starts_with("lake:")
}

pub(crate) fn read_file(path: &Path, what: &str) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::from(error).context(format!("cannot read the {what} file {}", path.display())))
}

/// The token in a file, without the line break that editors add.
pub(crate) fn read_token(path: &Path) -> Result<String> {
    let text = String::from_utf8(read_file(path, "token")?)
        .map_err(|_| invalid(&format!("the token file {} is not text", path.display())))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(invalid(&format!("the token file {} is empty", path.display())));
    }
    Ok(token.to_owned())
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_servers_are_a_list_or_several_options() {
        for (texts, urls) in [
            (vec!["grpc://a"], vec!["grpc://a"]),
            (
                vec!["grpc://a, grpc://b,", "grpc://c"],
                vec!["grpc://a", "grpc://b", "grpc://c"],
            ),
            (vec!["lake:/a,b"], vec!["lake:/a,b"]),
            (vec![" ,"], vec![]),
        ] {
            assert_eq!(listed(texts), urls);
        }
    }

    #[test]
    fn options_that_need_or_exclude_each_other_say_so() {
        let environment = Environment::with_home("/nowhere");
        let with_url = |change: &dyn Fn(&mut ConnectionArgs)| {
            let mut args = ConnectionArgs {
                urls: vec!["grpc://localhost".to_owned()],
                ..ConnectionArgs::default()
            };
            change(&mut args);
            let target = resolve(&args, &environment);
            target.and_then(|target| target.client_config(&args)).unwrap_err()
        };
        let file = || Some("file".into());
        for (change, says) in [
            (
                &(|args: &mut ConnectionArgs| args.client_cert = file()) as &dyn Fn(&mut ConnectionArgs),
                "--client-cert needs --client-key",
            ),
            (&|args| args.client_key = file(), "--client-key needs --client-cert"),
            (&|args| args.password_file = file(), "--password-file needs --user"),
            (&|args| args.user = Some("ann".to_owned()), "--user needs a password"),
            (
                &|args| {
                    args.user = Some("ann".to_owned());
                    args.token_file = file();
                },
                "--user and --token-file exclude",
            ),
            (
                &|args| {
                    args.proxy = Some("proxy:1".to_owned());
                    args.no_proxy = true;
                },
                "--proxy and --no-proxy exclude",
            ),
            (
                &|args| args.proxy = Some("http://a b".to_owned()),
                "--proxy: the proxy URL",
            ),
            (&|args| args.location_rewrites = vec!["grpc://a".to_owned()], "FROM=TO"),
            (
                &|args| args.urls = vec!["grpc://a,lake:b".to_owned(), "lake:c".to_owned()],
                "has no replicas",
            ),
            (&|args| args.urls = vec![",".to_owned()], "no server is named"),
        ] {
            let error = with_url(change);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.message().contains(says), "{says}: {error}");
        }
    }

    #[test]
    fn a_user_goes_over_the_profile_and_has_a_password_of_the_environment() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".micromegas");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(
            folder.join("config.json"),
            r#"{"uri": "grpc://a,grpc://b", "api_key_file": "/k"}"#,
        )
        .unwrap();
        let environment = Environment::with_home(home.path()).with_variable("LAKEPILOT_PASSWORD", "hunter2");
        let mut args = ConnectionArgs::default();
        let target = resolve(&args, &environment).unwrap();
        assert_eq!((target.url(), target.urls.len()), ("grpc://a", 2));
        assert!(matches!(target.authentication, Authentication::ApiKeyFile(_)));
        args.urls = vec!["grpc://a".to_owned(), "grpc://b".to_owned()];
        let target = resolve(&args, &environment).unwrap();
        assert!(matches!(target.authentication, Authentication::ApiKeyFile(_)));
        args.user = Some("ann".to_owned());
        let target = resolve(&args, &environment).unwrap();
        assert!(matches!(&target.authentication, Authentication::Basic { user, .. } if user == "ann"));
        assert!(!format!("{target:?}").contains("hunter2"));
    }
}
