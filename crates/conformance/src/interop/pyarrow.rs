//! The Flight SQL server on pyarrow that is written for the tests.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long Python may take to import pyarrow on a machine that has much to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server of `python/interop`, for as long as this lives.
pub struct PyarrowServer {
    url: String,
    _process: Child,
}

impl PyarrowServer {
    /// Starts the server with an interpreter that has pyarrow.
    ///
    /// # Errors
    /// When it cannot be started, or does not say within a minute where it listens.
    pub async fn start(python: &Path) -> io::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/interop/server.py");
        let mut process = Command::new(python)
            .args(["-B", "-W", "ignore"])
            .arg(script)
            // It ends when its input does.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("the output is no pipe"))?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await??;
        let url = line
            .as_deref()
            .and_then(|line| line.strip_prefix("listening on "))
            .ok_or_else(|| io::Error::other(format!("the server said no address: {line:?}")))?
            .to_owned();
        Ok(Self { url, _process: process })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }
}
