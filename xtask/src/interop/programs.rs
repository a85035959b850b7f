//! Our own programs.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::cargo::{Workspace, run};

pub(super) struct Programs {
    /// The cases.
    pub(super) interop: PathBuf,
    pub(super) lakepilot: PathBuf,
}

impl Programs {
    /// Those in the folder; without one they are built.
    pub(super) fn find(workspace: &Workspace, folder: Option<&Path>) -> Result<Self> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => {
                let build = [
                    "build",
                    "--locked",
                    "--workspace",
                    "--bin",
                    "interop",
                    "--bin",
                    "lakepilot",
                ];
                run(&mut workspace.cargo(build))?;
                workspace.target_folder()?.join("debug")
            }
        };
        let named = |name: &str| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        let programs = Self {
            interop: named("interop"),
            lakepilot: named("lakepilot"),
        };
        for program in [&programs.interop, &programs.lakepilot] {
            ensure!(program.is_file(), "there is no program {}", program.display());
        }
        Ok(programs)
    }
}
