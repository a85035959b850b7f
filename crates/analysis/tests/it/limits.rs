//! Texts that are made to hurt.

use lakepilot_analysis::{Analysis, Analyzer, CallRange};

fn check(sql: &str) -> Analysis {
    Analyzer::default().check(sql, CallRange::default())
}

fn rules(sql: &str) -> Vec<&'static str> {
    check(sql).findings().map(|finding| finding.rule).collect()
}

#[test]
fn nesting_is_a_finding_and_never_an_overflow() {
    const DEEP: usize = 10_000;
    for (open, middle, close) in [
        ("SELECT ", "1", ""),
        ("", "SELECT 1", ""),
        ("SELECT * FROM ", "log_entries", ""),
        ("SELECT * FROM log_entries WHERE ", "level = 1", ""),
    ] {
        let sql = format!("{open}{}{middle}{}{close}", "(".repeat(DEEP), ")".repeat(DEEP));
        assert_eq!(rules(&sql), ["syntax-error"], "{open}");
        let unclosed = format!("{open}{}{middle}", "(".repeat(DEEP));
        assert_eq!(rules(&unclosed), ["syntax-error"], "{open}");
    }
    for piece in [
        "[",
        "{",
        "NOT ",
        "- ",
        "CASE WHEN ",
        "INTERVAL ",
        "EXPLAIN ",
        "CAST(",
        "EXISTS (",
        "f(",
        "a.",
        "ARRAY<",
        "STRUCT<a ",
        "SELECT (SELECT ",
        "SELECT 1 UNION ",
        "(SELECT 1) UNION ",
        "1 + ",
        "a::b",
        "x IS NULL ",
        "a -> ",
        "BEGIN ",
        "IF ",
    ] {
        for prefix in ["", "SELECT ", "SELECT a FROM ", "SELECT CAST(a AS "] {
            let sql = format!("{prefix}{}", piece.repeat(DEEP));
            check(&sql);
        }
    }
}

#[test]
fn long_chains_are_parsed_and_freed() {
    for operator in ["AND", "OR", "+", "||"] {
        let chain = vec!["level = 1"; 2_000].join(&format!(" {operator} "));
        check(&format!("SELECT msg FROM log_entries WHERE {chain}"));
    }
    let casts = format!("SELECT 1{}", "::int".repeat(4_000));
    check(&casts);
    let unions = vec!["SELECT level FROM log_entries"; 4_000].join(" UNION ALL ");
    check(&unions);
    let joins = vec!["processes"; 2_000].join(" JOIN ");
    check(&format!("SELECT 1 FROM {joins}"));
}

#[test]
fn a_list_of_a_million_items_is_one_finding() {
    let items = vec!["1"; 1_000_000].join(",");
    let sql = format!("SELECT count(*) FROM processes WHERE tsc_frequency IN ({items})");
    assert_eq!(rules(&sql), ["large-in-list"]);
}

/// How long this thread has been on a processor, in nanoseconds, which other processes do not change as they change the
/// time of day; `None` where the system does not tell.
fn time_on_processor() -> Option<u64> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    times.split_whitespace().next()?.parse().ok()
}

/// Texts of thirty kilobytes and of eight times that: it may take some more than eight times the work, and not
/// sixty-four times.
#[test]
fn work_grows_with_the_length_and_not_with_its_square() {
    type Make = fn(usize) -> String;
    let shapes: [(&str, Make); 9] = [
        ("comments", |size| {
            format!("SELECT 1 {}", "-- é remark\n".repeat(size / 12))
        }),
        ("semicolons", |size| ";".repeat(size)),
        ("statements", |size| {
            "SELECT level FROM log_entries;\n".repeat(size / 31)
        }),
        ("columns", |size| {
            format!("SELECT {} FROM log_entries", vec!["level"; size / 6].join(","))
        }),
        ("unknown columns", |size| {
            format!("SELECT {} FROM log_entries", vec!["lvel"; size / 5].join(","))
        }),
        ("aliases", |size| {
            let list: Vec<String> = (0..size / 14).map(|index| format!("level AS a{index}")).collect();
            format!("SELECT {} FROM log_entries ORDER BY a1", list.join(","))
        }),
        ("times", |size| {
            let list = vec!["'2026-01-01T00:00:00'"; size / 22].join(",");
            format!("SELECT msg FROM log_entries WHERE time IN ({list})")
        }),
        ("one string", |size| format!("SELECT '{}'", "é".repeat(size / 2))),
        ("sources", |size| {
            format!("SELECT 1 FROM {}", vec!["processes"; (size / 10).min(2_000)].join(","))
        }),
    ];
    for (name, make) in shapes {
        let work = |size: usize| {
            let sql = make(size);
            let start = time_on_processor();
            check(&sql);
            time_on_processor().zip(start).map(|(end, start)| end - start)
        };
        let Some((short, long)) = work(30_000).zip(work(240_000)) else {
            return;
        };
        assert!(long < short * 30 + 200_000_000, "{name}: {short} ns and {long} ns");
    }
}
