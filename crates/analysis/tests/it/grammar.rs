//! Queries that nobody wrote and that are queries all the same.

use proptest::prelude::*;

use crate::invariants::{analysed, analyzer, fixed};

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::select(texts).prop_map(str::to_owned)
}

fn column() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "time",
        "begin",
        "\"end\"",
        "level",
        "msg",
        "target",
        "process_id",
        "l.msg",
        "\"streams.tags\"",
        "value",
        "name",
        "x",
    ])
}

fn literal() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "1",
        "-2.5e3",
        "NULL",
        "true",
        "'ERROR'",
        "'2026-01-01'",
        "'2026-02-30 25:00:00'",
        "'%é%'",
        "''''",
        "DATE '2026-01-01'",
        "TIMESTAMP '2026-01-01T00:00:00Z'",
        "INTERVAL '1 hour'",
        "now()",
        "now() - INTERVAL '1 day'",
        "$1",
    ])
}

fn expression() -> BoxedStrategy<String> {
    let leaf = prop_oneof![3 => column(), 2 => literal()];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            4 => (pair.clone(), one_of(&["=", "<>", "<", ">=", "+", "||", "AND", "OR", "LIKE", "NOT LIKE", "~", "->>"]))
                .prop_map(|((left, right), operator)| format!("{left} {operator} {right}")),
            1 => inner.clone().prop_map(|inner| format!("({inner})")),
            1 => inner.clone().prop_map(|inner| format!("NOT ({inner})")),
            1 => inner.clone().prop_map(|inner| format!("({inner}) IS NOT NULL")),
            1 => (inner.clone(), pair.clone()).prop_map(|(value, (low, high))| {
                format!("({value}) BETWEEN ({low}) AND ({high})")
            }),
            1 => (inner.clone(), prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(value, list)| format!("({value}) IN ({})", list.join(", "))),
            1 => (pair, inner.clone()).prop_map(|((when, then), other)| {
                format!("CASE WHEN {when} THEN {then} ELSE {other} END")
            }),
            1 => inner.clone().prop_map(|inner| format!("CAST({inner} AS TIMESTAMP)")),
            1 => inner.clone().prop_map(|inner| format!("({inner})::date")),
            2 => (one_of(&["upper", "count", "max", "date_trunc", "coalesce", "nope", "retire_partitions"]),
                prop::collection::vec(inner.clone(), 1..3))
                .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(", "))),
            1 => inner.prop_map(|inner| format!("row_number() OVER (PARTITION BY {inner} ORDER BY time)")),
        ]
    })
    .boxed()
}

fn table() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "log_entries",
        "log_entries AS l",
        "measures l",
        "thread_spans",
        "processes",
        "nope",
        "view_instance('log_entries', 'p') l",
        "view_instance('thread_spans', '4d2b9eea-03cc-4460-a723-bccfcb476ce4')",
        "list_partitions()",
        "datafusion.public.blocks",
        "(VALUES (1, 'a')) AS l(x, msg)",
    ])
}

fn query() -> BoxedStrategy<String> {
    let select = |table: BoxedStrategy<String>| {
        let list = prop_oneof![
            Just("*".to_owned()),
            Just("l.*".to_owned()),
            prop::collection::vec((expression(), prop::option::of(one_of(&["x", "time", "\"Y\""]))), 1..4).prop_map(
                |items| {
                    let items = items.into_iter().map(|(item, name)| match name {
                        Some(name) => format!("{item} AS {name}"),
                        None => item,
                    });
                    items.collect::<Vec<_>>().join(", ")
                }
            ),
        ];
        let join = one_of(&[
            ", processes",
            " JOIN processes p USING (process_id)",
            " LEFT JOIN streams ON true",
            "",
        ]);
        let tail = one_of(&[
            "",
            " LIMIT 10",
            " ORDER BY time",
            " ORDER BY time DESC LIMIT 5 OFFSET 100",
            " GROUP BY 1 HAVING count(*) > 1",
            " -- lakepilot: ignore select-star",
        ]);
        let filter = prop::option::of(expression());
        let distinct = one_of(&["", "DISTINCT "]);
        (distinct, list, table, join, filter, tail).prop_map(|(distinct, list, table, join, filter, tail)| {
            let filter = filter.map_or_else(String::new, |filter| format!(" WHERE {filter}"));
            format!("SELECT {distinct}{list} FROM {table}{join}{filter}{tail}\n")
        })
    };
    select(table().boxed())
        .prop_recursive(2, 6, 2, move |inner| {
            let derived = inner.clone().prop_map(|query| format!("({query}) AS l"));
            prop_oneof![
                select(derived.boxed()),
                (inner.clone(), inner.clone()).prop_map(|(cte, query)| format!("WITH l AS ({cte}) ({query})")),
                (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) UNION ALL ({right})")),
                inner.prop_map(|query| format!("SELECT msg FROM log_entries WHERE level IN ({query})")),
            ]
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_query_parses_and_stays_one(text in query()) {
        let analysis = analyzer().check(&text, None);
        let broken: Vec<_> = analysis.findings().filter(|finding| finding.rule == "syntax-error").collect();
        prop_assert!(broken.is_empty(), "{text}: {broken:?}");
        analysed(&text);
        fixed(&text);
    }
}
