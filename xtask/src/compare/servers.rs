//! What is asked.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::ServerKind;
use super::clients::Clients;
use crate::cargo::{self, Workspace};
use crate::child::{Ended, started};

/// Log entries of the embedded lake.
pub(super) const LAKE_ROWS: u64 = 1_000_000;

/// Milliseconds. The first one, through a proxy that does not delay, is what the others are held against.
const ROUND_TRIPS: &str = "0,20,40,80";

/// A server that runs while this value lives, unless it ran before.
pub(super) struct Servers {
    pub(super) url: String,
    /// Where the blast server sends bare bytes.
    pub(super) bytes_address: Option<String>,
    /// The server through proxies that delay: milliseconds of the round trip, and the address.
    pub(super) delayed: Vec<(u64, String)>,
    /// Rows of a large result.
    pub(super) rows: u64,
    /// Bytes of a row on the wire, flattened and with dictionaries, where they are known.
    pub(super) row_bytes: Option<(f64, f64)>,
    _process: Option<Ended>,
}

/// What the blast server says when it listens.
#[derive(Deserialize)]
struct Announced {
    url: String,
    bytes_address: String,
    delayed: Vec<(u64, String)>,
    rows: u64,
    plain_row_bytes: f64,
    dictionary_row_bytes: f64,
}

impl Servers {
    /// `None` when it is the real service, and its launcher was not built.
    pub(super) fn start(
        workspace: &Workspace,
        kind: ServerKind,
        clients: &Clients,
        rows: u64,
        folder: &Path,
    ) -> Result<Option<Self>> {
        match kind {
            ServerKind::Blast => {
                let rows = rows.to_string();
                Self::blast(&clients.blast, &["--rows", &rows, "--round-trips", ROUND_TRIPS]).map(Some)
            }
            ServerKind::Lake => Self::lake(&clients.program, &folder.join("lake"), LAKE_ROWS).map(Some),
            ServerKind::Micromegas => Ok(micromegas(workspace)?.map(|url| Self {
                url,
                bytes_address: None,
                delayed: Vec::new(),
                rows: 0,
                row_bytes: None,
                _process: None,
            })),
        }
    }

    pub(super) fn blast(program: &Path, options: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(options);
        let (process, line) = started(command)?;
        let announced: Announced =
            serde_json::from_str(&line).with_context(|| format!("the blast server said: {line}"))?;
        Ok(Self {
            url: announced.url,
            bytes_address: Some(announced.bytes_address),
            delayed: announced.delayed,
            rows: announced.rows,
            row_bytes: Some((announced.plain_row_bytes, announced.dictionary_row_bytes)),
            _process: Some(process),
        })
    }

    /// The lake is made once, and kept.
    pub(super) fn lake(program: &Path, lake: &Path, rows: u64) -> Result<Self> {
        if !lake.exists() {
            let unfinished = lake.with_extension("new");
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished).with_context(|| format!("remove {}", unfinished.display()))?;
            }
            cargo::run(
                Command::new(program)
                    .args(["lake", "generate", "--quiet", "--rows", &rows.to_string()])
                    .arg(&unfinished),
            )?;
            fs::rename(&unfinished, lake).with_context(|| format!("make {}", lake.display()))?;
        }
        let mut command = Command::new(program);
        command.args(["lake", "serve", "--listen", "127.0.0.1:0"]).arg(lake);
        let (process, line) = started(command)?;
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("grpc://"))
            .with_context(|| format!("the lake said no address: {line}"))?;
        Ok(Self {
            url: url.to_owned(),
            bytes_address: None,
            delayed: Vec::new(),
            rows,
            row_bytes: None,
            _process: Some(process),
        })
    }
}

#[cfg(unix)]
fn micromegas(workspace: &Workspace) -> Result<Option<String>> {
    if crate::micromegas::is_built()? {
        crate::micromegas::ensure_up(workspace).map(Some)
    } else {
        Ok(None)
    }
}

#[cfg(not(unix))]
fn micromegas(_: &Workspace) -> Result<Option<String>> {
    Ok(None)
}
