//! A query that was fixed returns the same rows.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use lakepilot_analysis::CallRange;
use lakepilot_local_lake::{GenerateOptions, Lake, LakeService, generate};
use lakepilot_query::{Query, QueryServiceExt, Result, TimeRange};

use crate::corpus::{analyzer, cases, now};

/// Queries with fixes, one or several of each rule that has one, beside those of the corpus.
const QUERIES: &[&str] = &[
    "SELECT time, msg FROM log_entries WHERE time >= '2026-02-28 06:00:00' AND time < '2026-02-28T18:00:00'",
    "SELECT count(*) FROM log_entries WHERE time BETWEEN '2026-02-27' AND '2026-02-28 12:00:00.5'",
    "SELECT level, count(*) FROM log_entries WHERE '2026-02-28' <= time GROUP BY level",
    "SELECT time, value FROM measures WHERE time > TIMESTAMP '2026-02-28 11:11:11' ORDER BY time LIMIT 50",
    "SELECT date_trunc('hour', time) AS hour, count(*) FROM log_entries WHERE time >= '2026-02-28' GROUP BY 1",
    "SELECT l.msg FROM log_entries AS l JOIN processes AS p ON l.process_id = p.process_id WHERE l.time < '2026-02-28'",
    "SELECT msg FROM log_entries WHERE NOT (time < '2026-02-28 12:00:00')",
    "SELECT msg FROM log_entries WHERE time IN ('2026-02-28', '2026-02-28 12:00:00')",
    "SELECT msg FROM log_entries WHERE level = '2'",
    "SELECT msg FROM log_entries WHERE level = '2' OR level = '3' AND target <> 'x'",
    "SELECT target, count(*) FROM log_entries WHERE '4' <> level GROUP BY target",
    "SELECT count(*) FROM (SELECT msg FROM log_entries ORDER BY time) AS l",
    "SELECT target, count(*) FROM (SELECT target FROM log_entries ORDER BY time DESC, msg) AS l GROUP BY target",
    "WITH errors AS (SELECT process_id FROM log_entries WHERE level <= 2 ORDER BY process_id)
     SELECT p.exe, count(*) FROM errors JOIN processes AS p ON p.process_id = errors.process_id GROUP BY p.exe",
    "SELECT exe FROM processes WHERE process_id IN (SELECT process_id FROM log_entries ORDER BY time)",
    "SELECT * FROM (SELECT time, msg FROM log_entries ORDER BY time) AS l WHERE time >= '2026-02-28'",
    "-- lakepilot: ignore cross-join\nSELECT count(*) FROM log_entries",
    "SELECT count(*) /* lakepilot: ignore wide-row */ FROM measures -- lakepilot: ignore offset-paging",
    "SELECT msg FROM (SELECT msg, time FROM log_entries ORDER BY time) AS l -- lakepilot: ignore select-star
     WHERE time > '2026-02-28'",
];

/// The rows, in no order: that of a query without `ORDER BY` is chance.
async fn rows(service: &LakeService, sql: &str, range: CallRange) -> Result<Vec<String>> {
    let range = match range.time_range() {
        Some(range) => range,
        None => TimeRange::new(now() - chrono::TimeDelta::days(30), now())?,
    };
    let result = service.collect(&Query::new(sql)?.with_time_range(range)).await?;
    let options = FormatOptions::default().with_null("null");
    let mut rows = Vec::with_capacity(result.num_rows());
    for batch in &result.batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
            .collect();
        rows.extend((0..batch.num_rows()).map(|row| {
            let values = columns.iter().map(|column| column.value(row).to_string());
            values.collect::<Vec<_>>().join("\t")
        }));
    }
    rows.sort();
    Ok(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_are_those_of_the_query_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let lake = Lake::create(directory.path().join("lake")).unwrap();
    let options = GenerateOptions {
        rows: 3_000,
        days: 3,
        processes: 4,
        ..GenerateOptions::until(now())
    };
    generate(&lake, &options, &|_, _| ()).unwrap();
    let service = LakeService::new(lake).unwrap();
    let own = QUERIES.iter().map(|sql| ((*sql).to_owned(), CallRange::default()));
    let all = cases().into_iter().map(|case| (case.sql, case.range)).chain(own);
    let mut compared = 0;
    let mut with_rows = 0;
    for (sql, range) in all {
        let fixed = analyzer().fix(&sql, range);
        if fixed.fixed == 0 {
            assert!(!QUERIES.contains(&sql.as_str()), "it has no fix: {sql}");
            continue;
        }
        // What the service refuses, it refuses before and after.
        match (
            rows(&service, &sql, range).await,
            rows(&service, &fixed.text, range).await,
        ) {
            (Ok(before), Ok(after)) => {
                assert_eq!(before, after, "{sql}\n{}", fixed.text);
                compared += 1;
                with_rows += usize::from(!before.is_empty());
            }
            (Err(_), Err(_)) => assert!(!QUERIES.contains(&sql.as_str()), "it is refused: {sql}"),
            (before, after) => panic!("{sql}: {before:?}\n{}: {after:?}", fixed.text),
        }
    }
    assert!(compared >= 25 && with_rows >= 18, "{compared}, {with_rows} with rows");
}
