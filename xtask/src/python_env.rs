//! Virtual environments: the one that the published Python clients are tested in, those of other tools, and those of servers
//! that are wheels.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo::{Workspace, run};

/// An environment that is made of a file of requirements.
pub(crate) struct Environment {
    /// The name of its folder in the target folder.
    pub(crate) folder: &'static str,
    /// The requirements, from the root of the checkout.
    pub(crate) requirements: &'static str,
}

/// That of the published clients.
pub(crate) const CLIENTS: Environment = Environment {
    folder: "python-env",
    requirements: "crates/conformance/python/requirements.txt",
};

/// The requirements that an environment was made of, whole: written last, so that it is there only when all of it is.
const STAMP: &str = "lakepilot-requirements.txt";

/// Makes the environment of the published clients, and gives its folder.
///
/// # Errors
/// Those of [`make`].
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    ensure_one(workspace, &CLIENTS)
}

/// Makes an environment in the target folder unless it is there, and gives its folder.
///
/// # Errors
/// Those of [`make`].
pub(crate) fn ensure_one(workspace: &Workspace, environment: &Environment) -> Result<PathBuf> {
    let folder = workspace.target_folder()?.join(environment.folder);
    make(&folder, &workspace.root().join(environment.requirements))?;
    Ok(folder)
}

/// Makes an environment in the folder unless the one there was made of the same requirements.
///
/// # Errors
/// When there is no Python with `venv`, or pip cannot install the requirements.
pub(crate) fn make(folder: &Path, requirements: &Path) -> Result<()> {
    let wanted = fs::read_to_string(requirements).with_context(|| format!("read {}", requirements.display()))?;
    if is_current(folder, &wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove the old {}", folder.display()))?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .context("a virtual environment is needed: install Python 3 with venv (Debian: python3-venv)")?;
    run(Command::new(python(folder))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(requirements))
    .with_context(|| format!("install {}", requirements.display()))?;
    let stamp = folder.join(STAMP);
    fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))?;
    ensure!(python(folder).is_file(), "{} has no Python in it", folder.display());
    Ok(())
}

fn is_current(folder: &Path, wanted: &str) -> bool {
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == wanted) && python(folder).is_file()
}

/// The interpreter of an environment.
pub(crate) fn python(folder: &Path) -> PathBuf {
    if cfg!(windows) {
        folder.join("Scripts/python.exe")
    } else {
        folder.join("bin/python")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_current_only_when_it_was_finished_with_the_same_requirements() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_current(folder.path(), "a==1\n"));
        fs::write(folder.path().join(STAMP), "a==1\n").unwrap();
        assert!(!is_current(folder.path(), "a==1\n"), "it has no Python");
        let python = python(folder.path());
        fs::create_dir_all(python.parent().unwrap()).unwrap();
        fs::write(python, "").unwrap();
        assert!(is_current(folder.path(), "a==1\n"));
        assert!(!is_current(folder.path(), "a==2\n"));
    }
}
