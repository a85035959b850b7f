//! Which server is meant, and who is calling: the command line, the environment, and the Python client's profiles.

use std::sync::Arc;

use lakepilot_credentials::{Authentication, Environment, Profiles, Settings};
use lakepilot_flight_client::CredentialProvider;
use lakepilot_query::Result;

use crate::args::GlobalArgs;

/// The server of a command.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) url: String,
    /// Whether somebody named a server: on the command line, in the environment, or in a profile.
    pub(crate) is_named: bool,
    authentication: Authentication,
}

impl Target {
    /// What the client asks before every call.
    pub(crate) fn credentials(&self) -> Result<Option<Arc<dyn CredentialProvider>>> {
        self.authentication.credentials()
    }

    fn of(settings: Settings) -> Self {
        Self {
            is_named: settings.url_source != "default",
            url: settings.url,
            authentication: settings.authentication,
        }
    }
}

/// Finds the server of the options.
///
/// A URL on the command line goes over all others. The credentials of a profile go with it only when the profile is named
/// too, or is for that URL: they are not sent to a server that they were not made for.
pub(crate) fn resolve(global: &GlobalArgs, environment: &Environment) -> Result<Target> {
    let profile = global.profile.as_deref();
    let Some(url) = &global.url else {
        return Ok(Target::of(Profiles::load(environment)?.settings(profile, environment)?));
    };
    let authentication = if url.starts_with("lake:") {
        Authentication::None
    } else if profile.is_some() {
        Profiles::load(environment)?
            .settings(profile, environment)?
            .authentication
    } else {
        match Profiles::load(environment).and_then(|file| file.settings(None, environment)) {
            Ok(settings) if settings.url == *url => settings.authentication,
            Ok(_) => Authentication::None,
            Err(error) => {
                tracing::debug!(%error, "the profiles are not used");
                Authentication::None
            }
        }
    };
    Ok(Target {
        url: url.clone(),
        is_named: true,
        authentication,
    })
}
