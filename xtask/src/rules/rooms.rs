//! What may lie where.

use crate::violation::Violation;

const TOP_LEVEL: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "benches",
    "clippy.toml",
    "crates",
    "deny.toml",
    "docs",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "target",
    "xtask",
];

pub(super) fn check_top_level(names: &[String]) -> Vec<Violation> {
    let strangers = names
        .iter()
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .map(|name| {
            Violation::new(
                name,
                "it has no room at the top level",
                "move it into crates/, xtask/, docs/ or benches/",
            )
        });
    let missing = TOP_LEVEL
        .iter()
        .filter(|name| **name != "target" && !names.iter().any(|found| found == *name))
        .map(|name| Violation::new(*name, "it is missing at the top level", "put it back"));
    strangers.chain(missing).collect()
}

pub(super) fn check_file(path: &str) -> Option<Violation> {
    if path.ends_with(".snap.new") || path.ends_with(".pending-snap") {
        return Some(Violation::new(
            path,
            "a snapshot was left undecided",
            "read it, then accept it (`cargo insta accept`) or delete it",
        ));
    }
    if is_loose_test(path) {
        return Some(Violation::new(
            path,
            "a second integration binary for the crate",
            "make it a module of tests/it/main.rs; every binary links everything again",
        ));
    }
    None
}

/// `crates/x/tests/name.rs`, where `crates/x/tests/it/name.rs` should be.
fn is_loose_test(path: &str) -> bool {
    path.ends_with(".rs")
        && path
            .split_once("/tests/")
            .is_some_and(|(package, rest)| !package.contains("/src/") && !rest.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_and_a_missing_file_are_found() {
        let mut names: Vec<_> = TOP_LEVEL.iter().map(ToString::to_string).collect();
        names.push(".git".to_owned());
        assert_eq!(check_top_level(&names), []);

        names.push("notes.txt".to_owned());
        names.retain(|name| name != "README.md" && name != "target");
        let places: Vec<_> = check_top_level(&names).into_iter().map(|found| found.place).collect();
        assert_eq!(places, ["notes.txt", "README.md"]);
    }

    #[test]
    fn files_in_the_wrong_place_are_found() {
        for path in [
            "crates/x/tests/it/snapshots/a.snap.new",
            "crates/x/src/.b.pending-snap",
            "crates/x/tests/a.rs",
        ] {
            assert!(check_file(path).is_some(), "{path}");
        }
        for path in [
            "crates/x/tests/it/main.rs",
            "crates/x/tests/it/snapshots/a.snap",
            "crates/x/tests/data/a.json",
            "crates/x/src/ipc/tests.rs",
        ] {
            assert_eq!(check_file(path), None);
        }
    }
}
