//! The corpus: files of queries under `tests/corpus`, each query with the rules that speak about it.
//!
//! A query begins after a line `-- name: ...`. Lines below it that begin with `-- range: ` give the time range of the
//! call, and `-- finds: ` the rules, in the order of the text; without one, nothing is to be found.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, Utc};
use lakepilot_analysis::{Analysis, Analyzer, CallRange, Config};
use lakepilot_query::parse_time;

use crate::invariants::analyzer;

/// One query of the corpus.
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) sql: String,
    pub(crate) range: CallRange,
    finds: Vec<String>,
}

impl Case {
    pub(crate) fn check(&self) -> Analysis {
        analyzer().check(&self.sql, self.range)
    }
}

pub(crate) fn now() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// Every query of the corpus.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        for piece in text.split("-- name: ").skip(1) {
            cases.push(read_case(&file, piece));
        }
    }
    cases
}

fn read_case(file: &str, piece: &str) -> Case {
    let (name, rest) = piece.split_once('\n').unwrap();
    let mut case = Case {
        file: file.to_owned(),
        name: name.trim().to_owned(),
        sql: String::new(),
        range: CallRange::default(),
        finds: Vec::new(),
    };
    for line in rest.lines() {
        if let Some(range) = line.strip_prefix("-- range: ") {
            case.range = read_range(range);
        } else if let Some(finds) = line.strip_prefix("-- finds: ") {
            case.finds = finds.split(", ").map(str::to_owned).collect();
        } else {
            case.sql.push_str(line);
            case.sql.push('\n');
        }
    }
    case.sql.truncate(case.sql.trim_end().len());
    case
}

fn read_range(text: &str) -> CallRange {
    let (begin, end) = text.split_once(" to ").unwrap();
    let time = |text: &str| (text.trim() != "none").then(|| parse_time(text, now()).unwrap());
    CallRange {
        begin: time(begin),
        end: time(end),
    }
}

#[test]
fn every_query_has_the_findings_that_it_should_have() {
    let mut wrong = String::new();
    for case in cases() {
        let analysis = case.check();
        let found: Vec<&str> = analysis.findings().map(|finding| finding.rule).collect();
        if found != case.finds {
            wrong.push_str(&format!(
                "{}/{}\n  should: {:?}\n  found:  {found:?}\n",
                case.file, case.name, case.finds
            ));
            for finding in analysis.findings() {
                let place = &case.sql[finding.span.range()];
                wrong.push_str(&format!("    {}: {} at `{place}`\n", finding.rule, finding.message));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn the_corpus_is_large_and_has_every_rule_that_needs_no_service() {
    let cases = cases();
    assert!(cases.len() >= 150, "{}", cases.len());
    let good = cases.iter().filter(|case| case.finds.is_empty()).count();
    assert!(good >= 60, "{good}");
    let found: BTreeSet<&str> = cases.iter().flat_map(|case| &case.finds).map(String::as_str).collect();
    for rule in lakepilot_analysis::all_rules() {
        let name = rule.info().name;
        assert!(found.contains(name) || name == "rejected-by-server", "{name}");
    }
}

#[test]
fn the_examples_of_the_rules_are_examples() {
    for rule in lakepilot_analysis::all_rules() {
        let info = rule.info();
        let finds = |sql: &str| {
            // The config makes a list of four items long.
            let config = Config {
                max_in_list: 3,
                ..Config::default()
            };
            let analysis = Analyzer::new(config).check(sql, CallRange::default());
            analysis.findings().any(|finding| finding.rule == info.name)
        };
        // These need a call or a service.
        let is_exempt = matches!(info.name, "rejected-by-server");
        assert!(finds(info.bad) || is_exempt, "{}: {}", info.name, info.bad);
        let needs_call = matches!(info.name, "missing-time-range" | "unpruned-time-filter");
        assert!(!finds(info.good) || needs_call, "{}: {}", info.name, info.good);
    }
}
