//! The corpus of the analyser, whose queries are run here.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use lakepilot_analysis::{Analysis, Analyzer, CallRange, Config};
use lakepilot_query::{FixedClock, parse_time};

/// One query of the corpus.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) sql: String,
    pub(crate) range: CallRange,
}

impl Case {
    pub(crate) fn check(&self) -> Analysis {
        analyzer().check(&self.sql, self.range)
    }
}

/// The time that the corpus is written for.
pub(crate) fn now() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn analyzer() -> Analyzer {
    Analyzer::new(Config::default()).with_clock(Arc::new(FixedClock(now())))
}

/// Every query of the corpus; its files say how they are written.
pub(crate) fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../analysis/tests/corpus");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = fs::read_to_string(path).unwrap();
        cases.extend(text.split("-- name: ").skip(1).map(read));
    }
    cases
}

fn read(piece: &str) -> Case {
    let (name, rest) = piece.split_once('\n').unwrap();
    let mut range = CallRange::default();
    let mut sql = String::new();
    for line in rest.lines() {
        if let Some((begin, end)) = line
            .strip_prefix("-- range: ")
            .and_then(|range| range.split_once(" to "))
        {
            let time = |text: &str| (text.trim() != "none").then(|| parse_time(text, now()).unwrap());
            range = CallRange {
                begin: time(begin),
                end: time(end),
            };
        } else if !line.starts_with("-- finds: ") {
            sql.push_str(line);
            sql.push('\n');
        }
    }
    Case {
        name: name.trim().to_owned(),
        sql: sql.trim_end().to_owned(),
        range,
    }
}
