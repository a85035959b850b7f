//! `lakepilot profiles`: the connections of `~/.micromegas/config.json`.

use std::sync::Arc;
use std::time::Duration;

use lakepilot_credentials::{Authentication, Environment, Password, Profiles, Settings};
use lakepilot_flight_client::{ClientConfig, FlightClient};
use lakepilot_query::{Error, ErrorKind, Query, QueryServiceExt, Result};
use serde::Serialize;

use super::login::Caller;
use crate::args::{ProfileArgs, ProfileCheckArgs, ProfilesCommand, ProfilesListArgs};
use crate::connection;
use crate::context::Context;
use crate::exit::{self, Outcome};
use crate::output::{self, Heading, ReportFormat, text};
use crate::terminal;

/// How long a server may take for the small query of a check.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn profiles(command: ProfilesCommand, context: &Context) -> Result<Outcome> {
    match command {
        ProfilesCommand::List(args) => list(&args, context),
        ProfilesCommand::Show(args) => show(&args, context),
        ProfilesCommand::Check(args) => check(&args, context).await,
    }
}

/// A profile, as far as it can be read.
#[derive(Serialize)]
struct Listed {
    name: String,
    is_default: bool,
    url: Option<String>,
    authentication: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

fn list(args: &ProfilesListArgs, context: &Context) -> Result<Outcome> {
    let environment = Environment::of_process();
    let file = Profiles::load(&environment)?;
    let chosen = file.chosen(context.profile(), &environment).ok().flatten();
    let listed: Vec<Listed> = file
        .names()?
        .into_iter()
        .map(|name| {
            let (settings, problem) = match file.settings(Some(name), &environment) {
                Ok(settings) => (Some(settings), None),
                Err(error) => (None, Some(error.message().to_owned())),
            };
            Listed {
                name: name.to_owned(),
                is_default: chosen.as_deref() == Some(name),
                url: settings.as_ref().map(|settings| settings.url.clone()),
                authentication: settings.as_ref().map(|settings| kind(&settings.authentication)),
                problem,
            }
        })
        .collect();
    match args.format {
        ReportFormat::Json => output::print_json(&listed)?,
        ReportFormat::Table => output::print(&table(&listed, &file))?,
    }
    Ok(Outcome::Done)
}

fn kind(authentication: &Authentication) -> &'static str {
    match authentication {
        Authentication::None => "none",
        Authentication::ApiKeyFile(_) => "API key",
        Authentication::Oidc(_) => "OpenID Connect",
        Authentication::Basic { .. } => "password",
    }
}

fn table(listed: &[Listed], file: &Profiles) -> String {
    if listed.is_empty() {
        return format!("there are no profiles in {}\n", file.path().display());
    }
    let headings = [
        Heading::text("profile"),
        Heading::text("chosen"),
        Heading::text("server"),
        Heading::text("authentication"),
    ];
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|profile| {
            vec![
                profile.name.clone(),
                if profile.is_default { "yes" } else { "" }.to_owned(),
                profile
                    .url
                    .clone()
                    .or_else(|| profile.problem.clone())
                    .unwrap_or_default(),
                profile.authentication.unwrap_or_default().to_owned(),
            ]
        })
        .collect();
    output::table(&headings, &rows, terminal::stdout_width())
}

#[derive(Serialize)]
struct Shown {
    url_source: String,
    #[serde(flatten)]
    caller: Caller,
}

fn show(args: &ProfileArgs, context: &Context) -> Result<Outcome> {
    let environment = Environment::of_process();
    let settings = Profiles::load(&environment)?.settings(args.name.as_deref().or(context.profile()), &environment)?;
    let caller = Caller::of(&settings);
    match args.format {
        ReportFormat::Json => output::print_json(&Shown {
            url_source: settings.url_source,
            caller,
        })?,
        ReportFormat::Table => output::print(&format!(
            "{}server from     {}\n",
            caller.described(),
            settings.url_source
        ))?,
    }
    Ok(Outcome::Done)
}

/// What a check of one profile found.
#[derive(Serialize)]
struct Checked {
    profile: Option<String>,
    url: Option<String>,
    ok: bool,
    problems: Vec<String>,
}

async fn check(args: &ProfileCheckArgs, context: &Context) -> Result<Outcome> {
    let environment = Environment::of_process();
    let file = Profiles::load(&environment)?;
    let names: Vec<Option<String>> = match args.name.as_deref().or(context.profile()) {
        Some(name) => vec![Some(name.to_owned())],
        None => match file.names()? {
            names if names.is_empty() => vec![None],
            names => names.into_iter().map(|name| Some(name.to_owned())).collect(),
        },
    };
    if !args.offline {
        context.warn_of_risks();
    }
    let mut checked = Vec::new();
    for name in names {
        let found = match file.settings(name.as_deref(), &environment) {
            Ok(settings) => check_one(settings, args.offline, context).await,
            Err(error) => Checked {
                profile: name,
                url: None,
                ok: false,
                problems: vec![exit::describe(&error)],
            },
        };
        checked.push(found);
    }
    match args.format {
        ReportFormat::Json => output::print_json(&checked)?,
        ReportFormat::Table => output::print(&text::wrap(&report(&checked), terminal::stdout_width()))?,
    }
    let all_good = checked.iter().all(|profile| profile.ok);
    Ok(if all_good { Outcome::Done } else { Outcome::Findings })
}

async fn check_one(settings: Settings, offline: bool, context: &Context) -> Checked {
    let mut problems = Vec::new();
    if let Authentication::ApiKeyFile(path)
    | Authentication::Basic {
        password: Password::File(path),
        ..
    } = &settings.authentication
    {
        problems.extend(readable_by_others(path));
    }
    problems.extend(Caller::of(&settings).problem);
    let urls = connection::listed([&*settings.url]);
    problems.extend(
        urls.iter()
            .filter_map(|url| ClientConfig::new(url).err())
            .map(|error| error.message().to_owned()),
    );
    if problems.is_empty() {
        let outcome = match context.client_config_of(&settings) {
            Ok(config) if !offline => ask(config).await,
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        problems.extend(outcome.err().map(|error| exit::describe(&error)));
    }
    Checked {
        ok: problems.is_empty(),
        profile: settings.profile,
        url: Some(settings.url),
        problems,
    }
}

/// A key that everybody on the machine can read is no secret.
#[cfg(unix)]
fn readable_by_others(path: &std::path::Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| format!("others can read {}: chmod 600 it", path.display()))
}

#[cfg(not(unix))]
fn readable_by_others(_path: &std::path::Path) -> Option<String> {
    None
}

async fn ask(config: ClientConfig) -> Result<()> {
    let work = async {
        let client = Arc::new(FlightClient::connect(config).await?);
        client.first_row(&Query::new("SELECT 1")?).await.map(drop)
    };
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::TimedOut,
            format!("the server gave no answer within {} s", PATIENCE.as_secs()),
        ))
    })
}

fn report(checked: &[Checked]) -> String {
    checked
        .iter()
        .map(|profile| {
            let name = profile.profile.as_deref().unwrap_or("(no profiles)");
            let url = profile.url.as_deref().unwrap_or_default();
            if profile.ok {
                format!("ok      {name} {url}\n")
            } else {
                format!("failed  {name} {url}: {}\n", profile.problems.join("; "))
            }
        })
        .collect()
}
