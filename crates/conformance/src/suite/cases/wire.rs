//! What travels beside the SQL.

use lakepilot_query::{Dictionaries, Query};

use crate::suite::case::{Observations, Outcome, ensure, ensure_equal};
use crate::suite::{Context, spell};

pub(super) async fn limit(context: &Context) -> Outcome {
    let query = |sql: &str| Query::new(sql);
    let all = "SELECT time, msg FROM log_entries ORDER BY time, msg";
    let first = context.rows(&format!("{all} LIMIT 7"), None).await?;
    let limited = context.collect(&query(all)?.with_limit(7)).await?;
    ensure_equal("seven rows by the limit beside the SQL", spell::rows(&limited)?, first)?;

    let smaller = context
        .collect(&query(&format!("{all} LIMIT 3"))?.with_limit(7))
        .await?;
    ensure_equal("the rows of a LIMIT below the limit", smaller.num_rows(), 3)?;

    let mut seen = Observations::default();
    let none = context.collect(&query(all)?.with_limit(0)).await;
    seen.note(
        "a limit of 0",
        none.map_or_else(
            |error| spell::error(&error),
            |result| format!("{} rows", result.num_rows()),
        ),
    );
    Ok(seen)
}

pub(super) async fn dictionaries(context: &Context) -> Outcome {
    let sql = "SELECT time, exe, target, level, msg FROM log_entries ORDER BY time, msg LIMIT 500";
    let plain = context.collect(&Query::new(sql)?).await?;
    let kept = context
        .collect(&Query::new(sql)?.with_dictionaries(Dictionaries::Preserved))
        .await?;
    ensure(plain.num_rows() > 0, || "there are no log entries".to_owned())?;
    ensure_equal("the values", spell::rows(&kept)?, spell::rows(&plain)?)?;
    let mut seen = Observations::default();
    seen.note("flattened", spell::schema(&plain.schema));
    seen.note("preserved", spell::schema(&kept.schema));
    Ok(seen)
}

pub(super) async fn statements(context: &Context) -> Outcome {
    let mut seen = Observations::default();
    for sql in [
        "SELECT 1",
        "VALUES (1), (2)",
        "WITH a AS (SELECT 1 AS b) SELECT b FROM a",
        "CREATE TABLE conformance_scratch (a INT)",
        "SET datafusion.execution.batch_size = 1024",
    ] {
        let answer = match context.collect(&Query::new(sql)?).await {
            Ok(result) => format!("{} rows, {} columns", result.num_rows(), result.schema.fields().len()),
            Err(error) => spell::error(&error),
        };
        seen.note(sql, answer);
    }
    Ok(seen)
}
