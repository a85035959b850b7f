//! The launcher of the service: built once, kept outside the checkout.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::cargo::{Workspace, cache_folder, run};

/// Names a launcher that is there already.
const READY: &str = "LAKEPILOT_MICROMEGAS_SERVER";

pub(super) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(ready) = env::var_os(READY) {
        let ready = PathBuf::from(ready);
        ensure!(
            ready.is_file(),
            "{READY} names {}, which is not a file",
            ready.display()
        );
        return Ok(ready);
    }
    let target = cache_folder()?.join("micromegas-target");
    run(workspace
        .cargo([
            "build",
            "--release",
            "--locked",
            "--manifest-path",
            "crates/micromegas-server/Cargo.toml",
        ])
        .env("CARGO_TARGET_DIR", &target))
    .context("build the real service")?;
    Ok(target.join("release/lakepilot-micromegas-server"))
}

/// Whether a launcher is there that need not be built first.
pub(super) fn is_there() -> Result<bool> {
    Ok(env::var_os(READY).is_some()
        || cache_folder()?
            .join("micromegas-target/release/lakepilot-micromegas-server")
            .is_file())
}
