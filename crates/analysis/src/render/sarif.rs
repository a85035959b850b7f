//! Findings as SARIF 2.1.0, the format in which code hosts take the results of analysers.

use serde_json::{Value, json};

use super::Checked;
use crate::{Finding, Severity, Span, rules};

/// All findings of all files as one SARIF log with one run.
pub fn sarif(files: &[Checked<'_>]) -> Value {
    let rules: Vec<Value> = rules::all().iter().map(|rule| rule_object(rule.info())).collect();
    let results: Vec<Value> = files
        .iter()
        .flat_map(|file| file.analysis.findings().map(|finding| result(file, finding)))
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "lakepilot",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                }
            },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule_object(info: &rules::RuleInfo) -> Value {
    json!({
        "id": info.name,
        "shortDescription": {"text": info.why},
        "fullDescription": {"text": info.text},
        "help": {"text": format!("Instead of\n\n    {}\n\nwrite\n\n    {}", info.bad, info.good)},
        "defaultConfiguration": {"level": level(info.severity)},
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Hint => "note",
    }
}

fn result(file: &Checked<'_>, finding: &Finding) -> Value {
    let index = rules::all().iter().position(|rule| rule.name() == finding.rule);
    let mut message = finding.message.clone();
    if let Some(help) = &finding.help {
        message.push_str("; ");
        message.push_str(help);
    }
    let location = json!({"uri": uri(file.name)});
    let mut result = json!({
        "ruleId": finding.rule,
        "level": level(finding.severity),
        "message": {"text": message},
        "locations": [{
            "physicalLocation": {"artifactLocation": location, "region": region(&finding.span)},
        }],
    });
    if let Some(index) = index {
        result["ruleIndex"] = json!(index);
    }
    if let Some(edits) = &finding.fix {
        let replacements: Vec<Value> = edits
            .iter()
            .map(|edit| {
                json!({
                    "deletedRegion": region(&edit.span),
                    "insertedContent": {"text": edit.replacement},
                })
            })
            .collect();
        result["fixes"] = json!([{
            "artifactChanges": [{"artifactLocation": location, "replacements": replacements}],
        }]);
    }
    result
}

fn region(span: &Span) -> Value {
    json!({
        "startLine": span.start.line,
        "startColumn": span.start.column,
        "endLine": span.end.line,
        "endColumn": span.end.column,
        "byteOffset": span.start.offset,
        "byteLength": span.end.offset - span.start.offset,
    })
}

/// A path as a URI reference: separators are slashes, and what a URI does not take is percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'\\' => uri.push('/'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(byte as char),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}
