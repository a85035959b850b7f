//! Texts that nobody wrote: random ones, and the corpus with random damage.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::corpus::{Case, cases};
use crate::invariants::{analysed, fixed};

static CASES: LazyLock<Vec<Case>> = LazyLock::new(cases);

fn check(text: &str) {
    analysed(text);
    fixed(text);
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
