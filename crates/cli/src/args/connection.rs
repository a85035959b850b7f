//! Where the server is, the way to it, and who is calling.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::attempts::time_limit;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Server (grpc://HOST:PORT, grpc+tls://HOST:PORT), or an embedded lake in a directory (lake:DIR); more of them, also in
    /// a list with commas, are replicas of the first
    /// [env: MICROMEGAS_ANALYTICS_URI] [default: that of the profile, or grpc://localhost:50051]
    #[arg(long = "url", global = true, value_name = "URL")]
    pub(crate) urls: Vec<String>,

    /// Profile of ~/.micromegas/config.json [env: MICROMEGAS_PROFILE] [default: its default_profile]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Header to send with every call; may be repeated
    #[arg(long = "header", global = true, value_name = "KEY=VALUE")]
    pub(crate) headers: Vec<String>,

    /// File whose content is sent as the bearer token
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// User who logs in with a password (Flight's Handshake)
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// File with the password of --user [env: LAKEPILOT_PASSWORD, the password itself]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// PEM file with the certificate of the authority that signed the server's
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "LAKEPILOT_CA_CERT",
        hide_env_values = true
    )]
    pub(crate) ca_cert: Option<PathBuf>,

    /// PEM file with the certificate to show to a server that wants one
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "LAKEPILOT_CLIENT_CERT",
        hide_env_values = true
    )]
    pub(crate) client_cert: Option<PathBuf>,

    /// PEM file with the key of --client-cert
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "LAKEPILOT_CLIENT_KEY",
        hide_env_values = true
    )]
    pub(crate) client_key: Option<PathBuf>,

    /// Name that the server's certificate has to be for, when that is not the host of the URL
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,

    /// Take any certificate of the server; whoever is on the way can then read and change everything
    #[arg(long, global = true)]
    pub(crate) insecure_skip_verify: bool,

    /// HTTP proxy for all servers: HOST:PORT or USER:PASSWORD@HOST:PORT [env: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) proxy: Option<String>,

    /// Use no proxy, whatever the environment says
    #[arg(long, global = true)]
    pub(crate) no_proxy: bool,

    /// Where a server is that results are said to lie on: FROM is what the server calls it, TO is its URL from here; may be
    /// repeated
    #[arg(long = "location-rewrite", global = true, value_name = "FROM=TO")]
    pub(crate) location_rewrites: Vec<String>,

    /// Longest time to connect [default: 10s]
    #[arg(long, global = true, value_name = "TIME", value_parser = time_limit)]
    pub(crate) connect_timeout: Option<Duration>,

    /// Longest time that the server may take to plan a query [default: 60s]
    #[arg(long, global = true, value_name = "TIME", value_parser = time_limit)]
    pub(crate) plan_timeout: Option<Duration>,

    /// Largest message that is accepted, in megabytes [default: 268]
    #[arg(long, global = true, value_name = "MB", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_message_mb: Option<u32>,
}
