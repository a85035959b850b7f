//! A filter means the same in SQL as in Rust, and nothing breaks out of its quotes.

use chrono::{DateTime, Utc};
use lakepilot_catalog::{NamePattern, Partition, PartitionFilter, ProcessFilter, StreamFilter};
use lakepilot_query::TimeRange;
use proptest::prelude::*;
use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, SetExpr, Statement, Value,
    visit_expressions,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use crate::lake::{partition, time};

const CORPUS: &[&str] = &[
    "it's",
    "'",
    "\\'; --",
    "'); DROP TABLE log_entries; --",
    "' OR '1'='1",
    "line\nbreak\r\n",
    "tab\tnul\0end",
    "%_[a]^$",
    "ünïcödé 漢字 🚀 \u{202e}rtl",
    "",
];

fn parsed(sql: &str) -> Query {
    let mut statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(statements.len(), 1, "{sql}");
    match statements.remove(0) {
        Statement::Query(query) => *query,
        other => panic!("{sql}: {other}"),
    }
}

fn selection(query: &Query) -> Option<Expr> {
    match query.body.as_ref() {
        SetExpr::Select(select) => select.selection.clone(),
        other => panic!("{other}"),
    }
}

fn literals(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let _ = visit_expressions(&parsed(sql), |expression| {
        if let Expr::Value(value) = expression
            && let Value::SingleQuotedString(text) = &value.value
        {
            found.push(text.clone());
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
    found
}

/// What a server makes of the condition.
fn holds(condition: &Expr, partition: &Partition) -> bool {
    let text = |column: &Expr| match column.to_string().as_str() {
        "view_set_name" => partition.view_set_name.clone(),
        "view_instance_id" => partition.view_instance_id.clone(),
        other => panic!("{other} is not a text"),
    };
    let time = |column: &Expr| match column.to_string().as_str() {
        "begin_insert_time" => partition.begin_insert_time,
        "end_insert_time" => partition.end_insert_time,
        other => panic!("{other} is not a time"),
    };
    let literal = |expression: &Expr| match expression {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    };
    let number = |expression: &Expr| -> u64 { expression.to_string().parse().unwrap() };
    let instant = |expression: &Expr| -> DateTime<Utc> { literal(expression).parse().unwrap() };
    match condition {
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::And => holds(left, partition) && holds(right, partition),
            BinaryOperator::NotEq if left.to_string() == "num_rows" => partition.num_rows != number(right),
            BinaryOperator::NotEq => text(left) != literal(right),
            BinaryOperator::Or => holds(left, partition) || holds(right, partition),
            BinaryOperator::Eq if left.to_string() == "num_rows" => partition.num_rows == number(right),
            BinaryOperator::Eq => text(left) == literal(right),
            BinaryOperator::GtEq if left.to_string() == "file_size" => partition.file_size_bytes >= number(right),
            BinaryOperator::LtEq if left.to_string() == "file_size" => partition.file_size_bytes <= number(right),
            BinaryOperator::GtEq => time(left) >= instant(right),
            BinaryOperator::LtEq => time(left) <= instant(right),
            other => panic!("{other}"),
        },
        Expr::InList {
            expr,
            list,
            negated: false,
        } => list.iter().any(|item| literal(item) == text(expr)),
        Expr::Nested(condition) => holds(condition, partition),
        Expr::Function(function) => {
            assert_eq!(function.name.to_string(), "starts_with");
            let FunctionArguments::List(list) = &function.args else {
                panic!("{function}")
            };
            let [
                FunctionArg::Unnamed(FunctionArgExpr::Expr(column)),
                FunctionArg::Unnamed(FunctionArgExpr::Expr(prefix)),
            ] = list.args.as_slice()
            else {
                panic!("{function}")
            };
            text(column).starts_with(&literal(prefix))
        }
        other => panic!("{other}"),
    }
}

fn pattern() -> impl Strategy<Value = NamePattern> {
    prop_oneof![
        name().prop_map(|name| NamePattern::exact(&name)),
        r"[ab'%*?]{0,3}".prop_map(|text| text.parse().unwrap()),
        r"\PC{0,6}\*".prop_filter_map("it ends in a backslash", |text| text.parse().ok()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("global".to_owned()),
        proptest::sample::select(CORPUS).prop_map(str::to_owned),
        "[ab']{1,2}"
    ]
}

fn range() -> impl Strategy<Value = TimeRange> {
    (0_i64..30, 0_i64..30).prop_map(|(a, b)| TimeRange::new(time(a.min(b)), time(a.max(b))).unwrap())
}

prop_compose! {
    fn filter()(
        view_sets in proptest::option::of(proptest::collection::vec(name(), 1..3)),
        instances in proptest::option::of(proptest::collection::vec(name(), 1..3)),
        non_global: bool,
        within in proptest::option::of(range()),
        overlapping in proptest::option::of(range()),
        older_than in proptest::option::of(0_i64..30),
        newer_than in proptest::option::of(0_i64..30),
        bytes in proptest::option::of(90_u64..110),
        empty in proptest::option::of(any::<bool>()),
    ) -> PartitionFilter {
        let mut filter = PartitionFilter::all();
        if let Some(cutoff) = newer_than {
            filter = filter.newer_than(time(cutoff));
        }
        if let Some(bytes) = bytes {
            filter = filter.with_min_bytes(bytes).with_max_bytes(bytes + 5);
        }
        if let Some(empty) = empty {
            filter = filter.with_empty(empty);
        }
        if let Some(names) = view_sets {
            filter = filter.with_view_sets(names);
        }
        if let Some(ids) = instances {
            filter = filter.with_instances(ids);
        }
        if non_global {
            filter = filter.non_global();
        }
        if let Some(range) = within {
            filter = filter.within(range);
        }
        if let Some(range) = overlapping {
            filter = filter.overlapping(range);
        }
        if let Some(cutoff) = older_than {
            filter = filter.older_than(time(cutoff));
        }
        filter
    }
}

proptest! {
    #[test]
    fn sql_and_matches_agree(filter in filter(), set in name(), instance in name(), begin in 0_i64..30, length in 0_i64..10) {
        let partition = partition(&set, &instance, begin, begin + length);
        let on_the_server = selection(&parsed(&filter.to_sql())).is_none_or(|condition| holds(&condition, &partition));
        prop_assert_eq!(on_the_server, filter.matches(&partition), "{}", filter.to_sql());
    }

    /// The server may let through more than matches, and never keeps back what does.
    #[test]
    fn patterns_in_sql_keep_nothing_back(
        patterns in proptest::collection::vec(pattern(), 0..3),
        set in name(),
        instance in name(),
    ) {
        let partition = partition(&set, &instance, 1, 2);
        for filter in [
            PartitionFilter::all().with_view_sets_like(patterns.clone()),
            PartitionFilter::all().with_instances_like(patterns.clone()),
        ] {
            if filter.matches(&partition) {
                let condition = selection(&parsed(&filter.to_sql()));
                prop_assert!(condition.is_none_or(|condition| holds(&condition, &partition)), "{}", filter.to_sql());
            }
        }
    }

    #[test]
    fn any_name_arrives_as_itself(text: String) {
        let partitions = PartitionFilter::all().with_view_sets([text.clone()]).with_instances([text.clone()]);
        prop_assert_eq!(literals(&partitions.to_sql()), [text.clone(), text.clone()]);
        let processes = ProcessFilter::all()
            .with_process_id(&text)
            .with_exe(&text)
            .with_exe_containing(&text)
            .with_username(&text)
            .with_computer(&text);
        prop_assert_eq!(literals(processes.to_query().unwrap().sql()), vec![text.clone(); 5]);
        let streams = StreamFilter::all().with_process_id(&text).with_tag(&text);
        prop_assert_eq!(literals(streams.to_query().unwrap().sql()), [text.clone(), text]);
    }
}

#[test]
fn the_corpus_arrives_as_itself() {
    for text in CORPUS {
        let filter = PartitionFilter::all().with_instances([*text]);
        assert_eq!(literals(&filter.to_sql()), [*text]);
        assert!(filter.matches(&partition("x", text, 1, 2)));
    }
}

#[test]
fn conditions_of_a_process_filter() {
    let range = TimeRange::new(time(1), time(2)).unwrap();
    let query = ProcessFilter::all()
        .with_username("o'brien")
        .with_exe_containing("50%_")
        .seen_in(range)
        .with_limit(3)
        .to_query()
        .unwrap();
    assert_eq!(
        query.sql(),
        "SELECT * FROM processes WHERE username = 'o''brien' AND strpos(exe, '50%_') > 0 \
         ORDER BY start_time DESC, process_id LIMIT 3"
    );
    assert_eq!(query.time_range(), Some(range));
}

#[test]
fn too_many_names_are_filtered_here() {
    let ids: Vec<String> = (0..501).map(|id| id.to_string()).collect();
    let filter = PartitionFilter::all().with_instances(ids).non_global();
    assert_eq!(
        filter.to_sql(),
        "SELECT * FROM list_partitions() WHERE view_instance_id <> 'global'"
    );
    assert!(filter.matches(&partition("x", "500", 1, 2)));
    assert!(!filter.matches(&partition("x", "501", 1, 2)));
}
