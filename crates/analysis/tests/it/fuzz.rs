//! Texts that nobody wrote: random ones, and the corpus with random damage.

use std::sync::LazyLock;

use lakepilot_analysis::{Checked, TextStyle, github_annotations, render_text, sarif, sql_blocks};
use proptest::prelude::*;

use crate::corpus::{Case, analyzer, cases};

static CASES: LazyLock<Vec<Case>> = LazyLock::new(cases);

/// Analyses, renders and fixes a text, and checks what has to hold for every text.
fn check(text: &str) {
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
        name: "fuzz",
        text,
        analysis: &analysis,
    };
    render_text(&checked, TextStyle::default().with_width(40));
    github_annotations(&[checked]);
    sarif(&[checked]);
    serde_json::to_string(&analysis).unwrap();
    let fixed = analyzer.fix(text, None);
    let again = analyzer.fix(&fixed.text, None);
    assert_eq!((again.fixed, &again.text), (0, &fixed.text));
    let had_syntax_error = analysis.findings().any(|finding| finding.rule == "syntax-error");
    let has_syntax_error = analyzer
        .check(&fixed.text, None)
        .findings()
        .any(|finding| finding.rule == "syntax-error");
    assert!(
        had_syntax_error || !has_syntax_error,
        "{text:?} became {:?}",
        fixed.text
    );
    analyzer.check_markdown(text, None);
    for block in sql_blocks(text) {
        assert!(text.get(block).is_some());
    }
}

fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => prop::sample::select(vec![
            "SELECT", "FROM", "WHERE", "ORDER BY", "GROUP BY", "LIMIT", "OFFSET", "UNION ALL", "WITH", "AS", "JOIN", "ON",
            "LEFT", "IN", "NOT", "AND", "OR", "BETWEEN", "LIKE", "IS NULL", "CASE", "WHEN", "THEN", "ELSE", "END", "CAST",
            "EXISTS", "DISTINCT", "OVER", "INTERVAL", "EXPLAIN", "VALUES", "LATERAL", "NULLS FIRST", "DESC", "EXTRACT",
        ]).prop_map(str::to_owned),
        8 => prop::sample::select(vec![
            "log_entries", "time", "msg", "level", "process_id", "thread_spans", "view_instance", "now()", "count(*)", "begin",
            "list_partitions()", "processes", "\"streams.tags\"", "l", "l.time", "x", "f(", "*", "streams.tags",
        ]).prop_map(str::to_owned),
        6 => prop::sample::select(vec![
            "(", ")", ",", ";", "=", "<", ">=", "<>", "+", "-", "::", ".", "[", "]", "'", "\"", "--", "/*", "*/", "\n", "$1",
        ]).prop_map(str::to_owned),
        4 => prop::sample::select(vec![
            "'2026-01-01'", "'2026-01-01 00:00:00'", "'ERROR'", "'1 hour'", "1", "2.5", "'log_entries'", "'%x%'", "''",
            "-- lakepilot: ignore select-star\n", "/* lakepilot: ignore a, b */", "é", "漢字", "🚀",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn random_text_is_analysed(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn random_words_are_analysed(text in words()) {
        check(&text);
    }

    #[test]
    fn damaged_queries_are_analysed(
        case in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0usize..40,
        insert in words(),
        splice in any::<bool>(),
    ) {
        let sql = &case.get(&CASES).sql;
        let start = sql.floor_char_boundary(at.index(sql.len() + 1));
        let end = sql.floor_char_boundary((start + length).min(sql.len()));
        let other = &other.get(&CASES).sql;
        let middle = if splice { &other[..other.floor_char_boundary(length * 3)] } else { insert.as_str() };
        check(&format!("{}{middle}{}", &sql[..start], &sql[end..]));
    }
}

#[test]
fn every_query_of_the_corpus_holds() {
    for case in CASES.iter() {
        check(&case.sql);
    }
}
