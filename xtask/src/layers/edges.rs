//! The table of allowed edges between the members, and the check of their manifests against it.

use cargo_metadata::{DependencyKind, Metadata};

use crate::violation::Violation;

/// A member of the workspace and the members that it may name as dependencies.
struct Layer {
    package: &'static str,
    uses: &'static [&'static str],
}

const LIBRARIES: &[&str] = &[
    "lakepilot-query",
    "lakepilot-flight-client",
    "lakepilot-credentials",
    "lakepilot-catalog",
    "lakepilot-analysis",
    "lakepilot-execution",
    "lakepilot-admin",
    "lakepilot-partition-map",
    "lakepilot-local-lake",
];

const LAYERS: &[Layer] = &[
    Layer {
        package: "lakepilot-query",
        uses: &[],
    },
    Layer {
        package: "lakepilot-flight-client",
        uses: &["lakepilot-query"],
    },
    Layer {
        package: "lakepilot-credentials",
        uses: &["lakepilot-query", "lakepilot-flight-client"],
    },
    Layer {
        package: "lakepilot-catalog",
        uses: &["lakepilot-query"],
    },
    Layer {
        package: "lakepilot-analysis",
        uses: &["lakepilot-query", "lakepilot-catalog"],
    },
    Layer {
        package: "lakepilot-execution",
        uses: &["lakepilot-query", "lakepilot-catalog"],
    },
    Layer {
        package: "lakepilot-admin",
        uses: &["lakepilot-query", "lakepilot-catalog"],
    },
    Layer {
        package: "lakepilot-partition-map",
        uses: &["lakepilot-catalog"],
    },
    Layer {
        package: "lakepilot-local-lake",
        uses: &["lakepilot-query"],
    },
    Layer {
        package: "lakepilot-cli",
        uses: LIBRARIES,
    },
    Layer {
        package: "lakepilot-fault-proxy",
        uses: &["lakepilot-query"],
    },
    Layer {
        package: "lakepilot-conformance",
        uses: LIBRARIES,
    },
    Layer {
        package: "lakepilot-benches",
        uses: LIBRARIES,
    },
    Layer {
        package: "xtask",
        uses: &[],
    },
];

/// What the comparison of clients stands on besides.
const FOR_BENCHES: &[&str] = &["lakepilot-fault-proxy"];

/// What a test or a benchmark may use besides: a lake to ask, in process or over a port, and a network between that goes
/// wrong. All stand on `query` alone, so that no circle can come of it.
const FOR_TESTS: &[&str] = &[
    "lakepilot-local-lake",
    "lakepilot-flight-client",
    "lakepilot-fault-proxy",
];

/// The vocabulary crate is what everybody who implements or mocks the trait pulls in.
const QUERY_USES: &[&str] = &["arrow", "async-trait", "chrono", "futures", "mockall"];

/// A dependency that a manifest names.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    from: String,
    to: String,
    for_tests: bool,
}

/// The dependencies that the members name, those from outside included.
pub(super) fn read(members: &Metadata) -> Vec<Edge> {
    members
        .packages
        .iter()
        .flat_map(|package| {
            package.dependencies.iter().map(|dependency| Edge {
                from: package.name.to_string(),
                to: dependency.name.clone(),
                for_tests: dependency.kind == DependencyKind::Development,
            })
        })
        .collect()
}

pub(super) fn check(edges: &[Edge]) -> Vec<Violation> {
    let mut violations: Vec<_> = edges.iter().filter_map(check_edge).collect();
    violations.dedup();
    violations
}

fn check_edge(edge: &Edge) -> Option<Violation> {
    let Some(layer) = LAYERS.iter().find(|layer| layer.package == edge.from) else {
        return Some(Violation::new(
            &edge.from,
            "the package has no row in the table of layers",
            "add it to xtask/src/layers/edges.rs and to docs/architecture.md",
        ));
    };
    if edge.from == "lakepilot-query" && !edge.for_tests && !QUERY_USES.contains(&edge.to.as_str()) {
        return Some(Violation::new(
            &edge.from,
            format!("depends on {}, and the vocabulary is to bring nothing with it", edge.to),
            format!("put what needs {} into a crate above", edge.to),
        ));
    }
    let is_member = LAYERS.iter().any(|layer| layer.package == edge.to);
    let is_allowed = layer.uses.contains(&edge.to.as_str())
        || edge.from == "lakepilot-benches" && FOR_BENCHES.contains(&edge.to.as_str())
        || edge.for_tests && (edge.to == edge.from || FOR_TESTS.contains(&edge.to.as_str()));
    (is_member && !is_allowed).then(|| {
        Violation::new(
            &edge.from,
            format!("depends on {}, which does not stand below it", edge.to),
            format!(
                "take what is needed as a trait or a value and let the caller join them (allowed: {})",
                if layer.uses.is_empty() {
                    "none".to_owned()
                } else {
                    layer.uses.join(", ")
                }
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(from: &str, to: &str, for_tests: bool) -> Vec<String> {
        let edge = Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            for_tests,
        };
        check(&[edge]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn edges_that_point_down_are_good() {
        for (from, to, for_tests) in [
            ("lakepilot-cli", "lakepilot-admin", false),
            ("lakepilot-admin", "lakepilot-catalog", false),
            ("lakepilot-admin", "serde", false),
            ("lakepilot-query", "arrow", false),
            ("lakepilot-query", "tokio", true),
            ("lakepilot-query", "lakepilot-query", true),
            ("lakepilot-execution", "lakepilot-local-lake", true),
            ("lakepilot-flight-client", "lakepilot-fault-proxy", true),
        ] {
            assert_eq!(check_one(from, to, for_tests), Vec::<String>::new());
        }
    }

    #[test]
    fn forbidden_edges_are_found() {
        for (from, to, for_tests) in [
            ("lakepilot-execution", "lakepilot-analysis", false),
            ("lakepilot-execution", "lakepilot-analysis", true),
            ("lakepilot-execution", "lakepilot-local-lake", false),
            ("lakepilot-flight-client", "lakepilot-fault-proxy", false),
            ("lakepilot-catalog", "lakepilot-flight-client", false),
            ("lakepilot-query", "lakepilot-catalog", false),
            ("lakepilot-query", "tokio", false),
            ("lakepilot-admin", "lakepilot-admin", false),
            ("lakepilot-cli", "lakepilot-conformance", true),
            ("xtask", "lakepilot-query", false),
            ("lakepilot-new", "serde", false),
        ] {
            let found = check_one(from, to, for_tests);
            assert_eq!(found.len(), 1, "{from} -> {to}");
            assert!(found[0].starts_with(&format!("{from}: ")), "{}", found[0]);
        }
    }
}
