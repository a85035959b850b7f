//! The rules of the repository that no compiler and no linter checks.

mod licences;
mod manifests;
mod rooms;
mod scan;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use walkdir::{DirEntry, WalkDir};

use crate::cargo::Workspace;
use crate::violation::Violation;

/// Checks the rules in a checkout.
///
/// # Errors
/// When a file cannot be read, or is not what its name says; broken rules are not errors.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let files = files(workspace.root())?;
    let mut violations = rooms::check_top_level(&top_level(workspace.root())?);
    violations.extend(files.iter().filter_map(|path| rooms::check_file(path)));

    let mut sources = Vec::new();
    for path in &files {
        let read = || fs::read_to_string(workspace.root().join(path)).with_context(|| format!("read {path}"));
        if path.ends_with("/Cargo.toml") {
            violations.extend(manifests::check(path, &read()?)?);
        } else if path.ends_with(".rs") {
            sources.push(source::Source::new(path.clone(), read()?)?);
        }
    }
    violations.extend(source::check(&sources));
    violations.extend(licences::check(workspace)?);
    Ok(violations)
}

/// The files of the checkout by their paths from the root, with `/` between folders, without what is built or hidden.
fn files(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_left_out(entry))
    {
        let entry = entry?;
        if entry.file_type().is_file() {
            files.push(from_root(root, entry.path())?);
        }
    }
    Ok(files)
}

fn is_left_out(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.file_type().is_dir() && (name == "target" || name == "__pycache__" || name.starts_with('.'))
}

fn from_root(root: &Path, path: &Path) -> Result<String> {
    let parts: Vec<_> = path
        .strip_prefix(root)
        .with_context(|| format!("{} is outside the checkout", path.display()))?
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    Ok(parts.join("/"))
}

fn top_level(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root).with_context(|| format!("list {}", root.display()))? {
        names.push(PathBuf::from(entry?.file_name()).display().to_string());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_rules() {
        let violations = check(&Workspace::locate().unwrap()).unwrap();
        let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }

    #[test]
    fn what_is_built_or_hidden_is_not_looked_at() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "target/a.rs",
            ".git/b.rs",
            "crates/x/src/lib.rs",
            "crates/x/target/c.rs",
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(files(root.path()).unwrap(), ["crates/x/src/lib.rs"]);
    }
}
