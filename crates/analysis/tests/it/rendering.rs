//! What people read, and what other programs read.

use std::fmt::Write;

use lakepilot_analysis::{Checked, TextStyle, render_text, sarif};

use crate::corpus::cases;
use crate::invariants::analyzer;

fn rendered(sql: &str, style: TextStyle) -> String {
    let analysis = analyzer().check(sql, None);
    let checked = Checked {
        name: "query.sql",
        text: sql,
        analysis: &analysis,
    };
    render_text(&checked, style)
}

const MIXED: &str = "-- Errors of the day\nSELECT *, p.exe\nFROM log_entries l, processes p\nWHERE l.level = 'ERROR'\n  AND date_trunc('day', l.time) = '2026-02-28'\nORDER BY l.tme DESC";

#[test]
fn people_read_the_source_with_the_place_marked() {
    insta::assert_snapshot!(rendered(MIXED, TextStyle::default()));
}

#[test]
fn narrow_terminals_get_shorter_lines() {
    insta::assert_snapshot!(rendered(MIXED, TextStyle::default().with_width(50)));
}

#[test]
fn colours_are_escapes_and_change_no_words() {
    let plain = rendered(MIXED, TextStyle::default());
    let coloured = rendered(MIXED, TextStyle::default().with_colors(true));
    assert!(coloured.contains("\u{1b}["));
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some(escape) = rest.find("\u{1b}[") {
        stripped.push_str(&rest[..escape]);
        rest = &rest[escape..];
        rest = &rest[rest.find('m').unwrap() + 1..];
    }
    stripped.push_str(rest);
    assert_eq!(stripped, plain);
}

#[test]
fn what_a_terminal_would_act_on_is_not_sent_to_it() {
    let text = rendered(
        "SELECT nope\u{1b}[31m\u{202e}\u{7} FROM processes",
        TextStyle::default(),
    );
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{text:?}");
}

#[test]
fn lines_may_end_as_on_windows() {
    let text = rendered("SELECT nope\r\nFROM processes\r\n", TextStyle::default());
    assert!(text.contains("1 | SELECT nope\n"), "{text}");
}

#[test]
fn a_line_of_a_megabyte_is_shown_in_part() {
    let sql = format!("SELECT nope, {} FROM processes", vec!["exe"; 250_000].join(","));
    let text = rendered(&sql, TextStyle::default());
    assert!(text.contains("nope") && text.len() < 40_000, "{}", text.len());
}

#[test]
fn the_whole_corpus_reads_well() {
    let mut all = String::new();
    for case in cases() {
        let analysis = case.check();
        let checked = Checked {
            name: &case.file,
            text: &case.sql,
            analysis: &analysis,
        };
        let text = render_text(&checked, TextStyle::default());
        if !text.is_empty() {
            writeln!(all, "==== {}/{}\n{text}", case.file, case.name).unwrap();
        }
    }
    insta::assert_snapshot!(all);
}

#[test]
fn the_document_for_programs_has_its_shape() {
    let range = lakepilot_query::TimeRange::new(
        "2026-02-28T00:00:00Z".parse().unwrap(),
        "2026-03-01T00:00:00Z".parse().unwrap(),
    );
    let sql = "SELECT time, msg FROM log_entries WHERE time >= '2026-02-28 06:00:00' ORDER BY time;\nSELECT";
    let analysis = analyzer().check(sql, range.unwrap());
    insta::assert_snapshot!(serde_json::to_string_pretty(&analysis).unwrap());
}

#[test]
fn sarif_names_its_version_rules_places_and_fixes() {
    let cases = cases();
    let analyses: Vec<_> = cases.iter().map(|case| case.check()).collect();
    let files: Vec<Checked<'_>> = cases
        .iter()
        .zip(&analyses)
        .map(|(case, analysis)| Checked {
            name: &case.name,
            text: &case.sql,
            analysis,
        })
        .collect();
    let log = sarif(&files);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let known = |id: &serde_json::Value| rules.iter().any(|rule| rule["id"] == *id);
    for result in run["results"].as_array().unwrap() {
        assert!(known(&result["ruleId"]), "{result}");
        assert!(
            ["error", "warning", "note"]
                .map(Some)
                .contains(&result["level"].as_str()),
            "{result}"
        );
        assert!(result["message"]["text"].is_string(), "{result}");
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].is_string(), "{result}");
        assert!(place["region"]["startLine"].as_u64() >= Some(1), "{result}");
    }
    let has_fix = |result: &serde_json::Value| result.get("fixes").is_some();
    assert!(log["runs"][0]["results"].as_array().unwrap().iter().any(has_fix));
}
