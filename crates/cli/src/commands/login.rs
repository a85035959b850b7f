//! `lakepilot login`, `logout` and `whoami`: the login with an OpenID Connect provider.

use std::path::{Path, PathBuf};

use chrono::Utc;
use lakepilot_credentials::{
    Authentication, BrowserLogin, DEFAULT_URL, Environment, OidcGrant, OidcSettings, Settings, StoredTokens,
    login_with_device_code, token_file,
};
use lakepilot_flight_client::ClientConfig;
use lakepilot_query::{Error, ErrorKind, Result, to_rfc3339};
use serde::Serialize;

use crate::args::{LoginArgs, WhoamiArgs};
use crate::context::Context;
use crate::exit::Outcome;
use crate::output::{self, ReportFormat};

pub(crate) async fn login(args: LoginArgs, context: &Context) -> Result<Outcome> {
    let settings = of_person(context.settings()?)?;
    let stored = if args.device {
        let login = login_with_device_code(&settings, |code| {
            // Needed, and so told with --quiet too.
            output::print_error(&format!("open {} and enter the code {}\n", code.url, code.code));
            if let Some(url) = code.complete_url {
                output::print_error(&format!("or open {url}\n"));
            }
        });
        tokio::time::timeout(args.timeout, login)
            .await
            .map_err(|_| Error::new(ErrorKind::TimedOut, "nobody has logged in: run it again"))??
    } else {
        let login = BrowserLogin::begin(&settings, args.port).await?;
        let opened = !args.no_browser && open_browser(login.url());
        if opened {
            context.messages.tell(format!(
                "waiting for the login in the browser; if none opened: {}",
                login.url()
            ));
        } else {
            output::print_error(&format!("open {}\n", login.url()));
        }
        login.finish(args.timeout).await?
    };
    let who = stored.claims()?;
    let name = who
        .email
        .or(who.name)
        .or(who.subject)
        .unwrap_or_else(|| "somebody".to_owned());
    context.messages.tell(format!(
        "logged in as {name} with {}; the tokens are in {}",
        settings.issuer,
        settings.token_file.display()
    ));
    Ok(Outcome::Done)
}

/// The provider that a person logs in with.
fn of_person(settings: Settings) -> Result<OidcSettings> {
    let profile = settings
        .profile
        .map_or_else(String::new, |name| format!(" of profile '{name}'"));
    match settings.authentication {
        Authentication::Oidc(oidc) if oidc.grant == OidcGrant::Person => Ok(oidc),
        Authentication::Oidc(_) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "the settings{profile} say 'grant': 'client_credentials': the program logs in by itself, with every run"
            ),
        )),
        Authentication::ApiKeyFile(path) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "the settings{profile} name an API key ({}), which needs no login",
                path.display()
            ),
        )),
        Authentication::Basic { user, .. } => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("the settings{profile} name the user '{user}', whose password logs in with every run"),
        )),
        Authentication::None => Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "the settings{profile} name no OpenID Connect provider: give 'issuers' and 'client_id' in \
                 ~/.micromegas/config.json, or set MICROMEGAS_OIDC_ISSUER and MICROMEGAS_OIDC_CLIENT_ID"
            ),
        )),
    }
}

/// Opens the person's browser, as the system has it; the address is told as well.
fn open_browser(url: &str) -> bool {
    open::that_detached(url)
        .inspect_err(|error| tracing::debug!(%error, "no browser opened"))
        .is_ok()
}

pub(crate) fn logout(context: &Context) -> Result<Outcome> {
    let environment = Environment::of_process();
    let files = match context.profile() {
        Some(name) => vec![token_file(Some(name), &environment)?],
        None => all_token_files(&environment.folder()?)?,
    };
    let mut removed = false;
    for file in files {
        match std::fs::remove_file(&file) {
            Ok(()) => {
                removed = true;
                context.messages.tell(format!("removed {}", file.display()));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::from(error).context(format!("cannot remove {}", file.display()))),
        }
    }
    if !removed {
        context.messages.tell("nobody was logged in");
    }
    Ok(Outcome::Done)
}

/// `tokens.json`, and `tokens-PROFILE.json` of every profile.
fn all_token_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::from(error).context(format!("cannot list {}", folder.display()))),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == "tokens.json" || (name.starts_with("tokens-") && name.ends_with(".json")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Who a server is told that is calling.
#[derive(Serialize)]
pub(crate) struct Caller {
    profile: Option<String>,
    url: String,
    authentication: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    /// What is missing, such as a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

impl Caller {
    /// As the files say: no server and no provider is asked.
    pub(crate) fn of(settings: &Settings) -> Self {
        let mut caller = Self {
            profile: settings.profile.clone(),
            url: settings.url.clone(),
            authentication: "none",
            api_key_file: None,
            user: None,
            issuer: None,
            client_id: None,
            subject: None,
            email: None,
            name: None,
            expires: None,
            problem: None,
        };
        match &settings.authentication {
            Authentication::None => {}
            Authentication::ApiKeyFile(path) => {
                caller.authentication = "API key";
                caller.api_key_file = Some(path.clone());
                caller.problem = problem(&settings.authentication);
            }
            Authentication::Basic { user, .. } => {
                caller.authentication = "password";
                caller.user = Some(user.clone());
                caller.problem = problem(&settings.authentication);
            }
            Authentication::Oidc(oidc) => {
                caller.issuer = Some(oidc.issuer.clone());
                caller.client_id = Some(oidc.client_id.clone());
                match oidc.grant {
                    OidcGrant::Person => {
                        caller.authentication = "login";
                        caller.add_login(oidc);
                    }
                    OidcGrant::ClientCredentials => {
                        caller.authentication = "client credentials";
                        caller.problem = problem(&settings.authentication);
                    }
                }
            }
        }
        caller
    }

    fn add_login(&mut self, oidc: &OidcSettings) {
        let stored = StoredTokens::read(&oidc.token_file).and_then(|stored| {
            let Some(stored) = stored else { return Ok(None) };
            stored
                .claims()
                .map(|claims| Some((stored.token.refresh_token.is_some(), claims)))
        });
        match stored {
            Ok(Some((renews, claims))) => {
                self.subject = claims.subject;
                self.email = claims.email;
                self.name = claims.name;
                self.expires = claims.expires.map(to_rfc3339);
                if !renews && claims.expires.is_none_or(|expires| expires <= Utc::now()) {
                    self.problem = Some("the login has expired: run `lakepilot login`".to_owned());
                }
            }
            Ok(None) => self.problem = Some("nobody has logged in: run `lakepilot login`".to_owned()),
            Err(error) => self.problem = Some(error.message().to_owned()),
        }
    }

    pub(crate) fn described(&self) -> String {
        let mut lines = vec![format!("server          {}", self.url)];
        let mut add = |label: &str, value: Option<String>| {
            if let Some(value) = value {
                lines.push(format!("{label:<15} {}", output::printable(&value)));
            }
        };
        add("profile", self.profile.clone());
        add("authentication", Some(self.authentication.to_owned()));
        add(
            "key file",
            self.api_key_file.as_ref().map(|path| path.display().to_string()),
        );
        add("user", self.user.clone());
        add("provider", self.issuer.clone());
        add("client id", self.client_id.clone());
        add("subject", self.subject.clone());
        add("email", self.email.clone());
        add("name", self.name.clone());
        add("token expires", self.expires.clone());
        add("problem", self.problem.clone());
        lines.join("\n") + "\n"
    }
}

/// What keeps a client from proving who is calling, before any server is asked.
fn problem(authentication: &Authentication) -> Option<String> {
    let any = ClientConfig::new(DEFAULT_URL).ok()?;
    let error = authentication.apply(any).err()?;
    Some(error.message().to_owned())
}

pub(crate) fn whoami(args: &WhoamiArgs, context: &Context) -> Result<Outcome> {
    let caller = Caller::of(&context.settings()?);
    match args.format {
        ReportFormat::Json => output::print_json(&caller)?,
        ReportFormat::Table => output::print(&caller.described())?,
    }
    Ok(if caller.problem.is_some() {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}
