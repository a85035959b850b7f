//! The arguments of `login`, `logout`, `whoami` and `profiles`.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::output::ReportFormat;

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// Log in with a code on another device, where there is no browser
    #[arg(long, conflicts_with_all = ["port", "no_browser"])]
    pub(crate) device: bool,

    /// Port on this machine that the browser comes back to, as it is registered with the provider; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 48080)]
    pub(crate) port: u16,

    /// Tell the address of the login, and do not open the browser
    #[arg(long)]
    pub(crate) no_browser: bool,

    /// How long to wait for the person
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = patience)]
    pub(crate) timeout: Duration,
}

fn patience(text: &str) -> Result<Duration, String> {
    lakepilot_query::parse_duration(text).map_err(|error| error.message().to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct WhoamiArgs {
    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfilesCommand {
    /// List the profiles
    List(ProfilesListArgs),
    /// Show what a profile comes to, with the environment over it, and where each setting is from
    Show(ProfileArgs),
    /// Check a profile: its settings, its credentials, and a small query; all profiles without a name
    Check(ProfileCheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ProfilesListArgs {
    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    /// Name of the profile [default: the chosen one]
    pub(crate) name: Option<String>,

    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ProfileCheckArgs {
    /// Name of the profile [default: all]
    pub(crate) name: Option<String>,

    /// Do not ask the servers
    #[arg(long)]
    pub(crate) offline: bool,

    /// Format of the report
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: ReportFormat,
}
