//! Which queries are cut by time, at what, and into what.

use lakepilot_analysis::{SliceOrder, Sliceable};
use lakepilot_query::{Query, TimeRange};

use crate::invariants::analyzer;

fn sliceable(sql: &str) -> Sliceable {
    let analysis = analyzer().check(sql, None);
    analysis.statements[0].shape.clone().unwrap().sliceable
}

#[track_caller]
fn check_cut(sql: &str, column: &str, order: SliceOrder) {
    match sliceable(sql) {
        Sliceable::Yes(slicing) => assert_eq!((slicing.column.as_str(), slicing.order), (column, order), "{sql}"),
        Sliceable::No { reason, .. } => panic!("{sql}: {reason}"),
    }
}

#[track_caller]
fn check_whole(sql: &str, place: &str) {
    match sliceable(sql) {
        Sliceable::Yes(_) => panic!("{sql} is cut"),
        Sliceable::No { reason, span } => assert_eq!(&sql[span.range()], place, "{sql}: {reason}"),
    }
}

#[test]
fn row_by_row_queries_are_cut() {
    for (sql, column, order) in [
        ("SELECT * FROM log_entries", "time", SliceOrder::Any),
        (
            "SELECT time, upper(msg) FROM log_entries WHERE level <= 2 AND msg LIKE 'x%'",
            "time",
            SliceOrder::Any,
        ),
        (
            "SELECT time, msg FROM log_entries ORDER BY time",
            "time",
            SliceOrder::Ascending,
        ),
        (
            "SELECT time, msg FROM log_entries ORDER BY time DESC, msg",
            "time",
            SliceOrder::Descending,
        ),
        (
            "SELECT time AS t, msg FROM log_entries l ORDER BY t DESC",
            "time",
            SliceOrder::Descending,
        ),
        (
            "SELECT msg FROM log_entries l ORDER BY l.time",
            "time",
            SliceOrder::Ascending,
        ),
        (
            "SELECT value FROM view_instance('measures', 'p') WHERE name = 'cpu'",
            "time",
            SliceOrder::Any,
        ),
        ("SELECT time_bin, count FROM log_stats", "time_bin", SliceOrder::Any),
        (
            "SELECT name FROM view_instance('thread_spans', 's') WHERE duration > 5 ORDER BY begin",
            "begin",
            SliceOrder::Ascending,
        ),
        (
            "WITH l AS (SELECT time, msg FROM log_entries) SELECT msg FROM l WHERE msg <> '' ORDER BY time",
            "time",
            SliceOrder::Ascending,
        ),
        (
            "SELECT msg FROM (SELECT time, msg FROM log_entries WHERE level = 2) AS l",
            "time",
            SliceOrder::Any,
        ),
        (
            "SELECT msg FROM log_entries UNION ALL SELECT name FROM measures",
            "time",
            SliceOrder::Any,
        ),
        ("(SELECT msg FROM log_entries)", "time", SliceOrder::Any),
        (
            "SELECT CASE WHEN level < 3 THEN 'bad' ELSE 'fine' END, -level, level IN (1, 2) FROM log_entries",
            "time",
            SliceOrder::Any,
        ),
    ] {
        check_cut(sql, column, order);
    }
}

#[test]
fn everything_else_is_not() {
    for (sql, place) in [
        ("SELECT count(*) FROM log_entries", "count"),
        ("SELECT level FROM log_entries GROUP BY level", "GROUP"),
        ("SELECT DISTINCT level FROM log_entries", "DISTINCT"),
        ("SELECT msg FROM log_entries LIMIT 5", "LIMIT"),
        ("SELECT msg FROM log_entries OFFSET 5", "OFFSET"),
        (
            "SELECT row_number() OVER (ORDER BY time) FROM log_entries",
            "row_number",
        ),
        ("SELECT lag(time) OVER (ORDER BY time) FROM log_entries", "lag"),
        (
            "SELECT msg FROM log_entries WHERE time > now() - INTERVAL '1 hour'",
            "now",
        ),
        ("SELECT random() FROM log_entries", "random"),
        ("SELECT my_function(msg) FROM log_entries", "my_function"),
        (
            "SELECT l.msg FROM log_entries l JOIN processes p ON l.process_id = p.process_id",
            "processes p",
        ),
        ("SELECT msg FROM log_entries ORDER BY level", "level"),
        ("SELECT level AS time, msg FROM log_entries ORDER BY time", "time"),
        (
            "SELECT time + INTERVAL '1 day' AS time FROM log_entries ORDER BY time",
            "time",
        ),
        ("SELECT msg FROM log_entries ORDER BY 1", "1"),
        ("SELECT msg FROM log_entries UNION SELECT name FROM measures", "UNION"),
        (
            "SELECT time FROM log_entries UNION ALL SELECT time FROM measures ORDER BY time",
            "time",
        ),
        (
            "SELECT msg FROM log_entries WHERE process_id IN (SELECT process_id FROM processes)",
            "SELECT process_id FROM processes",
        ),
        ("SELECT exe FROM processes", "processes"),
        ("SELECT view_set_name FROM list_partitions()", "list_partitions"),
        ("SELECT 1", "SELECT"),
        ("SELECT msg FROM my_view", "my_view"),
        ("SELECT msg FROM log_entries UNION ALL SELECT 'end'", "SELECT"),
        ("SELECT msg FROM (SELECT msg FROM log_entries LIMIT 3) AS l", "LIMIT"),
        ("SELECT * FROM log_entries l HAVING count(*) > 1", "count"),
        (
            "SELECT begin FROM view_instance('thread_spans', 's') ORDER BY \"end\"",
            "\"end\"",
        ),
    ] {
        check_whole(sql, place);
    }
    check_whole(
        "WITH l AS (SELECT time FROM log_entries) SELECT a.time FROM l a UNION ALL SELECT b.time FROM l b",
        "SELECT time FROM log_entries",
    );
    let spans = "SELECT name FROM view_instance('thread_spans', 'a') UNION ALL SELECT name FROM view_instance('thread_spans', 'b')";
    check_whole(spans, spans);
}

fn slices(sql: &str, parts: usize) -> Vec<Query> {
    let range = TimeRange::new(
        "2026-01-01T00:00:00Z".parse().unwrap(),
        "2026-01-03T00:00:00Z".parse().unwrap(),
    )
    .unwrap();
    let Sliceable::Yes(slicing) = sliceable(sql) else {
        panic!("{sql}")
    };
    slicing.queries(&Query::new(sql).unwrap(), &range.split(parts)).unwrap()
}

#[test]
fn instants_are_cut_by_the_range_alone() {
    let sql = "SELECT msg FROM log_entries ORDER BY time DESC";
    let queries = slices(sql, 3);
    assert!(queries.iter().all(|query| query.sql() == sql));
    let begins: Vec<i64> = queries
        .iter()
        .map(|query| query.time_range().unwrap().begin_nanos())
        .collect();
    assert!(
        begins.is_sorted_by(|left, right| left > right),
        "the latest slice comes first"
    );
}

#[test]
fn spans_belong_to_the_slice_in_which_they_begin() {
    let all: Vec<String> = [
        "SELECT name FROM view_instance('thread_spans', 's') -- all\nORDER BY begin -- é",
        "SELECT name FROM view_instance('thread_spans', 's') AS \"My Spans\" WHERE duration > 5 OR depth = 0 -- or",
        "WITH s AS (SELECT name FROM view_instance('thread_spans', 's') WHERE/**/depth = 0) SELECT name FROM s WHERE name <> ''",
    ]
    .iter()
    .flat_map(|sql| slices(sql, 2).into_iter().map(|query| query.sql().to_owned()))
    .collect();
    insta::assert_snapshot!(all.join("\n----\n"));
    for sql in all {
        let analysis = analyzer().check(&sql, None);
        assert!(
            analysis.findings().all(|finding| !finding.rule.starts_with("syntax")),
            "{sql}"
        );
    }
}

#[test]
fn a_limit_beside_the_sql_is_refused() {
    let sql = "SELECT msg FROM log_entries";
    let query = Query::new(sql).unwrap().with_limit(5);
    assert!(sliceable(sql).slicing().unwrap().queries(&query, &[]).is_err());
}

#[test]
fn the_place_of_a_condition_is_told_to_whoever_makes_it() {
    let around = |sql: &str| sliceable(sql).slicing().unwrap().around_condition(sql).unwrap();
    assert_eq!(around("SELECT msg FROM log_entries"), None);
    let whole = |(before, after): (String, String)| format!("{before}TRUE{after}");
    assert_eq!(
        around("SELECT name FROM view_instance('thread_spans', 's') ORDER BY begin")
            .map(whole)
            .unwrap(),
        "SELECT name FROM view_instance('thread_spans', 's')\nWHERE TRUE\n ORDER BY begin"
    );
    assert_eq!(
        around("SELECT name FROM view_instance('thread_spans', 's') WHERE depth = 0 OR depth = 1 -- top")
            .map(whole)
            .unwrap(),
        "SELECT name FROM view_instance('thread_spans', 's') WHERE( depth = 0 OR depth = 1\n) AND TRUE -- top"
    );
    let sql = "SELECT name FROM view_instance('thread_spans', 's') WHERE depth = 0";
    assert!(sliceable(sql).slicing().unwrap().around_condition("SELECT").is_err());
}
