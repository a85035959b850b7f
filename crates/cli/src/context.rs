//! What every command works with: the service behind `--url`, the time range, and where to tell things.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use chrono::Utc;
use lakepilot_analysis::CallRange;
use lakepilot_credentials::{Environment, Profiles, Settings};
use lakepilot_flight_client::{ClientConfig, FlightClient};
use lakepilot_query::{Error, ErrorKind, Query, QueryService, Result, TimeRange, parse_time};

use crate::args::{ColorChoice, GlobalArgs, SqlArgs};
use crate::connection::{self, Target};
use crate::inputs::unmarked;
use crate::learning::Learning;
use crate::messages::Messages;

pub(crate) struct Context {
    pub(crate) messages: Messages,
    global: GlobalArgs,
    learning: OnceLock<Learning>,
    target: OnceLock<Target>,
}

impl Context {
    pub(crate) fn new(global: GlobalArgs) -> Self {
        Self {
            messages: Messages::new(global.quiet, global.color),
            global,
            learning: OnceLock::new(),
            target: OnceLock::new(),
        }
    }

    /// The file of `--token-file`.
    #[cfg(feature = "lake")]
    pub(crate) fn token_file(&self) -> Option<&Path> {
        self.global.connection.token_file.as_deref()
    }

    /// The time of `--end`, or now; for a command that takes no `--begin`.
    #[cfg(feature = "lake")]
    pub(crate) fn end_or_now(&self) -> Result<chrono::DateTime<Utc>> {
        if self.global.begin.is_some() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "this command takes no --begin: --days says how far before --end it begins",
            ));
        }
        let now = Utc::now();
        self.global.end.as_deref().map_or(Ok(now), |text| {
            parse_time(text, now).map_err(|error| error.context("--end"))
        })
    }

    /// The URL of the server, or of the embedded lake.
    ///
    /// # Errors
    /// When the profile that names it cannot be read, or there is none of that name.
    pub(crate) fn url(&self) -> Result<&str> {
        Ok(self.target()?.url())
    }

    /// Whether somebody named a server: on the command line, in the environment, or in a profile.
    pub(crate) fn is_server_named(&self) -> bool {
        // A profile that cannot be read was meant to name one: asking the server will tell what is wrong with it.
        self.target().map_or(true, |target| target.is_named)
    }

    /// The name of `--profile`.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.global.connection.profile.as_deref()
    }

    /// The settings of the profile, whatever server is named.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let environment = Environment::of_process();
        Profiles::load(&environment)?.settings(self.profile(), &environment)
    }

    /// The server, found when it is first asked for: most of the lake's commands need none.
    fn target(&self) -> Result<&Target> {
        if let Some(target) = self.target.get() {
            return Ok(target);
        }
        let target = connection::resolve(&self.global.connection, &Environment::of_process())?;
        Ok(self.target.get_or_init(|| target))
    }

    /// The lengths of text that earlier queries taught.
    pub(crate) fn learning(&self) -> &Learning {
        self.learning
            .get_or_init(|| Learning::new(self.url().unwrap_or_default(), !self.global.no_learn))
    }

    /// When there are colours.
    pub(crate) fn color(&self) -> ColorChoice {
        self.global.color
    }

    /// Tells that a file is written, if the rows went into one.
    pub(crate) fn tell_written(&self, path: Option<&Path>) {
        if let Some(path) = path {
            self.messages.tell(format!("wrote {}", path.display()));
        }
    }

    /// The service behind `--url`, whose rows are learnt from.
    pub(crate) async fn service(&self) -> Result<Arc<dyn QueryService>> {
        self.service_with(|config| config).await
    }

    /// The service, talked to in another way if it is a server.
    pub(crate) async fn service_with(
        &self,
        adjust: impl FnOnce(ClientConfig) -> ClientConfig,
    ) -> Result<Arc<dyn QueryService>> {
        let service = match self.url()?.strip_prefix("lake:") {
            Some(dir) => embedded(Path::new(dir)).await?,
            None => Arc::new(self.flight_client(adjust).await?),
        };
        Ok(self.learning().observe(service))
    }

    async fn flight_client(&self, adjust: impl FnOnce(ClientConfig) -> ClientConfig) -> Result<FlightClient> {
        FlightClient::connect(adjust(self.client_config()?)).await
    }

    /// How the server is talked to, by the options and the profile.
    pub(crate) fn client_config(&self) -> Result<ClientConfig> {
        self.warn_of_risks();
        self.target()?.client_config(&self.global.connection)
    }

    /// How a client of this profile talks to its server, with the options of the command line for the way to it.
    pub(crate) fn client_config_of(&self, settings: &Settings) -> Result<ClientConfig> {
        let urls = connection::listed([&*settings.url]);
        let config = connection::client_config(&urls, &self.global.connection)?;
        settings.authentication.apply(config)
    }

    /// Tells, each time, that nobody's certificate is checked.
    pub(crate) fn warn_of_risks(&self) {
        if self.global.connection.insecure_skip_verify {
            self.messages.warn(
                "--insecure-skip-verify: the server's certificate is not checked, so that whoever is on the way to it can read \
                 and change everything, credentials included",
            );
        }
    }

    /// The time range of `--begin` and `--end`; `--end` alone has no begin to go with, and is refused.
    pub(crate) fn time_range(&self) -> Result<Option<TimeRange>> {
        let now = Utc::now();
        let parse = |text: &str, option: &str| parse_time(text, now).map_err(|error| error.context(option));
        match (&self.global.begin, &self.global.end) {
            (None, None) => Ok(None),
            (Some(begin), None) => Ok(Some(TimeRange::new(parse(begin, "--begin")?, now)?)),
            (Some(begin), Some(end)) => Ok(Some(TimeRange::new(parse(begin, "--begin")?, parse(end, "--end")?)?)),
            (None, Some(_)) => Err(Error::new(
                ErrorKind::InvalidInput,
                "--end needs --begin: the service ignores a range with one end",
            )),
        }
    }

    /// The time range as it was given, to be checked: an end alone, or before the begin, is then a finding.
    pub(crate) fn call_range(&self) -> Result<CallRange> {
        let now = Utc::now();
        let parse = |text: &Option<String>, option: &str| {
            let time = text.as_deref().map(|text| parse_time(text, now)).transpose();
            time.map_err(|error| error.context(option))
        };
        let begin = parse(&self.global.begin, "--begin")?;
        let end = parse(&self.global.end, "--end")?;
        Ok(CallRange {
            begin,
            end: end.or(begin.map(|_| now)),
        })
    }

    /// The time range, for a command that cannot do without.
    pub(crate) fn required_time_range(&self) -> Result<TimeRange> {
        self.time_range()?.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "--begin is needed, and --end unless it is now: they are the range of insert time that is meant",
            )
        })
    }

    /// Refuses a time range, for a command that would do more than it says if it ignored one.
    pub(crate) fn refuse_time_range(&self, instead: &str) -> Result<()> {
        if self.global.begin.is_none() && self.global.end.is_none() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("this command takes no --begin and --end: {instead}"),
        ))
    }

    /// The SQL text of the arguments.
    pub(crate) fn sql(&self, args: &SqlArgs) -> Result<String> {
        match (&args.sql, &args.file) {
            (Some(sql), _) if sql == "-" => std::io::read_to_string(std::io::stdin())
                .map(unmarked)
                .map_err(|error| Error::from(error).context("cannot read the SQL from standard input")),
            (Some(sql), _) => Ok(sql.clone()),
            (None, Some(path)) => std::fs::read_to_string(path)
                .map(unmarked)
                .map_err(|error| Error::from(error).context(format!("cannot read the SQL file {}", path.display()))),
            (None, None) => Err(Error::new(ErrorKind::InvalidInput, "give the SQL text, or --file")),
        }
    }

    /// The query of the arguments, with the time range.
    pub(crate) fn query(&self, args: &SqlArgs) -> Result<Query> {
        Ok(Query::new(self.sql(args)?)?.with_time_range(self.time_range()?))
    }
}

#[cfg(feature = "lake")]
async fn embedded(dir: &Path) -> Result<Arc<dyn QueryService>> {
    let dir = dir.to_owned();
    crate::commands::blocking(move || {
        let lake = lakepilot_local_lake::Lake::open(&dir)?;
        Ok(Arc::new(lakepilot_local_lake::LakeService::new(lake)?) as Arc<dyn QueryService>)
    })
    .await
}

#[cfg(not(feature = "lake"))]
async fn embedded(_dir: &Path) -> Result<Arc<dyn QueryService>> {
    Err(Error::new(
        ErrorKind::Unsupported,
        "this lakepilot was built without the embedded lake: use grpc://HOST:PORT, or build it with --features lake",
    ))
}
