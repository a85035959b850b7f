//! The checkout, and the cargo that built this program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{Metadata, MetadataCommand};

/// The checkout that `cargo xtask` was called in.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// # Errors
    /// When the folder of this crate is not inside a checkout any more.
    pub(crate) fn locate() -> Result<Self> {
        // Cargo tells the present place at run time; the one at build time serves a binary that is started by hand.
        let own_folder = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = own_folder
            .parent()
            .with_context(|| format!("{} has no parent folder", own_folder.display()))?;
        ensure!(
            root.join("xtask/Cargo.toml").is_file(),
            "{} is not a checkout of Lakepilot; run `cargo xtask` inside one",
            root.display()
        );
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What cargo knows of the workspace, its dependencies on this platform included.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        self.metadata_with(&["--locked", "--filter-platform", &host()?])
    }

    /// What the manifests of the members say, without looking at dependencies.
    pub(crate) fn members(&self) -> Result<Metadata> {
        self.metadata_with(&["--no-deps"])
    }

    fn metadata_with(&self, options: &[&str]) -> Result<Metadata> {
        MetadataCommand::new()
            .current_dir(&self.root)
            .other_options(options.iter().map(ToString::to_string).collect::<Vec<_>>())
            .exec()
            .with_context(|| format!("cargo metadata {} in {}", options.join(" "), self.root.display()))
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target_folder(&self) -> Result<PathBuf> {
        Ok(self.members()?.target_directory.into_std_path_buf())
    }

    /// A call of cargo in the checkout.
    pub(crate) fn cargo<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new(cargo_program());
        command.current_dir(&self.root).args(arguments);
        command
    }
}

fn cargo_program() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// The target triple of this machine, as rustc names it.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = output(Command::new(rustc).arg("-vV"))?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("`rustc -vV` names no host")
}

/// Runs a command with this program's own output.
///
/// # Errors
/// When it cannot be started, or ends with anything but success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    ensure!(status.success(), "{}: {status}", describe(command));
    Ok(())
}

/// Runs a command and gives what it wrote on standard output.
///
/// # Errors
/// As [`run`], with what the command wrote on standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "{}: {}: {}",
            describe(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("the output of {}", describe(command)))
}

/// Where what is dear to build and does not depend on the checkout lies.
///
/// # Errors
/// When there is no home folder.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("LAKEPILOT_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    let home = std::env::home_dir().context("there is no home folder for the cache; set LAKEPILOT_CACHE")?;
    Ok(home.join(".cache/lakepilot"))
}

/// A command as a person would type it.
pub(crate) fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or(program.as_os_str()).display().to_string();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
