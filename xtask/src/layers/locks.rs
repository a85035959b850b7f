//! One version in the lock file of what everything stands on, and the same release on both sides of the wire.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::reach::is_of_family;
use crate::violation::Violation;

/// Families of packages whose values cross crate boundaries: two versions of one are two unrelated sets of types.
const ONE_VERSION: &[&str] = &["arrow", "parquet", "datafusion", "sqlparser", "tonic", "prost"];

/// Packages that the real service is to have in the same release (major and minor) as we, or comparing the two shows
/// differences of the engine and not of ours.
const SAME_RELEASE: &[&str] = &["arrow", "arrow-flight", "datafusion"];

/// A lock file.
pub(super) struct Lock {
    path: String,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

/// # Errors
/// When the text is not that of a lock file.
pub(super) fn read(path: &str, text: &str) -> Result<Lock> {
    #[derive(Deserialize)]
    struct File {
        package: Vec<Package>,
    }
    let file: File = toml::from_str(text).with_context(|| format!("read {path}"))?;
    Ok(Lock {
        path: path.to_owned(),
        packages: file.package,
    })
}

impl Lock {
    fn versions(&self, name: &str) -> Vec<&str> {
        self.packages
            .iter()
            .filter(|package| package.name == name)
            .map(|package| package.version.as_str())
            .collect()
    }
}

pub(super) fn one_version_each(lock: &Lock) -> Vec<Violation> {
    let mut names: Vec<&str> = lock
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .filter(|name| ONE_VERSION.iter().any(|family| is_of_family(name, family)))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .filter_map(|name| {
            let versions = lock.versions(name);
            (versions.len() > 1).then(|| {
                Violation::new(
                    &lock.path,
                    format!(
                        "{name} is there in {} versions ({})",
                        versions.len(),
                        versions.join(", ")
                    ),
                    format!("see `cargo tree -d -i {name}` and bring its users to one release"),
                )
            })
        })
        .collect()
}

pub(super) fn same_release(ours: &Lock, service: &Lock) -> Vec<Violation> {
    SAME_RELEASE
        .iter()
        .filter_map(|name| {
            let (own, other) = (releases(ours, name), releases(service, name));
            (own != other || own.is_empty()).then(|| {
                Violation::new(
                    &service.path,
                    format!("{name} is {} there and {} in {}", told(&other), told(&own), ours.path),
                    format!("run `cargo update -p {name}` on the older side"),
                )
            })
        })
        .collect()
}

fn releases(lock: &Lock, name: &str) -> Vec<String> {
    lock.versions(name)
        .into_iter()
        .map(|version| version.split('.').take(2).collect::<Vec<_>>().join("."))
        .collect()
}

fn told(releases: &[String]) -> String {
    if releases.is_empty() {
        "absent".to_owned()
    } else {
        releases.join(" and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(packages: &[(&str, &str)]) -> Lock {
        let text: String = packages
            .iter()
            .map(|(name, version)| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n"))
            .collect();
        read("Cargo.lock", &text).unwrap()
    }

    #[test]
    fn a_second_version_is_found() {
        let lock = lock(&[
            ("arrow", "59.1.0"),
            ("arrow-array", "58.0.0"),
            ("arrow-array", "59.1.0"),
            ("rand", "0.8.0"),
            ("rand", "0.9.0"),
        ]);
        let found: Vec<_> = one_version_each(&lock).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("arrow-array is there in 2 versions (58.0.0, 59.1.0)"),
            "{}",
            found[0]
        );
    }

    #[test]
    fn another_release_of_the_service_is_found() {
        let all = |datafusion| {
            [
                ("arrow", "59.3.0"),
                ("arrow-flight", "59.3.1"),
                ("datafusion", datafusion),
            ]
        };
        let ours = lock(&all("55.2.0"));
        assert!(same_release(&ours, &lock(&all("55.2.9"))).is_empty());
        for other in ["55.1.0", "54.2.0"] {
            let found = same_release(&ours, &lock(&all(other)));
            assert_eq!(found.len(), 1, "{other}");
            assert!(found[0].what.starts_with("datafusion is "), "{}", found[0]);
        }
        let without = lock(&[("serde", "1.0.0")]);
        assert_eq!(same_release(&ours, &without).len(), 3);
        assert_eq!(same_release(&without, &without).len(), 3);
    }

    #[test]
    fn what_is_not_a_lock_file_is_an_error() {
        assert!(read("Cargo.lock", "[package]\nname = 1").is_err());
    }
}
