//! The licences of everything that is built in, against the list of `deny.toml`.
//!
//! The list is that of cargo-deny, so that there is one: this check needs no network and no tool, cargo-deny knows more.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;
use spdx::{Expression, LicenseReq, ParseMode};

use crate::cargo::Workspace;
use crate::violation::Violation;

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let path = workspace.root().join("deny.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let deny: Deny = toml::from_str(&text).with_context(|| format!("read {}", path.display()))?;
    Ok(workspace
        .metadata()?
        .packages
        .iter()
        .filter_map(|package| {
            let name = format!("{} {}", package.name, package.version);
            check_package(&name, package.license.as_deref(), &deny.licenses.allow)
        })
        .collect())
}

fn check_package(name: &str, licence: Option<&str>, allowed: &[String]) -> Option<Violation> {
    let Some(licence) = licence else {
        return Some(Violation::new(
            name,
            "the package names no licence",
            "read its licence file, and choose another package if it is not a permissive one",
        ));
    };
    // Packages of the time before SPDX expressions write `MIT/Apache-2.0`.
    let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else {
        return Some(Violation::new(
            name,
            format!("its licence '{licence}' is not an SPDX expression"),
            "choose another package",
        ));
    };
    let is_allowed = |requirement: &LicenseReq| allowed.contains(&requirement.to_string());
    (!expression.evaluate(is_allowed)).then(|| {
        Violation::new(
            name,
            format!("its licence '{licence}' is not on the list"),
            "choose another package, or add the licence to deny.toml if it is a permissive one",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_read_as_expressions() {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        for (licence, is_good) in [
            (Some("MIT"), true),
            (Some("GPL-3.0-only OR MIT"), true),
            (Some("MIT/Apache-2.0"), true),
            (Some("(MIT OR GPL-3.0-only) AND Apache-2.0"), true),
            (Some("Apache-2.0 WITH LLVM-exception"), true),
            (Some("GPL-3.0-only"), false),
            (Some("MIT AND GPL-3.0-only"), false),
            (Some("all rights reserved"), false),
            (None, false),
        ] {
            assert_eq!(
                check_package("x 1.0.0", licence, &allowed).is_none(),
                is_good,
                "{licence:?}"
            );
        }
    }
}
