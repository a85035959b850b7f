//! What holds for every text, whoever wrote it. The fuzz targets hold texts against this too.

use std::sync::Arc;

use lakepilot_analysis::{
    Analysis, Analyzer, Checked, Config, TextStyle, github_annotations, render_text, sarif, sql_blocks,
};
use lakepilot_query::{FixedClock, parse_time};

/// An analyser to which it is always noon of the first of March 2026.
pub(crate) fn analyzer() -> Analyzer {
    let now = parse_time(
        "2026-03-01T12:00:00Z",
        lakepilot_query::Clock::now(&lakepilot_query::SystemClock),
    );
    let clock = FixedClock(now.expect("the text is a time"));
    Analyzer::new(Config::default()).with_clock(Arc::new(clock))
}

/// Every place that is told lies in the text, and every form of the findings can be written.
pub(crate) fn analysed(text: &str) {
    let analyzer = analyzer();
    let analysis = analyzer.check(text, None);
    assert!(!analysis.statements.is_empty());
    for finding in analysis.findings() {
        assert!(text.get(finding.span.range()).is_some(), "{finding:?}");
        for edit in finding.fix.iter().flatten() {
            assert!(text.get(edit.span.range()).is_some(), "{edit:?}");
        }
    }
    let checked = Checked {
        name: "any.sql",
        text,
        analysis: &analysis,
    };
    render_text(&checked, TextStyle::default().with_width(40));
    github_annotations(&[checked]);
    sarif(&[checked]);
    serde_json::to_string(&analysis).expect("findings are written as JSON");
    analyzer.check_markdown(text, None);
    for block in sql_blocks(text) {
        assert!(text.get(block).is_some());
    }
}

/// What is fixed has nothing left to fix, and parses if it did before.
pub(crate) fn fixed(text: &str) {
    let analyzer = analyzer();
    let fixed = analyzer.fix(text, None);
    let again = analyzer.fix(&fixed.text, None);
    assert_eq!((again.fixed, &again.text), (0, &fixed.text));
    let is_broken = |analysis: &Analysis| analysis.findings().any(|finding| finding.rule == "syntax-error");
    assert!(
        is_broken(&analyzer.check(text, None)) || !is_broken(&analyzer.check(&fixed.text, None)),
        "{text:?} became {:?}",
        fixed.text
    );
}
