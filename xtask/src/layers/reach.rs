//! What a crate must not bring with it, however far down it would come from.
//!
//! `cargo metadata` unites the features that all members ask for, and a crate would seem to need what only another one
//! turns on. `cargo tree -p` resolves features as a user of that one crate gets them.

use anyhow::Result;

use crate::cargo::{Workspace, output};
use crate::violation::Violation;

/// A way to build a package, and the packages that must not be in it.
struct Closed {
    package: &'static str,
    options: &'static [&'static str],
    to: &'static [&'static str],
}

const ABOVE_THE_TRANSPORT: &[&str] = &["tonic", "arrow-flight", "datafusion", "hyper", "rusqlite"];

const CLOSED: &[Closed] = &[
    Closed {
        package: "lakepilot-query",
        options: &[],
        to: &[
            "tonic",
            "arrow-flight",
            "datafusion",
            "hyper",
            "rusqlite",
            "tokio",
            "parquet",
        ],
    },
    Closed {
        package: "lakepilot-catalog",
        options: &[],
        to: ABOVE_THE_TRANSPORT,
    },
    Closed {
        package: "lakepilot-analysis",
        options: &[],
        to: ABOVE_THE_TRANSPORT,
    },
    Closed {
        package: "lakepilot-execution",
        options: &[],
        to: ABOVE_THE_TRANSPORT,
    },
    Closed {
        package: "lakepilot-admin",
        options: &[],
        to: ABOVE_THE_TRANSPORT,
    },
    Closed {
        package: "lakepilot-partition-map",
        options: &[],
        to: ABOVE_THE_TRANSPORT,
    },
    Closed {
        package: "lakepilot-flight-client",
        options: &[],
        to: &["datafusion", "parquet", "rusqlite"],
    },
    Closed {
        package: "lakepilot-cli",
        options: &["--no-default-features"],
        to: &["datafusion", "rusqlite", "lakepilot-local-lake"],
    },
];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for closed in CLOSED {
        let tree = output(
            workspace
                .cargo(["tree", "--locked", "--quiet", "--edges", "normal", "--prefix", "none"])
                .args(["--format", "{p}", "--package", closed.package])
                .args(closed.options),
        )?;
        violations.extend(check_tree(closed, &tree));
    }
    Ok(violations)
}

fn check_tree(closed: &Closed, tree: &str) -> Vec<Violation> {
    let mut found: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| closed.to.iter().any(|forbidden| is_of_family(name, forbidden)))
        .collect();
    found.sort_unstable();
    found.dedup();
    let mut build = closed.package.to_owned();
    for option in closed.options {
        build.push(' ');
        build.push_str(option);
    }
    found
        .into_iter()
        .map(|name| {
            Violation::new(
                &build,
                format!("{name} is built into it"),
                format!("see `cargo tree -e normal -p {build} -i {name}` for the way in, and close it"),
            )
        })
        .collect()
}

/// `datafusion` stands for `datafusion-common` too.
pub(super) fn is_of_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT_ONLY: Closed = Closed {
        package: "lakepilot-cli",
        options: &["--no-default-features"],
        to: &["datafusion", "tonic"],
    };

    #[test]
    fn what_must_not_be_there_is_found_once() {
        let tree =
            "lakepilot-cli v0.1.0 (/x)\ndatafusion-common v55.2.0\narrow v59.0.0\ndatafusion-common v55.2.0 (*)\n";
        let found: Vec<_> = check_tree(&CLIENT_ONLY, tree).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("lakepilot-cli --no-default-features: datafusion-common is built into it"),
            "{}",
            found[0]
        );
    }

    #[test]
    fn a_name_that_only_begins_alike_is_another() {
        assert!(check_tree(&CLIENT_ONLY, "tonicity v1.0.0\ndata v1.0.0\n").is_empty());
    }

    #[test]
    fn every_closed_build_is_checked_against_something() {
        assert!(CLOSED.iter().all(|closed| !closed.to.is_empty()));
    }
}
