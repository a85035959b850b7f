//! Who may depend on whom, as the architecture says, and one version of what everything stands on.

mod edges;
mod locks;
mod reach;

use std::fs;

use anyhow::{Context, Result};

use crate::cargo::Workspace;
use crate::violation::Violation;

/// The lock file of the launcher of the real service, a workspace of its own.
const SERVICE_LOCK: &str = "crates/micromegas-server/Cargo.lock";

/// Checks the crate graph of a checkout.
///
/// # Errors
/// When cargo or a lock file cannot be read; broken rules are not errors.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut violations = edges::check(&edges::read(&workspace.members()?));
    violations.extend(reach::check(workspace)?);

    let read = |path: &str| fs::read_to_string(workspace.root().join(path)).with_context(|| format!("read {path}"));
    let ours = locks::read("Cargo.lock", &read("Cargo.lock")?)?;
    let service = locks::read(SERVICE_LOCK, &read(SERVICE_LOCK)?)?;
    violations.extend(locks::one_version_each(&ours));
    violations.extend(locks::same_release(&ours, &service));
    Ok(violations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_layers() {
        let violations = check(&Workspace::locate().unwrap()).unwrap();
        let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }
}
