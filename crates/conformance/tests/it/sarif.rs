//! The SARIF of findings, against the schema of the standard.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use lakepilot_analysis::{Analysis, Analyzer, CallRange, Checked, sarif};
use serde_json::{Value, json};

use crate::corpus::cases;
use crate::python::python;

/// What a validator says of each document: nothing, or the reason.
fn validate(documents: &[Value]) -> Vec<Option<String>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut child = Command::new(python())
        .arg("-B")
        .arg(folder.join("python/validate.py"))
        .arg(folder.join("sarif/sarif-schema-2.1.0.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = serde_json::to_vec(documents).unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn findings_are_sarif() {
    let texts: Vec<(String, String, Analysis)> = cases()
        .into_iter()
        .map(|case| {
            let analysis = case.check();
            (format!("queries/{} é.sql", case.name), case.sql, analysis)
        })
        .collect();
    let checked: Vec<Checked<'_>> = texts
        .iter()
        .map(|(name, text, analysis)| Checked { name, text, analysis })
        .collect();
    let all = sarif(&checked);
    let results = all["runs"][0]["results"].as_array().unwrap();
    assert!(results.len() > 100 && results.iter().any(|result| result["fixes"].is_array()));
    let nothing = Analyzer::default().check("SELECT exe FROM processes", CallRange::default());
    let good = Checked {
        name: "<stdin>",
        text: "SELECT exe FROM processes",
        analysis: &nothing,
    };
    let mut broken = all.clone();
    broken["runs"][0]["results"][0]["level"] = json!("dreadful");
    let mut unknown = all.clone();
    unknown["runs"][0]["results"][0]["colour"] = json!("red");
    let said = validate(&[all, sarif(&[good]), sarif(&[]), broken, unknown]);
    assert_eq!(said[..3], [None, None, None]);
    for reason in &said[3..] {
        assert!(reason.is_some(), "the validator lets everything through");
    }
}

#[test]
fn rules_have_pages_in_the_documentation() {
    let page = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md")).unwrap();
    let log = sarif(&[]);
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), lakepilot_analysis::all_rules().len());
    for rule in rules {
        let heading = format!("\n## {}\n", rule["id"].as_str().unwrap());
        assert!(page.contains(&heading), "{heading}");
    }
}
