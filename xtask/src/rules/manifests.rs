//! What every manifest of a package has to say.

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::violation::Violation;

const LICENCE: &str = "MIT OR Apache-2.0";

/// # Errors
/// When the text is not TOML.
pub(super) fn check(path: &str, text: &str) -> Result<Vec<Violation>> {
    let manifest: Table = toml::from_str(text).with_context(|| format!("read {path}"))?;
    let is_own_workspace = manifest.contains_key("workspace");
    let mut violations = Vec::new();
    let mut broken = |what: &str, remedy: &str| violations.push(Violation::new(path, what, remedy));

    let package = manifest.get("package").and_then(Value::as_table);
    let field = |name: &str| package.and_then(|package| package.get(name));
    if field("description")
        .and_then(Value::as_str)
        .is_none_or(|text| text.trim().is_empty())
    {
        broken("the package has no description", "say in a line what it is");
    }
    if !field("license").is_some_and(|licence| is_inherited(licence) || licence.as_str() == Some(LICENCE)) {
        broken(
            "the package is not under the workspace's licence",
            "write `license.workspace = true`",
        );
    }
    if !field("edition").is_some_and(|edition| is_inherited(edition) || is_own_workspace) {
        broken(
            "the package chooses its own edition",
            "write `edition.workspace = true`",
        );
    }
    match manifest.get("lints") {
        Some(lints) if is_inherited(lints) || is_own_workspace => {}
        _ => broken(
            "the package has no lint table",
            "write `[lints]` and under it `workspace = true`",
        ),
    }
    if !is_own_workspace {
        violations.extend(own_versions(path, &manifest));
    }
    Ok(violations)
}

/// Dependencies that name a version themselves, where the workspace's table is to decide.
fn own_versions(path: &str, manifest: &Table) -> Vec<Violation> {
    let for_all = dependency_tables(manifest);
    let for_targets = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(|targets| targets.values())
        .filter_map(Value::as_table)
        .flat_map(dependency_tables);
    for_all
        .into_iter()
        .chain(for_targets)
        .flatten()
        .filter(|(_, dependency)| {
            let is_itself = dependency.get("path").and_then(Value::as_str) == Some(".");
            !is_inherited(dependency) && !is_itself
        })
        .map(|(name, _)| {
            Violation::new(
                path,
                format!("{name} is not taken from the workspace's dependencies"),
                format!("put it into the root Cargo.toml and write `{name} = {{ workspace = true }}`"),
            )
        })
        .collect()
}

fn dependency_tables(table: &Table) -> Vec<&Table> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|name| table.get(*name).and_then(Value::as_table))
        .collect()
}

fn is_inherited(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [package]
        name = "x"
        description = "Does x"
        edition.workspace = true
        license.workspace = true
        [lints]
        workspace = true
        [dependencies]
        serde = { workspace = true, features = ["rc"] }
        [dev-dependencies]
        x = { path = "." }
    "#;

    fn found(manifest: &str) -> Vec<String> {
        check("x/Cargo.toml", manifest)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_good_manifest_is_good() {
        assert_eq!(found(GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_is_missing_is_found() {
        for (cut, put, says) in [
            ("description = \"Does x\"", "", "no description"),
            ("\"Does x\"", "\" \"", "no description"),
            ("license.workspace = true", "", "licence"),
            ("license.workspace = true", "license = \"GPL-3.0\"", "licence"),
            ("edition.workspace = true", "edition = \"2021\"", "edition"),
            ("[lints]", "[other]", "lint table"),
            (
                "{ workspace = true, features = [\"rc\"] }",
                "\"1\"",
                "serde is not taken",
            ),
            (
                "[dev-dependencies]",
                "[target.'cfg(unix)'.dependencies]\nnix = \"1\"\n[dev-dependencies]",
                "nix is not taken",
            ),
        ] {
            let manifest = GOOD.replace(cut, put);
            assert_ne!(manifest, GOOD);
            let found = found(&manifest);
            assert_eq!(found.len(), 1, "{put}: {found:?}");
            assert!(
                found[0].starts_with("x/Cargo.toml: ") && found[0].contains(says),
                "{}",
                found[0]
            );
        }
    }

    #[test]
    fn a_workspace_of_its_own_has_its_own_versions_and_lints() {
        let own = "[workspace]\n[package]\ndescription = \"x\"\nlicense = \"MIT OR Apache-2.0\"\nedition = \"2024\"\n\
                   [dependencies]\nserde = \"1\"\n";
        assert_eq!(found(own).len(), 1);
        assert!(found(own)[0].contains("lint table"));
        assert_eq!(
            found(&format!("{own}[lints.rust]\nunsafe_code = \"forbid\"")),
            Vec::<String>::new()
        );
    }
}
