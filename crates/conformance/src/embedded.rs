//! A small embedded lake behind a port.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use lakepilot_flight_client::{ClientConfig, FlightClient};
use lakepilot_local_lake::{FlightServer, GenerateOptions, Lake, LakeService, ServeOptions, ServerHandle, generate};
use lakepilot_query::{QueryService, Result};
use tempfile::TempDir;

/// A generated lake in a temporary directory, served on a free loopback port for as long as this lives.
pub struct EmbeddedLake {
    server: ServerHandle,
    _directory: TempDir,
}

impl EmbeddedLake {
    /// Generates the lake and serves it. The same telemetry every time.
    ///
    /// # Errors
    /// `Io` when the directory or the port cannot be had.
    pub fn start() -> Result<Self> {
        Self::with_rows(20_000)
    }

    /// As [`EmbeddedLake::start`], with as many log entries, and measures and spans in proportion.
    ///
    /// # Errors
    /// As [`EmbeddedLake::start`].
    pub fn with_rows(rows: u64) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let lake = Lake::create(directory.path().join("lake"))?;
        let end = DateTime::<Utc>::from_timestamp_nanos(1_768_003_200_000_000_000);
        let options = GenerateOptions {
            rows,
            days: 2,
            processes: 4,
            ..GenerateOptions::until(end)
        };
        generate(&lake, &options, &|_, _| ())?;
        let options = ServeOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            ..ServeOptions::default()
        };
        let server = FlightServer::bind(Arc::new(LakeService::new(lake)?), options)?.spawn();
        Ok(Self {
            server,
            _directory: directory,
        })
    }

    /// Where it is served.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// A client of the lake.
    ///
    /// # Errors
    /// Those of connecting.
    pub async fn connect(&self) -> Result<Arc<dyn QueryService>> {
        connect(self.server.url()).await
    }
}

/// A client of the server at an address.
///
/// # Errors
/// Those of connecting.
pub async fn connect(url: impl AsRef<str>) -> Result<Arc<dyn QueryService>> {
    Ok(Arc::new(FlightClient::connect(ClientConfig::new(url)?).await?))
}
